package reconciler_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// TestTrialModel plays random histories as [TestRolloutModel] does, of pull
// requests that are opened, pushed to, canaried, closed and merged: whatever is
// published leads, for each service, to one committed version, or to two in the
// parts of a step; when all is quiet the branch's own weights are served, no
// status is pending, and the canaries are over.
func TestTrialModel(t *testing.T) {
	for seed := range histories(40, 20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := merges{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 11)), w: newRolloutWorld(t), lines: map[string]string{}, again: map[string]bool{}}
				h.w.forge.writers = []string{"ann"}
				trials{merges: &h, open: map[int]string{}}.play(60)
			})
		})
	}
}

type trials struct {
	*merges
	open map[int]string // heads, by number
}

func (h trials) play(steps int) {
	h.push("good api=v1 web=v1 x=0 pr")
	h.d = h.w.start()
	for i := range steps {
		if i > 0 && !h.pull() {
			h.step()
		}
		h.revive()
		h.d.Poke()
		after(time.Duration(h.rng.IntN(100_000)) * time.Millisecond)
		h.revive()
		if h.blends(); h.t.Failed() {
			break
		}
	}
	if !h.t.Failed() {
		h.finish()
	}
	if h.t.Failed() {
		h.t.Logf("history:\n%s\nwritten:\n%s\nrollouts: %+v", strings.Join(h.ops, "\n"), strings.Join(h.w.forge.lines(), "\n"), h.d.View().Rollouts)
	}
	h.d.stop()
	<-h.d.done
}

// line is one whose Rollouts mostly start with a pull request.
func (h trials) line() string {
	start := []string{" pr", " pr", " pr", " pr", " pr", " pr", " pr", " pr", "", " nogov"}[h.rng.IntN(10)]
	return h.merges.line(3) + start
}

// pull does something to a pull request; false: it was nobody's turn.
func (h trials) pull() bool {
	w, roll, number := h.w, h.rng.IntN(100), len(h.ops)+1
	if open := slices.Sorted(maps.Keys(h.open)); len(open) > 0 && roll >= 15 {
		number = open[h.rng.IntN(len(open))]
	}
	head := h.open[number]
	switch {
	case roll < 20:
		line := h.line()
		head = w.opened(number, line)
		h.open[number], h.lines[head] = head, line
		h.note("push to #%d %.7s %s", number, head, line)
	case roll >= 60 || head == "":
		return false
	case roll < 40:
		w.forge.say(number, "ann", "/canary")
		h.note("canary of #%d", number)
	case roll < 45:
		h.leave(number, "close", "")
	case roll < 50:
		h.leave(number, "set the branch to", head)
		w.branch.reset(head)
		h.heads = append(h.heads, head)
	case roll < 55:
		h.push(h.lines[head])
		h.leave(number, "merge", h.heads[len(h.heads)-1])
	default:
		h.push(h.line())
	}
	return true
}

func (h trials) leave(number int, why, as string) {
	h.w.closed(number, as)
	delete(h.open, number)
	h.note("%s #%d", why, number)
}

func (h trials) finish() {
	h.mend()
	for number := range h.open {
		h.leave(number, "close", "")
	}
	h.push("good api=v2 web=v3 x=1 pr")
	last := h.heads[len(h.heads)-1]
	h.revive()
	for range 3 {
		h.d.Poke()
		after(15 * time.Minute)
		for _, v := range h.d.View().Rollouts {
			_, _ = h.d.Say(v.Name, canary.Resume, "ann"), h.d.Say(v.Name, reconciler.Retry, "ann") // one of them, or none
		}
	}
	after(15 * time.Minute)
	h.blends()
	spec, err := meshOf(h.lines[last], rolloutSteps)
	if err != nil {
		h.t.Fatal(err)
	}
	if got, want := h.w.weights(), weightsOf(spec); got != want || h.w.proxies.serving() != last {
		h.t.Errorf("when all is quiet, %s is served as %.7s; the branch has %s at %.7s", got, h.w.proxies.serving(), want, last)
	}
	for commit := range h.lines {
		for name, st := range h.w.forge.standing[commit] {
			if st.State == sources.Pending {
				h.t.Errorf("%.7s: %s is pending for ever: %s", commit, name, st.Description)
			}
			if strings.Contains(st.Description, "rolling back") {
				h.t.Errorf("%.7s: %s has no end: %s", commit, name, st.Description)
			}
		}
	}
	for _, v := range h.d.View().Rollouts {
		if v.Pull != 0 && v.Start == schema.StartPullRequest && !v.Past {
			h.t.Errorf("#%d is closed, and its canary is not over: %s", v.Pull, v.Line)
		}
	}
}
