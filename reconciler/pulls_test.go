package reconciler_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// open makes a commit on the branch's newest the head of a pull request.
func (w *world) open(number int, files map[string]string) string {
	head := w.branch.files(files)
	w.pull(sources.PullRequest{Number: number, Head: head, Base: "main", Title: fmt.Sprint("change ", number)})
	return head
}

// pull opens a pull request, or puts it in the place of what it was.
func (w *world) pull(p sources.PullRequest) {
	w.forge.set(func(f *fakeForge) {
		f.open = slices.DeleteFunc(slices.Clone(f.open), func(old sources.PullRequest) bool { return old.Number == p.Number })
		f.open = append(f.open, p)
	})
}

func (w *world) closed(number int) {
	w.forge.set(func(f *fakeForge) {
		f.open = slices.DeleteFunc(slices.Clone(f.open), func(p sources.PullRequest) bool { return p.Number == number })
	})
}

// merge makes a merge commit of a pull request the branch's newest.
func (w *world) merge(t *testing.T, number int) string {
	t.Helper()
	i := slices.IndexFunc(w.forge.open, func(p sources.PullRequest) bool { return p.Number == number })
	tip := w.branch.tip
	m, err := w.branch.Merge(t.Context(), tip, w.forge.open[i].Head)
	if err != nil || m.Revision == nil {
		t.Fatalf("%+v, %v", m, err)
	}
	commit := w.branch.files(textsOf(t, m.Revision.Files))
	w.forge.set(func(f *fakeForge) { f.merged[commit] = number })
	w.closed(number)
	w.branch.reset(commit)
	return commit
}

func textsOf(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	texts := map[string]string{}
	names, err := fs.Glob(files, "*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	return texts
}

// status is what stands beside a commit.
func (w *world) status(commit, kind string) string {
	w.forge.mu.Lock()
	defer w.forge.mu.Unlock()
	st := w.forge.standing[commit]["meshwright/"+kind]
	return string(st.State) + ": " + st.Description
}

// verdict is the first line of our comment on a pull request.
func (w *world) verdict(number int) string {
	w.forge.mu.Lock()
	defer w.forge.mu.Unlock()
	line, _, _ := strings.Cut(w.forge.comments[fmt.Sprintf("%d/pull", number)], "\n")
	return line
}

// stands holds what stands beside a commit to what should.
func (w *world) stands(t *testing.T, commit, kind, want string) {
	t.Helper()
	if got := w.status(commit, kind); got != want {
		t.Errorf("%s of %.7s is %q, want %q", kind, commit, got, want)
	}
}

// TestPullRequestStory: a mistake is red with its line, its fix green in the
// same comment; the merge is applied, and the comment has the last word.
func TestPullRequestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.forge.take()

		bad := w.open(7, map[string]string{"mesh.txt": "bad weight is 101"})
		d.Poke()
		after(10 * time.Second)
		w.stands(t, bad, "check", "failure: mesh.txt:1: error: weight is 101")
		w.stands(t, bad, "plan", "failure: no plan: the check failed")
		if got := w.verdict(7); !strings.Contains(got, "1 error") {
			t.Errorf("the comment begins with %q", got)
		}

		fixed := w.open(7, map[string]string{"mesh.txt": "good two"})
		d.Poke()
		after(10 * time.Second)
		w.stands(t, fixed, "check", "success: 1 resource")
		expect(t, "comments", w.forge.edits, "7/pull", "7/pull")
		if got := w.forge.comments["7/pull"]; !strings.Contains(got, bad[:7]) || strings.Contains(w.verdict(7), "error") {
			t.Errorf("the comment does not tell of the fix and what was before: %s", got)
		}

		merged := w.merge(t, 7)
		d.Poke()
		after(2 * time.Minute)
		w.stands(t, merged, "applied", "success: 3/3 proxies in 140 ms")
		if got := w.verdict(7); !strings.Contains(got, "Merged as "+merged[:7]) {
			t.Errorf("the last word is %q", got)
		}
		// Nothing was pending, for all was there at once: two finals for each head,
		// check and applied of the merge; the comment made, and edited twice.
		if lines := w.forge.take(); len(lines) != 6 || len(w.forge.edits) != 3 {
			t.Errorf("written: %q, comments %q", lines, w.forge.edits)
		}
		if v := d.View().Pulls; len(v) != 1 || v[0].Open || !v[0].Merged || v[0].Title != "change 7" || v[0].Report.After == nil || len(v[0].Report.Past) != 1 {
			t.Errorf("the view does not tell: %+v", v)
		}
	})
}

func TestConflictThenRebase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		head := w.open(7, map[string]string{"mesh.txt": "good two"})
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.stands(t, head, "check", "success: 1 resource")
		w.branch.push("good three")
		d.Poke()
		after(time.Minute)
		w.stands(t, head, "check", "failure: needs a rebase: mesh.txt changed on both sides")
		w.stands(t, head, "plan", "failure: needs a rebase: mesh.txt changed on both sides")
		rebased := w.open(7, map[string]string{"mesh.txt": "good four"})
		d.Poke()
		after(time.Minute)
		w.stands(t, rebased, "check", "success: 1 resource")
	})
}

// TestUntouched: a pull request about something else is green at once and gets
// no comment, also as a draft, from a fork, or in a merge queue.
func TestUntouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		other := w.branch.commit("good one")
		w.pull(sources.PullRequest{Number: 7, Head: other, Draft: true, Fork: true})
		group := w.branch.commit("good one")
		w.forge.groups = []string{group}
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		for _, head := range []string{other, group} {
			w.stands(t, head, "check", "success: no mesh changes")
			w.stands(t, head, "plan", "success: no mesh changes")
		}
		if len(w.forge.edits) > 0 {
			t.Errorf("comments on %q", w.forge.edits)
		}
		expect(t, "loads", w.loads, "good one")
		if v := d.View().Pulls; len(v) != 1 || !v[0].Draft || v[0].Report != nil {
			t.Errorf("the view does not tell: %+v", v)
		}
	})
}

// TestOnlyWhatMovedIsPlannedAgain: when the branch and what is served move, only
// the pull requests that depend on it are loaded again.
func TestOnlyWhatMovedIsPlannedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		all := map[string]string{"a.txt": "good a", "b.txt": "good b", "mesh.txt": "good one"}
		with := func(name, text string) map[string]string {
			files := maps.Clone(all)
			files[name] = text
			return files
		}
		w.branch.reset(w.branch.files(all))
		a, b := w.open(1, with("a.txt", "good a2")), w.open(2, with("b.txt", "good b2"))
		bad := w.open(3, with("b.txt", "bad b3"))
		group := w.branch.files(with("a.txt", "good a2"))
		w.forge.groups = []string{group}
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		loads := len(w.loads)
		w.forge.take()

		w.branch.reset(w.branch.files(with("mesh.txt", "good two")))
		d.Poke()
		after(time.Minute)
		// Beside the branch: the one whose check failed, for it may be mended now,
		// and the group, of which no plan is kept.
		expect(t, "loads", sorted(w.loads[loads:]), "good a2; good b; good two", "good a; bad b3; good two", "good a; good b; good two")
		for _, line := range w.forge.take() {
			if strings.HasPrefix(line, a[:7]) || strings.HasPrefix(line, b[:7]) || strings.HasPrefix(line, bad[:7]) {
				t.Errorf("written again: %s", line)
			}
		}
		for _, p := range d.View().Pulls {
			if again := p.Report.Serving == w.branch.tip; again != (p.Number == 3) {
				t.Errorf("pull request %d was planned again: %t", p.Number, again)
			}
		}

		loads = len(w.loads)
		all["mesh.txt"] = "good two"
		w.branch.reset(w.branch.files(with("a.txt", "good a4")))
		d.Poke()
		after(time.Minute)
		w.stands(t, a, "check", "failure: needs a rebase: a.txt changed on both sides")
		w.stands(t, b, "check", "success: 3 resources")
		expect(t, "loads", sorted(w.loads[loads:]), "good a4; bad b3; good two", "good a4; good b; good two")
	})
}

// TestABrokenBranchIsMended: a head whose merge has a mistake of the branch's is
// looked at again when that is mended, though what is served stays as it was.
func TestABrokenBranchIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		files := func(a, mesh string) map[string]string { return map[string]string{"a.txt": a, "mesh.txt": mesh} }
		w.branch.reset(w.branch.files(files("good a", "good one")))
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.branch.reset(w.branch.files(files("bad a", "good one")))
		head := w.open(7, files("bad a", "good two"))
		d.Poke()
		after(time.Minute)
		w.stands(t, head, "check", "failure: a.txt:1: error: a")
		w.branch.reset(w.branch.files(files("good a", "good one")))
		d.Poke()
		after(time.Minute)
		w.stands(t, head, "check", "success: 2 resources")
		w.stands(t, head, "plan", "success: 1 resource, 0 proxy identities")
	})
}

// TestARefusedBranch: while the branch has errors of its own, the comments on what
// is open say so, also on what was green before; what would mend them does not,
// nor what brought them. Nothing is checked again for it.
func TestARefusedBranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		files := func(a, mesh string) map[string]string { return map[string]string{"a.txt": a, "mesh.txt": mesh} }
		w.branch.reset(w.branch.files(files("good a", "good one")))
		green := w.open(7, files("good a", "good two"))
		w.open(8, files("good a", "good one")) // touches nothing
		w.open(9, files("bad a", "good one"))
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		commit := w.merge(t, 9) // against all advice
		loads := len(w.loads)
		d.Poke()
		after(time.Minute)
		mends := w.open(10, files("good a3", "good one"))
		d.Poke()
		after(time.Minute)
		const line = "The branch itself has errors: "
		says := func(want ...int) {
			t.Helper()
			for n := range 12 {
				body := w.forge.comments[fmt.Sprintf("%d/pull", n)]
				if got := strings.Contains(body, line+commit[:7]+" is refused"); got != slices.Contains(want, n) {
					t.Errorf("the comment on %d tells it: %t\n%s", n, got, body)
				}
			}
		}
		says(7)
		w.stands(t, green, "check", "success: 2 resources")
		w.stands(t, mends, "check", "success: 2 resources")
		expect(t, "loads", w.loads[loads:], "bad a; good one", "good a3; good one")
		edits := len(w.forge.edits)
		d.Poke()
		after(time.Hour)
		if n := len(w.forge.edits) - edits; n != 0 {
			t.Errorf("%d edits without news", n)
		}
		w.merge(t, 10)
		d.Poke()
		after(time.Minute)
		says()
	})
}

// TestPlansOfProxiesThatComeBack: after a restart nothing is planned before those
// are back that were there, or the time to come back is over; a plan that saw no
// proxy is made again when there are some, and none for each that comes and goes.
func TestPlansOfProxiesThatComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.proxies.envoys = 0
		plans := 0
		compare := func(_, _ reconciler.Side, seen plan.Observed) *plan.Plan {
			plans++
			n := len(seen.Proxies)
			return &plan.Plan{Proxies: plan.Proxies{Touched: n, Connected: n, Identities: []plan.Touched{{Connected: n}}}, Resources: make([]plan.Resource, 1)}
		}
		connect := func(n int) { w.proxies.set(func(p *fakeProxies) { p.envoys = n }) }
		planned := func(head, want string, times int) {
			t.Helper()
			if status := w.status(head, "plan"); status != "success: "+want || plans != times {
				t.Errorf("%q after %d plans, want %q after %d", status, plans, want, times)
			}
		}
		w.branch.push("good one")
		head := w.open(7, map[string]string{"mesh.txt": "good two"})
		cfg, wake := w.config()
		cfg.Plan = compare
		d := run(t, cfg, wake)
		after(time.Minute)
		planned(head, "1 resource, 1 proxy identity", 1)
		applied := func(want string) {
			t.Helper()
			for _, c := range d.View().Commits {
				if c.Serving && c.Applied.Description != want {
					t.Errorf("applied is %q, want %q", c.Applied.Description, want)
				}
			}
		}
		applied("no proxies connected")
		connect(1)
		after(time.Second)
		connect(4)
		after(time.Minute)
		planned(head, "1 resource, 4 of 4 proxies", 2)
		applied("no proxies connected then; 4 now")
		for n := range 20 {
			connect(n % 3)
			after(10 * time.Second)
		}
		planned(head, "1 resource, 4 of 4 proxies", 2)
		connect(4)
		after(time.Minute)
		d.end(t)

		w.proxies.restart()
		connect(0)
		head = w.open(8, map[string]string{"mesh.txt": "good three"})
		cfg, wake = w.config()
		cfg.Plan = compare
		d = run(t, cfg, wake)
		defer d.end(t)
		after(time.Second)
		connect(1)
		after(time.Second)
		if plans != 2 {
			t.Errorf("%d plans before the proxies are back", plans)
		}
		connect(4)
		after(2 * time.Second)
		if plans != 3 {
			t.Errorf("%d plans when all are back", plans)
		}
		after(time.Minute)
		planned(head, "1 resource, 4 of 4 proxies", 3)
	})
}

// TestCUEIsOneText: what one CUE file says may change what another means.
func TestCUEIsOneText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		files := func(a, b, shared string) map[string]string {
			return map[string]string{"a.txt": a, "b.cue": b, "mesh.txt": "good one", "shared.cue": shared}
		}
		w.branch.reset(w.branch.files(files("good a", "b", "shared")))
		w.open(7, files("good a2", "b", "shared 2"))
		w.open(8, files("good a3", "b", "shared"))
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		loads := len(w.loads)
		w.branch.reset(w.branch.files(files("good a", "b 2", "shared")))
		d.Poke()
		after(time.Minute)
		expect(t, "loads", sorted(w.loads[loads:]), "good a2; good one", "good a; good one")
	})
}

// TestTakenBackFromTheBranch: what was pushed to the branch by mistake, and is
// opened as a pull request then, is checked and planned as one.
func TestTakenBackFromTheBranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		base := w.branch.push("good one")
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		head := w.branch.push("good two")
		d.Poke()
		after(time.Minute)
		w.branch.reset(base)
		d.Poke()
		after(time.Minute)
		w.pull(sources.PullRequest{Number: 7, Head: head, Base: "main"})
		d.Poke()
		after(time.Minute)
		w.stands(t, head, "plan", "success: 1 resource, 0 proxy identities")
		if got := w.verdict(7); !strings.HasPrefix(got, "**1 resource**") {
			t.Errorf("the comment begins with %q", got)
		}
	})
}

// TestABranchThatIsSetBack: what is open is planned anew at once, not when the
// schedule has the list asked for again.
func TestABranchThatIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		base := w.branch.push("good one")
		head := w.branch.commit("good two")
		w.pull(sources.PullRequest{Number: 7, Head: head, Base: "main"})
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.branch.push("good three")
		d.Poke()
		after(time.Minute)
		w.stands(t, head, "plan", "failure: needs a rebase: mesh.txt changed on both sides")
		w.branch.reset(base)
		d.Poke()
		after(10 * time.Second)
		w.stands(t, head, "plan", "success: 1 resource, 0 proxy identities")
	})
}

// slowLoad holds up what it is told to.
type slowLoad struct {
	load reconciler.Load
	gate chan struct{} // closed: nothing is held up
}

func (s slowLoad) Load(ctx context.Context, files fs.FS) (*schema.Result, error) {
	select {
	case <-s.gate:
		return s.load(ctx, files)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// slow makes pull requests slow to load until the gate is closed.
func (w *world) slow(t *testing.T) (*daemon, chan struct{}) {
	t.Helper()
	cfg, wake := w.config()
	gate := make(chan struct{})
	cfg.LoadPull = slowLoad{w.load, gate}.Load
	return run(t, cfg, wake), gate
}

// TestPendingEnds: pending at once, an error when it takes too long, and the
// verdict when it is there.
func TestPendingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		d, gate := w.slow(t)
		defer d.end(t)
		after(time.Minute)
		head := w.open(7, map[string]string{"mesh.txt": "good two"})
		d.Poke()
		after(2 * time.Second)
		w.stands(t, head, "check", "pending: merging with the branch, checking, planning")
		w.stands(t, head, "plan", "pending: merging with the branch, checking, planning")
		if c := d.View().Commits[0]; c.Commit != head || c.Result != reconciler.Awaited {
			t.Errorf("the view does not tell: %+v", c)
		}
		after(10 * time.Minute)
		w.stands(t, head, "check", "error: no verdict within 10 min 0 s: see the daemon's log; it is tried on")
		w.stands(t, head, "plan", "error: no verdict within 10 min 0 s: see the daemon's log; it is tried on")
		close(gate)
		after(time.Minute)
		w.stands(t, head, "check", "success: 1 resource")
		if n := len(w.forge.take()); n != 2+6 {
			t.Errorf("%d statuses written", n)
		}
	})
}

// TestPendingOfWhatIsGone: a head that is closed or replaced while it is pending
// ends, and one that comes back is checked.
func TestPendingOfWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		closed, forced := w.open(7, map[string]string{"mesh.txt": "good two"}), w.open(8, map[string]string{"mesh.txt": "good three"})
		d, gate := w.slow(t)
		defer d.end(t)
		after(10 * time.Second)
		w.closed(7)
		next := w.open(8, map[string]string{"mesh.txt": "good four"})
		d.Poke()
		after(10 * time.Second)
		w.stands(t, closed, "check", "error: closed before it was checked")
		w.stands(t, closed, "plan", "error: closed before it was checked")
		w.stands(t, forced, "check", "error: superseded by "+next[:7])
		w.stands(t, next, "check", "pending: merging with the branch, checking, planning")
		w.pull(sources.PullRequest{Number: 7, Head: closed})
		d.Poke()
		after(10 * time.Second)
		w.stands(t, closed, "check", "pending: merging with the branch, checking, planning")
		close(gate)
		after(time.Minute)
		w.stands(t, closed, "check", "success: 1 resource")
		w.stands(t, next, "check", "success: 1 resource")
		w.stands(t, forced, "plan", "error: superseded by "+next[:7])
	})
}

// TestProtected: a change that lacks a label is red though it is valid, with a
// plan, and turns green when the label comes; the branch's rules hold.
func TestProtected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.protect = []schema.Protection{{Paths: []string{"mesh.txt"}, Label: "mesh-owners", Why: "it is everybody's"}}
		w.branch.push("good one")
		head := w.open(7, map[string]string{"mesh.txt": "good two"})
		group := w.branch.files(map[string]string{"mesh.txt": "good two"})
		w.forge.groups = []string{group}
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.stands(t, head, "check", "failure: needs label mesh-owners: mesh.txt: it is everybody's")
		w.stands(t, group, "check", "success: 1 resource") // its pull requests had what they need
		if got := w.status(head, "plan"); !strings.HasPrefix(got, "success: 1 resource") {
			t.Errorf("plan: %s", got)
		}
		if got := w.verdict(7); !strings.Contains(got, "Needs a label") {
			t.Errorf("the comment begins with %q", got)
		}
		w.pull(sources.PullRequest{Number: 7, Head: head, Labels: []string{"mesh-owners", "nice"}})
		d.Poke()
		after(time.Minute)
		w.stands(t, head, "check", "success: 1 resource")
		if got := w.verdict(7); strings.Contains(got, "label") {
			t.Errorf("the comment begins with %q", got)
		}
	})
}

// TestAnUnmergeableHead is its author's to mend: it is told at once, and not
// tried for ever.
func TestAnUnmergeableHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		w.branch.unmergeable = &sources.Permanent{Err: errors.New("they have no common history; rebase it onto the branch")}
		head := w.open(7, map[string]string{"mesh.txt": "good two"})
		d := w.start(t)
		defer d.end(t)
		after(time.Hour)
		w.stands(t, head, "check", "failure: they have no common history; rebase it onto the branch")
		if w.branch.merges != 1 {
			t.Errorf("merged %d times", w.branch.merges)
		}
	})
}

// TestManyHeads: of a pull request's past its comment keeps ten.
func TestManyHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		d := w.start(t)
		defer d.end(t)
		for i := range 15 {
			w.open(7, map[string]string{"mesh.txt": fmt.Sprint("good ", i)})
			d.Poke()
			after(10 * time.Second)
		}
		if past := d.View().Pulls[0].Report.Past; len(past) != 10 || past[0].Verdict == "" {
			t.Errorf("the past: %+v", past)
		}
	})
}

// TestRerun: a check that somebody asks for again is pending first, and written
// anew though it comes out as it was; of a commit of the branch and of a head
// that is closed, what the forge has taken back is written anew.
func TestRerun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		base := w.branch.push("good one")
		head := w.open(7, map[string]string{"mesh.txt": "bad two"})
		closed := w.open(8, map[string]string{"mesh.txt": "good three"})
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.closed(8)
		d.Poke()
		after(time.Minute)
		w.forge.take()
		loads := len(w.loads)
		again := func(commit string, want ...string) {
			t.Helper()
			w.forge.rerequest(commit)
			d.Again(commit)
			after(time.Hour)
			expect(t, "statuses", w.forge.take(), want...)
		}
		again(head,
			"c000002 meshwright/check pending: merging with the branch, checking, planning",
			"c000002 meshwright/plan pending: merging with the branch, checking, planning",
			"c000002 meshwright/check failure: mesh.txt:1: error: two",
			"c000002 meshwright/plan failure: no plan: the check failed")
		if n := len(w.loads) - loads; n != 1 {
			t.Errorf("%d loads", n)
		}
		again(base,
			"c000001 meshwright/check success: 1 resource",
			"c000001 meshwright/applied success: 3/3 proxies in 140 ms")
		again(closed,
			"c000003 meshwright/check success: 1 resource",
			"c000003 meshwright/plan success: 1 resource, 0 proxy identities")
		again("nobody knows it")
	})
}

func TestAnnotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forge.annotations = true
		w.branch.push("good one")
		bad := map[string]string{"mesh.txt": "warn one"}
		for i := range 60 {
			bad[fmt.Sprintf("f%02d.txt", i)] = "bad weight"
		}
		head := w.open(7, bad)
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		got := w.forge.standing[head]["meshwright/check"].Annotations
		if len(got) != 50 || !got[0].Failure || got[0].File != "f00.txt" || got[0].Line != 1 || got[0].Message != "weight" {
			t.Fatalf("%d annotations: %+v", len(got), got[:min(1, len(got))])
		}
		if plan := w.forge.standing[head]["meshwright/plan"].Annotations; len(plan) > 0 {
			t.Errorf("the plan has annotations: %+v", plan)
		}
		commits := d.View().Commits // in the order in which they were seen
		c := commits[slices.IndexFunc(commits, func(c reconciler.CommitView) bool { return c.Commit == head })]
		if c.Errors != 60 || c.Warnings != 1 || len(c.Diagnostics) != 50 {
			t.Errorf("%d errors, %d warnings, %d kept", c.Errors, c.Warnings, len(c.Diagnostics))
		}
	})
}

// TestMergesInARow: a forge does not know at once what it has merged, and the
// next merge is there before it does: each comment has its last word. A commit
// that no pull request brought is not asked for without end.
func TestMergesInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.reset(w.branch.files(map[string]string{"a.txt": "good a", "mesh.txt": "good one"}))
		w.open(1, map[string]string{"a.txt": "good a2", "mesh.txt": "good one"})
		w.open(2, map[string]string{"a.txt": "good a", "mesh.txt": "good two"})
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.forge.forgetful = 4
		first := w.merge(t, 1)
		d.Poke()
		after(3 * time.Second)
		second := w.merge(t, 2)
		d.Poke()
		after(time.Minute)
		for n, commit := range map[int]string{1: first, 2: second} {
			if got, want := w.verdict(n), "**Merged as "+commit[:7]+"**"; !strings.HasPrefix(got, want) {
				t.Errorf("the comment on %d begins with %q, want %q", n, got, want)
			}
		}

		// Two more between two looks: only the last is ever loaded.
		w.open(3, map[string]string{"a.txt": "good a3", "mesh.txt": "good two"})
		w.open(4, map[string]string{"a.txt": "good a2", "mesh.txt": "good four"})
		d.Poke()
		after(time.Minute)
		loads := len(w.loads)
		third, fourth := w.merge(t, 3), w.merge(t, 4)
		d.Poke()
		after(time.Minute)
		for n, commit := range map[int]string{3: third, 4: fourth} {
			if got, want := w.verdict(n), "**Merged as "+commit[:7]+"**: applied, 3/3"; !strings.HasPrefix(got, want) {
				t.Errorf("the comment on %d begins with %q, want %q", n, got, want)
			}
		}
		expect(t, "loads", w.loads[loads:], "good a3; good four")

		w.branch.push("good three")
		d.Poke()
		after(5 * time.Minute)
		calls := w.forge.calls
		after(time.Hour)
		if n := w.forge.calls - calls; n != 0 {
			t.Errorf("%d calls in an hour without news or polls", n)
		}
	})
}

// TestOvertakenMerges: a merge that the next ones overtake before the proxies have
// it has the last word when the last of them has.
func TestOvertakenMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.reset(w.branch.files(map[string]string{"a.txt": "good a", "b.txt": "good b", "mesh.txt": "good one"}))
		w.open(1, map[string]string{"a.txt": "good a2", "b.txt": "good b", "mesh.txt": "good one"})
		w.open(2, map[string]string{"a.txt": "good a", "b.txt": "good b2", "mesh.txt": "good one"})
		w.open(3, map[string]string{"a.txt": "good a", "b.txt": "good b", "mesh.txt": "good nack"})
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.proxies.set(func(p *fakeProxies) { p.slow = true })
		var merges []string
		for n := 1; n <= 3; n++ {
			merges = append(merges, w.merge(t, n)[:7])
			d.Poke()
			after(20 * time.Second)
		}
		edits := len(w.forge.edits)
		w.proxies.set(func(p *fakeProxies) { p.answer() })
		after(time.Minute)
		overtaken := ", superseded by " + merges[2]
		for i, by := range []string{overtaken, overtaken, ""} {
			want := "**Merged as " + merges[i] + by + ", but not applied**: `web-1` refused listeners: no such filter"
			if got := w.verdict(i + 1); got != want {
				t.Errorf("the comment on %d begins with %q, want %q", i+1, got, want)
			}
		}
		if n := len(w.forge.edits) - edits; n != 3 {
			t.Errorf("%d edits: %q", n, w.forge.edits)
		}
	})
}

// TestDeployments: each commit that is served is deployed, to the environment or
// the mesh, and ends as it does; refused ones are not.
func TestDeployments(t *testing.T) {
	for environment, name := range map[string]string{"": "mesh", "prod": "prod"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.deployments = true
			cfg, wake := w.config()
			cfg.Environment = environment
			var want []string
			d := run(t, cfg, wake)
			defer d.end(t)
			for _, text := range []string{"good one", "good nack", "bad two", "good three"} {
				commit := w.lands(d, text, time.Minute)
				switch text {
				case "good one", "good three":
					want = append(want, commit+" "+name+" success: 3/3 proxies in 140 ms")
				case "good nack":
					want = append(want, commit+" "+name+" failure: web-1 refused listeners: no such filter")
				}
			}
			var got []string
			for to, s := range w.forge.deployed {
				got = append(got, fmt.Sprintf("%s %s: %s", to, s.State, s.Description))
			}
			expect(t, "deployments", sorted(got), want...)
		})
	}
}

// TestAPlanThatPanics is told as the daemon's mistake; the daemon lives on.
func TestAPlanThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		head := w.open(7, map[string]string{"mesh.txt": "good two"})
		cfg, wake := w.config()
		cfg.Plan = func(reconciler.Side, reconciler.Side, plan.Observed) *plan.Plan { panic("nobody thought of this") }
		d := run(t, cfg, wake)
		defer d.end(t)
		after(5 * time.Minute)
		w.stands(t, head, "check", "error: could not be read, will be tried again: the daemon has a mistake: nobody thought of this")
		serving(t, w, w.branch.tip)
	})
}

// TestAChangeOfManyFiles keeps the state small: any move of the branch concerns it.
func TestAChangeOfManyFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		all := map[string]string{"mesh.txt": "good one"}
		w.branch.reset(w.branch.files(all))
		many := maps.Clone(all)
		for i := range 1000 {
			many[fmt.Sprintf("node%04d.txt", i)] = "good"
		}
		head := w.open(7, many)
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		state, _, err := w.disk.Get(t.Context(), "state")
		if err != nil || len(state) > 16<<10 {
			t.Errorf("the state has %d bytes, %v", len(state), err)
		}
		w.branch.reset(w.branch.files(map[string]string{"mesh.txt": "good one", "node0999.txt": "good otherwise"}))
		d.Poke()
		after(time.Minute)
		w.stands(t, head, "check", "failure: needs a rebase: node0999.txt changed on both sides")
	})
}
