package github_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
)

// emulated is a GitHub that nobody here wrote, with a repository, a pull request
// and an App whose deliveries our handler takes.
type emulated struct {
	t    testing.TB
	api  string
	hook string // where our handler is
	key  []byte // of the App, PEM
	head string // of the pull request
	pull int

	mu     sync.Mutex // guards:
	events []string   // what has woken: NAME ACTION COMMIT, without what it lacks
	codes  []string   // how each delivery was answered: NAME CODE
}

const emulateSeed = `
tokens:
  tok_dev: {login: mesh-dev, scopes: [repo, user, "admin:repo_hook"]}
  tok_bot: {login: mesh-bot, scopes: [repo]}
github:
  users: [{login: mesh-dev}, {login: mesh-bot}]
  orgs: [{login: acme, members: [{login: mesh-dev, role: admin}]}]
  repos: [{owner: acme, name: mesh, auto_init: true}]
  apps:
    - app_id: 4242
      slug: mesh-app
      name: mesh-app
      private_key: |
        %s
      permissions: {contents: read, checks: write, pull_requests: write}
      events: [push, pull_request, check_run, check_suite, issue_comment]
      webhook_url: %s
      webhook_secret: %q
      installations: [{installation_id: 777, account: acme, repository_selection: all}]
`

func newEmulated(t testing.TB) *emulated {
	e := &emulated{t: t}
	h, err := github.Webhook(secret, func(ev github.Event) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.events = append(e.events, strings.TrimSpace(ev.Name+" "+ev.Action+" "+ev.Commit))
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		e.mu.Lock()
		e.codes = append(e.codes, fmt.Sprint(r.Header.Get("X-GitHub-Event"), " ", rec.Code))
		e.mu.Unlock()
		w.WriteHeader(rec.Code)
	}))
	t.Cleanup(hook.Close)
	e.hook = hook.URL
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e.key = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	indented := strings.ReplaceAll(strings.TrimSpace(string(e.key)), "\n", "\n        ")
	e.api = fixtures.Emulate(t, fmt.Sprintf(emulateSeed, indented, hook.URL, secret))

	var main struct{ Object struct{ SHA string } }
	e.call("GET", "repos/acme/mesh/git/ref/heads/main", nil, &main)
	e.call("POST", "repos/acme/mesh/git/refs", map[string]any{"ref": "refs/heads/more", "sha": main.Object.SHA}, nil)
	var put struct{ Commit struct{ SHA string } }
	e.call("PUT", "repos/acme/mesh/contents/mesh.yaml", map[string]any{"message": "add a mesh", "content": "YQ==", "branch": "more"}, &put)
	var opened struct{ Number int }
	e.call("POST", "repos/acme/mesh/pulls", map[string]any{"title": "more", "head": "more", "base": "main"}, &opened)
	e.head, e.pull = put.Commit.SHA, opened.Number
	return e
}

// call is what a person does at the host.
func (e *emulated) call(method, path string, in, out any) {
	e.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		e.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.api+path, bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer tok_dev")
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		e.t.Fatalf("%s %s: %s %s (%v)", method, path, resp.Status, answer, err)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			e.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

// ping makes a hook of the repository and has it pinged.
func (e *emulated) ping(secret string) {
	e.t.Helper()
	var made struct{ ID int }
	e.call("POST", "repos/acme/mesh/hooks", map[string]any{
		"name": "web", "events": []string{"push"}, "config": map[string]any{"url": e.hook, "content_type": "json", "secret": secret},
	}, &made)
	e.call("POST", fmt.Sprintf("repos/acme/mesh/hooks/%d/pings", made.ID), nil, nil)
}

// wakes waits until an event has woken, and forgets it.
func (e *emulated) wakes(event string) { e.t.Helper(); e.await(&e.events, event) }

// answered waits until a delivery was answered so, and forgets it.
func (e *emulated) answered(delivery string) { e.t.Helper(); e.await(&e.codes, delivery) }

func (e *emulated) await(all *[]string, want string) {
	e.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		e.mu.Lock()
		i := slices.Index(*all, want)
		if i >= 0 {
			*all = slices.Delete(*all, i, i+1)
		}
		events, codes := strings.Join(e.events, ", "), strings.Join(e.codes, ", ")
		e.mu.Unlock()
		switch {
		case i >= 0:
			return
		case time.Now().After(deadline):
			e.t.Fatalf("no %s; what woke: %s; deliveries: %s", want, events, codes)
		}
	}
}

// TestEmulate: the comment is one, and what happens at the host wakes, told by
// deliveries to an App and to a hook of the repository that it has signed.
func TestEmulate(t *testing.T) {
	t.Parallel()
	e := newEmulated(t)
	e.wakes("push")
	e.wakes("pull_request opened")
	c, err := github.New(github.Config{BaseURL: e.api, Owner: "acme", Repo: "mesh", Token: "tok_bot"})
	if err != nil {
		t.Fatal(err)
	}
	pulls, err := c.PullRequests(t.Context(), "main")
	want := []sources.PullRequest{{Number: e.pull, Head: e.head, Base: "main", Title: "more", Author: "mesh-dev"}}
	if diff := cmp.Diff(want, pulls); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for login, want := range map[string]bool{"mesh-dev": true, "mesh-bot": false, "nobody": false} {
		if may, err := c.MayWrite(t.Context(), login); err != nil || may != want {
			t.Errorf("may %s write: %v, %v", login, may, err)
		}
	}

	e.call("POST", fmt.Sprintf("repos/acme/mesh/issues/%d/comments", e.pull), map[string]any{"body": "<!-- meshwright:pull -->\nforged"}, nil)
	e.wakes("issue_comment created")
	for _, text := range []string{"**3 routes**", "**4 routes**", "**4 routes**"} {
		if err := c.SetComment(t.Context(), e.pull, "pull", text); err != nil {
			t.Fatal(err)
		}
	}
	e.wakes("issue_comment created")
	e.answered("issue_comment 204") // the edit
	var comments []struct {
		Body string
		User struct{ Login string }
	}
	e.call("GET", fmt.Sprintf("repos/acme/mesh/issues/%d/comments", e.pull), nil, &comments)
	if len(comments) != 2 || comments[1].User.Login != "mesh-bot" || !strings.HasSuffix(comments[1].Body, "**4 routes**") || !strings.HasSuffix(comments[0].Body, "forged") {
		t.Errorf("comments: %+v", comments)
	}

	var run struct {
		ID    int
		Suite struct{ ID int } `json:"check_suite"`
	}
	e.call("POST", "repos/acme/mesh/check-runs", map[string]any{"name": "meshwright/check", "head_sha": e.head}, &run)
	e.answered("check_run 204")
	e.call("POST", fmt.Sprintf("repos/acme/mesh/check-runs/%d/rerequest", run.ID), nil, nil)
	e.wakes("check_run rerequested " + e.head)
	e.call("POST", fmt.Sprintf("repos/acme/mesh/check-suites/%d/rerequest", run.Suite.ID), nil, nil)
	e.wakes("check_suite rerequested " + e.head)

	e.ping(string(secret))
	e.answered("ping 200")
	e.call("PATCH", fmt.Sprintf("repos/acme/mesh/pulls/%d", e.pull), map[string]any{"state": "closed"}, nil)
	e.wakes("pull_request closed")
	e.ping("another")
	e.answered("ping 401")
}
