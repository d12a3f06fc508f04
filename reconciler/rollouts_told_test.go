package reconciler_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/sources"
)

// say tells a rollout something that it has to hear.
func say(t *testing.T, d *daemon, name string, verb canary.Verb) {
	t.Helper()
	if err := d.Say(name, verb, "ann"); err != nil {
		t.Errorf("%s %s: %v", verb, name, err)
	}
}

// failed is a world whose second commit was rolled back.
func failed(t *testing.T) (w *rolloutWorld, d *daemon, first, second string) {
	w = newRolloutWorld(t)
	w.rotten["api-v2"] = true
	first = w.branch.push("good api=v1 web=v1 x=1")
	d = w.start()
	after(time.Minute)
	second = w.lands(d, "good api=v2 web=v1 x=2", 2*time.Minute)
	w.serves("api v1=100, web v1=100, x=1")
	w.set(func() { w.rotten["api-v2"] = false })
	return w, d, first, second
}

// A person has a commit tried again that was rolled back: it is pending at once,
// and its end is the new one.
func TestRetryIsToldOfTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, _, second := failed(t)
		defer d.end(t)
		say(t, d, "api", reconciler.Retry)
		after(3 * time.Second)
		w.stands(second, "canary", sources.Pending, "10 %")
		w.stands(second, "applied", sources.Pending, "10 %")
		w.stands(second, "health", sources.Pending, "shop/api is tried again")
		after(4 * time.Minute)
		w.forge.mu.Lock()
		got := w.forge.comments["100/rollback-"+second[:7]+"-outlived"]
		w.forge.mu.Unlock()
		if !strings.Contains(got, "**Not needed any more**: `shop/api` was tried again and is completed with "+second[:7]) {
			t.Errorf("the pull request that takes it back is told %q", got)
		}
		w.serves("api v2=100, web v1=100, x=2")
		w.stands(second, "canary", sources.Success, "completed")
		w.stands(second, "applied", sources.Success, "proxies in")
		w.stands(second, "health", sources.Success, "100.00 % of 6000 requests")
	})
}

// The same as what failed, merged with something else, waits for a person: it is
// tried again first, and promoted then.
func TestPromoteOfWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, _, second := failed(t)
		defer d.end(t)
		for _, verb := range []canary.Verb{canary.Promote, canary.Pause, canary.Abort, canary.Resume} {
			if err := d.Say("api", verb, "ann"); err == nil || err.Error() != "the rollout shop/api went back already: retry begins it anew" {
				t.Errorf("%s: %v", verb, err)
			}
		}
		third := w.lands(d, "good api=v2 web=v1 x=3", time.Minute)
		for _, verb := range []canary.Verb{canary.Promote, canary.Pause, canary.Abort, canary.Approve} {
			if err := d.Say("api", verb, "ann"); err == nil || !strings.HasSuffix(err.Error(), "for the same failed as "+second[:7]+": retry it first") {
				t.Errorf("%s: %v", verb, err)
			}
		}
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=3")
		say(t, d, "api", reconciler.Retry)
		after(3 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=3")
		w.stands(third, "applied", sources.Pending, "10 %")
		say(t, d, "api", canary.Promote)
		after(10 * time.Second)
		w.serves("api v2=100, web v1=100, x=3")
		w.stands(third, "canary", sources.Success, "completed")
		after(10 * time.Second)
		w.stands(third, "applied", sources.Success, "")
		w.stands(third, "health", sources.Success, "converged")
		w.stands(second, "canary", sources.Failure, "rolled back")
	})
}

// What is served is said as it is, also without a git host to say it to.
func TestServingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.hostless = true
		w.rotten["api-v2"] = true
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		told := func(serving, serves, commit, applied string) {
			t.Helper()
			v := d.View()
			if v.Serving != serving || v.Serves != serves {
				t.Errorf("it serves %.7s: %s; want %s", v.Serving, v.Serves, serves)
			}
			for _, p := range v.Proxies {
				if p.Desired != serving || p.Applied != serving {
					t.Errorf("a proxy has %.7s of %.7s, want %.7s", p.Applied, p.Desired, serving)
				}
			}
			for _, c := range v.Commits {
				if c.Serving != (c.Commit == serving) {
					t.Errorf("%.7s is marked as served: %t", c.Commit, c.Serving)
				}
				if c.Commit == commit && !strings.Contains(c.Applied.Description, applied) {
					t.Errorf("%.7s: applied is %q, want …%s…", c.Commit, c.Applied.Description, applied)
				}
			}
		}
		told(first, first[:7], first, "proxies in")
		second := w.lands(d, "good api=v2 web=v1 x=2", 15*time.Second)
		told(second, second[:7]+", but shop/api 10 % from "+first[:7], second, "10 % · 67 % of 100 requests")
		after(time.Minute)
		told(first, first[:7]+", the base: "+second[:7]+" is rolled back", second, "rolled back from 10 %")
		third := w.lands(d, "good api=v2 web=v1 x=3", time.Minute)
		told(third, third[:7]+", but shop/api at its base "+first[:7], third, "the same failed as "+second[:7])
		told(third, third[:7]+", but shop/api at its base "+first[:7], second, "rolled back from 10 %")
	})
}

// A commit that goes back while another follows has an end as any.
func TestRollbackIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.rotten["api-v2"] = true
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=2", 10*time.Second)
		w.proxies.set(func(p *fakeProxies) { p.slow = true })
		after(time.Minute)
		w.stands(second, "applied", sources.Failure, "rolling back from 10 %")
		third := w.lands(d, "good api=v3 web=v1 x=2", 10*time.Second)
		w.proxies.set(func(p *fakeProxies) { p.slow = false; p.answer() })
		after(10 * time.Minute)
		w.stands(second, "canary", sources.Failure, "rolled back from 10 %")
		w.stands(second, "applied", sources.Failure, "rolled back from 10 %")
		w.stands(third, "applied", sources.Success, "")
	})
}

// logged is a log that a test reads while a daemon writes it.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Who asks for the wrong thing, or for less than all of it, after a merge that went
// back is told what there is to ask for; the log knows that nothing was done.
func TestCommandsAfterARollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log := newRolloutWorld(t), &logged{}
		w.log = log
		w.forge.writers = []string{"ann"}
		w.rotten["api-v2"] = true
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		w.opened(5, "good api=v2 web=v1 x=1")
		d.Poke()
		after(time.Minute)
		second := w.branch.push("good api=v2 web=v1 x=1")
		w.forge.set(func(f *fakeForge) { f.merged[second] = 5 })
		w.closed(5, second)
		d.Poke()
		after(2 * time.Minute)
		for _, text := range []string{"/canary", "/meshwright retry", "/meshwright pause api"} {
			w.forge.say(5, "ann", text)
			d.Poke()
			after(10 * time.Second)
		}
		w.comments(t, "5", "to start anew what went back, write `/meshwright retry shop/api`", "NAME is one of `shop/api`, `shop/web`: write `/meshwright retry NAME`", "but not applied**: rolled back")
		if got := log.String(); strings.Count(got, "command refused") != 3 || strings.Contains(got, "command taken") {
			t.Errorf("the log:\n%s", got)
		}
	})
}

// The log tells of each run's end, and does not blame proxies for what they took.
func TestRolloutsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log := newRolloutWorld(t), &logged{}
		w.log = log
		w.rotten["api-v3"] = true
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good api=v2 web=v1 x=1", 10*time.Second)
		third := w.lands(d, "good api=v3 web=v1 x=1", time.Minute)
		for want, times := range map[string]int{
			`msg="rollout superseded" resource=shop/api commit=` + second + ` verdict="10 %" reason="superseded by ` + third[:7] + ` at 10 %"`: 1,
			`msg="rollout rolling-back" resource=shop/api commit=` + third:                                                                     1,
			`msg="rollout moving" resource=shop/api`:                                                                                           2,
			`msg="commit not applied" commit=` + third:                                                                                         1,
			"refused by a proxy": 0,
		} {
			if got := strings.Count(log.String(), want); got != times {
				t.Errorf("%s: %d times, want %d, in\n%s", want, got, times, log)
			}
		}
		w.lands(d, "good api=v4 web=v1 x=1 nogov", time.Minute)
		if got := log.String(); !strings.Contains(got, "commit refused by a proxy") {
			t.Errorf("the refusal is not told:\n%s", got)
		}
	})
}
