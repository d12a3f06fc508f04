package github

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/meshwright/meshwright/sources"
)

// How long to stay away: at least a second whatever the host says, a minute
// and then twice as long each time when it says nothing, never above an hour.
// ("Rate limits for the REST API", GitHub's documentation.)
const (
	leastAway = time.Second
	firstAway = time.Minute
	mostAway  = time.Hour
)

// limits keeps the client away while the host wants to hear nothing of it: who
// goes on asking gets banned.
type limits struct {
	mu      sync.Mutex // guards:
	err     *sources.RetryAfter
	strikes int // in a row

	hourly, left int // requests; 0, 0: the host says nothing of them
	reset        time.Time
	polls        map[string]time.Time // when each route was polled last
}

// note reads how much of the hour is left, which it returns; negative: the answer
// does not say.
func (l *limits) note(resp *gh.Response) int {
	if resp == nil || resp.Response == nil || resp.Header.Get("X-RateLimit-Remaining") == "" {
		return -1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hourly, l.left, l.reset = resp.Rate.Limit, resp.Rate.Remaining, resp.Rate.Reset.Time
	return l.left
}

// polled says whether a route may be polled now. Below a tenth of the hour, what
// is left is for writing, and for reading on the way to it: half of it is shared
// by the three lists that are polled. (Answers that nothing has changed take
// nothing of it; but when little is left, much has.)
func (l *limits) polled(route string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.left*10 < l.hourly && now.Before(l.reset) {
		gap := min(6*l.reset.Sub(now)/time.Duration(max(l.left, 1)), l.reset.Sub(now))
		if next := l.polls[route].Add(gap); now.Before(next) {
			return &sources.RetryAfter{At: next, Err: errScarce}
		}
	}
	if l.polls == nil {
		l.polls = map[string]time.Time{}
	}
	l.polls[route] = now
	return nil
}

// closed returns the error of the limit that is in force; nil: ask.
func (l *limits) closed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil || !time.Now().Before(l.err.At) {
		return nil
	}
	return l.err
}

// heed looks whether the host's answer is that a limit is used up, which it
// returns as the error to give on.
func (l *limits) heed(resp *gh.Response, err error) error {
	if resp == nil || resp.Response == nil {
		return nil // no answer
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at, limit := readLimit(resp.Response, err)
	if limit == nil {
		if resp.StatusCode < 400 {
			l.strikes = 0
		}
		return nil
	}
	now := time.Now()
	away := at.Sub(now)
	if at.IsZero() || away <= 0 { // not said, or past by our clock
		away = firstAway << min(l.strikes, 6)
	}
	l.strikes++
	l.err = &sources.RetryAfter{At: now.Add(min(max(away, leastAway), mostAway)), Err: limit}
	return l.err
}

var (
	errPrimary   = errors.New("the hourly limit of the host's API is used up")
	errSecondary = errors.New("the host's API is asked too often")
	errScarce    = errors.New("the hourly limit of the host's API is nearly used up")
)

// readLimit returns which limit an answer speaks of, nil for none, and until
// when; zero when it does not say. GitHub uses 403 and 429 for both.
func readLimit(resp *http.Response, err error) (at time.Time, limit error) {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusTooManyRequests {
		return at, nil
	}
	var primary *gh.RateLimitError // also when go-github did not ask because of an earlier answer
	var secondary *gh.AbuseRateLimitError
	var other *gh.ErrorResponse
	switch {
	case errors.As(err, &primary):
		limit, at = errPrimary, primary.Rate.Reset.Time
	case errors.As(err, &secondary):
		limit = errSecondary
		if secondary.RetryAfter != nil {
			at = time.Now().Add(*secondary.RetryAfter)
		}
	case resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("X-RateLimit-Remaining") == "0":
		limit = errPrimary // go-github knows it as a 403 only
		if s, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			at = time.Unix(s, 0)
		}
	case resp.StatusCode == http.StatusTooManyRequests, resp.Header.Get("Retry-After") != "",
		errors.As(err, &other) && strings.Contains(strings.ToLower(other.Message), "rate limit"):
		limit = errSecondary
	}
	if limit == nil {
		return at, nil
	}
	if told, ok := retryAfter(resp.Header.Get("Retry-After")); ok {
		at = told
	}
	return at, limit
}

// retryAfter reads the header's two forms (RFC 9110, 10.2.3).
func retryAfter(v string) (time.Time, bool) {
	if s, err := strconv.Atoi(v); err == nil {
		return time.Now().Add(time.Duration(min(s, 1e6)) * time.Second), true
	}
	at, err := http.ParseTime(v)
	return at, err == nil
}
