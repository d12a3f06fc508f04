package reconciler_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/sources"
)

// past is a rollout's run that nothing leads to any more.
func past(d *daemon, name string) reconciler.RolloutView {
	for _, v := range d.View().Rollouts {
		if v.Past && v.Name == "shop/"+name {
			return v
		}
	}
	return reconciler.RolloutView{}
}

// A commit that removes a Rollout serves at once what was on its way, and says so
// where people look.
func TestRolloutIsRemovedUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer func() { d.end(t) }()
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=1", 20*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		third := w.branch.push("good api=v2 web=v1 x=1 nogov")
		w.forge.set(func(f *fakeForge) { f.merged[third] = 9 })
		d.ring()
		after(20 * time.Second)
		w.serves("api v2=100, web v1=100, x=1")
		w.stands(second, "canary", sources.Errored, "superseded by "+third[:7]+" at 10 %: it removes the Rollout")
		w.stands(second, "applied", sources.Errored, "superseded")
		w.stands(third, "canary", sources.Errored, "it removes the Rollout shop/api, by which "+second[:7]+" was at 10 %")
		w.stands(third, "applied", sources.Success, "")
		if got := w.forge.comments["9/rollback-"+third[:7]+"-removed-shop.api"]; !strings.Contains(got, "All requests get "+second[:7]) || !strings.Contains(got, "was at 10 %") {
			t.Errorf("the notice says %q", got)
		}
		if n := strings.Count(strings.Join(w.forge.lines(), "\n"), second[:7]+" meshwright/canary error"); n != 1 {
			t.Errorf("it ended %d times", n)
		}
		d.end(t)
		d = w.start()
		after(time.Minute)
		if v := past(d, "api"); v.Phase != canary.Superseded || v.Steps != 2 || len(v.Timeline) == 0 {
			t.Errorf("it is not kept: %+v", v)
		}
		after(25 * time.Hour)
		d.ring()
		after(time.Second)
		if v := past(d, "api"); v.Name != "" {
			t.Errorf("after a day: %+v", v)
		}
	})
}

// So does one that removes the Rollout of what has failed: a person has merged it.
func TestRolloutIsRemovedAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.rotten["api-v2"] = true
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=1", 2*time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		third := w.lands(d, "good api=v2 web=v1 x=1 nogov", 20*time.Second)
		w.serves("api v2=100, web v1=100, x=1")
		w.stands(second, "canary", sources.Failure, "rolled back from 10 %")
		w.stands(third, "canary", sources.Errored, "by which "+second[:7]+" failed: success rate")
		w.stands(second, "health", sources.Success, "converged: the Rollout shop/api is removed")
		if v := past(d, "api"); v.Phase != canary.RolledBack {
			t.Errorf("%+v", v)
		}
		if err := d.Say("api", reconciler.Retry, "ann"); err == nil || strings.Contains(err.Error(), "did you mean") {
			t.Errorf("to a rollout of the past: %v", err)
		}
	})
}

// Without a git host the view tells of what was served at once.
func TestRemovedRolloutIsToldWithoutAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.hostless = true
		w.rotten["api-v2"] = true
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.lands(d, "good api=v2 web=v1 x=1", 2*time.Minute)
		third := w.lands(d, "good api=v2 web=v1 x=1 nogov", 20*time.Second)
		for _, c := range d.View().Commits {
			if got := c.Caveat(); strings.HasPrefix(got, "not judged, and served at once: it removes the Rollout shop/api") != (c.Commit == third) {
				t.Errorf("%.7s: %q", c.Commit, got)
			}
		}
	})
}

// What leads back to the base with its Rollout is nobody's news.
func TestRolloutIsRemovedWithItsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=1", 20*time.Second)
		third := w.lands(d, "good api=v1 web=v1 x=1 nogov", 20*time.Second)
		w.serves("api v1=100, web v1=100, x=1")
		w.stands(second, "canary", sources.Errored, "it removes the Rollout")
		if got := w.standing(third, "canary"); got.State != "" {
			t.Errorf("%s", got.Description)
		}
	})
}

// The plan of the pull request that removes a Rollout says before what would come at
// once, and says it anew when what is on its way fails.
func TestPlanOfARemovedRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.plan = true
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=1", 20*time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.opened(9, "good api=v2 web=v1 x=1 nogov")
		d.Poke()
		after(20 * time.Second)
		says := func(part string) {
			t.Helper()
			w.forge.mu.Lock()
			defer w.forge.mu.Unlock()
			if got := w.forge.comments["9/pull"]; !strings.Contains(got, part) {
				t.Errorf("the comment does not say %q:\n%s", part, got)
			}
		}
		says("whose target " + second[:7] + " is at 10")
		w.set(func() { w.rotten["api-v2"] = true })
		after(2 * time.Minute)
		w.serves("api v1=100, web v1=100, x=1")
		says("whose target " + second[:7] + " failed: 100")
	})
}

// So does one by which its Rollout governs less.
func TestRolloutGovernsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.branch.push("good api=v1 web=v1 x=1 both")
		d := w.start()
		defer func() { d.end(t) }()
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v2 x=1 both", 20*time.Second)
		w.serves("api v1=90 v2=10, web v1=90 v2=10, x=1")
		third := w.branch.push("good api=v2 web=v2 x=1 one")
		w.forge.set(func(f *fakeForge) { f.merged[third] = 9 })
		d.ring()
		after(20 * time.Second)
		w.serves("api v1=90 v2=10, web v2=100, x=1")
		w.stands(second, "canary", sources.Errored, "superseded by "+third[:7]+" at 10 %")
		want := "All requests get " + third[:7] + " at once**: the Rollout `shop/api` does not govern `VirtualRouter/shop/web` any more, by which " + second[:7] + " was at 10 %."
		if got := w.forge.comments["9/rollback-"+third[:7]+"-removed-shop.api"]; !strings.Contains(got, want) {
			t.Errorf("the notice says %q, want %q", got, want)
		}
	})
}
