package github_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/sources/github/githubtest"
)

func TestLabeledBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.PerPage = 2
		c, _ := h.client()
		start := time.Now()
		n, other := h.Open(githubtest.Pull{Head: commit}), h.Open(githubtest.Pull{Head: commit})
		look := func(login string, after time.Duration) {
			t.Helper()
			by, at, err := c.LabeledBy(t.Context(), n, "canary")
			want := start.Add(after)
			if login == "" {
				want = time.Time{}
			}
			if by != login || !at.Equal(want) || err != nil {
				t.Errorf("%q at %s, %v; want %q at %s", by, at, err, login, want)
			}
		}
		look("", 0)
		h.Label("mallory", other, "canary", true)
		h.Label("ada", n, "risky", true)
		look("", 0)
		time.Sleep(time.Minute)
		h.Label("ada", n, "Canary", true)
		look("ada", time.Minute)
		h.Label("rob", n, "canary", false)
		look("", 0)
		time.Sleep(time.Minute)
		h.Label("wim", n, "canary", true)
		h.Label("ada", n, "risky", false)
		look("wim", 2*time.Minute)
		if _, _, err := c.LabeledBy(t.Context(), 99, "canary"); !isPermanent(err) {
			t.Errorf("of no pull request: %v", err)
		}
		h.Front = githubtest.Down
		if by, _, err := c.LabeledBy(t.Context(), n, "canary"); by != "" || err == nil || isPermanent(err) {
			t.Errorf("while it is down: %q, %v", by, err)
		}
	})
}

// A head is as old as its last push, not as its commit.
func TestHeadSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c, _ := h.client()
		start := time.Now()
		one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
		h.Open(githubtest.Pull{Head: one, Ref: "elsewhere"})
		time.Sleep(time.Minute)
		n := h.Open(githubtest.Pull{Head: one, Ref: "more/traffic"})
		look := func(head string, want time.Duration) {
			t.Helper()
			if got, err := c.HeadSince(t.Context(), n, head); !got.Equal(start.Add(want)) || err != nil {
				t.Errorf("%.3s: %s, %v; want %s", head, got.Sub(start), err, want)
			}
		}
		push := func(head string) {
			time.Sleep(time.Minute)
			h.Change(n, "synchronize", func(p *githubtest.Pull) { p.Head = head })
		}
		look(one, time.Minute)
		push(two)
		look(two, 2*time.Minute)
		if at, err := c.HeadSince(t.Context(), n, one); !isPermanent(err) || !at.IsZero() {
			t.Errorf("no head any more: %s, %v", at, err)
		}
		push(one) // back to what was labelled: that was meant for its first time
		look(one, 3*time.Minute)
		if at, err := c.HeadSince(t.Context(), 99, one); !isPermanent(err) || !at.IsZero() {
			t.Errorf("no pull request: %s, %v", at, err)
		}
		n = h.Open(githubtest.Pull{Head: two, Fork: true, Author: "mallory"})
		if at, err := c.HeadSince(t.Context(), n, two); !isPermanent(err) || !at.IsZero() {
			t.Errorf("of a fork, whose pushes the host does not tell: %s, %v", at, err)
		}
		h.Front = githubtest.Down
		if at, err := c.HeadSince(t.Context(), n, two); err == nil || isPermanent(err) || !at.IsZero() {
			t.Errorf("while it is down: %s, %v", at, err)
		}
	})
}
