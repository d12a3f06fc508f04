package github_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

// TestHost: the host of githubtest behind a socket, in one story: what happens is
// told to the webhook, and each answer to it stands once.
func TestHost(t *testing.T) {
	var mu sync.Mutex
	var woken []string
	hook, err := github.Webhook(secret, func(e github.Event) {
		mu.Lock()
		defer mu.Unlock()
		woken = append(woken, strings.TrimSpace(e.Name+" "+e.Action+" "+e.Commit))
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(hook)
	defer s.Close()

	h := githubtest.New("acme/mesh")
	h.Hook(s.URL, string(secret))
	c, err := github.New(github.Config{BaseURL: h.Serve(t), Owner: "acme", Repo: "mesh", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	began, merged := time.Now(), strings.Repeat("c", 40)
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n := h.Open(githubtest.Pull{Head: commit, Title: "more to v2"})
	pulls, err := c.PullRequests(t.Context(), "main")
	if err != nil || len(pulls) != 1 || pulls[0].Number != n {
		t.Fatalf("%v, %v", pulls, err)
	}
	do(c.SetStatus(t.Context(), commit, "meshwright/check", good))
	do(c.SetComment(t.Context(), n, "plan", "3 routes"))
	h.Permit("ada", "maintain")
	command := h.Comment("ada", n, "/meshwright plan")
	said, err := c.Comments(t.Context(), began)
	if err != nil || len(said) != 2 || said[1].ID != command {
		t.Fatalf("%v, %v", said, err)
	}
	if may, err := c.MayWrite(t.Context(), said[1].Author); !may || err != nil {
		t.Errorf("%v, %v", may, err)
	}
	do(c.React(t.Context(), command, "+1"))
	h.Edit(command, "/meshwright abort x") // is told, and wakes nobody
	h.Meet(githubtest.Down)
	if err := c.SetComment(t.Context(), n, "plan", "4 routes"); err == nil || isPermanent(err) {
		t.Errorf("while it is down: %v", err)
	}
	h.Meet(nil)
	do(c.SetComment(t.Context(), n, "plan", "4 routes"))
	h.Queue("main", "pr-1-x", "head1")
	if groups, err := c.MergeGroups(t.Context(), "main"); err != nil || !slices.Equal(groups, []string{"head1"}) {
		t.Errorf("%v, %v", groups, err)
	}
	h.Merge(n, merged)
	h.Push("main", commit, merged)
	if of, err := c.PullOf(t.Context(), merged); of != n || err != nil {
		t.Errorf("%d, %v", of, err)
	}
	do(c.SetDeployment(t.Context(), merged, "prod", sources.Status{State: sources.Success}))
	h.Rerequest(merged, "meshwright/check")

	if failed := h.Failed(); len(failed) > 0 {
		t.Errorf("deliveries: %s", failed)
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{
		"pull_request opened", "issue_comment created", "merge_group checks_requested", "pull_request closed", "push", "check_run rerequested " + merged,
	}
	if diff := cmp.Diff(want, woken); diff != "" {
		t.Error("woken (-want +got)\n" + diff)
	}
	if got := h.Comments(n); len(got) != 2 || got[0].Edits != 1 || fmt.Sprint(got[1].Reactions) != "[mesh-bot +1]" {
		t.Errorf("comments: %+v", got)
	}
}

// TestHostIsStrict about what our client never sends.
func TestHostIsStrict(t *testing.T) {
	h := githubtest.New("acme/mesh")
	h.Install(meshApp)
	base := h.Serve(t) + "repos/acme/mesh/"
	n := h.Open(githubtest.Pull{Head: commit})
	for name, test := range map[string]struct {
		path, body, want string
	}{
		"141 characters":    {"statuses/" + commit, `{"state": "success", "context": "x", "description": "` + strings.Repeat("x", 141) + `"}`, "maximum is 140 characters"},
		"256 characters":    {"statuses/" + commit, `{"state": "success", "context": "` + strings.Repeat("x", 256) + `"}`, "maximum is 255 characters"},
		"an odd state":      {"statuses/" + commit, `{"state": "odd", "context": "x"}`, "state is not included"},
		"65,537 characters": {fmt.Sprintf("issues/%d/comments", n), `{"body": "` + strings.Repeat("x", 65_537) + `"}`, "maximum is 65536 characters"},
		"an empty comment":  {fmt.Sprintf("issues/%d/comments", n), `{"body": " "}`, "cannot be blank"},
		"a person's check":  {"check-runs", `{"name": "x", "head_sha": "` + commit + `"}`, "authenticate via a GitHub App"},
		"auto_merge":        {"deployments", `{"ref": "` + commit + `"}`, "Auto-merged"},
		"required contexts": {"deployments", `{"ref": "` + commit + `", "auto_merge": false}`, "Commit status checks failed"},
		"no JSON":           {"deployments", `{`, "Problems parsing JSON"},
		"a tree of nothing": {"git/trees", `{"tree": []}`, "Invalid tree info"},
		"an odd mode":       {"git/trees", `{"tree": [{"path": "a", "mode": "0644", "type": "blob", "sha": null}]}`, "valid tree.mode"},
		"a path from above": {"git/trees", `{"tree": [{"path": "/a", "mode": "100644", "type": "blob", "sha": null}]}`, "malformed path"},
		"no such tree":      {"git/commits", `{"message": "x", "tree": "` + commit + `"}`, "Tree SHA does not exist"},
		"a short ref":       {"git/refs", `{"ref": "main", "sha": "` + commit + `"}`, "must start with 'refs/'"},
		"no such head":      {"pulls", `{"title": "x", "head": "nowhere", "base": "main"}`, `"code":"invalid"`},
		"a long title":      {"pulls", `{"title": "` + strings.Repeat("x", 257) + `", "head": "x", "base": "main"}`, "maximum is 256 characters"},
		"no such path":      {"shrug", `{}`, "Not Found"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 1000)
		size, _ := resp.Body.Read(body)
		resp.Body.Close()
		if !strings.Contains(string(body[:size]), test.want) {
			t.Errorf("%s: %s %s; want %q", name, resp.Status, body[:size], test.want)
		}
	}
}
