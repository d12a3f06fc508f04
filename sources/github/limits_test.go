package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/sources"
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
