package lab

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Split counts the answers that requests got.
type Split struct {
	Requests, Failed int
	Versions         map[string]int // version of the answering appserver → answers
	FirstFailure     string
}

// String is the split as people read it: v1 49.6 % v2 50.4 % of 2,000
// requests, 0 failed.
func (s Split) String() string {
	var b strings.Builder
	for _, v := range slices.Sorted(maps.Keys(s.Versions)) {
		fmt.Fprintf(&b, "%s %.1f %% ", v, 100*s.Share(v))
	}
	fmt.Fprintf(&b, "of %s requests, %s failed", thousands(s.Requests), thousands(s.Failed))
	return b.String()
}

// Share is the part of the answers, 0 to 1, that came from a version.
func (s Split) Share(version string) float64 {
	return float64(s.Versions[version]) / float64(max(1, s.Requests-s.Failed))
}

// sigmas is how far a count may stray from its mean before we call the split
// wrong: a right one does so once in some two million measurements.
const sigmas = 5

// Check says what is wrong with a split that should give version the share (0
// to 1): a request failed, or the count is outside the bounds of the binomial
// distribution.
func (s Split) Check(version string, share float64) error {
	if s.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed, the first with: %s", s.Failed, s.Requests, s.FirstFailure)
	}
	n := float64(s.Requests)
	bound := sigmas * math.Sqrt(share*(1-share)/n)
	if d := math.Abs(s.Share(version) - share); s.Requests == 0 || d > bound {
		return fmt.Errorf("%v; %s should have %.1f %% ± %.1f", s, version, 100*share, 100*bound)
	}
	return nil
}

func (s *Split) add(version string, err error) {
	s.Requests++
	if err == nil {
		if s.Versions == nil {
			s.Versions = map[string]int{}
		}
		s.Versions[version]++
		return
	}
	if s.Failed++; s.FirstFailure == "" {
		s.FirstFailure = err.Error()
	}
}

// thousands writes 2000 as 2,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Client asks for pages and counts who answered.
type Client struct {
	url  string
	http *http.Client
}

// NewClient asks for a page at a URL; dial nil is the ordinary one.
func NewClient(url string, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	return &Client{url, &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 16}, Timeout: 10 * time.Second}}
}

// Get asks for a page and returns the version that answered.
func (c *Client) Get(ctx context.Context) (version string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	version, _, ok := strings.Cut(string(body), " views ")
	if resp.StatusCode != http.StatusOK || !ok {
		return "", fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return version, nil
}

// workers is how many requests are under way at a time.
const workers = 4

// Measure sends n requests as fast as they are answered.
func (c *Client) Measure(ctx context.Context, n int) Split {
	t := c.traffic(ctx, n, 0)
	t.working.Wait()
	return t.Take()
}

// Traffic is a flow of requests that does not stop for anything.
type Traffic struct {
	left    atomic.Int64
	stop    context.CancelFunc
	working sync.WaitGroup

	mu    sync.Mutex
	split Split
	log   []reply // of the last requests, in the order in which they ended
}

// reply is one of a [Traffic].
type reply struct {
	began, ended time.Time
	version      string
	err          error
}

// logged is how many answers a traffic remembers: ten minutes and more.
const logged = 1 << 18

// Between counts the requests that began and ended between two times.
func (t *Traffic) Between(from, to time.Time) (s Split) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.log {
		if !a.began.Before(from) && !a.ended.After(to) {
			s.add(a.version, a.err)
		}
	}
	return s
}

// Flow sends requests until it is stopped, each worker pausing between two.
func (c *Client) Flow(ctx context.Context, pause time.Duration) *Traffic {
	return c.traffic(ctx, math.MaxInt, pause)
}

func (c *Client) traffic(ctx context.Context, n int, pause time.Duration) *Traffic {
	t := &Traffic{}
	ctx, t.stop = context.WithCancel(ctx)
	t.left.Store(int64(n))
	for range workers {
		t.working.Go(func() {
			for t.left.Add(-1) >= 0 && ctx.Err() == nil {
				// A request under way when the flow is stopped is not cut short:
				// what is counted has ended by itself.
				a := reply{began: time.Now()}
				a.version, a.err = c.Get(context.WithoutCancel(ctx))
				a.ended = time.Now()
				t.mu.Lock()
				t.split.add(a.version, a.err)
				if t.log = append(t.log, a); len(t.log) > logged {
					t.log = append([]reply(nil), t.log[logged/2:]...)
				}
				t.mu.Unlock()
				if pause > 0 {
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			}
		})
	}
	return t
}

// Take returns what was counted since the last Take.
func (t *Traffic) Take() Split {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.split
	t.split = Split{}
	return s
}

// Stop ends the flow and returns what was counted since the last Take.
func (t *Traffic) Stop() Split {
	t.stop()
	t.working.Wait()
	return t.Take()
}
