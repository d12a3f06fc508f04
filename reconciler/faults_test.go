package reconciler_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

// hosted is a world whose forge is the real client, against a strict host.
type hosted struct {
	*world
	host *githubtest.Host
	key  []byte // of an App; nil: there is none, but a token
	most int    // calls within a minute
}

func newHosted() *hosted {
	return &hosted{world: newWorld(), host: githubtest.New("acme/mesh")}
}

func (h *hosted) start(t *testing.T) *daemon {
	t.Helper()
	cfg, wake := h.config()
	config := github.Config{BaseURL: githubtest.URL, Owner: "acme", Repo: "mesh", Token: githubtest.Token, Transport: h.host}
	if h.key != nil {
		config.Token, config.App = "", github.App{ID: 4242, Key: sources.Secret(h.key)}
	}
	client, err := github.New(config)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Forge = client
	return run(t, cfg, wake)
}

// pass lets minutes pass in which webhooks and the schedule wake the daemon, and
// counts what the host is asked.
func (h *hosted) pass(d *daemon, minutes int) {
	for range minutes {
		for range 6 {
			d.ring()
			after(10 * time.Second)
		}
		h.most = max(h.most, len(h.host.Calls()))
	}
}

// story is a life: a mistake, its fix, the merge. Trouble begins before each
// part and ends after so many minutes; the daemon is killed on the way. It
// returns what stands in the end.
func (h *hosted) story(t *testing.T, trouble, mended func(), minutes int) []string {
	t.Helper()
	one := h.branch.push("good one")
	d := h.start(t)
	h.pass(d, 2)
	bad := h.branch.commit("bad weight is 101")
	number := h.host.Open(githubtest.Pull{Head: bad, Title: "more traffic"})
	hardly := func() {
		trouble()
		d.Poke()
		h.pass(d, minutes/2)
		d.end(t)
		d = h.start(t)
		h.pass(d, minutes-minutes/2)
		mended()
		h.pass(d, 70) // what the host has said of its limits may hold for an hour
	}
	hardly()
	fixed := h.branch.commit("good two")
	h.host.Change(number, "synchronize", func(p *githubtest.Pull) { p.Head = fixed })
	hardly()
	merged := h.branch.push("good two")
	h.host.Merge(number, merged)
	hardly()
	d.end(t)

	var lines []string
	for i, commit := range []string{one, bad, fixed, merged} {
		last := map[string]string{}
		for _, s := range slices.Backward(h.host.Statuses(commit)) {
			line := s.State + ": " + *s.Description
			if last[s.Context] == line {
				t.Errorf("written twice: %s %s", s.Context, line)
			}
			last[s.Context] = line
		}
		for _, kind := range []string{"check", "plan", "applied"} {
			if line := last["meshwright/"+kind]; line != "" {
				lines = append(lines, fmt.Sprintf("%d %s %s", i+1, kind, line))
			}
		}
	}
	comments := h.host.Comments(number)
	if len(comments) != 1 {
		t.Fatalf("%d comments", len(comments))
	}
	_, body, _ := strings.Cut(comments[0].Body, "\n")
	first, _, _ := strings.Cut(body, "\n")
	return append(lines, strings.ReplaceAll(first, merged[:7], "MERGED"))
}

// storyEnds is what every life comes to.
var storyEnds = []string{
	"1 check success: 1 resource",
	"1 applied success: 3/3 proxies in 140 ms",
	"2 check failure: mesh.txt:1: error: weight is 101",
	"2 plan failure: no plan: the check failed",
	"3 check success: 1 resource",
	"3 plan success: 1 resource, 0 proxy identities",
	"4 check success: 1 resource",
	"4 applied success: 3/3 proxies in 140 ms",
	"**Merged as MERGED**: applied, 3/3 proxies in 140 ms",
}

// TestTroublesOfTheHost: whatever the host does for half an hour at each step,
// afterwards everything stands there once, and it was not pestered meanwhile.
func TestTroublesOfTheHost(t *testing.T) {
	gone := errors.New("read: connection reset by peer")
	for _, c := range []struct {
		name  string
		front func(*http.Request) (*http.Response, error)
		back  func(*http.Request, *http.Response) (*http.Response, error)
		most  int
	}{
		{name: "none", most: 30},
		{name: "500", front: func(*http.Request) (*http.Response, error) {
			return githubtest.Answer(500, `{"message": "Server Error"}`), nil
		}, most: 30},
		{name: "502_pages", front: func(*http.Request) (*http.Response, error) { return githubtest.Answer(502, "<html>"), nil }, most: 30},
		{name: "secondary_limit", front: func(*http.Request) (*http.Response, error) {
			return githubtest.Answer(403, `{"message": "You have exceeded a secondary rate limit"}`), nil
		}, most: 30},
		{name: "secondary_limit_with_a_time", front: func(*http.Request) (*http.Response, error) {
			return githubtest.Answer(403, `{"message": "You have exceeded a secondary rate limit"}`, "Retry-After: 40"), nil
		}, most: 30},
		{name: "429", front: func(*http.Request) (*http.Response, error) {
			return githubtest.Answer(429, `{"message": "Too many requests"}`, "Retry-After: 5"), nil
		}, most: 40},
		{name: "deleted_repository", front: func(*http.Request) (*http.Response, error) {
			return githubtest.Answer(404, `{"message": "Not Found"}`), nil
		}, most: 30},
		{name: "token_revoked", front: func(*http.Request) (*http.Response, error) {
			return githubtest.Answer(401, `{"message": "Bad credentials"}`), nil
		}, most: 30},
		{name: "no_answer", front: func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, most: 30},
		{name: "slow", front: func(*http.Request) (*http.Response, error) { time.Sleep(29 * time.Second); return nil, nil }, most: 30},
		{name: "resets", front: func(*http.Request) (*http.Response, error) { return nil, gone }, most: 30},
		{name: "answers_lost", back: func(*http.Request, *http.Response) (*http.Response, error) { return nil, gone }, most: 30},
		{name: "answers_of_writes_lost", back: func(r *http.Request, resp *http.Response) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return resp, nil
			}
			return nil, gone
		}, most: 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHosted()
				var on atomic.Bool
				if c.front != nil {
					h.host.Front = func(r *http.Request) (*http.Response, error) {
						if !on.Load() {
							return nil, nil
						}
						return c.front(r)
					}
				}
				if c.back != nil {
					h.host.Back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
						if !on.Load() {
							return resp, nil
						}
						return c.back(r, resp)
					}
				}
				got := h.story(t, func() { on.Store(true) }, func() { on.Store(false) }, 30)
				if diff := cmp.Diff(storyEnds, got); diff != "" {
					t.Errorf("in the end (-want +got):\n%s", diff)
				}
				t.Logf("at most %d calls in a minute", h.most)
				if h.most > c.most {
					t.Errorf("%d calls in a minute, at most %d should be", h.most, c.most)
				}
			})
		})
	}
}

// TestTheHostIsDownForAnHour: all that ended meanwhile is there afterwards, each
// final status once and no pending that nobody saw.
func TestTheHostIsDownForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHosted()
		h.branch.push("good one")
		var numbers []int
		var heads []string
		for i := range 5 {
			heads = append(heads, h.branch.commit(fmt.Sprint("good pull ", i)))
			numbers = append(numbers, h.host.Open(githubtest.Pull{Head: heads[i]}))
		}
		var down atomic.Bool
		h.host.Front = func(*http.Request) (*http.Response, error) {
			if down.Load() {
				return githubtest.Answer(503, ""), nil
			}
			return nil, nil
		}
		d := h.start(t)
		h.pass(d, 2)
		down.Store(true)
		var commits []string
		for i := range 20 {
			commits = append(commits, h.branch.push(fmt.Sprintf("%s %d", []string{"good", "bad"}[i%2], i)))
			h.pass(d, 3)
		}
		h.host.Calls()
		down.Store(false)
		h.pass(d, 15)
		d.end(t)
		for i, commit := range commits {
			got := map[string]int{}
			for _, s := range h.host.Statuses(commit) {
				got[s.Context+" "+s.State]++
			}
			want := map[string]int{"meshwright/check success": 1, "meshwright/applied success": 1}
			if i%2 == 1 {
				want = map[string]int{"meshwright/check failure": 1, "meshwright/applied failure": 1, "meshwright/health failure": 1}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("commit %d (-want +got):\n%s", i, diff)
			}
		}
		for i, head := range heads {
			if s := h.host.Statuses(head); len(s) != 4 || !strings.HasPrefix(*s[0].Description, "needs a rebase") {
				t.Errorf("pull request %d: %d statuses", numbers[i], len(s))
			}
			if n := len(h.host.Comments(numbers[i])); n != 1 {
				t.Errorf("%d comments on pull request %d", n, numbers[i])
			}
		}
	})
}

// TestCallsDoNotGrow: a change of a thousand resources costs as many calls as
// one of a single resource.
func TestCallsDoNotGrow(t *testing.T) {
	calls := func(resources int) (all []string) {
		synctest.Test(t, func(t *testing.T) {
			h := newHosted()
			h.branch.push("good one")
			d := h.start(t)
			defer d.end(t)
			h.pass(d, 2)
			files := map[string]string{"mesh.txt": "good one"}
			for i := range resources {
				files[fmt.Sprintf("node%04d.txt", i)] = "good new"
			}
			head := h.branch.files(files)
			number := h.host.Open(githubtest.Pull{Head: head})
			h.host.Calls()
			d.Poke()
			after(9 * time.Second)
			all = h.host.Calls()
			if n := len(h.host.Comments(number)); n != 1 {
				t.Errorf("%d comments", n)
			}
		})
		return all
	}
	one, many := calls(1), calls(1000)
	t.Logf("%d calls: %q", len(many), many)
	if len(one) != len(many) || len(many) > 12 {
		t.Errorf("%d calls for a resource, %d for a thousand: %q", len(one), len(many), many)
	}
}

// TestKilledAnywhere: killed after any save, before what was saved is done, and
// started again, the daemon comes to the same end, and writes nothing twice.
func TestKilledAnywhere(t *testing.T) {
	var whole []string
	for lives := range 200 {
		over := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.forge.writers, w.deployments = []string{"ann"}, true
			w.disk.lives = lives // 0: it lives
			w.branch.push("good one")
			d := w.start(t)
			killed := 0
			pass := func() {
				d.Poke()
				after(20 * time.Second)
				select {
				case <-d.done:
					killed++
					w.disk.set(func(d *fakeDisk) { d.dead, d.lives = false, 0 })
					d = w.start(t)
					after(20 * time.Second)
				default:
				}
			}
			pass()
			w.open(7, map[string]string{"mesh.txt": "bad two"})
			pass()
			w.open(7, map[string]string{"mesh.txt": "good two"})
			id := w.forge.say(7, "ann", "/meshwright help")
			pass()
			w.merge(t, 7)
			pass()
			pass()
			d.stop()
			<-d.done
			finals := slices.DeleteFunc(w.forge.take(), func(line string) bool { return strings.Contains(line, " pending: ") })
			got := append(sorted(finals), fmt.Sprint(w.forge.reactions[id], " ", len(w.forge.comments), " ", w.verdict(7), " ", w.forge.deployed))
			for i, line := range got { // a daemon that comes back finds that proxies have it already
				got[i] = strings.ReplaceAll(line, "no proxy touched, of 3 proxies", "3/3 proxies in 140 ms")
			}
			if whole == nil {
				whole = got
			}
			if diff := cmp.Diff(whole, got); diff != "" {
				t.Errorf("killed after save %d (-never killed +got):\n%s", lives, diff)
			}
			over = lives > 0 && killed == 0
		})
		if over {
			t.Logf("%d places to be killed at", lives-1)
			return
		}
	}
	t.Error("there is no end to the saves")
}

// TestAnApp has one check run for each name of a commit, with the mistakes on
// their lines, though answers get lost and the daemon is started anew; a run that
// is asked for again has its conclusion again.
func TestAnApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHosted()
		h.key = h.host.Install(githubtest.App{ID: 4242, Slug: "mesh", Installation: 7})
		var on atomic.Bool
		h.host.Back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
			if on.Load() && r.Method != http.MethodGet {
				return nil, errors.New("read: connection reset by peer")
			}
			return resp, nil
		}
		h.branch.push("good one")
		d := h.start(t)
		h.pass(d, 2)
		on.Store(true)
		head := h.branch.files(map[string]string{"mesh.txt": "good one", "web.txt": "bad weight", "api.txt": "bad timeout"})
		number := h.host.Open(githubtest.Pull{Head: head})
		h.pass(d, 2)
		d.end(t)
		d = h.start(t)
		h.pass(d, 2)
		on.Store(false)
		h.pass(d, 10)
		runs := func() []string { // the newest of each name, which counts
			newest := map[string]string{}
			for _, r := range h.host.CheckRuns(head) {
				newest[r.Name] = fmt.Sprint(r.Name, " ", r.Status, " ", r.Conclusion, ": ", r.Title)
			}
			return slices.Sorted(maps.Values(newest))
		}
		want := []string{
			"meshwright/check completed failure: api.txt:1: error: timeout (+1 more)",
			"meshwright/plan completed failure: no plan: the check failed",
		}
		expect(t, "check runs", runs(), want...)
		for _, r := range h.host.CheckRuns(head) {
			if a := r.Annotations; r.Name == "meshwright/check" && (len(a) != 2 || a[0].Path != "api.txt" || a[1].Path != "web.txt" || a[0].Level != "failure" || a[0].Message != "timeout") {
				t.Errorf("annotations: %+v", a)
			}
		}
		if n := len(h.host.Statuses(head)); n != 0 {
			t.Errorf("%d commit statuses beside the check runs", n)
		}
		if n := len(h.host.Comments(number)); n != 1 {
			t.Errorf("%d comments", n)
		}
		if n := len(h.host.CheckRuns(head)); n != 2 {
			t.Errorf("%d check runs", n)
		}
		h.host.Rerequest(head, "meshwright/check")
		d.Again(head)
		h.pass(d, 2)
		expect(t, "check runs that were asked for again", runs(), want...)
		d.end(t)
	})
}

var _ reconciler.Forge = (*github.Client)(nil)
