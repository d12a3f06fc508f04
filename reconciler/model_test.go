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

	"github.com/meshwright/meshwright/sources"
)

// TestModel plays random histories against a model of a few lines: the proxies
// hold the last good commit; the final check of each commit is written exactly
// once and right, and no status twice in a row; a pull request ends with the
// check of its merge with the branch and one comment that speaks of its head,
// and nothing stays pending; who may write and commands gets one reaction, others
// get none; deployments end as their commits do; a restart publishes the same
// commit. Daemons are killed between any save and what follows it, and between a
// write and its record.
func TestModel(t *testing.T) {
	for seed := range histories(100, 30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &history{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 1)), w: newWorld(), spec: map[string]string{}, pulls: map[string]bool{}}
				h.play(80)
			})
		})
	}
}

type history struct {
	t   *testing.T
	rng *rand.Rand
	w   *world
	d   *daemon
	ops []string

	// The model.
	spec  map[string]string // commit → its text
	good  string            // newest good commit that a daemon has lived to see
	heads []string          // newest commits that one has
	pulls map[string]bool   // commits that were a pull request's or a merge group's
}

func (h *history) play(steps int) {
	h.w.forge.writers = []string{"ann"}
	h.w.deployments = true
	h.d = h.w.start(h.t)
	h.see()
	for range steps {
		h.step()
		h.see()
		h.check()
		if h.t.Failed() {
			h.t.Logf("history:\n%s", strings.Join(h.ops, "\n"))
			h.d.stop()
			<-h.d.done
			return
		}
	}
	h.finish()
	if h.t.Failed() {
		h.t.Logf("history:\n%s\nwritten:\n%s", strings.Join(h.ops, "\n"), strings.Join(h.w.forge.lines(), "\n"))
	}
}

// step does something to the world.
func (h *history) step() {
	w, roll := h.w, h.rng.IntN(100)
	text := func() string {
		return []string{"good", "good", "bad", "warn", "good nack"}[h.rng.IntN(5)] + fmt.Sprint(" ", h.rng.IntN(4))
	}
	switch {
	case roll < 25:
		s := text()
		c := w.branch.push(s)
		h.spec[c] = s
		h.note("push %.7s %s", c, s)
	case roll < 30 && len(h.heads) > 0:
		c := h.heads[h.rng.IntN(len(h.heads))]
		h.note("force-push back to %.7s", c)
		w.branch.reset(c)
	case roll < 40:
		s := text()
		c := w.branch.commit(s)
		h.spec[c], h.pulls[c] = s, true
		if h.rng.IntN(5) == 0 {
			h.note("it is a merge group")
			w.forge.set(func(f *fakeForge) { f.groups = []string{c} })
			break
		}
		n := h.rng.IntN(4) + 1
		h.note("push %.7s %s to pull request %d", c, s, n)
		w.forge.set(func(f *fakeForge) {
			f.open = append(f.open[:min(n-1, len(f.open))], sources.PullRequest{Number: n, Head: c})
		})
	case roll < 45:
		h.note("merge a pull request")
		w.forge.set(func(f *fakeForge) {
			if len(f.open) > 0 {
				w.branch.reset(f.open[0].Head)
				f.merged[f.open[0].Head] = f.open[0].Number
				f.open = f.open[1:]
			}
		})
	case roll < 48:
		who, what := []string{"ann", "mallory"}[h.rng.IntN(2)], []string{"/meshwright plan", "/meshwright help", "/meshwright nonsense", "nice"}[h.rng.IntN(4)]
		h.note("%s says %s", who, what)
		w.forge.say(h.rng.IntN(4)+1, who, what)
	case roll < 60:
		mode := h.rng.IntN(6)
		h.note("forge %s", []string{"down", "loses answers", "limits", "up", "up", "up"}[mode])
		w.forge.set(func(f *fakeForge) {
			f.down, f.lossy = nil, nil
			switch mode {
			case 0:
				f.down = errors.New("502")
			case 1:
				f.lossy = errors.New("connection reset")
			case 2:
				f.down = limit(time.Now().Add(time.Duration(h.rng.IntN(90)) * time.Second))
			}
		})
	case roll < 67:
		h.note("git down")
		w.branch.fail(errors.New("no route to host"))
	case roll < 75:
		h.note("git up")
		w.branch.fail(nil)
	case roll < 80:
		slow := h.rng.IntN(2) == 0
		h.note("envoys slow: %t", slow)
		w.proxies.set(func(p *fakeProxies) {
			if p.slow = slow; !slow {
				p.answer()
			}
		})
	case roll < 85:
		h.note("restart")
		h.d.stop()
	case roll < 91:
		lives := h.rng.IntN(4) + 1
		h.note("kill after %d saves", lives)
		w.disk.set(func(d *fakeDisk) { d.lives = lives })
	case roll < 96:
		h.note("kill after the next write")
		w.forge.set(func(f *fakeForge) {
			f.after = func() {
				f.after = nil
				w.disk.set(func(d *fakeDisk) { d.dead = true })
				w.running().stop()
			}
		})
	default:
		h.note("time")
	}
	h.d.ring()
	after(time.Duration(h.rng.IntN(20_000)) * time.Millisecond)
}

// revive starts a daemon where the last one has ended or is about to.
func (h *history) revive() {
	if h.alive() {
		return
	}
	<-h.d.done
	if h.d.err != nil && !errors.Is(h.d.err, errKilled) {
		h.t.Errorf("Run: %v", h.d.err)
	}
	h.note("start")
	h.w.disk.set(func(d *fakeDisk) { d.dead, d.lives = false, 0 })
	h.d = h.w.start(h.t)
	synctest.Wait() // no time passes: what it publishes, it has from its disk
	if h.alive() && h.w.branch.down != nil && h.w.proxies.serving() != h.good {
		h.t.Errorf("a restart without network publishes %.7s, want %.7s", h.w.proxies.serving(), h.good)
	}
}

// alive reports whether the daemon runs and nobody has asked it to stop.
func (h *history) alive() bool {
	select {
	case <-h.d.done:
		return false
	case <-h.d.ctx.Done():
		return false
	default:
		return true
	}
}

// see lets a daemon live through a look at the branch, and does the same in
// the model.
func (h *history) see() {
	for seen := false; !seen; seen = h.alive() {
		h.revive()
		h.d.ring()
		after(time.Second)
	}
	tip := h.w.branch.tip
	if tip == "" || h.w.branch.down != nil {
		return
	}
	if !slices.Contains(h.heads, tip) {
		h.heads = append(h.heads, tip)
	}
	if !strings.HasPrefix(h.spec[tip], "bad") {
		h.good = tip
	}
}

func (h *history) check() {
	if got := h.w.proxies.serving(); got != h.good {
		h.t.Errorf("the proxies are given %.7s, want %.7s", got, h.good)
	}
	if v := h.d.View(); v.Serving != h.good || v.Ready != (h.good != "") || v.Source.OK != (h.w.branch.down == nil && h.w.branch.tip != "") {
		h.t.Errorf("the view says serving %.7s, ready %t, source %+v", v.Serving, v.Ready, v.Source)
	}
	last := map[string]string{}
	for _, line := range h.w.forge.lines() {
		to, what, _ := strings.Cut(line, ": ")
		i := strings.LastIndex(to, " ")
		to, what = to[:i], to[i+1:]+": "+what
		was := last[to]
		if was == what {
			h.t.Errorf("written twice: %s", line)
		}
		commit, _, _ := strings.Cut(to, " ")
		if strings.HasSuffix(to, "/check") && was != "" && !h.pulled(commit) {
			h.t.Errorf("a final check was replaced: %s %s, then %s", to, was, what)
		}
		last[to] = what
	}
}

// finish mends the world, gives the daemon time, and looks at what stands.
func (h *history) finish() {
	h.note("all up")
	w := h.w
	w.branch.fail(nil)
	w.disk.set(func(d *fakeDisk) { d.dead, d.lives = false, 0 })
	w.forge.set(func(f *fakeForge) { f.down, f.lossy, f.after = nil, nil, nil })
	w.proxies.set(func(p *fakeProxies) { p.slow = false; p.answer() })
	h.see()
	after(30 * time.Minute)
	h.see()
	h.check()
	h.d.end(h.t)
	for _, commit := range h.heads {
		h.standing(commit)
		switch applied := w.forge.standing[commit]["meshwright/applied"]; {
		case applied.State == sources.Pending || applied.State == "":
			h.t.Errorf("%.7s: applied is %q at the end", commit, applied.State)
		case strings.HasPrefix(h.spec[commit], "bad") && applied.State != sources.Failure:
			h.t.Errorf("%.7s is bad, and applied is %s", commit, applied.State)
		case commit == h.good && strings.Contains(h.spec[commit], "nack") != (applied.State == sources.Failure):
			h.t.Errorf("%.7s (%s) is served, and applied is %s", commit, h.spec[commit], applied.State)
		}
	}
	for _, commit := range h.heads {
		if st, ok := w.forge.deployed[commit+" mesh"]; ok && st.State != w.forge.standing[commit]["meshwright/applied"].State {
			h.t.Errorf("%.7s: its deployment is %s", commit, st.State)
		}
	}
	for _, pr := range w.forge.open {
		h.pull(pr.Head)
		if body := w.forge.comments[fmt.Sprintf("%d/pull", pr.Number)]; !slices.Contains(h.heads, pr.Head) && !strings.Contains(body, pr.Head[:7]) && h.touches(pr.Head) {
			h.t.Errorf("the comment on pull request %d does not speak of %.7s: %s", pr.Number, pr.Head, body)
		}
	}
	for _, group := range w.forge.groups {
		h.pull(group)
	}
	for commit := range h.pulls {
		for name, st := range w.forge.standing[commit] {
			if st.State == sources.Pending {
				h.t.Errorf("%.7s: %s is pending for ever", commit, name)
			}
		}
	}
	for _, c := range w.forge.said {
		n := len(w.forge.reactions[c.ID])
		if n > 1 || n == 1 && (c.Author != "ann" || c.Body == "nice") {
			h.t.Errorf("%d reactions to %s of %s", n, c.Body, c.Author)
		}
	}
}

// touches reports whether a head changes anything since it left the branch.
func (h *history) touches(commit string) bool {
	m, err := h.w.branch.Merge(h.t.Context(), h.w.branch.tip, commit)
	return err == nil && len(m.Changed) > 0
}

// pulled reports whether a commit, of which 7 characters are given, was one to
// be merged.
func (h *history) pulled(short string) bool {
	for commit := range h.pulls {
		if strings.HasPrefix(commit, short) {
			return true
		}
	}
	return false
}

// pull holds the check of a head to the model: it is that of its merge.
func (h *history) pull(commit string) {
	if slices.Contains(h.heads, commit) {
		h.standing(commit) // it was judged on the branch
		return
	}
	m, err := h.w.branch.Merge(h.t.Context(), h.w.branch.tip, commit)
	if err != nil {
		h.t.Fatal(err)
	}
	want := sources.Success
	if len(m.Conflicts) > 0 || len(m.Changed) > 0 && strings.HasPrefix(h.spec[commit], "bad") {
		want = sources.Failure
	}
	if got := h.w.forge.standing[commit]["meshwright/check"]; got.State != want {
		h.t.Errorf("%.7s (%s): check of the merge is %+v, want %s", commit, h.spec[commit], got, want)
	}
	if got := h.w.forge.standing[commit]["meshwright/plan"].State; got != want {
		h.t.Errorf("%.7s (%s): plan of the merge is %q, want %s", commit, h.spec[commit], got, want)
	}
}

// standing holds the check of a commit of the branch to the model.
func (h *history) standing(commit string) {
	want := sources.Success
	if strings.HasPrefix(h.spec[commit], "bad") {
		want = sources.Failure
	}
	if got := h.w.forge.standing[commit]["meshwright/check"].State; got != want {
		h.t.Errorf("%.7s (%s): check is %q, want %s", commit, h.spec[commit], got, want)
	}
}

func (h *history) note(format string, args ...any) {
	h.ops = append(h.ops, fmt.Sprintf(format, args...))
}
