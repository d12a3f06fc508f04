package github_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

func TestMergeGroups(t *testing.T) {
	h := newHost(t)
	c, _ := h.client()
	look := func(base string, want ...string) {
		t.Helper()
		if got, err := c.MergeGroups(t.Context(), base); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", base, got, err, want)
		}
	}
	look("main")
	h.Queue("main", "pr-104-b", "head104")
	h.Queue("main", "pr-103-a", "head103")
	h.Queue("main-2", "pr-7-c", "other")
	h.Queue("release/1.0", "pr-9-c", "head9")
	look("main", "head103", "head104")
	fresh := false
	h.Back = func(_ *http.Request, resp *http.Response) (*http.Response, error) {
		fresh = fresh || resp.StatusCode != http.StatusNotModified
		return resp, nil
	}
	if look("main", "head103", "head104"); fresh {
		t.Error("asking again is not free")
	}
	look("release/1.0", "head9")
	h.Queue("main", "pr-103-a", "")
	look("main", "head104")
	for _, status := range []int{404, 409} {
		h.Front = func(*http.Request) (*http.Response, error) { return answer(status, `{"message": "no"}`), nil }
		look("main")
	}
	h.Front = func(*http.Request) (*http.Response, error) { return answer(502, ""), nil }
	if _, err := c.MergeGroups(t.Context(), "main"); err == nil {
		t.Error("a host that is down has no groups")
	}
}

func TestPullOf(t *testing.T) {
	h := newHost(t)
	h.Knows = func(sha string) bool { return sha != "unknown" }
	c, _ := h.client()
	squashed, rebased, inner, outer := h.Open(githubtest.Pull{Head: "a"}), h.Open(githubtest.Pull{Head: "b"}), h.Open(githubtest.Pull{Head: "c"}), h.Open(githubtest.Pull{Head: "d"})
	h.Open(githubtest.Pull{Head: "e"})
	h.Merge(squashed, "a2")
	h.Merge(rebased, "b3", "b1", "b2")
	h.Merge(inner, "c2")
	h.Merge(outer, "d2", "c2", "c9")
	for commit, want := range map[string]int{
		"a2": squashed, "b1": rebased, "b3": rebased, "c2": inner, "d2": outer, "c9": outer,
		"e": 0, "unknown": 0, "pushed": 0,
	} {
		if got, err := c.PullOf(t.Context(), commit); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", commit, got, err, want)
		}
	}
	h.Front = func(*http.Request) (*http.Response, error) { return answer(502, ""), nil }
	if _, err := c.PullOf(t.Context(), "a2"); err == nil {
		t.Error("a host that is down says 0")
	}
}

func TestSetDeployment(t *testing.T) {
	h := newHost(t)
	c, _ := h.client()
	h.AddDeployment("mallory", commit, "prod")
	set := func(s sources.Status, wantCalls int) {
		t.Helper()
		h.Calls()
		if err := c.SetDeployment(t.Context(), commit, "prod", s); err != nil {
			t.Fatal(err)
		}
		if calls := h.Calls(); len(calls) != wantCalls {
			t.Errorf("%s: %d calls; want %d: %s", s.State, len(calls), wantCalls, calls)
		}
	}
	pending := sources.Status{State: sources.Pending, Description: "2 of 3 proxies"}
	set(pending, 4) // who are we, is there one, make it, its status
	set(pending, 0)
	set(good, 1)
	c, _ = h.client()
	set(good, 3) // the next process finds it, and its status
	set(sources.Status{State: sources.Failure, Description: strings.Repeat("é", 200)}, 1)
	set(sources.Status{State: sources.Errored}, 1)
	var got []string
	for _, d := range h.Deployments()[1:] {
		for _, s := range slices.Backward(d.Statuses) {
			got = append(got, strings.Join([]string{d.Commit[:3], d.Environment, s.State, s.Description, s.LogURL}, "|"))
		}
	}
	want := []string{
		"4be|prod|in_progress|2 of 3 proxies|", "4be|prod|success|12 resources|https://mesh.example.com/#4be1c0d",
		"4be|prod|failure|" + strings.Repeat("é", 139) + "…|", "4be|prod|error||",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
	if err := c.SetDeployment(t.Context(), strings.Repeat("1", 40), "prod", good); !isPermanent(err) {
		t.Errorf("a commit that is gone: %v; want Permanent", err)
	}
	// A deployment whose answer was lost is found, not made again.
	h.Back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
		if r.Method == http.MethodPost {
			return nil, io.ErrUnexpectedEOF
		}
		return resp, nil
	}
	if err := c.SetDeployment(t.Context(), commit, "staging", good); err == nil || isPermanent(err) {
		t.Errorf("lost: %v", err)
	}
	h.Back = nil
	if err := c.SetDeployment(t.Context(), commit, "staging", good); err != nil || len(h.Deployments()) != 3 {
		t.Errorf("after it: %v, %d deployments; want 3", err, len(h.Deployments()))
	}
}
