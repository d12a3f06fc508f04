package reconciler_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// after lets time pass until everybody waits for something later.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func serving(t *testing.T, w *world, want string) {
	t.Helper()
	if got := w.proxies.serving(); got != want {
		t.Errorf("the proxies are given %.7s, want %.7s", got, want)
	}
}

func TestGoodThenBadThenFixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first := w.branch.push("warn one")
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		serving(t, w, first)
		expect(t, "statuses", w.forge.take(),
			"c000001 meshwright/check success: 1 resource, 1 warning",
			"c000001 meshwright/applied success: 3/3 proxies in 140 ms")

		bad := w.lands(d, "bad weight is 101", time.Minute)
		serving(t, w, first)
		expect(t, "statuses", w.forge.take(),
			"c000002 meshwright/check failure: mesh.txt:1: error: weight is 101",
			"c000002 meshwright/applied failure: refused: see meshwright/check; serving c000001",
			"c000002 meshwright/health failure: diverged: serving c000001")
		v := d.View()
		if v.Serving != first || v.Head != bad || !v.Ready || v.Commits[0].Result != reconciler.Bad || v.Commits[0].Errors != 1 || v.Commits[0].Diagnostics[0].What != "weight is 101" {
			t.Errorf("the view does not tell: %+v", v)
		}
		if len(v.Resources) != 1 || v.Resources[0].AWSName != "web_shop" || len(v.Proxies) != 3 || !v.Commits[1].Serving {
			t.Errorf("the view does not tell: %+v", v)
		}

		fixed := w.lands(d, "good three", time.Minute)
		serving(t, w, fixed)
		expect(t, "statuses", w.forge.take(),
			"c000003 meshwright/check success: 1 resource",
			"c000003 meshwright/applied success: 3/3 proxies in 140 ms")
		expect(t, "published", w.proxies.served, first, fixed)
	})
}

// TestAppliedBeforeTheNext: a commit that all proxies have is applied, though a
// newer one comes before anybody was told.
func TestAppliedBeforeTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		d := w.start(t)
		defer d.end(t)
		after(time.Second) // of the five that proxies have to come back
		w.lands(d, "good two", time.Minute)
		for _, want := range []string{
			"c000001 meshwright/applied success: 3/3 proxies in 140 ms",
			"c000002 meshwright/applied success: 3/3 proxies in 140 ms",
		} {
			if got := w.forge.lines(); !slices.Contains(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
	})
}

// TestEmptied: a commit without any resource is refused where there were some,
// and no mistake where there were none.
func TestEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		nothing := w.branch.push("empty yet")
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		serving(t, w, nothing)
		good := w.lands(d, "good one", time.Minute)
		w.forge.take()
		w.lands(d, "empty again", time.Minute)
		serving(t, w, good)
		expect(t, "statuses", w.forge.take(),
			"c000003 meshwright/check failure: .: error: this commit has no resource any more, of 1 resource before; bring them back, or give the daemon another --path",
			"c000003 meshwright/applied failure: refused: see meshwright/check; serving c000002",
			"c000003 meshwright/health failure: diverged: serving c000002")
	})
}

// TestMoved: other endpoints or certificates are published for what is served,
// and nobody is told of a new commit.
func TestMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first := w.branch.push("good one")
		cfg, wake := w.config()
		moved := make(chan struct{}, 1)
		cfg.Moved = moved
		d := run(t, cfg, wake)
		defer d.end(t)
		after(time.Minute)
		w.forge.take()
		moved <- struct{}{}
		after(time.Minute)
		w.lands(d, "bad weight is 101", time.Minute)
		w.forge.take()
		moved <- struct{}{}
		after(time.Minute)
		expect(t, "published", w.proxies.served, first, first, first)
		expect(t, "statuses", w.forge.take())
		serving(t, w, first)
	})
}

func TestSameTreeIsNotLoadedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.forge.take()
		same := w.lands(d, "good one", time.Minute)
		serving(t, w, same)
		expect(t, "loads", w.loads, "good one")
		expect(t, "statuses", w.forge.take(),
			"c000002 meshwright/check success: 1 resource",
			"c000002 meshwright/applied success: no proxy touched, of 3 proxies")
	})
}

func TestRestartServesTheSameWithoutNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		good := w.branch.push("good one")
		d := w.start(t)
		after(time.Minute)
		w.lands(d, "bad two", time.Minute)
		d.end(t)
		w.forge.take()

		w.branch.fail(errors.New("no route to host"))
		d = w.start(t)
		synctest.Wait() // no time passes
		serving(t, w, good)
		after(time.Minute)
		v := d.View()
		if v.Source.OK || v.Source.Error != "no route to host" || !v.Ready {
			t.Errorf("source: %+v", v.Source)
		}
		fetches := w.branch.fetches
		w.branch.fail(nil)
		after(time.Minute) // by itself
		if w.branch.fetches == fetches || !d.View().Source.OK {
			t.Errorf("the branch did not recover: %+v", d.View().Source)
		}
		d.end(t)
		expect(t, "statuses", w.forge.take())
		serving(t, w, good)
		if w.forge.reads != 0 {
			t.Error("confirmed statuses were looked up")
		}
	})
}

func TestRestartWithBrokenClone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		good := w.branch.push("good one")
		d := w.start(t)
		after(time.Minute)
		w.lands(d, "bad two", time.Minute)
		d.end(t)
		w.branch.broken = errors.New("object not found")
		d = w.start(t)
		defer d.end(t)
		after(time.Minute)
		serving(t, w, good) // the fetch mended the clone
	})
}

func TestRestartOfAStricterVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		d := w.start(t)
		after(time.Minute)
		d.end(t)
		w.forge.take()
		rev := w.branch.commits[w.branch.tip]
		rev.Files = specFiles("bad one, says the new version")
		d = w.start(t)
		after(time.Minute)
		serving(t, w, "")
		if d.View().Ready {
			t.Error("ready without a spec")
		}
		expect(t, "statuses", w.forge.take(),
			"c000001 meshwright/check failure: mesh.txt:1: error: one, says the new version",
			"c000001 meshwright/applied failure: refused: see meshwright/check; serving nothing yet")
		fixed := w.lands(d, "good two", time.Minute)
		serving(t, w, fixed)
		d.end(t)
	})
}

func TestFolderOfTheSpecs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		cfg, wake := w.config()
		cfg.Path = "specs"
		good := w.branch.push("warn one")
		gone := w.branch.push("good two")
		w.branch.reset(good)
		pull := w.branch.commit("good three")
		w.branch.commits[gone].Files, w.branch.commits[gone].Tree = nil, ""
		w.branch.commits[pull].Files, w.branch.commits[pull].Tree = nil, ""
		d := run(t, cfg, wake)
		defer d.end(t)
		after(time.Minute)
		v := d.View()
		if file := v.Commits[0].Diagnostics[0].Pos.File; file != "specs/mesh.txt" {
			t.Errorf("the diagnostic names %s, want the file's path in the repository", file)
		}
		if file := v.Resources[0].Pos.File; file != "specs/mesh.txt" {
			t.Errorf("the resource names %s, want the file's path in the repository", file)
		}
		w.forge.take()

		w.branch.reset(gone)
		w.forge.set(func(f *fakeForge) { f.open = []sources.PullRequest{{Number: 7, Head: pull}} })
		d.ring()
		after(time.Minute)
		serving(t, w, good)
		expect(t, "statuses", sorted(w.forge.take()),
			"c000002 meshwright/applied failure: refused: see meshwright/check; serving c000001",
			"c000002 meshwright/check failure: specs: error: this commit has no such folder; bring it back, or give the daemon another --path",
			"c000002 meshwright/health failure: diverged: serving c000001",
			"c000003 meshwright/check failure: specs: error: this commit has no such folder; bring it back, or give the daemon another --path",
			"c000003 meshwright/plan failure: no plan: the check failed")
		if !d.View().Source.OK {
			t.Errorf("source: %+v", d.View().Source)
		}
	})
}

func TestRefusedByAProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good nack")
		d := w.start(t)
		defer d.end(t)
		after(10 * time.Second)
		expect(t, "statuses", w.forge.take(),
			"c000001 meshwright/check success: 1 resource",
			"c000001 meshwright/applied failure: web-1 refused listeners: no such filter")
		if a := d.View().Commits[0].Applied; a.State != sources.Failure || a.Progress.Rejected[0].Proxy != "web-1" {
			t.Errorf("the view does not tell: %+v", a)
		}

		w.branch.push("good nack") // changes nothing: the proxy is not asked again
		d.ring()
		after(10 * time.Second)
		expect(t, "statuses", w.forge.take(),
			"c000002 meshwright/check success: 1 resource",
			"c000002 meshwright/applied failure: web-1 refused listeners: no such filter")

		w.proxies.set(func(p *fakeProxies) { p.refused = ""; p.answer() }) // a person mended the Envoy
		after(50 * time.Second)
		expect(t, "statuses before it is calm", w.forge.take())
		after(20 * time.Second)
		expect(t, "statuses", w.forge.take(), "c000002 meshwright/applied success: 1/1 proxies in 140 ms")
	})
}

func TestAFixOfWhatAProxyRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good nack")
		d := w.start(t)
		defer d.end(t)
		after(10 * time.Second)
		w.forge.take()
		w.branch.push("good fix")
		w.proxies.set(func(p *fakeProxies) { p.slow = true })
		d.ring()
		after(time.Second)
		w.proxies.set(func(p *fakeProxies) { // the refusal stands until the proxy takes the fix
			p.progress.Rejected = []xds.Rejection{refusal("c000001")}
		})
		after(time.Second)
		w.proxies.set(func(p *fakeProxies) { p.answer() })
		after(time.Minute)
		expect(t, "statuses", w.forge.take(),
			"c000002 meshwright/check success: 1 resource",
			"c000002 meshwright/applied success: 3/3 proxies in 140 ms")
	})
}

func TestSlowProxiesAndSupersededCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.proxies.slow = true
		w.branch.push("good one")
		d := w.start(t)
		defer d.end(t)
		after(20 * time.Second)
		w.proxies.set(func(p *fakeProxies) { p.progress.Applied = 2 })
		after(20 * time.Second)
		if a := d.View().Commits[0].Applied; a.State != sources.Pending || a.Description != "2/3 proxies" {
			t.Errorf("the view does not tell: %+v", a)
		}
		w.lands(d, "good two", time.Second)
		w.proxies.set(func(p *fakeProxies) { p.answer() })
		after(time.Minute)
		w.branch.push("bad three") // changes nothing for the one before
		d.ring()
		after(time.Minute)
		expect(t, "statuses", w.forge.take(),
			"c000001 meshwright/check success: 1 resource",
			"c000001 meshwright/applied pending: 0/3 proxies",
			"c000001 meshwright/applied pending: 2/3 proxies",
			"c000001 meshwright/applied error: superseded by c000002",
			"c000002 meshwright/check success: 1 resource",
			"c000002 meshwright/applied success: 3/3 proxies in 140 ms",
			"c000003 meshwright/check failure: mesh.txt:1: error: three",
			"c000003 meshwright/applied failure: refused: see meshwright/check; serving c000002",
			"c000003 meshwright/health failure: diverged: serving c000002")
	})
}

func TestForcePushBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first := w.branch.push("good one")
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		second := w.lands(d, "good two", time.Minute)
		w.forge.take()
		w.branch.reset(first)
		d.ring()
		after(time.Minute)
		serving(t, w, first)
		expect(t, "published", w.proxies.served, first, second, first)
		expect(t, "statuses that stand already", w.forge.take())
	})
}

func TestPullRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		bad, good := w.branch.commit("bad pull"), w.branch.commit("good pull")
		w.forge.open = []sources.PullRequest{{Number: 7, Head: bad, Base: "main"}, {Number: 8, Head: good, Base: "main", Fork: true}}
		d := w.start(t)
		after(time.Minute)
		expect(t, "statuses", sorted(w.forge.take()),
			"c000001 meshwright/applied success: 3/3 proxies in 140 ms",
			"c000001 meshwright/check success: 1 resource",
			"c000002 meshwright/check failure: mesh.txt:1: error: pull",
			"c000002 meshwright/plan failure: no plan: the check failed",
			"c000003 meshwright/check success: 1 resource",
			"c000003 meshwright/plan success: 1 resource, 0 proxy identities")
		for _, c := range d.View().Commits {
			if c.Commit == bad && (c.Branch || !slices.Equal(c.Pulls, []int{7}) || c.Result != reconciler.Bad) {
				t.Errorf("the view does not tell: %+v", c)
			}
		}

		// A push to the pull request: at once when poked, but a storm of pokes is
		// a look a second; else within PullSpacing.
		lists := w.forge.lists
		d.Poke()
		synctest.Wait()
		if n := w.forge.lists - lists; n != 1 {
			t.Errorf("a poke made %d lists at once", n)
		}
		for range 500 {
			d.Poke()
			after(10 * time.Millisecond)
		}
		after(2 * time.Second)
		if n := w.forge.lists - lists; n < 5 || n > 7 {
			t.Errorf("500 pokes in 5 s made %d lists", n)
		}
		lists = w.forge.lists
		for range 50 {
			d.ring()
			after(100 * time.Millisecond)
		}
		after(time.Minute)
		if n := w.forge.lists - lists; n != 1 {
			t.Errorf("a poll every 100 ms for 5 s made %d lists", n)
		}
		d.end(t)

		// A restart does not look at judged heads again; a merge does not
		// repeat the check.
		w.branch.reset(good)
		w.forge.set(func(f *fakeForge) { f.open = f.open[:1] })
		loads := len(w.loads)
		d = w.start(t)
		after(time.Minute)
		expect(t, "statuses", w.forge.take(),
			"c000002 meshwright/check failure: needs a rebase: mesh.txt changed on both sides",
			"c000002 meshwright/plan failure: needs a rebase: mesh.txt changed on both sides",
			"c000003 meshwright/applied success: 3/3 proxies in 140 ms")
		expect(t, "loads", w.loads[loads:], "good one", "good pull")
		d.end(t)
	})
}

func TestUnreadablePullRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		w.forge.open = []sources.PullRequest{{Number: 7, Head: "c999999"}}
		d := w.start(t)
		defer d.end(t)
		after(5 * time.Minute)
		expect(t, "statuses", w.forge.take(),
			"c000001 meshwright/check success: 1 resource",
			"c999999 meshwright/check pending: merging with the branch, checking, planning",
			"c999999 meshwright/plan pending: merging with the branch, checking, planning",
			"c000001 meshwright/applied success: 3/3 proxies in 140 ms",
			"c999999 meshwright/check error: could not be read, will be tried again: no c999999 at refs/pull/7/head",
			"c999999 meshwright/plan error: could not be read, will be tried again: no c999999 at refs/pull/7/head")
	})
}

func TestForgeTroubles(t *testing.T) {
	want := []string{
		"c000001 meshwright/check success: 1 resource",
		"c000001 meshwright/applied success: 3/3 proxies in 140 ms",
	}
	cases := []struct {
		name    string
		trouble func(*fakeForge)
		mended  func(*fakeForge)
	}{
		{"down", func(f *fakeForge) { f.down = errors.New("502") }, func(f *fakeForge) { f.down = nil }},
		{"answers_are_lost", func(f *fakeForge) { f.lossy = errors.New("connection reset") }, func(f *fakeForge) { f.lossy = nil }},
		{"rate_limit", func(f *fakeForge) { f.down = fmt.Errorf("status: %w", limit(time.Now().Add(5*time.Minute))) }, func(f *fakeForge) { f.down = nil }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				c.trouble(&w.forge)
				w.branch.push("good one")
				d := w.start(t)
				after(4 * time.Minute)
				if c.name == "rate_limit" && w.forge.lists > 1 {
					t.Errorf("%d lists under a rate limit", w.forge.lists)
				}
				d.end(t)
				d = w.start(t) // loses nothing either
				after(time.Second)
				w.forge.set(c.mended)
				after(10 * time.Minute)
				d.end(t)
				expect(t, "statuses", w.forge.take(), want...)
			})
		})
	}
}

// A status whose answer was lost stands, perhaps; it is not written again when
// others have been wanted in the meantime.
func TestATextThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.proxies.slow = true
		w.forge.lossy = errors.New("connection reset")
		w.forge.after = func() { w.forge.down = errors.New("502") } // takes one, and is gone
		w.branch.push("good one")
		d := w.start(t)
		after(time.Minute)
		w.forge.set(func(f *fakeForge) { f.down = nil })
		after(2 * time.Minute) // the check was looked up; the first pending is taken, its answer lost
		for applied := range 2 {
			w.proxies.set(func(p *fakeProxies) { p.progress.Applied = 1 - applied })
			after(10 * time.Second)
		}
		w.forge.set(func(f *fakeForge) { f.down, f.lossy, f.after = nil, nil, nil })
		after(5 * time.Minute)
		d.end(t)
		expect(t, "statuses", w.forge.take(),
			"c000001 meshwright/check success: 1 resource",
			"c000001 meshwright/applied pending: 0/3 proxies")
	})
}

func TestRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forge.down = &sources.Permanent{Err: errors.New("no such commit here")}
		w.branch.push("good one")
		d := w.start(t)
		after(time.Minute)
		for _, s := range d.View().Commits[0].Statuses {
			if s.Written || s.Error != "no such commit here" {
				t.Errorf("the view does not tell: %+v", s)
			}
		}
		w.forge.set(func(f *fakeForge) { f.down = nil })
		d.ring()
		after(time.Hour)
		d.end(t)
		d = w.start(t)
		after(time.Hour)
		d.end(t)
		expect(t, "statuses that were refused", w.forge.take())
	})
}

func TestWritesAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 20 {
			w.forge.open = append(w.forge.open, sources.PullRequest{Number: i + 1, Head: w.branch.commit(fmt.Sprint("good ", i))})
		}
		w.branch.push("good one")
		d := w.start(t)
		after(2 * time.Minute)
		d.end(t)
		// Check and applied of the branch; check, plan and comment of each pull request.
		if len(w.forge.times) != 2+20*3 {
			t.Errorf("%d writes, want %d", len(w.forge.times), 2+20*3)
		}
		for i := 1; i < len(w.forge.times); i++ {
			if gap := w.forge.times[i].Sub(w.forge.times[i-1]); gap < time.Second {
				t.Errorf("writes %d and %d are %s apart", i-1, i, gap)
			}
		}
	})
}

func TestShutdownFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("bad one")
		d := w.start(t)
		synctest.Wait() // the first status is out, the second waits for its turn
		begin := time.Now()
		d.end(t)
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("the end took %s", took)
		}
		expect(t, "statuses", w.forge.take(),
			"c000001 meshwright/check failure: mesh.txt:1: error: one",
			"c000001 meshwright/applied failure: refused: see meshwright/check; serving nothing yet")
		d = w.start(t)
		after(time.Minute)
		d.end(t)
		expect(t, "statuses after a restart", w.forge.take())
	})
}

func TestWithoutForge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		cfg, wake := w.config()
		cfg.Forge = nil
		good := w.branch.push("good one")
		d := run(t, cfg, wake)
		after(time.Minute)
		serving(t, w, good)
		c := d.View().Commits[0]
		if len(c.Statuses) != 0 || c.Applied.State != sources.Success || c.Applied.Description != "3/3 proxies in 140 ms" {
			t.Errorf("the view does not tell: %+v %+v", c, c.Applied)
		}
		w.lands(d, "bad two", time.Minute)
		if h := d.View().Commits[0].Health; h == nil || h.Description != "diverged: serving c000001" {
			t.Errorf("the view does not tell of health: %+v", h)
		}
		d.end(t)
	})
}

func TestEnvironmentAndLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		cfg, wake := w.config()
		cfg.Environment = "prod"
		cfg.Link = func(commit string) string { return "https://mesh.example/commits/" + commit }
		good := w.branch.push("bad one")
		d := run(t, cfg, wake)
		after(time.Minute)
		d.end(t)
		expect(t, "statuses", w.forge.take(),
			"c000001 meshwright/prod/check failure: mesh.txt:1: error: one",
			"c000001 meshwright/prod/applied failure: refused: see meshwright/prod/check; serving nothing yet")
		if url := w.forge.standing[good]["meshwright/prod/check"].URL; !strings.HasSuffix(url, good) {
			t.Errorf("link %q", url)
		}
	})
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
