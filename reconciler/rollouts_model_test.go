package reconciler_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/sources"
)

// TestRolloutModel plays random histories of merges, traffic, people, proxies
// and crashes against a model of a few lines: whatever is published leads, for
// each service, to one committed version, or to two in the parts of a step; when
// all is quiet the branch's own weights are served; a commit's canary has one
// end, but for a person's word or a branch that was set back to it.
func TestRolloutModel(t *testing.T) {
	for seed := range histories(80, 25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &merges{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 7)), w: newRolloutWorld(t), lines: map[string]string{}, again: map[string]bool{}}
				if seed%2 == 1 {
					h.mode = " pr" // canaries of pull requests, too
					h.w.forge.writers = []string{"ann"}
				}
				h.play(60)
			})
		})
	}
}

type merges struct {
	t   *testing.T
	rng *rand.Rand
	w   *rolloutWorld
	d   *daemon
	ops []string

	// The model.
	lines map[string]string // by commit
	heads []string          // that were the branch's
	pulls []string          // and those of pull requests
	mode  string            // ends the lines
	again map[string]bool   // commits that may end anew
}

func (h *merges) play(steps int) {
	h.push("good api=v1 web=v1 x=0" + h.mode)
	h.d = h.w.start()
	for i := range steps {
		if i > 0 {
			h.step()
		}
		h.revive()
		h.d.ring()
		after(time.Duration(h.rng.IntN(100_000)) * time.Millisecond)
		h.revive()
		if h.check(); h.t.Failed() {
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

func (h *merges) note(format string, args ...any) {
	h.ops = append(h.ops, fmt.Sprintf(format, args...))
}

func (h *merges) push(line string) {
	c := h.w.branch.push(line)
	h.lines[c] = line
	h.heads = append(h.heads, c)
	h.note("push %.7s %s", c, line)
}

func (h *merges) line(versions int) string {
	pick := func() string { return fmt.Sprint("v", h.rng.IntN(versions)+1) }
	return fmt.Sprintf("good api=%s web=%s x=%d%s", pick(), pick(), h.rng.IntN(3), h.mode)
}

// step does something to the world.
func (h *merges) step() {
	w, roll := h.w, h.rng.IntN(100)
	one := func(options ...string) string { return options[h.rng.IntN(len(options))] }
	switch {
	case roll < 20 && h.mode != "" && h.rng.IntN(3) > 0:
		h.pull(h.rng.IntN(2) + 1)
	case roll < 20:
		h.push(h.line(4))
	case roll < 22:
		h.push("bad " + h.line(3))
	case roll < 26:
		c := h.heads[h.rng.IntN(len(h.heads))]
		h.note("force-push back to %.7s", c)
		h.again[c] = true
		w.branch.reset(c)
	case roll < 40:
		node := one("api", "web") + "-v" + one("1", "2", "3")
		w.set(func() { w.rotten[node] = !w.rotten[node] })
		h.note("%s rotten: %t", node, w.rotten[node])
	case roll < 45:
		w.set(func() { w.idle = !w.idle })
		h.note("idle: %t", w.idle)
	case roll < 50:
		w.set(func() { w.mute = !w.mute })
		h.note("mute: %t", w.mute)
	case roll < 60:
		name, verb := one("api", "web"), canary.Verb(one("pause", "resume", "abort", "promote", "retry"))
		err := h.d.Say(name, verb, "ann")
		h.note("say %s to %s: %v", verb, name, err)
		h.spoken()
	case roll < 66:
		slow := h.rng.IntN(2) == 0
		h.note("envoys slow: %t", slow)
		w.proxies.set(func(p *fakeProxies) {
			if p.slow = slow; !slow {
				p.answer()
			}
		})
	case roll < 72:
		down := h.rng.IntN(2) == 0
		h.note("git down: %t", down)
		if w.branch.fail(nil); down {
			w.branch.fail(errors.New("no route to host"))
		}
	case roll < 78:
		mode := h.rng.IntN(4)
		h.note("forge %s", []string{"down", "loses answers", "up", "up"}[mode])
		w.forge.set(func(f *fakeForge) {
			f.down, f.lossy = nil, nil
			switch mode {
			case 0:
				f.down = errors.New("502")
			case 1:
				f.lossy = errors.New("connection reset")
			}
		})
	case roll < 83:
		h.note("restart")
		h.d.stop()
	case roll < 90:
		lives := h.rng.IntN(4) + 1
		h.note("kill after %d saves", lives)
		w.disk.set(func(d *fakeDisk) { d.lives = lives })
	default:
		h.note("time")
	}
}

// pull does something to a pull request: it is opened, pushed to, asked to be the
// canary, merged or closed.
func (h *merges) pull(n int) {
	w := h.w
	i := slices.IndexFunc(w.forge.open, func(pr sources.PullRequest) bool { return pr.Number == n })
	switch roll := h.rng.IntN(10); {
	case i < 0 || roll < 2:
		line := h.line(4)
		head := w.opened(n, line)
		h.lines[head], h.pulls = line, append(h.pulls, head)
		h.note("push %.7s %s to pull request %d", head, line, n)
		fallthrough
	case roll < 7:
		h.note("ask for %d", n)
		h.d.Poke()
		after(5 * time.Second)
		for _, pr := range w.forge.open {
			h.again[pr.Head] = true
		}
		w.forge.say(n, "ann", "/canary")
	case roll < 9:
		h.note("merge %d", n)
		h.push(h.lines[w.forge.open[i].Head])
		w.closed(n, h.heads[len(h.heads)-1])
	default:
		h.note("close %d", n)
		w.closed(n, "")
	}
	h.d.Poke()
}

// spoken: a person's word may give what is on its way another end.
func (h *merges) spoken() {
	for _, v := range h.d.View().Rollouts {
		h.again[v.Target] = true
	}
}

func (h *merges) revive() {
	select {
	case <-h.d.done:
	default:
		select {
		case <-h.d.ctx.Done():
			<-h.d.done
		default:
			return
		}
	}
	if h.d.err != nil && !errors.Is(h.d.err, errKilled) {
		h.t.Errorf("Run: %v", h.d.err)
	}
	h.note("start")
	h.w.disk.set(func(d *fakeDisk) { d.dead, d.lives = false, 0 })
	h.d = h.w.start()
	synctest.Wait()
}

// blends holds all that was published since the last time to the model.
func (h *merges) blends() {
	for _, text := range h.w.published() {
		parts := strings.Split(strings.TrimSuffix(text, " nack"), ", ")
		for _, part := range parts {
			words := strings.Fields(part)
			if len(words) == 1 && !h.committed(words[0]) {
				h.t.Errorf("%s: nobody committed %s", text, words[0])
			}
			shares := map[string]string{}
			for _, share := range words[1:] {
				version, percent, _ := strings.Cut(share, "=")
				shares[version] = percent
				if !h.committed(words[0] + "=" + version) {
					h.t.Errorf("%s: nobody committed %s", text, version)
				}
			}
			var got []string
			for _, p := range shares {
				got = append(got, p)
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); len(words) > 1 && s != "100" && s != "10 90" && s != "50 50" {
				h.t.Errorf("%s is published, which is no step", text)
			}
		}
	}
}

// check holds what is published and written to the model.
func (h *merges) check() {
	h.blends()
	if v := h.d.View(); v.Serving != "" && h.lines[v.Serving] == "" {
		h.t.Errorf("the view says %s is served", v.Serving)
	}
	for _, v := range h.d.View().Rollouts {
		h.placed(v)
	}
	ends := map[string]string{}
	for _, line := range h.w.forge.lines() {
		commit, rest, _ := strings.Cut(line, " ")
		state, isCanary := strings.CutPrefix(rest, "meshwright/canary ")
		if !isCanary {
			continue
		}
		if was := ends[commit]; was != "" && !strings.HasPrefix(state, was) && !h.mayEndAnew(commit) {
			h.t.Errorf("%s: its canary has ended %s, and then %s", commit, was, state)
		}
		if end, _, _ := strings.Cut(state, ":"); end != "pending" {
			ends[commit] = end
		}
	}
}

// placed holds where a service's routes lead to what its rollout is said to be at.
func (h *merges) placed(v reconciler.RolloutView) {
	service := strings.TrimPrefix(v.Name, "shop/")
	for _, other := range h.d.View().Rollouts {
		if other.Name == v.Name && other.Start == "pull-request" && !other.Ended && other.Pull != 0 {
			return // what it is at, the steps' weights say
		}
	}
	if v.Start == "pull-request" && v.Pull != 0 {
		return
	}
	version := func(commit string) string {
		_, rest, _ := strings.Cut(h.lines[commit], service+"=")
		word, _, _ := strings.Cut(rest, " ")
		return word
	}
	base, target := version(v.Base), version(v.Target)
	want := service + " " + base + "=100"
	switch v.Phase {
	case canary.Completed, canary.Promoting:
		want = service + " " + target + "=100"
	case canary.Moving, canary.Watching, canary.Paused:
		shares := []string{fmt.Sprintf("%s=%g", base, 100-v.Weight), fmt.Sprintf("%s=%g", target, v.Weight)}
		slices.Sort(shares)
		want = service + " " + strings.Join(shares, " ")
	}
	if got := h.w.weights(); got != "" && !strings.Contains(got+",", want+",") && !strings.HasSuffix(got, " nack") {
		h.t.Errorf("%s is served, and %s is %s from %s to %s: want %s", got, v.Name, v.Phase, base, target, want)
	}
}

func (h *merges) mayEndAnew(short string) bool {
	for c := range h.again {
		if strings.HasPrefix(c, short) {
			return true
		}
	}
	return false
}

// committed reports whether a good commit has a word.
func (h *merges) committed(word string) bool {
	for _, line := range h.lines {
		if !strings.HasPrefix(line, "bad") && slices.Contains(strings.Fields(line), word) {
			return true
		}
	}
	return false
}

// mend has nothing of the world be broken.
func (h *merges) mend() {
	h.note("all quiet")
	w := h.w
	w.branch.fail(nil)
	w.disk.set(func(d *fakeDisk) { d.dead, d.lives = false, 0 })
	w.forge.set(func(f *fakeForge) { f.down, f.lossy = nil, nil })
	w.set(func() { clear(w.rotten); w.idle, w.mute = false, false })
	w.proxies.set(func(p *fakeProxies) { p.slow = false; p.answer() })
}

// finish mends the world, and has people let go what is held.
func (h *merges) finish() {
	h.mend()
	w := h.w
	w.closed(1, "")
	w.closed(2, "")
	h.push(h.line(3))
	last := h.heads[len(h.heads)-1]
	h.revive()
	for range 3 {
		h.d.ring()
		after(15 * time.Minute)
		h.revive()
		for _, v := range h.d.View().Rollouts {
			for _, verb := range []canary.Verb{canary.Resume, reconciler.Retry} {
				if h.d.Say(v.Name, verb, "ann") == nil {
					h.again[v.Target] = true
				}
			}
		}
	}
	after(15 * time.Minute)
	h.check()
	spec, err := meshOf(h.lines[last], rolloutSteps)
	if err != nil {
		h.t.Fatal(err)
	}
	if got, want := w.weights(), weightsOf(spec); got != want || w.proxies.serving() != last {
		h.t.Errorf("when all is quiet, %s is served as %.7s; the branch has %s at %.7s", got, w.proxies.serving(), want, last)
	}
	if got := w.standing(last, "applied"); got.State != sources.Success {
		h.t.Errorf("%.7s: applied is %+v", last, got)
	}
	for _, c := range append(h.heads, h.pulls...) {
		for name, st := range w.forge.standing[c] {
			if st.State == sources.Pending {
				h.t.Errorf("%.7s: %s is pending for ever: %s", c, name, st.Description)
			}
			if strings.Contains(st.Description, "rolling back") {
				h.t.Errorf("%.7s: %s has no end: %s", c, name, st.Description)
			}
		}
	}
}
