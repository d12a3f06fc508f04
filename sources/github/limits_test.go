package github_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
)

// limited returns until when an error says to stay away; zero: it says nothing.
func limited(err error) time.Time {
	var r *sources.RetryAfter
	if errors.As(err, &r) {
		return r.At
	}
	return time.Time{}
}

// TestLimits: GitHub's ways to say that it has had enough, and for how long.
func TestLimits(t *testing.T) {
	const (
		primary   = `{"message": "API rate limit exceeded for user ID 7.", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}`
		secondary = `{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	)
	used := func(reset time.Duration) []string {
		return []string{"X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 0", fmt.Sprint("X-RateLimit-Reset: ", time.Now().Add(reset).Unix())}
	}
	for name, test := range map[string]struct {
		answer func() *http.Response
		want   time.Duration
	}{
		"primary 403":                {func() *http.Response { return answer(403, primary, used(20*time.Minute)...) }, 20 * time.Minute},
		"primary 429":                {func() *http.Response { return answer(429, primary, used(20*time.Minute)...) }, 20 * time.Minute},
		"primary, past by our clock": {func() *http.Response { return answer(403, primary, used(-time.Minute)...) }, time.Minute},
		"primary, a clock far off":   {func() *http.Response { return answer(429, primary, used(30*time.Hour)...) }, time.Hour},
		"secondary 403":              {func() *http.Response { return answer(403, secondary, "Retry-After: 75") }, 75 * time.Second},
		"secondary 429":              {func() *http.Response { return answer(429, secondary, "Retry-After: 75") }, 75 * time.Second},
		"secondary, says nothing":    {func() *http.Response { return answer(403, secondary) }, time.Minute},
		"429, says nothing":          {func() *http.Response { return answer(429, "") }, time.Minute},
		"a date": {func() *http.Response {
			return answer(429, "", "Retry-After: "+time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
		}, 90 * time.Second},
		"at once":  {func() *http.Response { return answer(429, "", "Retry-After: 0") }, time.Minute},
		"nonsense": {func() *http.Response { return answer(429, "", "Retry-After: soon") }, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				h.Front = func(*http.Request) (*http.Response, error) { return test.answer(), nil }
				c, _ := h.client()
				start := time.Now()
				err := c.SetStatus(t.Context(), commit, "meshwright/check", good)
				if got := limited(err).Sub(start); got != test.want {
					t.Fatalf("stay away for %s (%v); want %s", got, err, test.want)
				}
				h.Front = nil
				h.Calls()

				// Nothing asks before then; whoever tries hears the same.
				time.Sleep(test.want - time.Millisecond)
				if _, err := c.PullRequests(t.Context(), "main"); limited(err).Sub(start) != test.want || len(h.Calls()) != 0 {
					t.Errorf("asked before the time: %v", err)
				}
				time.Sleep(time.Millisecond)
				if test.want == time.Hour { // go-github's own guard believes that clock
					return
				}
				if err := c.SetStatus(t.Context(), commit, "meshwright/check", good); err != nil || len(h.Statuses(commit)) != 1 {
					t.Errorf("at the time: %v, %d statuses", err, len(h.Statuses(commit)))
				}
			})
		})
	}
}

// TestLimitsThatGoOn: a host that does not say how long is asked less and less.
func TestLimitsThatGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		full := true
		h.Front = func(*http.Request) (*http.Response, error) {
			if full {
				return answer(429, ""), nil
			}
			return nil, nil
		}
		c, _ := h.client()
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			start := time.Now()
			err := c.SetStatus(t.Context(), commit, "x", good)
			if got := limited(err).Sub(start); got != want*time.Minute {
				t.Errorf("stay away for %s; want %s", got, want*time.Minute)
			}
			time.Sleep(time.Until(limited(err)))
		}
		full = false
		if err := c.SetStatus(t.Context(), commit, "x", good); err != nil {
			t.Error(err)
		}
		full = true
		start := time.Now()
		if got := limited(c.SetStatus(t.Context(), commit, "x", good)).Sub(start); got != time.Minute {
			t.Errorf("after a good answer: %s; want a minute again", got)
		}
	})
}

// TestUsedUpByAGoodAnswer: the last one that was allowed says so.
func TestUsedUpByAGoodAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.Back = func(_ *http.Request, resp *http.Response) (*http.Response, error) {
			resp.Header.Set("X-RateLimit-Remaining", "0")
			resp.Header.Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(10*time.Minute).Unix()))
			return resp, nil
		}
		c, _ := h.client()
		if err := c.SetStatus(t.Context(), commit, "x", good); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if got := limited(c.SetStatus(t.Context(), commit, "y", good)).Sub(start); got != 10*time.Minute || len(h.Statuses(commit)) != 1 {
			t.Errorf("stay away for %s; want 10m0s; %d statuses", got, len(h.Statuses(commit)))
		}
	})
}

// TestScarce: below a tenth of the hour's requests, polling makes room for
// writing.
func TestScarce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.Hourly = 1000
		metrics := prometheus.NewRegistry()
		c := h.as(github.Config{Token: token, Metrics: metrics})
		write := func(n int) {
			t.Helper()
			for range n {
				s := sources.Status{State: sources.Pending, Description: fmt.Sprint(len(h.Statuses(commit)))}
				if err := c.SetStatus(t.Context(), commit, "x", s); err != nil {
					t.Fatal(err)
				}
			}
		}
		poll := func() error { _, err := c.PullRequests(t.Context(), "main"); return err }
		write(899)
		for range 3 {
			if err := poll(); err != nil { // the second and third cost nothing
				t.Fatal(err)
			}
		}
		if got := remaining(t, metrics); got != 100 {
			t.Errorf("%v remain; want 100", got)
		}
		write(1)
		start := time.Now()
		until := limited(poll())
		if gap := until.Sub(start); gap < 3*time.Minute || gap > 4*time.Minute { // 6 × 1 h / 99
			t.Errorf("poll again in %s", gap)
		}
		write(1)
		if _, err := c.MergeGroups(t.Context(), "main"); err != nil {
			t.Errorf("another list: %v", err)
		}
		time.Sleep(time.Until(until))
		if err := poll(); err != nil {
			t.Errorf("then: %v", err)
		}
		write(97)
		if limited(poll()).IsZero() {
			t.Error("asked with nothing left")
		}
		time.Sleep(time.Hour)
		for range 3 {
			if err := poll(); err != nil {
				t.Errorf("in the next hour: %v", err)
			}
		}
	})
}

// TestWritingTooFast: the secondary limit, as GitHub tells it.
func TestWritingTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.Writes, h.RetryAfter = 80, 30*time.Second
		c, _ := h.client()
		var err error
		for i := 0; err == nil; i++ {
			err = c.SetStatus(t.Context(), commit, "x", sources.Status{State: sources.Pending, Description: fmt.Sprint(i)})
		}
		if got := time.Until(limited(err)); got != 30*time.Second || len(h.Statuses(commit)) != 80 {
			t.Errorf("%v after %d statuses; want 30s after 80", err, len(h.Statuses(commit)))
		}
	})
}

// TestRequestsAreCounted by kind, not by what they are about.
func TestRequestsAreCounted(t *testing.T) {
	h := newHost(t)
	metrics := prometheus.NewRegistry()
	c := h.as(github.Config{Metrics: metrics, App: github.App{ID: meshApp.ID, Key: sources.Secret(h.Install(meshApp))}})
	for range 2 {
		if _, err := c.PullRequests(t.Context(), "main"); err != nil {
			t.Fatal(err)
		}
		for n := range 2 {
			if _, err := c.PullOf(t.Context(), fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.Front = func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
	if _, err := c.PullOf(t.Context(), commit); err == nil {
		t.Fatal("no error")
	}
	h.Front = func(*http.Request) (*http.Response, error) { return answer(429, ""), nil }
	if _, err := c.PullOf(t.Context(), commit); err == nil {
		t.Fatal("no error")
	}
	want := `
# HELP meshwright_github_requests_total Requests to the git host's API, by kind and result: ok, unchanged (costs nothing of the limits), none (there is nothing of the kind), refused, limited (too many) or lost (no answer).
# TYPE meshwright_github_requests_total counter
meshwright_github_requests_total{request="GET /commits/*/pulls",result="limited"} 1
meshwright_github_requests_total{request="GET /commits/*/pulls",result="lost"} 1
meshwright_github_requests_total{request="GET /commits/*/pulls",result="refused"} 4
meshwright_github_requests_total{request="GET /installation",result="ok"} 1
meshwright_github_requests_total{request="GET /pulls",result="limited"} 0
meshwright_github_requests_total{request="GET /pulls",result="lost"} 0
meshwright_github_requests_total{request="GET /pulls",result="ok"} 1
meshwright_github_requests_total{request="GET /pulls",result="refused"} 0
meshwright_github_requests_total{request="GET /pulls",result="unchanged"} 1
meshwright_github_requests_total{request="POST app/installations/*/access_tokens",result="ok"} 1
`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "meshwright_github_requests_total"); err != nil {
		t.Error(err)
	}
	if got := remaining(t, metrics); !math.IsInf(got, 1) {
		t.Errorf("%v remain at a host without limits", got)
	}
}

// TestNone: that no pull request has brought a commit is an answer of Gitea, and
// no refusal.
func TestNone(t *testing.T) {
	metrics := prometheus.NewRegistry()
	c, err := github.New(github.Config{BaseURL: "https://git.example.com/api/v1/", Owner: "acme", Repo: "mesh", Token: token, Metrics: metrics,
		Transport: front(func(*http.Request) (*http.Response, error) { return answer(404, `{"message": "not found"}`), nil })})
	if err != nil {
		t.Fatal(err)
	}
	if pull, err := c.PullOf(t.Context(), commit); pull != 0 || err != nil {
		t.Errorf("%d, %v; want none", pull, err)
	}
	for result, want := range map[string]float64{"none": 1, "refused": 0} {
		if got := requests(t, metrics, "GET /commits/*/pull", result); got != want {
			t.Errorf("%s: %v; want %v", result, got, want)
		}
	}
}

// requests is how many ended so.
func requests(t *testing.T, from prometheus.Gatherer, request, result string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			said := ""
			for _, l := range m.GetLabel() {
				said += l.GetValue() + " "
			}
			if f.GetName() == "meshwright_github_requests_total" && said == request+" "+result+" " {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// remaining is what the metric says.
func remaining(t *testing.T, from prometheus.Gatherer) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "meshwright_github_rate_limit_remaining" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("no such metric")
	return 0
}
