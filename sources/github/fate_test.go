package github_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

func TestFate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c, _ := h.client()
		n, merged := h.Open(githubtest.Pull{Head: commit}), h.Open(githubtest.Pull{Head: commit})
		look := func(number int, want sources.Fate) {
			t.Helper()
			if got, err := c.Fate(t.Context(), number, "main"); got != want || err != nil {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
		}
		look(n, sources.Fate{Open: true})
		h.Change(n, "edited", func(p *githubtest.Pull) { p.Base = "release" })
		look(n, sources.Fate{})
		h.Change(n, "closed", func(p *githubtest.Pull) { p.Base, p.State = "main", "closed" })
		look(n, sources.Fate{})
		as := strings.Repeat("9", 40)
		h.Merge(merged, as)
		look(merged, sources.Fate{Merged: as})
		if _, err := c.Fate(t.Context(), 99, "main"); !isPermanent(err) {
			t.Errorf("of no pull request: %v", err)
		}
		h.Front = githubtest.Down
		if _, err := c.Fate(t.Context(), n, "main"); err == nil || isPermanent(err) {
			t.Errorf("while it is down: %v", err)
		}
	})
}
