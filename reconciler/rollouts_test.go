package reconciler_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/store"
	"github.com/meshwright/meshwright/sources"
)

// serves holds what the proxies are given to a text.
func (w *rolloutWorld) serves(want string) {
	w.t.Helper()
	if got := w.weights(); got != want {
		w.t.Errorf("the proxies are given %q, want %q", got, want)
	}
}

// stands holds a status to a state and a part of its text.
func (w *rolloutWorld) stands(commit, kind string, state sources.StatusState, part string) {
	w.t.Helper()
	if got := w.standing(commit, kind); got.State != state || !strings.Contains(got.Description, part) {
		w.t.Errorf("%.7s %s: %s: %s; want %s: …%s…", commit, kind, got.State, got.Description, state, part)
	}
}

func TestMergeIsRolledOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		w.stands(first, "applied", sources.Success, "proxies in")

		second := w.lands(d, "good api=v2 web=v1 x=2", 10*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=2")
		w.stands(second, "canary", sources.Pending, "10 %")
		w.stands(second, "applied", sources.Pending, "10 %")
		if v := d.View(); v.Serving != second || v.Proxies[0].Desired != second || v.Proxies[0].Has != "c000001..c000002 at 10 %" || !v.Proxies[0].InStep || rollout(d, "api").Weight != 10 || rollout(d, "api").Base != first {
			t.Errorf("the view says %s, %+v, and %+v of a proxy", v.Serving, rollout(d, "api"), v.Proxies[0])
		} else if i := slices.IndexFunc(v.Commits, func(c reconciler.CommitView) bool { return c.Commit == second }); !strings.Contains(v.Commits[i].Applied.Description, "10 %") {
			t.Errorf("the view says that it is applied: %+v", v.Commits[i].Applied)
		}
		if v := rollout(d, "api"); v.Step != 1 || v.History[0].Step != 0 || v.History[len(v.History)-1].Step != 1 { // as people count
			t.Errorf("at step %d: %+v", v.Step, v.History)
		}
		after(time.Minute)
		w.serves("api v1=50 v2=50, web v1=100, x=2")
		after(3 * time.Minute)
		w.serves("api v2=100, web v1=100, x=2")
		if got := w.proxies.serving(); got != second {
			t.Errorf("completed, and the state is called %s", got)
		}
		w.stands(second, "canary", sources.Success, "completed")
		w.stands(second, "applied", sources.Success, "proxies in")
		if v := rollout(d, "api"); v.Phase != canary.Completed || v.Evidence == nil || len(v.Timeline) == 0 || rollout(d, "web").Base != second {
			t.Errorf("rollouts: %+v", d.View().Rollouts)
		}

		back := w.lands(d, "good api=v1 web=v1 x=3", 5*time.Second)
		w.serves("api v1=100, web v1=100, x=3") // without steps
		after(time.Minute)
		w.stands(back, "canary", sources.Success, "completed")

		w.branch.push("good api=v1 web=v1 x=4") // nothing of a rollout
		d.ring()
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=4")
	})
}

func TestMergeIsRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.rotten["api-v2"] = true
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer func() { d.end(t) }()
		after(time.Minute)
		second := w.branch.push("good api=v2 web=v1 x=2")
		w.forge.set(func(f *fakeForge) { f.merged[second] = 7 })
		d.ring()
		after(10 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=2")
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1") // all of the merge has gone back
		w.stands(second, "canary", sources.Failure, "rolled back from 10 %")
		w.stands(second, "applied", sources.Failure, "rolled back from 10 %")
		w.stands(second, "health", sources.Failure, "diverged: shop/api is at "+first[:7])
		notice := w.forge.comments["7/rollback-"+second[:7]+"-shop.api"]
		if !strings.Contains(notice, "success rate") || !strings.Contains(notice, "10 %") {
			t.Errorf("the notice says %q", notice)
		}
		if undo := w.forge.reverts[second[:7]]; undo.To != first || undo.Tip != second || undo.Branch != "main" || !strings.Contains(undo.Body, "success rate") {
			t.Errorf("the revert: %+v", undo)
		}

		// It stays so, also over a restart, and for commits that change other things.
		d.end(t)
		d = w.start()
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		third := w.lands(d, "good api=v2 web=v1 x=3", 5*time.Minute)
		w.serves("api v1=100, web v1=100, x=3")
		w.stands(third, "canary", sources.Failure, "the same failed as "+second[:7])
		w.stands(third, "applied", sources.Failure, "the same failed as "+second[:7])
		w.stands(third, "health", sources.Failure, "diverged")

		fourth := w.lands(d, "good api=v1 web=v1 x=4", 2*time.Minute)
		w.serves("api v1=100, web v1=100, x=4")
		w.stands(fourth, "applied", sources.Success, "")
		if lines := strings.Join(w.forge.lines(), "\n"); !strings.Contains(lines, "c000004 meshwright/health success: converged: shop/api is where the branch leads again") {
			t.Errorf("written:\n%s", lines)
		}
		if len(w.forge.comments) != 1 {
			t.Errorf("comments: %v", w.forge.comments)
		}

		// What failed is another base's canary again.
		w.set(func() { w.rotten["api-v2"] = false })
		fifth := w.lands(d, "good api=v2 web=v1 x=4", 10*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=4")
		after(10 * time.Minute)
		w.serves("api v2=100, web v1=100, x=4")
		w.stands(fifth, "canary", sources.Success, "")
	})
}

func TestMergeSupersedes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v2 x=1", 80*time.Second)
		w.serves("api v1=50 v2=50, web v1=50 v2=50, x=1")
		third := w.lands(d, "good api=v3 web=v2 x=1", 10*time.Second)
		w.serves("api v1=90 v3=10, web v1=50 v2=50, x=1") // web goes on
		w.stands(second, "canary", sources.Errored, "superseded by "+third[:7])
		w.stands(second, "applied", sources.Errored, "superseded")
		if v := rollout(d, "api"); v.Base != first || v.Target != third {
			t.Errorf("%+v", v)
		}
		after(10 * time.Minute)
		w.serves("api v3=100, web v2=100, x=1")
		w.stands(third, "canary", sources.Success, "")

		// A bad commit supersedes nothing.
		fourth := w.lands(d, "good api=v1:50,v3:50 web=v2 x=1", 10*time.Second)
		w.serves("api v1=5 v3=95, web v2=100, x=1")
		w.lands(d, "bad one", 10*time.Minute)
		w.serves("api v1=50 v3=50, web v2=100, x=1")
		w.stands(fourth, "canary", sources.Success, "")
	})
}

func TestRolloutOutlivesRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=2", 90*time.Second)
		w.serves("api v1=50 v2=50, web v1=100, x=2")
		d.end(t)
		w.branch.fail(errors.New("no route to host"))
		d = w.start()
		synctest.Wait()
		w.serves("api v1=50 v2=50, web v1=100, x=2") // from the disk
		after(10 * time.Minute)
		w.serves("api v1=50 v2=50, web v1=100, x=2")
		if v := rollout(d, "api"); !strings.Contains(v.Line, "git cannot be asked") {
			t.Errorf("without git: %s", v.Line)
		}
		w.branch.fail(nil)
		d.ring()
		after(10 * time.Minute)
		w.serves("api v2=100, web v1=100, x=2")
		w.stands(second, "canary", sources.Success, "")
		d.end(t)

		// What it was blended with is not on the disk: nothing is guessed.
		third := w.branch.push("good api=v3 web=v1 x=2")
		d = w.start()
		after(10 * time.Second)
		w.serves("api v2=90 v3=10, web v1=100, x=2")
		d.end(t)
		delete(w.branch.clone, second)
		w.branch.fail(errors.New("no route to host"))
		d = w.start()
		after(time.Minute)
		if got := w.weights(); got != "" {
			t.Errorf("without its base %.7s is served as %s", third, got)
		}
		w.branch.fail(nil)
		d.ring()
		after(10 * time.Second)
		w.serves("api v2=90 v3=10, web v1=100, x=2")
		d.end(t)
	})
}

func TestRolloutHearsPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.forge.writers = []string{"ann"}
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		for _, c := range []struct{ name, want string }{
			{"nothing", "there is no rollout nothing"}, {"api", "has nothing on its way"}, {"shop/web", "has nothing on its way"},
		} {
			if err := d.Say(c.name, canary.Pause, "ann"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Say(%s) = %v, want %s", c.name, err, c.want)
			}
		}
		second := w.branch.push("good api=v2 web=v1 x=1")
		w.forge.set(func(f *fakeForge) { f.open = []sources.PullRequest{{Number: 3, Head: "c0ffee"}} })
		d.ring()
		after(20 * time.Second)
		if err := d.Say("api", canary.Pause, "ann"); err != nil {
			t.Fatal(err)
		}
		after(10 * time.Minute)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.stands(second, "canary", sources.Pending, "paused by ann")
		id := w.forge.say(3, "ann", "/meshwright resume api")
		d.ring()
		after(time.Minute)
		w.serves("api v1=50 v2=50, web v1=100, x=1")
		if got := w.forge.reactions[id]; len(got) != 1 || got[0] != "+1" {
			t.Errorf("reactions: %v", got)
		}
		w.forge.say(3, "mallory", "/meshwright promote api")
		w.forge.say(3, "ann", "/meshwright promote api")
		w.forge.say(3, "ann", "/meshwright abort api")
		d.ring()
		after(20 * time.Second)
		w.serves("api v1=100, web v1=100, x=1")
		w.stands(second, "canary", sources.Failure, "aborted by ann")
		if err := d.Say("api", reconciler.Retry, "ann"); err != nil {
			t.Fatal(err)
		}
		after(20 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.stands(second, "canary", sources.Pending, "10 %")
		if err := d.Say("api", canary.Promote, "bob"); err != nil {
			t.Fatal(err)
		}
		after(2 * time.Minute)
		w.serves("api v2=100, web v1=100, x=1")
		w.stands(second, "canary", sources.Success, "completed")
		w.stands(second, "applied", sources.Success, "")
	})
}

func TestRolloutWaitsForProxies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.proxies.set(func(p *fakeProxies) { p.slow = true })
		w.lands(d, "good api=v2 web=v1 x=1", 10*time.Minute)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.proxies.set(func(p *fakeProxies) { p.slow = false; p.answer() })
		w.set(func() { w.mute = true })
		after(10 * time.Minute)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.set(func() { w.mute, w.idle = false, true })
		after(10 * time.Minute)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.set(func() { w.idle = false })
		after(30 * time.Second)
		w.serves("api v1=50 v2=50, web v1=100, x=1")
		after(10 * time.Minute)
		w.serves("api v2=100, web v1=100, x=1")

		nack := w.lands(d, "good api=v4 web=v1 x=1", 10*time.Second)
		w.serves("api v2=100, web v1=100, x=1")
		w.stands(nack, "canary", sources.Failure, "no such filter")
		w.stands(nack, "applied", sources.Failure, "no such filter")
	})
}

func TestRevertByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.rotten["api-v2"] = true
		w.forge.unwritable = &sources.Permanent{Err: errors.New("the daemon needs contents (write)")}
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.branch.push("good api=v2 web=v1 x=2")
		w.forge.set(func(f *fakeForge) { f.merged[second] = 7 })
		d.ring()
		after(3 * time.Minute)
		if got := w.forge.comments["7/rollback-"+second[:7]+"-by-hand"]; !strings.Contains(got, "contents (write)") {
			t.Errorf("comments: %v", w.forge.comments)
		}
	})
}

// TestStateIsLost: what was completed last is known by what was written beside
// the commits; while nobody can say, nothing is guessed.
func TestStateIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=2", 20*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=2")
		d.end(t)

		w.disk.Store = store.Memory()
		w.forge.set(func(f *fakeForge) { f.down = errors.New("502") })
		d = w.start()
		after(10 * time.Minute)
		if got := w.weights(); got != "" {
			t.Errorf("without the forge %s is served", got)
		}
		w.forge.set(func(f *fakeForge) { f.down = nil })
		after(2 * time.Minute)
		if v := rollout(d, "api"); v.Base != first || v.Target != second {
			t.Errorf("it goes on as %+v", v)
		}
		after(5 * time.Minute)
		w.serves("api v2=100, web v1=100, x=2")
		w.stands(second, "canary", sources.Success, "completed")
		w.stands(first, "applied", sources.Success, "proxies in")
		d.end(t)
	})
}

func TestGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.steps = `steps: [{weight: 10, gate: {status: ci/smoke}}, {weight: 50, gate: {approval: true}}], analysis: {minRequests: 10, prometheus: [{name: queue, query: depth, max: 5}]}`
		depth, away := 3.0, error(nil)
		w.query = func(string) (n float64, err error) {
			w.set(func() { n, err = depth, away })
			return n, err
		}
		w.forge.others = map[string]sources.StatusState{}
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=2", 10*time.Minute)
		w.serves("api v1=90 v2=10, web v1=100, x=2")
		w.stands(second, "canary", sources.Pending, "waits for ci/smoke")
		if err := d.Say("api", canary.Approve, "ann"); err == nil || err.Error() != "the rollout shop/api has no gate that waits for an approval at its step 1/2" {
			t.Errorf("approved: %v", err)
		}
		w.forge.set(func(f *fakeForge) { f.others[second+" ci/smoke"] = sources.Success })
		after(time.Minute)
		w.serves("api v1=50 v2=50, web v1=100, x=2")
		w.stands(second, "canary", sources.Pending, "waits for an approval")
		if err := d.Say("api", canary.Approve, "ann"); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		w.serves("api v2=100, web v1=100, x=2")

		third := w.lands(d, "good api=v3 web=v1 x=2", 20*time.Second)
		w.set(func() { away = errors.New("no route to host") })
		after(20 * time.Second)
		w.stands(third, "canary", sources.Pending, "10 %")
		w.set(func() { away, depth = nil, 9 })
		after(2 * time.Minute)
		w.serves("api v2=100, web v1=100, x=2")
		w.stands(third, "canary", sources.Failure, "queue is 9, above 5")
	})
}

// TestRefusalIsOfOne: what a proxy refuses of one rollout is no failure of another.
func TestRefusalIsOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.lands(d, "good api=v2 web=v1 x=1", 20*time.Second)
		third := w.lands(d, "good api=v2 web=v4 x=1", 20*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.stands(third, "canary", sources.Failure, "web: rolled back from 10 %: web-1 refuses it")
		after(5 * time.Minute)
		w.serves("api v2=100, web v1=100, x=1")
		if api, web := rollout(d, "api"), rollout(d, "web"); api.Phase != canary.Completed || web.Phase != canary.RolledBack || web.Base == first {
			t.Errorf("api: %s; web: %s from %.7s", api.Phase, web.Phase, web.Base)
		}
	})
}

func TestRevertThatCameTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.rotten["api-v2"] = true
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.lands(d, "good api=v2 web=v1 x=1", 10*time.Second)
		w.forge.set(func(f *fakeForge) { f.down = errors.New("502") })
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		w.lands(d, "good api=v2 web=v1 x=2", time.Minute)
		w.branch.push("good api=v1 web=v1 x=2") // somebody was faster
		d.ring()
		after(time.Minute)
		w.forge.set(func(f *fakeForge) { f.down = nil })
		after(time.Hour)
		if len(w.forge.reverts) > 0 {
			t.Errorf("there is nothing to revert any more: %v", w.forge.reverts)
		}
	})
}
