package reconciler_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/store"
	"github.com/meshwright/meshwright/sources"
)

func TestBaseIsRefusedByANewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=2", 10*time.Second)
		d.end(t)
		w.branch.commits[first] = revisionOf(first, map[string]string{"mesh.txt": "bad by now"}, 0)
		d = w.start()
		defer d.end(t)
		after(time.Minute)
		w.serves("") // nothing is guessed
		w.lands(d, "good api=v2 web=v1 x=3", time.Minute)
		w.serves("") // nor is it good for being merged with something else
		w.lands(d, "good api=v1 web=v1 x=3", time.Minute)
		w.serves("api v1=100, web v1=100, x=3")
		w.stands(second, "canary", sources.Errored, "superseded")
		w.lands(d, "good api=v2 web=v1 x=3", 10*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=3")
	})
}

// What was completed last is asked for as long as no good commit is known.
func TestStateIsLostBeforeABadCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		after(time.Minute)
		w.lands(d, "bad one", time.Minute)
		d.end(t)
		w.disk.Store = store.Memory()
		d = w.start()
		after(time.Minute)
		d.end(t)
		d = w.start()
		defer d.end(t)
		after(time.Minute)
		w.lands(d, "good api=v2 web=v1 x=1", 10*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
	})
}

// While nothing can be served for want of the base, people are told why, and what
// they can do.
func TestBaseIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=2", 10*time.Second)
		d.end(t)
		w.branch.commits[first] = revisionOf(first, map[string]string{"mesh.txt": "bad by now"}, 0)
		d = w.start()
		defer d.end(t)
		after(time.Minute)
		w.serves("")
		w.stands(second, "canary", sources.Pending, "waits: its base "+first[:7]+" cannot be served; promote it, or merge what leads elsewhere: mesh.txt:1")
		if got := rollout(d, "api"); !strings.Contains(got.Line, "its base "+first[:7]+" cannot be served") || !strings.Contains(got.Unfit, "by now") {
			t.Errorf("the rollout says %q, %q", got.Line, got.Unfit)
		}
		if err := d.Say("api", canary.Abort, "ann"); err == nil || !strings.Contains(err.Error(), "promote takes its commit as it is") {
			t.Errorf("abort: %v", err)
		}
		say(t, d, "api", canary.Promote)
		after(10 * time.Second)
		w.serves("api v2=100, web v1=100, x=2")
		w.stands(second, "canary", sources.Success, "completed · at once, without steps: its base "+first[:7]+" is no more")
		after(10 * time.Second)
		w.stands(second, "applied", sources.Success, "")
		w.lands(d, "good api=v3 web=v1 x=2", 10*time.Second)
		w.serves("api v2=90 v3=10, web v1=100, x=2")
	})
}

// A base that the repository has no more is as one that is refused, once that is
// sure.
func TestBaseIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=2", 10*time.Second)
		d.end(t)
		w.branch.commits[first] = nil
		delete(w.branch.clone, first)
		d = w.start()
		defer d.end(t)
		after(10 * time.Second)
		w.serves("") // it may yet be found
		if got := rollout(d, "api").Unfit; got != "" {
			t.Errorf("after one look: %s", got)
		}
		for range 3 {
			d.ring()
			after(10 * time.Second)
		}
		w.serves("")
		w.stands(second, "canary", sources.Pending, "its base "+first[:7]+" cannot be served; promote it, or merge what leads elsewhere: ")
		third := w.lands(d, "good api=v3 web=v1 x=3", 10*time.Second)
		w.serves("api v3=100, web v1=100, x=3")
		w.stands(third, "canary", sources.Success, "at once, without steps: its base "+first[:7]+" is no more")
	})
}

// What proxies refuse is nothing to begin at, nor to go back to.
func TestBaseIsRefusedByProxies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v4 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.stands(first, "applied", sources.Failure, "no such filter")
		second := w.branch.push("good api=v4 web=v2 x=1") // mends nothing
		d.ring()
		after(time.Minute)
		w.stands(second, "applied", sources.Failure, "no such filter")
		third := w.lands(d, "good api=v1 web=v2 x=1", 20*time.Second)
		w.serves("api v1=100, web v2=100, x=1")
		w.stands(third, "canary", sources.Success, "at once, without steps: proxies refuse its base "+second[:7])
		w.stands(third, "applied", sources.Success, "proxies in")
		if len(w.forge.reverts) > 0 {
			t.Errorf("reverts to what is refused: %v", w.forge.reverts)
		}
		fourth := w.lands(d, "good api=v2 web=v2 x=1", 10*time.Second)
		w.serves("api v1=90 v2=10, web v2=100, x=1")
		w.stands(fourth, "canary", sources.Pending, "10 %")
	})
}

// The same, and nobody knew it when the rollout began.
func TestWayBackIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.proxies.set(func(p *fakeProxies) { p.slow = true })
		first := w.branch.push("good api=v4 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(10 * time.Second)
		second := w.lands(d, "good api=v2 web=v1 x=1", 10*time.Second)
		w.proxies.set(func(p *fakeProxies) { p.slow = false; p.answer() })
		after(10 * time.Second)
		w.stands(second, "canary", sources.Failure, "rolling back from 10 %: web-1 refuses it")
		third := w.lands(d, "good api=v1 web=v1 x=1", 20*time.Second)
		w.serves("api v1=100, web v1=100, x=1")
		w.stands(third, "canary", sources.Success, "at once, without steps: proxies refuse its base "+first[:7])
		w.stands(second, "applied", sources.Failure, "rolled back from 10 %")
	})
}

// With the state lost and no commit that ended well, the newest waits for a person.
func TestStateIsLostAndNothingIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		w.forge.standing[first] = map[string]sources.Status{"meshwright/applied": {State: sources.Failure}}
		second := w.branch.push("good api=v2 web=v1 x=2")
		d := w.start()
		after(time.Minute)
		w.serves("")
		w.stands(second, "canary", sources.Pending, "no commit before it is known to be completed; promote takes it as it is")
		w.stands(second, "applied", sources.Pending, "promote takes it as it is")
		d.end(t)
		d = w.start()
		defer d.end(t)
		after(time.Minute)
		third := w.lands(d, "good api=v3 web=v1 x=2", time.Minute)
		w.serves("")
		if got := rollout(d, "api"); got.Target != third || !strings.Contains(got.Line, "promote takes it as it is") {
			t.Errorf("the rollout is %+v", got)
		}
		if err := d.Say("api", canary.Pause, "ann"); err == nil || !strings.Contains(err.Error(), "promote takes its commit as it is") {
			t.Errorf("pause: %v", err)
		}
		say(t, d, "api", canary.Promote)
		after(10 * time.Second)
		w.serves("api v3=100, web v1=100, x=2")
		w.stands(third, "canary", sources.Success, "at once, without steps: promoted, and no commit before it is known")
		w.stands(third, "applied", sources.Success, "proxies in")
		w.lands(d, "good api=v1 web=v1 x=2", 10*time.Second)
		w.serves("api v1=10 v3=90, web v1=100, x=2")
	})
}

// With the state lost, a completed commit that this version refuses is not the
// base, and what had failed waits.
func TestStateIsLostAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, first, second := failed(t)
		d.end(t)
		w.disk.Store = store.Memory()
		d = w.start()
		after(5 * time.Minute)
		w.serves("api v1=100, web v1=100, x=2")
		w.stands(second, "canary", sources.Failure, "it failed before the state was lost")
		d.end(t)

		third := w.branch.push("good api=v2 web=v1 x=3")
		w.disk.Store = store.Memory()
		d = w.start()
		after(5 * time.Minute)
		w.serves("api v1=100, web v1=100, x=3")
		w.stands(third, "canary", sources.Failure, "the same failed as "+second[:7])
		say(t, d, "api", reconciler.Retry)
		after(5 * time.Minute)
		w.serves("api v2=100, web v1=100, x=3")
		w.stands(third, "canary", sources.Success, "completed")
		d.end(t)

		w.branch.commits[third] = revisionOf(third, map[string]string{"mesh.txt": "bad by now"}, 0)
		w.branch.push("good api=v3 web=v1 x=3")
		w.disk.Store = store.Memory()
		d = w.start()
		defer d.end(t)
		after(10 * time.Second)
		if got := rollout(d, "api"); got.Base != first {
			t.Errorf("it begins at %.7s, want %.7s", got.Base, first)
		}
		w.serves("api v1=90 v3=10, web v1=100, x=3")
	})
}

// With the state lost and nobody to ask, the newest is served, and the log warns.
func TestStateIsLostWithoutAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		log := &logged{}
		w.hostless, w.log = true, log
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		if got := log.String(); !strings.Contains(got, "level=WARN msg=\"no state, and no git host") {
			t.Errorf("the log:\n%s", got)
		}
	})
}
