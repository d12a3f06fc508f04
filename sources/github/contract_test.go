package github_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
)

// TestContract holds what we send and what we read against the shapes of the
// REST API's documentation and of Gitea 1.26, shortened by fields that nobody
// here reads.
func TestContract(t *testing.T) {
	const sha = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
	h := newHost(t)
	h.Grant(token, "octocat")
	c, _ := h.client()

	t.Run("create a status", func(t *testing.T) {
		h.Front = func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			var sent map[string]any
			if err := json.Unmarshal(body, &sent); err != nil {
				t.Error(err)
			}
			want := map[string]any{"state": "success", "target_url": "https://mesh.example.com/#4be1c0d", "description": "12 resources", "context": "meshwright/check"}
			if diff := cmp.Diff(want, sent); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
			if got := r.Method + " " + r.URL.String(); got != "POST https://git.example.com/api/v3/repos/acme/mesh/statuses/"+sha {
				t.Error(got)
			}
			for name, want := range map[string]string{"Accept": "application/vnd.github.v3+json", "Content-Type": "application/json", "Authorization": "Bearer " + token, "User-Agent": "meshwright"} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: %q; want %q", name, got, want)
				}
			}
			return answer(201, `{
  "url": "https://api.github.com/repos/octocat/Hello-World/statuses/6dcb09b5b57875f334f61aebed695e2e4193db5e",
  "avatar_url": "https://github.com/images/error/other_user_happy.gif", "id": 1, "node_id": "MDY6U3RhdHVzMQ==",
  "state": "success", "description": "12 resources", "target_url": "https://mesh.example.com/#4be1c0d", "context": "meshwright/check",
  "created_at": "2012-07-20T01:19:13Z", "updated_at": "2012-07-20T01:19:13Z",
  "creator": {"login": "octocat", "id": 1, "type": "User", "site_admin": false}
}`), nil
		}
		if err := c.SetStatus(t.Context(), sha, "meshwright/check", good); err != nil {
			t.Error(err)
		}
	})

	list := func(t *testing.T, body string) map[string]sources.Status {
		h.Front = func(r *http.Request) (*http.Response, error) {
			if got := r.Method + " " + r.URL.String(); got != "GET https://git.example.com/api/v3/repos/acme/mesh/commits/"+sha+"/statuses?per_page=100" {
				t.Error(got)
			}
			return answer(200, body), nil
		}
		got, err := c.Statuses(t.Context(), sha)
		if err != nil {
			t.Error(err)
		}
		return got
	}
	t.Run("list statuses of GitHub", func(t *testing.T) {
		got := list(t, `[
  {"url": "https://api.github.com/repos/octocat/Hello-World/statuses/6dcb09b5b57875f334f61aebed695e2e4193db5e", "id": 2, "node_id": "MDY6U3RhdHVzMg==",
   "state": "failure", "description": "a.yaml:3:1: error", "target_url": null, "context": "meshwright/check", "created_at": "2012-07-20T01:19:14Z", "updated_at": "2012-07-20T01:19:14Z",
   "creator": {"login": "octocat", "id": 1, "type": "User"}},
  {"url": "https://api.github.com/repos/octocat/Hello-World/statuses/6dcb09b5b57875f334f61aebed695e2e4193db5e", "id": 1, "node_id": "MDY6U3RhdHVzMQ==",
   "state": "success", "description": "12 resources", "target_url": "https://mesh.example.com/#4be1c0d", "context": "meshwright/check", "created_at": "2012-07-20T01:19:13Z", "updated_at": "2012-07-20T01:19:13Z",
   "creator": {"login": "octocat", "id": 1, "type": "User"}},
  {"id": 3, "state": "success", "description": null, "target_url": null, "context": "default", "creator": null}
]`)
		if diff := cmp.Diff(map[string]sources.Status{"meshwright/check": {State: sources.Failure, Description: "a.yaml:3:1: error"}}, got); diff != "" {
			t.Error("(-want +got)\n" + diff)
		}
	})
	t.Run("list statuses of Gitea, oldest first", func(t *testing.T) {
		got := list(t, `[
  {"id": 1, "status": "pending", "target_url": "", "description": "", "url": "http://127.0.0.1:3000/api/v1/repos/acme/mesh/statuses/6dcb09b5b57875f334f61aebed695e2e4193db5e", "context": "meshwright/check",
   "creator": {"id": 1, "login": "octocat", "login_name": "", "full_name": "", "username": "octocat"}, "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z"},
  {"id": 2, "status": "success", "target_url": "https://mesh.example.com/#4be1c0d", "description": "12 resources", "url": "http://127.0.0.1:3000/api/v1/repos/acme/mesh/statuses/6dcb09b5b57875f334f61aebed695e2e4193db5e", "context": "meshwright/check",
   "creator": {"id": 1, "login": "octocat", "login_name": "", "full_name": "", "username": "octocat"}, "created_at": "2026-01-02T03:04:06Z", "updated_at": "2026-01-02T03:04:06Z"}
]`)
		if diff := cmp.Diff(map[string]sources.Status{"meshwright/check": good}, got); diff != "" {
			t.Error("(-want +got)\n" + diff)
		}
	})
	t.Run("list pull requests", func(t *testing.T) {
		h.Front = func(r *http.Request) (*http.Response, error) {
			if got := r.Method + " " + r.URL.String(); got != "GET https://git.example.com/api/v3/repos/acme/mesh/pulls?state=open&per_page=100&base=release%2F1.0" {
				t.Error(got)
			}
			return answer(200, `[{
  "url": "https://api.github.com/repos/octocat/Hello-World/pulls/1347", "id": 1, "number": 1347, "state": "open", "locked": true, "title": "Amazing new feature", "body": null, "draft": false,
  "user": {"login": "octocat", "id": 1, "type": "User"}, "merge_commit_sha": "e5bd3914e2e596debea16f433f57875b5b90bcd6", "author_association": "OWNER", "auto_merge": null, "labels": [{"id": 208045946, "name": "bug", "color": "f29513", "default": true}],
  "head": {"label": "octocat:new-topic", "ref": "new-topic", "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e", "user": {"login": "octocat"}, "repo": {"id": 1296270, "full_name": "hubot/Hello-World", "fork": true}},
  "base": {"label": "octocat:release/1.0", "ref": "release/1.0", "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e", "user": {"login": "octocat"}, "repo": {"id": 1296269, "full_name": "octocat/Hello-World", "fork": false}}
}]`), nil
		}
		got, err := c.PullRequests(t.Context(), "release/1.0")
		if err != nil {
			t.Fatal(err)
		}
		want := []sources.PullRequest{{Number: 1347, Head: sha, Base: "release/1.0", Title: "Amazing new feature", Author: "octocat", Labels: []string{"bug"}, Fork: true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("(-want +got)\n" + diff)
		}
	})
}

// TestGiteaLists are asked for in its words, and go on without links.
func TestGiteaLists(t *testing.T) {
	var asked []string
	c, err := github.New(github.Config{BaseURL: "https://git.example.com/api/v1", Owner: "acme", Repo: "mesh", Token: token, Transport: front(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.RequestURI())
		if r.URL.Path == "/api/v1/user" {
			return answer(200, `{"login": "mesh-bot"}`), nil
		}
		// Every page has one comment, so that we see it end by the count alone.
		return answer(200, `[{"id": `+fmt.Sprint(len(asked))+`, "html_url": "https://git.example.com/acme/mesh/pulls/7#issuecomment-1", "created_at": "2026-11-25T09:00:00Z", "user": {"login": "ada"}}]`, "X-Total-Count: 101"), nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Comments(t.Context(), time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC))
	if err != nil || len(got) != 3 {
		t.Errorf("%d comments, %v; want 3", len(got), err)
	}
	const list = "/api/v1/repos/acme/mesh/issues/comments?sort=created&direction=asc&per_page=100&since=2026-11-25T09%3A00%3A00Z"
	if diff := cmp.Diff([]string{list + "&limit=50", list + "&page=2&limit=50", list + "&page=3&limit=50", "/api/v1/user"}, asked); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// front is a transport in one function.
type front func(*http.Request) (*http.Response, error)

func (f front) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
