package reconciler_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/sources"
)

// tried opens a pull request and has somebody ask that it be the canary.
func (w *rolloutWorld) tried(d *daemon, number int, line string, labels ...string) string {
	head := w.opened(number, line, labels...)
	d.Poke()
	after(5 * time.Second)
	w.forge.say(number, "ann", "/canary")
	d.Poke()
	after(15 * time.Second)
	return head
}

// opened makes a line the head of a pull request.
func (w *rolloutWorld) opened(number int, line string, labels ...string) string {
	head := w.branch.commit(line)
	w.forge.set(func(f *fakeForge) {
		pr := sources.PullRequest{Number: number, Head: head, Labels: labels}
		for i := range f.open {
			if f.open[i].Number == number {
				f.open[i] = pr
				return
			}
		}
		f.open = append(f.open, pr)
		if f.pushed == nil {
			f.pushed, f.labeled = map[string]time.Time{}, map[string]labeled{}
		}
	})
	w.forge.set(func(f *fakeForge) { f.pushed[head] = time.Now() })
	return head
}

// closed closes a pull request; as is the commit that it was merged as, if it was.
func (w *rolloutWorld) closed(number int, as string) {
	w.forge.set(func(f *fakeForge) {
		if f.fates == nil {
			f.fates = map[int]sources.Fate{}
		}
		f.fates[number] = sources.Fate{Merged: as}
		for i := range f.open {
			if f.open[i].Number == number {
				f.open = append(f.open[:i], f.open[i+1:]...)
				return
			}
		}
	})
}

// rolloutOf is the canary of a pull request, as the daemon shows it.
func rolloutOf(d *daemon, number int) (found reconciler.RolloutView) {
	for _, v := range d.View().Rollouts {
		if v.Pull == number && (found.Name == "" || !v.Past) {
			found = v
		}
	}
	return found
}

func trial(d *daemon, number int) canary.Phase { return rolloutOf(d, number).Phase }

// beginTrials is a world in which ann may write.
func beginTrials(t *testing.T) (*rolloutWorld, *daemon) {
	w := newRolloutWorld(t)
	w.forge.writers = []string{"ann"}
	w.branch.push("good api=v1 web=v1 x=1 pr")
	d := w.start()
	after(time.Minute)
	return w, d
}

func TestPullRequestIsTheCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer func() { d.end(t) }()
		head := w.opened(5, "good api=v2 web=v1 x=2 pr")
		d.Poke()
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		w.forge.say(5, "mallory", "/canary")
		d.Poke()
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		w.forge.say(5, "ann", "/canary")
		d.Poke()
		after(20 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1") // x waits for the merge
		w.stands(head, "canary", sources.Pending, "10 %")
		after(time.Minute)
		w.serves("api v1=50 v2=50, web v1=100, x=1")

		d.end(t)
		d = w.start()
		after(20 * time.Second)
		w.serves("api v1=50 v2=50, web v1=100, x=1")
		after(5 * time.Minute)
		w.serves("api v1=50 v2=50, web v1=100, x=1")
		w.stands(head, "canary", sources.Success, "passed: merge to complete it")

		// The list knows of the merge before the branch has it.
		merge := w.branch.commit("good api=v2 web=v1 x=2 pr")
		w.closed(5, merge)
		d.Poke()
		after(10 * time.Second)
		w.serves("api v1=50 v2=50, web v1=100, x=1")
		w.branch.reset(merge)
		d.Poke()
		after(10 * time.Second)
		w.serves("api v2=100, web v1=100, x=2")
		w.stands(merge, "canary", sources.Success, "completed")
		after(time.Minute)
		w.stands(head, "canary", sources.Success, "passed: merged as "+merge[:7])
		w.stands(merge, "applied", sources.Success, "")
		if got := w.forge.comments["5/pull"]; !strings.Contains(got, "Canary `shop/api`: completed") || !strings.Contains(got, "    100 % ▕████████████████████▏") || !strings.Contains(got, "as ann asked") {
			t.Errorf("the comment says %s", got)
		}
	})
}

// A pull request that is merged before all steps have passed has one end, which is
// that of its steps.
func TestMergedTooSoon(t *testing.T) {
	for _, bad := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, d := beginTrials(t)
			defer func() { d.end(t) }()
			head := w.opened(5, "good api=v2 web=v1 x=2 pr")
			w.forge.say(5, "ann", "/canary")
			d.Poke()
			after(90 * time.Second)
			w.serves("api v1=50 v2=50, web v1=100, x=1")
			merge := w.branch.push("good api=v2 web=v1 x=2 pr")
			w.closed(5, merge)
			d.Poke()
			after(20 * time.Second)
			w.serves("api v1=50 v2=50, web v1=100, x=2")
			w.stands(head, "canary", sources.Pending, "merged as "+merge[:7]+" before all steps had passed: they go on there")
			d.end(t)
			d = w.start()
			state, says := sources.Success, "completed"
			if bad {
				state, says = sources.Failure, "rolled back"
				w.set(func() { w.rotten["api-v2"] = true })
			}
			after(10 * time.Minute)
			w.stands(merge, "canary", state, says)
			w.stands(head, "canary", state, "went on as "+merge[:7]+": "+says)
		})
	}
}

func TestPullRequestLeavesTheCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		ask := func(n int) {
			w.forge.say(n, "ann", "/meshwright canary")
			d.Poke()
			after(15 * time.Second)
		}
		first := w.opened(5, "good api=v2 web=v1 x=2 pr")
		d.Poke()
		after(5 * time.Second)
		ask(5)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		second := w.opened(5, "good api=v3 web=v1 x=2 pr")
		d.Poke()
		after(15 * time.Second)
		w.serves("api v1=100, web v1=100, x=1") // a push needs a new go
		w.stands(first, "canary", sources.Errored, "withdrawn at 10 %")
		ask(5)
		w.serves("api v1=90 v3=10, web v1=100, x=1")

		w.opened(6, "good api=v2 web=v1 x=3 pr")
		d.Poke()
		after(5 * time.Second)
		ask(6)
		w.serves("api v1=90 v3=10, web v1=100, x=1")
		if got := rolloutOf(d, 6).Line; !strings.Contains(got, "waits for #5") {
			t.Errorf("the second says %q", got)
		}
		w.closed(5, "")
		d.Poke()
		after(time.Second)
		w.stands(second, "canary", sources.Errored, "withdrawn at 10 %: the pull request was closed")
		w.serves("api v1=90 v2=10, web v1=100, x=1")

		w.set(func() { w.rotten["api-v2"] = true })
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		if got := trial(d, 6); got != canary.RolledBack || !strings.Contains(w.forge.comments["6/rollback-"+rolloutOf(d, 6).Target[:7]+"-shop.api"], "success rate") {
			t.Errorf("it is %s, and told: %v", got, w.forge.comments)
		}
		w.set(func() { w.rotten["api-v2"] = false })

		// Another merge that leads elsewhere supersedes.
		ask(6)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.branch.push("good api=v1:50,v3:50 web=v1 x=1 pr")
		d.Poke()
		after(10 * time.Second)
		w.serves("api v1=95 v3=5, web v1=100, x=1")
		if got := trial(d, 6); got != canary.Superseded {
			t.Errorf("it is %s", got)
		}
	})
}

func TestCanaryByLabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		label := func(n int, who string, at time.Time) {
			w.forge.set(func(f *fakeForge) {
				f.labeled[map[int]string{7: "7 canary", 8: "8 canary", 9: "9 canary"}[n]] = labeled{who, at}
			})
		}
		old := time.Now()
		after(5 * time.Second)
		w.opened(7, "good api=v2 web=v1 x=1 pr", "canary")
		label(7, "ann", old) // before the push
		w.opened(8, "good api=v1 web=v2 x=1 pr", "canary")
		label(8, "mallory", time.Now())
		w.opened(9, "good api=v2 web=v2 x=1 pr", "canary")
		label(9, "ann", time.Now())
		w.forge.set(func(f *fakeForge) { f.open[2].Fork = true })
		d.Poke()
		after(20 * time.Second)
		w.serves("api v1=100, web v1=100, x=1")
		w.forge.set(func(f *fakeForge) { f.open[1].Labels = nil })
		d.Poke()
		after(20 * time.Second)
		w.forge.set(func(f *fakeForge) { f.open[1].Labels = []string{"canary"} })
		label(8, "ann", time.Now())
		d.Poke()
		after(20 * time.Second)
		w.serves("api v1=100, web v1=90 v2=10, x=1")
	})
}

func TestCanaryWithoutItsRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		head := w.tried(d, 5, "good api=v2 web=v1 x=2 pr")
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		next := w.branch.push("good api=v1 web=v1 x=1 nogov") // its steps are gone: it cannot have passed them
		d.Poke()
		after(10 * time.Second)
		w.serves("api v1=100, web v1=100, x=1")
		w.stands(head, "canary", sources.Errored, "withdrawn at 10 %: "+next[:7]+" removes the Rollout")
	})
}

// A pull request may remove the very Rollout by which it is a canary.
func TestCanaryRemovesItsRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		head := w.tried(d, 5, "good api=v2 web=v1 x=2 nogov")
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.closed(5, head)
		w.branch.reset(head) // fast forward
		d.Poke()
		after(5 * time.Second)
		w.serves("api v2=100, web v1=100, x=2")
		w.stands(head, "canary", sources.Errored, "withdrawn at 10 %: "+head[:7]+" removes the Rollout")
		if n := strings.Count(strings.Join(w.forge.lines(), "\n"), head[:7]+" meshwright/canary error"); n != 1 {
			t.Errorf("it ended %d times", n)
		}
	})
}

// A canary whose pull request can be merged no more ends, though its spec is there;
// that the branch is refused is not its fault.
func TestCanaryCannotBeMergedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		head := w.tried(d, 5, "good api=v2 web=v1 x=2 pr")
		bad := w.branch.push("bad one")
		d.Poke()
		after(10 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.stands(head, "check", sources.Failure, "needs a rebase")
		w.stands(bad, "check", sources.Failure, "one")
		next := w.branch.push("good api=v1 web=v1 x=3 pr")
		d.Poke()
		after(10 * time.Second)
		w.serves("api v1=100, web v1=100, x=3")
		w.stands(head, "canary", sources.Errored, "superseded by "+next[:7]+" at 10 %")
	})
}

// How a pull request has ended, the host is asked once, and again only when it did
// not answer, or its list lags behind.
func TestHowAPullRequestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		head := w.tried(d, 5, "good api=v2 web=v1 x=2 pr")
		w.closed(5, "")
		w.forge.set(func(f *fakeForge) { f.fates[5] = sources.Fate{Open: true} })
		d.Poke()
		after(20 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.forge.set(func(f *fakeForge) { f.fates[5], f.down = sources.Fate{Merged: "c000999"}, errors.New("502") })
		after(time.Minute)
		w.forge.set(func(f *fakeForge) { f.down, f.fateful = nil, 0 })
		after(90 * time.Second) // it is merged, but the branch never has it
		w.stands(head, "canary", sources.Errored, "the pull request was merged as c000999")
		w.serves("api v1=100, web v1=100, x=1")
		if w.forge.fateful != 1 {
			t.Errorf("asked %d times", w.forge.fateful)
		}
	})
}

// One that has passed and is merged asks nobody to merge it while its commit is on
// the way here.
func TestMergedAndAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		head := w.opened(5, "good api=v2 web=v1 x=1 pr")
		d.Poke()
		after(5 * time.Second)
		w.forge.say(5, "ann", "/canary")
		d.Poke()
		after(10 * time.Minute)
		w.stands(head, "canary", sources.Success, "passed: merge to complete it")
		w.closed(5, w.branch.commit("good api=v2 web=v1 x=1 pr"))
		d.Poke()
		after(5 * time.Second)
		w.stands(head, "canary", sources.Success, "passed: merged, its commit is awaited")
		if got := rolloutOf(d, 5).Line; !strings.HasPrefix(got, "passed: merged, its commit is awaited") {
			t.Errorf("it shows %q", got)
		}
	})
}

// A push while the head before it is going back: that one has its end, and what is
// asked for begins.
func TestPushDuringARollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		ask := func(line string) string {
			head := w.tried(d, 5, line)
			return head
		}
		first := ask("good api=v2 web=v1 x=1 pr")
		w.proxies.set(func(p *fakeProxies) { p.slow = true })
		w.forge.say(5, "ann", "/meshwright abort api")
		d.Poke()
		after(15 * time.Second)
		w.stands(first, "canary", sources.Failure, "rolling back from 10 %: aborted by ann")
		second := ask("good api=v3 web=v1 x=1 pr")
		w.proxies.set(func(p *fakeProxies) { p.slow = false; p.answer() })
		after(15 * time.Second)
		w.stands(first, "canary", sources.Failure, "rolled back from 10 %: aborted by ann; "+second[:7]+" follows")
		w.stands(second, "canary", sources.Pending, "10 %")
	})
}

func TestEndedCanaryIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		w.tried(d, 5, "good api=v2 web=v1 x=2 pr")
		w.forge.say(5, "ann", "/meshwright abort api")
		d.Poke()
		after(15 * time.Second)
		if got := trial(d, 5); got != canary.RolledBack {
			t.Errorf("it is %s", got)
		}
		w.closed(5, "")
		d.Poke()
		after(23 * time.Hour)
		if got := rolloutOf(d, 5); !got.Past || len(got.History) == 0 {
			t.Errorf("it is not kept for a day: %+v", got)
		}
		if err := d.Say("api", canary.Abort, "ann"); err == nil {
			t.Error("what is past hears a word")
		}
		w.branch.push("good api=v1 web=v1 x=4 pr")
		d.Poke()
		after(2 * time.Hour)
		d.Poke()
		after(time.Minute)
		if got := rolloutOf(d, 5); got.Name != "" {
			t.Errorf("it is still there: %s", got.Line)
		}
	})
}

// While git is away, a pull request's merge cannot be seen.
func TestCanaryIsGoneAndGitAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		head := w.tried(d, 5, "good api=v2 web=v1 x=2 pr")
		w.branch.fail(errors.New("no route to host"))
		w.closed(5, "c000999")
		d.Poke()
		after(10 * time.Minute)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.branch.fail(nil)
		d.Poke()
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		w.stands(head, "canary", sources.Errored, "withdrawn at 10 %: the pull request was merged as c000999")
	})
}

// A canary of a pull request brings nothing back of a merge that has failed.
func TestCanaryAfterARollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer func() { d.end(t) }()
		w.set(func() { w.rotten["api-v2"] = true })
		w.lands(d, "good api=v2 web=v1 x=2 pr", 5*time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		w.tried(d, 5, "good api=v3 web=v1 x=2 pr")
		w.serves("api v1=90 v3=10, web v1=100, x=1")
		d.end(t)
		d = w.start()
		after(15 * time.Second)
		w.serves("api v1=90 v3=10, web v1=100, x=1")
		if err := d.Say("api", canary.Abort, "ann"); err != nil {
			t.Error(err)
		}
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
	})
}

// Two pull requests lead to the same, and the one that waits is what the branch
// is set to.
func TestCanaryThatWaitsIsMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		var head string
		for n := 5; n <= 6; n++ {
			head = w.opened(n, "good api=v2 web=v1 x=1 pr")
			d.Poke()
			after(5 * time.Second)
			w.forge.say(n, "ann", "/canary")
			d.Poke()
			after(15 * time.Second)
		}
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.closed(6, head)
		w.branch.reset(head)
		d.Poke()
		after(10 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		if got := trial(d, 5); got != canary.Superseded {
			t.Errorf("the other is %s", got)
		}
		after(10 * time.Minute)
		w.serves("api v2=100, web v1=100, x=1")
		w.stands(head, "canary", sources.Success, "completed")
	})
}

// What has failed while the pull request was open is not tried on users because it
// is merged.
func TestFailedCanaryIsMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		w.set(func() { w.rotten["api-v2"] = true })
		head := w.opened(5, "good api=v2 web=v1 x=1 pr")
		d.Poke()
		after(5 * time.Second)
		w.forge.say(5, "ann", "/canary")
		d.Poke()
		after(2 * time.Minute)
		w.stands(head, "canary", sources.Failure, "rolled back from 10 %")
		merge := w.branch.push("good api=v2 web=v1 x=2 pr")
		w.closed(5, merge)
		w.forge.set(func(f *fakeForge) { f.merged[merge] = 5 })
		d.Poke()
		after(5 * time.Minute)
		w.serves("api v1=100, web v1=100, x=2")
		w.stands(merge, "canary", sources.Failure, "the same failed in #5, as "+head[:7]+": retry to try it again")
		w.stands(merge, "applied", sources.Failure, "the same failed in #5")
		w.stands(merge, "health", sources.Failure, "diverged: shop/api is at")
		w.set(func() { w.rotten["api-v2"] = false })
		w.forge.say(5, "ann", "/meshwright retry api")
		d.Poke()
		after(15 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=2")
		after(5 * time.Minute)
		w.serves("api v2=100, web v1=100, x=2")
		w.stands(merge, "applied", sources.Success, "")
	})
}

// What failed after its merge does not keep the next pull request from being the
// canary, and waits for it when it is tried again.
func TestRetryBesideACanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := beginTrials(t)
		defer d.end(t)
		w.set(func() { w.rotten["api-v2"] = true })
		w.branch.push("good api=v2 web=v1 x=2 pr")
		d.Poke()
		after(2 * time.Minute)
		merge := w.branch.push("good api=v2 web=v1 x=3 pr")
		d.Poke()
		after(time.Minute)
		w.stands(merge, "canary", sources.Failure, "the same failed")
		w.set(func() { w.rotten["api-v2"] = false })
		w.tried(d, 5, "good api=v3 web=v1 x=3 pr")
		w.serves("api v1=90 v3=10, web v1=100, x=3")
		say(t, d, "api", reconciler.Retry)
		after(15 * time.Second)
		w.serves("api v1=90 v3=10, web v1=100, x=3")
		w.stands(merge, "canary", sources.Pending, "waits for #5 at 10 %")
		w.closed(5, "")
		d.Poke()
		after(40 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=3")
		after(5 * time.Minute)
		w.serves("api v2=100, web v1=100, x=3")
		w.stands(merge, "canary", sources.Success, "completed")
	})
}

// Who begins to call while the steps run is heard, and one that does not tell
// holds them.
func TestCallerComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.set(func() { w.back = true })
		w.lands(d, "good api=v2 web=v1 x=1", 30*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		second := w.lands(d, "good api=v2 web=v1 x=1 back", 10*time.Minute)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.stands(second, "canary", sources.Pending, "waits for back-1 (no report for 40 s)")
		w.branch.push("good api=v2 web=v1 x=2") // and is gone again
		d.ring()
		after(10 * time.Minute)
		w.serves("api v2=100, web v1=100, x=2")
	})
}
