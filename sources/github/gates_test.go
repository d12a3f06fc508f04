package github_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

func TestApprovals(t *testing.T) {
	h := newHost(t)
	h.PerPage = 3
	c, _ := h.client()
	for login, permission := range map[string]string{"wim": "write", "mia": "maintain", "zoe": "admin", "rob": "read", "dependabot[bot]": "write"} {
		h.Permit(login, permission)
	}
	n := h.Open(githubtest.Pull{Head: "one"})
	look := func(what, head string, want ...string) {
		t.Helper()
		if got, err := c.Approvals(t.Context(), n, head); !slices.Equal(got, want) || err != nil {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	look("no review", "one")
	for _, login := range []string{"zoe", "wim", "rob", "nobody", "dependabot[bot]", githubtest.Account} {
		h.Review(login, n, "APPROVED")
	}
	h.Review("mia", n, "COMMENTED")
	look("by who may write", "one", "wim", "zoe")
	h.Review("wim", n, "COMMENTED")
	look("a comment takes nothing back", "one", "wim", "zoe")
	h.Review("wim", n, "CHANGES_REQUESTED")
	look("changes requested", "one", "zoe")
	h.Review("zoe", n, "DISMISSED")
	look("dismissed", "one")
	h.Review("wim", n, "APPROVED")
	look("the last word counts", "one", "wim")
	h.Change(n, "synchronize", func(p *githubtest.Pull) { p.Head = "two" })
	look("another head", "two")
	h.Review("mia", n, "APPROVED")
	look("for that head", "two", "mia")
	if _, err := c.Approvals(t.Context(), 99, "two"); !isPermanent(err) {
		t.Errorf("of no pull request: %v", err)
	}
	h.Permit("pia", "write")
	h.Review("pia", n, "APPROVED")
	h.Front = func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/permission") {
			return answer(502, ""), nil
		}
		return nil, nil
	}
	if got, err := c.Approvals(t.Context(), n, "two"); err == nil {
		t.Errorf("nobody says who may write: %q", got)
	}
}

func TestStatusOf(t *testing.T) {
	h := newHost(t)
	c, _ := h.client()
	look := func(what, context string, want sources.StatusState) {
		t.Helper()
		if got, err := c.StatusOf(t.Context(), commit, context); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	look("nothing", "load-test", "")
	h.AddStatus("jenkins", githubtest.Status{Commit: commit, State: "pending", Context: "load-test"})
	h.AddStatus("ada", githubtest.Status{Commit: commit, State: "success", Context: "load-test-2"})
	look("one of that name", "load-test", sources.Pending)
	h.AddStatus("ada", githubtest.Status{Commit: commit, State: "success", Context: "load-test"})
	look("the newest, whosever", "load-test", sources.Success)

	run := func(name string, app int64, status, conclusion string) {
		h.AddCheckRun(githubtest.CheckRun{Commit: commit, Name: name, App: app, Status: status, Conclusion: conclusion})
	}
	run("load-test", 1, "completed", "failure")
	h.Calls()
	look("a commit status goes before check runs", "load-test", sources.Success)
	if calls := h.Calls(); len(calls) != 1 {
		t.Errorf("%s; want one", calls)
	}
	for conclusion, want := range map[string]sources.StatusState{
		"success": sources.Success, "neutral": sources.Success, "skipped": sources.Success, "failure": sources.Failure, "timed_out": sources.Failure,
		"action_required": sources.Failure, "startup_failure": sources.Failure, "cancelled": sources.Errored, "stale": sources.Errored,
	} {
		run(conclusion, 1, "completed", conclusion)
		look(conclusion, conclusion, want)
	}
	run("e2e", 1, "completed", "failure")
	run("e2e", 1, "completed", "success")
	look("the newest of an App", "e2e", sources.Success)
	run("e2e", 2, "in_progress", "")
	look("another App's still runs", "e2e", sources.Pending)
	run("e2e", 3, "completed", "cancelled")
	look("the worst", "e2e", sources.Errored)
	if got, err := c.StatusOf(t.Context(), strings.Repeat("1", 40), "e2e"); got != "" || err != nil {
		t.Errorf("an unknown commit: %q, %v", got, err)
	}
	h.Front = func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/check-runs") {
			return answer(403, `{"message": "Resource not accessible by personal access token"}`), nil
		}
		return nil, nil
	}
	if got, err := c.StatusOf(t.Context(), commit, "e2e"); got != "" || err == nil || !strings.Contains(err.Error(), "checks (read) of acme/mesh") {
		t.Errorf("out of sight: %q, %v; that is no answer", got, err)
	}
}
