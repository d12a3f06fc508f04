package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
)

// giteaHost is a Gitea with a repository, where a person and the daemon's own
// account act.
type giteaHost struct {
	t *testing.T
	*lab.Gitea
	bot string // the token of mesh-bot, who may write
}

// as sends a request to the API; in and out are JSON, or nil.
func (g *giteaHost) as(token, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.URL+"/api/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s %s (%v)", method, path, resp.Status, answer, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (g *giteaHost) do(method, path string, in, out any) {
	g.t.Helper()
	must(g.t, g.as("token "+g.Token, method, path, in, out))
}

// client is one of the daemon's account.
func (g *giteaHost) client() *github.Client {
	c, err := github.New(github.Config{BaseURL: g.URL + "/api/v1/", Owner: g.Owner, Repo: repository, Token: sources.Secret(g.bot)})
	must(g.t, err)
	return c
}

// change commits a file on a new branch and opens a pull request for it.
func (g *giteaHost) change(branch string) (number int, head string) {
	g.t.Helper()
	var put struct{ Commit struct{ SHA string } }
	g.do("POST", "repos/acme/mesh/contents/"+branch+".yaml", map[string]any{
		"content": base64.StdEncoding.EncodeToString([]byte(branch)), "message": branch, "branch": "main", "new_branch": branch,
	}, &put)
	must(g.t, g.OpenPull(g.t.Context(), repository, branch, branch))
	var pulls []struct {
		Number int
		Head   struct{ SHA string }
	}
	g.do("GET", "repos/acme/mesh/pulls?state=open", nil, &pulls)
	for _, p := range pulls {
		if p.Head.SHA == put.Commit.SHA {
			return p.Number, put.Commit.SHA
		}
	}
	g.t.Fatalf("no pull request of %s", put.Commit.SHA)
	return 0, ""
}

func newGiteaHost(t *testing.T) *giteaHost {
	l := newLab(t)
	gitea, err := l.StartGitea(t.Context(), realPart(t, "gitea"))
	must(t, err)
	g := &giteaHost{t: t, Gitea: gitea}
	g.do("POST", "user/repos", map[string]any{"name": repository, "default_branch": "main", "auto_init": true}, nil)
	for login, permission := range map[string]string{"mesh-bot": "write", "wim": "write", "rob": "read", "ned": ""} {
		g.do("POST", "admin/users", map[string]any{"username": login, "email": login + "@example.com", "password": "correct horse", "must_change_password": false}, nil)
		if permission != "" {
			g.do("PUT", "repos/acme/mesh/collaborators/"+login, map[string]any{"permission": permission}, nil)
		}
	}
	var token struct{ SHA1 string }
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("mesh-bot:correct horse"))
	must(t, g.as(basic, "POST", "users/mesh-bot/tokens", map[string]any{"name": "daemon", "scopes": []string{"write:repository", "write:issue", "read:user"}}, &token))
	g.bot = token.SHA1
	return g
}

// TestE2EGitea holds each method of the client against a Gitea: it speaks
// GitHub's API, with differences.
func TestE2EGitea(t *testing.T) {
	t.Parallel() // it waits for a Gitea most of the time
	g := newGiteaHost(t)
	c, ctx := g.client(), t.Context()
	began := time.Now().Add(-time.Second)
	number, head := g.change("idea")
	g.do("POST", "repos/acme/mesh/labels", map[string]any{"name": "risky", "color": "#ff0000"}, nil)
	g.do("POST", fmt.Sprintf("repos/acme/mesh/issues/%d/labels", number), map[string]any{"labels": []string{"risky"}}, nil)
	issue := fmt.Sprintf("repos/acme/mesh/issues/%d", number)

	t.Run("limits", func(t *testing.T) {
		if l := c.Limits(); l.Deployments || l.Annotations || l.Comment == 0 {
			t.Errorf("%+v", l)
		}
		err := c.SetDeployment(ctx, head, "prod", sources.Status{State: sources.Success})
		if _, ok := errors.AsType[*sources.Permanent](err); !ok {
			t.Errorf("deployment: %v", err)
		}
	})
	t.Run("pull_requests", func(t *testing.T) {
		got, err := c.PullRequests(ctx, "main")
		want := []sources.PullRequest{{Number: number, Head: head, Base: "main", Title: "idea", Author: "acme", Labels: []string{"risky"}}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		if got, err := c.PullRequests(ctx, "release"); err != nil || len(got) != 0 {
			t.Errorf("of another branch: %v, %v", got, err)
		}
		if got, err := c.MergeGroups(ctx, "main"); err != nil || len(got) != 0 {
			t.Errorf("merge groups: %v, %v", got, err)
		}
		g.do("PATCH", fmt.Sprintf("repos/acme/mesh/pulls/%d", number), map[string]any{"title": "WIP: idea"}, nil)
		if got, err := c.PullRequests(ctx, "main"); err != nil || !got[0].Draft {
			t.Errorf("a draft: %+v, %v", got, err)
		}
	})
	t.Run("statuses", func(t *testing.T) {
		for _, s := range []sources.Status{{State: sources.Pending}, {State: sources.Failure, Description: strings.Repeat("é", 200), URL: "https://mesh.example.com/"}} {
			must(t, c.SetStatus(ctx, head, "meshwright/check", s))
		}
		got, err := c.Statuses(ctx, head)
		want := map[string]sources.Status{"meshwright/check": {State: sources.Failure, Description: strings.Repeat("é", 139) + "…", URL: "https://mesh.example.com/"}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		err = c.SetStatus(ctx, strings.Repeat("1", 40), "meshwright/check", sources.Status{State: sources.Success})
		if _, ok := errors.AsType[*sources.Permanent](err); !ok {
			t.Errorf("a commit that is not there: %v", err)
		}
	})
	t.Run("the_comment", func(t *testing.T) {
		for range 60 { // more than a page
			g.do("POST", issue+"/comments", map[string]any{"body": "<!-- meshwright:plan -->\nforged"}, nil)
		}
		for _, text := range []string{"one", "two", "two"} {
			must(t, c.SetComment(ctx, number, "plan", text))
		}
		must(t, g.client().SetComment(ctx, number, "plan", "two")) // the next process
		must(t, g.client().SetComment(ctx, number, "plan", "**three**"))
		var all []struct {
			Body string
			User struct{ Login string }
		}
		g.do("GET", issue+"/comments", nil, &all)
		if len(all) != 61 || all[60].User.Login != "mesh-bot" || all[60].Body != "<!-- meshwright:plan -->\n**three**" {
			t.Errorf("%d comments, the last %+v; want 61", len(all), all[len(all)-1])
		}
		err := c.SetComment(ctx, 999, "plan", "text")
		if _, ok := errors.AsType[*sources.Permanent](err); !ok {
			t.Errorf("on no pull request: %v", err)
		}
	})
	t.Run("comments", func(t *testing.T) {
		var said, edited struct{ ID int64 }
		g.do("POST", "repos/acme/mesh/issues", map[string]any{"title": "an issue"}, nil)
		g.do("POST", fmt.Sprintf("repos/acme/mesh/issues/%d/comments", number+1), map[string]any{"body": "of the issue"}, nil)
		g.do("POST", issue+"/comments", map[string]any{"body": "/meshwright plan"}, &said)
		g.do("POST", issue+"/comments", map[string]any{"body": "/meshwright"}, &edited)
		must(t, c.React(ctx, said.ID, "eyes"))
		time.Sleep(1100 * time.Millisecond) // the host counts in seconds
		g.do("PATCH", fmt.Sprintf("repos/acme/mesh/issues/comments/%d", edited.ID), map[string]any{"body": "/meshwright help"}, nil)
		must(t, c.React(ctx, said.ID, "+1"))

		got, err := c.Comments(ctx, began)
		must(t, err)
		got = slices.DeleteFunc(got, func(c sources.Comment) bool { return c.Pull == 0 }) // the issue's
		if len(got) != 63 {
			t.Fatalf("%d comments; want 63", len(got))
		}
		want := []sources.Comment{
			{Pull: number, Author: "mesh-bot", Bot: true, Body: "<!-- meshwright:plan -->\n**three**"},
			{ID: said.ID, Pull: number, Author: "acme", Body: "/meshwright plan"},
			{ID: edited.ID, Pull: number, Author: "acme", Edited: true, Body: "/meshwright help"},
		}
		want[0].ID, want[0].Edited = got[60].ID, got[60].Edited // whether that took a second
		if diff := cmp.Diff(want, got[60:], cmpopts.IgnoreFields(sources.Comment{}, "Created")); diff != "" {
			t.Error("(-want +got)\n" + diff)
		}
		if got, err := c.Comments(ctx, time.Now().Add(time.Hour)); err != nil || len(got) != 0 {
			t.Errorf("of later: %v, %v", got, err)
		}
	})
	t.Run("reactions", func(t *testing.T) {
		var said struct{ ID int64 }
		g.do("POST", issue+"/comments", map[string]any{"body": "/meshwright pause x"}, &said)
		for range 2 {
			for _, r := range []string{"+1", "-1", "eyes", "confused"} {
				must(t, c.React(ctx, said.ID, r))
			}
		}
		var all []struct{ Content string }
		g.do("GET", fmt.Sprintf("repos/acme/mesh/issues/comments/%d/reactions", said.ID), nil, &all)
		if len(all) != 4 {
			t.Errorf("%v; want 4, each once", all)
		}
		err := c.React(ctx, 99999, "eyes")
		if _, ok := errors.AsType[*sources.Permanent](err); !ok {
			t.Errorf("to no comment: %v", err)
		}
	})
	t.Run("permissions", func(t *testing.T) {
		if _, err := c.MayWrite(ctx, "wim"); err == nil || !strings.Contains(err.Error(), "an administrator of acme/mesh") {
			t.Errorf("asked by who may only write: %v", err)
		}
		g.do("PUT", "repos/acme/mesh/collaborators/mesh-bot", map[string]any{"permission": "admin"}, nil)
		for login, want := range map[string]bool{"acme": true, "wim": true, "mesh-bot": true, "rob": false, "ned": false, "nobody": false} {
			if got, err := c.MayWrite(ctx, login); err != nil || got != want {
				t.Errorf("%s: %v, %v; want %v", login, got, err, want)
			}
		}
	})
	t.Run("merged", func(t *testing.T) {
		for _, how := range []string{"merge", "squash", "rebase"} {
			n, head := g.change("by-" + how)
			if got, err := c.PullOf(ctx, head); err != nil || got != 0 {
				t.Errorf("%s: before: %d, %v", how, got, err)
			}
			must(t, lab.Eventually(ctx, 10*time.Second, "merge", func() error {
				return g.as("token "+g.Token, "POST", fmt.Sprintf("repos/acme/mesh/pulls/%d/merge", n), map[string]any{"Do": how}, nil)
			}))
			var main struct{ Commit struct{ ID string } }
			g.do("GET", "repos/acme/mesh/branches/main", nil, &main)
			if got, err := c.PullOf(ctx, main.Commit.ID); err != nil || got != n {
				t.Errorf("%s: %d, %v; want %d", how, got, err, n)
			}
		}
	})
	t.Run("locked_and_deleted", func(t *testing.T) {
		g.do("PUT", "repos/acme/mesh/collaborators/mesh-bot", map[string]any{"permission": "read"}, nil)
		g.do("PUT", issue+"/lock", map[string]any{"lock_reason": "Spam"}, nil)
		err := c.SetComment(ctx, number, "alarm", "text")
		if _, ok := errors.AsType[*sources.Permanent](err); !ok {
			t.Errorf("locked: %v", err)
		}
		g.do("DELETE", "repos/acme/mesh", nil, nil)
		err = c.SetComment(ctx, number, "plan", "another text")
		if _, ok := errors.AsType[*sources.Permanent](err); ok || err == nil || !strings.Contains(err.Error(), "check the name") {
			t.Errorf("the repository is gone: %v", err)
		}
	})
}
