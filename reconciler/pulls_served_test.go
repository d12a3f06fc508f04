package reconciler_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
)

// commented is the comment on a pull request.
func (w *rolloutWorld) commented(pull string) string {
	w.forge.mu.Lock()
	defer w.forge.mu.Unlock()
	return strings.ReplaceAll(w.forge.comments[pull+"/pull"], "\u00a0", " ")
}

func (w *rolloutWorld) comments(t *testing.T, pull string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if got := w.commented(pull); !strings.Contains(got, part) {
			t.Errorf("the comment on #%s does not say %q:\n%s", pull, part, got)
		}
	}
}

// Plans begin at what is served, also when a rollout moves that and the branch does
// not: the pull request that takes back what failed says nothing of it while the
// base is served, and that it moves all requests at once when a retry has completed.
func TestPlansFollowRollouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.plan = true
		w.rotten["api-v2"] = true
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=2", 2*time.Minute)
		w.set(func() { w.rotten["api-v2"] = false })
		w.open(9, map[string]string{"mesh.txt": "good api=v1 web=v1 x=1", "a.yaml": "x"}) // where the resources are
		w.open(8, map[string]string{"mesh.txt": "good api=v2 web=v2 x=2"})
		d.Poke()
		after(20 * time.Second)
		w.comments(t, "9", "**No mesh changes**", "compared with what was served then: "+first[:7]+", the base: "+second[:7]+" is rolled back")
		say(t, d, "api", reconciler.Retry)
		after(20 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=2")
		w.comments(t, "9", "`api-v1` 90 %<br>`api-v2` 10 %", "compared with what was served then: "+second[:7]+", but `shop/api` 10 % from "+first[:7], "at once, without steps")
		after(4 * time.Minute)
		w.serves("api v2=100, web v1=100, x=2")
		w.comments(t, "9", "at once, without steps", "compared with "+second[:7]+", which is served")
		if got := w.commented("9"); strings.Contains(got, "90 %") || strings.Contains(got, "50 %") {
			t.Errorf("it compares with a step:\n%s", got)
		}
		w.comments(t, "8", "10 % for 1m → 50 % for 2m, then all, after the merge")
	})
}

// The canary of a pull request stays above whatever is merged: it is in no plan, and
// none is made anew for its steps.
func TestPlansBeneathCanaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.plan = true
		w.forge.writers = []string{"ann"}
		first := w.branch.push("good api=v1 web=v1 x=1 pr")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.opened(5, "good api=v2 web=v1 x=1 pr")
		d.Poke()
		after(time.Minute)
		w.forge.say(5, "ann", "/canary")
		d.Poke()
		after(20 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
		w.opened(9, "good api=v1 web=v2 x=1 pr")
		d.Poke()
		after(20 * time.Second)
		loads := len(w.loads)
		is := func() {
			t.Helper()
			w.comments(t, "9", "shop/web", "compared with "+first[:7]+", which is served")
			w.comments(t, "5", "shop/api", "compared with "+first[:7]+", which is served")
			if got := w.commented("9"); strings.Contains(got, "shop/api") {
				t.Errorf("it tells of the canary:\n%s", got)
			}
			if got := w.commented("5"); strings.Contains(got, "| 90 %") {
				t.Errorf("it compares with itself:\n%s", got)
			}
		}
		is()
		after(5 * time.Minute)
		w.serves("api v1=50 v2=50, web v1=100, x=1")
		is()
		if more := w.loads[loads:]; len(more) > 0 {
			t.Errorf("loaded again: %q", more)
		}
	})
}
