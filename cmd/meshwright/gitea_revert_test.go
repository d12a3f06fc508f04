package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
)

// commitFiles commits files to main, as a person; "" deletes one.
func (g *giteaHost) commitFiles(message string, files map[string]string) (commit string) {
	g.t.Helper()
	var changes []map[string]string
	for path, text := range files {
		var now struct{ SHA string }
		old := g.as("token "+g.Token, "GET", "repos/acme/mesh/contents/"+path, nil, &now)
		change := map[string]string{"path": path, "operation": "create", "sha": now.SHA, "content": base64.StdEncoding.EncodeToString([]byte(text))}
		switch {
		case text == "":
			change["operation"] = "delete"
		case old == nil:
			change["operation"] = "update"
		}
		changes = append(changes, change)
	}
	var made struct{ Commit struct{ SHA string } }
	g.do("POST", "repos/acme/mesh/contents", map[string]any{"branch": "main", "message": message, "files": changes}, &made)
	return made.Commit.SHA
}

func (g *giteaHost) tip(branch string) string {
	g.t.Helper()
	var b struct{ Commit struct{ ID string } }
	g.do("GET", "repos/acme/mesh/branches/"+branch, nil, &b)
	return b.Commit.ID
}

// TestE2EGiteaRevert: a commit is undone by a pull request, from the copy of the
// repository to what a person merges.
func TestE2EGiteaRevert(t *testing.T) {
	t.Parallel() // it waits for a Gitea most of the time
	g := newGiteaHost(t)
	c, ctx := g.client(), t.Context()
	to := g.commitFiles("before", map[string]string{"mesh/router.yaml": "v1", "mesh/again.yaml": "v1", "mesh/other.yaml": "v1", "mesh/gone.yaml": "v1"})
	bad := g.commitFiles("all to v2", map[string]string{"mesh/router.yaml": "v2", "mesh/again.yaml": "v2", "mesh/new.yaml": "v2", "mesh/gone.yaml": ""})
	tip := g.commitFiles("more", map[string]string{"mesh/other.yaml": "v3", "mesh/again.yaml": "v3", "README.md": "v3"})

	dir := t.TempDir()
	repo, err := git.Open(git.Config{URL: g.RepoURL(repository), Branch: "main", Path: "mesh", Dir: dir, Auth: git.Auth{Token: sources.Secret(g.bot)}})
	must(t, err)
	_, err = repo.Fetch(ctx)
	must(t, err)
	mark, err := os.ReadFile(filepath.Join(dir, "meshwright"))
	must(t, err)
	if !strings.Contains(string(mark), "only files below mesh") {
		t.Errorf("the copy is %q: Gitea can leave files out", mark)
	}
	r, err := repo.Revert(ctx, bad, to, tip)
	must(t, err)
	if !slices.Equal(r.Left, []string{"mesh/again.yaml"}) {
		t.Errorf("left: %q", r.Left)
	}
	r.Key, r.Branch, r.Title, r.Message, r.Body = bad[:7], "main", `Revert "all to v2"`, "The canary failed.", "**why**"
	number, err := c.OpenRevert(ctx, *r)
	must(t, err)

	var opened struct {
		Title, Body string
		User        struct{ Login string }
		Head, Base  struct{ Ref string }
	}
	g.do("GET", fmt.Sprintf("repos/acme/mesh/pulls/%d", number), nil, &opened)
	got := strings.Join([]string{opened.Title, opened.Body, opened.User.Login, opened.Head.Ref, opened.Base.Ref}, "|")
	if want := `Revert "all to v2"|**why**|mesh-bot|meshwright/revert-` + bad[:7] + "|main"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	var commits []struct {
		Commit struct {
			Message string
			Author  struct{ Name string }
		}
	}
	g.do("GET", fmt.Sprintf("repos/acme/mesh/pulls/%d/commits", number), nil, &commits)
	if len(commits) != 1 || strings.TrimSpace(commits[0].Commit.Message) != "Revert \"all to v2\"\n\nThe canary failed." || commits[0].Commit.Author.Name != "mesh-bot" {
		t.Errorf("commits: %+v", commits)
	}
	if now := g.tip("main"); now != tip {
		t.Errorf("the branch has moved to %s", now)
	}

	again := func(when string) {
		t.Helper()
		if n, err := g.client().OpenRevert(ctx, *r); n != number || err != nil {
			t.Errorf("%s: #%d, %v; want #%d", when, n, err, number)
		}
	}
	again("once more")
	g.do("PATCH", fmt.Sprintf("repos/acme/mesh/pulls/%d", number), map[string]any{"state": "closed"}, nil)
	again("closed by a person")
	g.do("PATCH", fmt.Sprintf("repos/acme/mesh/pulls/%d", number), map[string]any{"state": "open"}, nil)
	must(t, lab.Eventually(ctx, 10*time.Second, "merge", func() error {
		return g.as("token "+g.Token, "POST", fmt.Sprintf("repos/acme/mesh/pulls/%d/merge", number), map[string]any{"Do": "squash", "delete_branch_after_merge": true}, nil)
	}))
	again("merged, and its branch deleted")
	files := map[string]string{}
	for _, name := range []string{"mesh/router.yaml", "mesh/again.yaml", "mesh/other.yaml", "mesh/gone.yaml", "mesh/new.yaml", "README.md"} {
		var file struct{ Content []byte }
		if err := g.as("token "+g.Token, "GET", "repos/acme/mesh/contents/"+name, nil, &file); err == nil {
			files[name] = string(file.Content)
		}
	}
	want := map[string]string{"mesh/router.yaml": "v1", "mesh/again.yaml": "v3", "mesh/other.yaml": "v3", "mesh/gone.yaml": "v1", "README.md": "v3"}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error("after the merge (-want +got)\n" + diff)
	}

	// The next one.
	bad = g.commitFiles("all to v4", map[string]string{"mesh/router.yaml": "v4"})
	rev, err := repo.Fetch(ctx)
	must(t, err)
	history, err := repo.History(ctx, 2)
	must(t, err)
	if r, err = repo.Revert(ctx, bad, history[1].Commit, rev.Commit); err != nil {
		t.Fatal(err)
	}
	r.Key, r.Branch, r.Title = "next", "main", "next"
	permanent := func(when string, want ...string) {
		t.Helper()
		_, err := g.client().OpenRevert(ctx, *r)
		p, ok := errors.AsType[*sources.Permanent](err)
		for _, w := range want {
			if !ok || !strings.Contains(p.Error(), w) {
				t.Errorf("%s: %v; want Permanent with %q", when, err, w)
			}
		}
	}
	g.do("PUT", "repos/acme/mesh/collaborators/mesh-bot", map[string]any{"permission": "read"}, nil)
	permanent("without the right", "contents (write)")
	g.do("PUT", "repos/acme/mesh/collaborators/mesh-bot", map[string]any{"permission": "write"}, nil)
	for _, now := range []string{"v5", ""} {
		g.commitFiles("moved", map[string]string{"mesh/router.yaml": now})
		if _, err := c.OpenRevert(ctx, *r); err == nil {
			t.Errorf("made, though the file is %q now", now)
		} else if _, ok := errors.AsType[*sources.Permanent](err); ok {
			t.Errorf("though it can be made with what is new: Permanent: %v", err)
		} else {
			t.Log(err)
		}
	}
	g.commitFiles("back", map[string]string{"mesh/router.yaml": "v4"})
	g.do("POST", "repos/acme/mesh/contents", map[string]any{"branch": "main", "new_branch": "meshwright/revert-next", "message": "left", "files": []any{
		map[string]string{"operation": "create", "path": "left.yaml", "content": "YQ=="}}}, nil)
	if n, err := c.OpenRevert(ctx, *r); n != number+1 || err != nil {
		t.Errorf("the branch was left from before: #%d, %v", n, err)
	}
	r.Key, r.Files = "none", nil
	permanent("nothing to undo", "nothing of "+bad[:7])
}

// TestE2EGiteaGates: who has asked for what, and of which commit.
func TestE2EGiteaGates(t *testing.T) {
	t.Parallel() // as the one above
	g := newGiteaHost(t)
	g.do("PUT", "repos/acme/mesh/collaborators/mesh-bot", map[string]any{"permission": "admin"}, nil)
	basic := func(login string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(login+":correct horse"))
	}
	c, ctx := g.client(), t.Context()
	began := time.Now().Truncate(time.Second)
	number, head := g.change("idea")
	issue, pull := fmt.Sprintf("repos/acme/mesh/issues/%d", number), fmt.Sprintf("repos/acme/mesh/pulls/%d", number)

	since, err := c.HeadSince(ctx, number, head)
	if err != nil || since.Before(began) {
		t.Errorf("head since %s, %v; want after %s", since, err, began)
	}
	var label struct{ ID int }
	g.do("POST", "repos/acme/mesh/labels", map[string]any{"name": "canary", "color": "#00ff00"}, &label)
	g.do("POST", "repos/acme/mesh/labels", map[string]any{"name": "risky", "color": "#ff0000"}, nil)
	labelled := func(what, want string) (at time.Time) {
		t.Helper()
		by, at, err := c.LabeledBy(ctx, number, "canary")
		if by != want || err != nil || at.IsZero() != (want == "") {
			t.Errorf("%s: %q at %s, %v; want %q", what, by, at, err, want)
		}
		return at
	}
	labelled("without it", "")
	must(t, g.as(basic("wim"), "POST", issue+"/labels", map[string]any{"labels": []string{"risky"}}, nil))
	labelled("with another", "")
	time.Sleep(1100 * time.Millisecond) // the host counts in seconds
	must(t, g.as(basic("wim"), "POST", issue+"/labels", map[string]any{"labels": []string{"canary"}}, nil))
	at := labelled("with it", "wim")
	if !at.After(since) {
		t.Errorf("labelled at %s, and the head is one since %s", at, since)
	}
	g.do("DELETE", fmt.Sprintf("%s/labels/%d", issue, label.ID), nil, nil)
	labelled("taken away", "")
	g.do("POST", issue+"/labels", map[string]any{"labels": []string{"canary"}}, nil)
	at = labelled("set by another", "acme")

	approved := func(what, head string, want ...string) {
		t.Helper()
		if got, err := c.Approvals(ctx, number, head); !slices.Equal(got, want) || err != nil {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	review := func(login, event string) (id int) {
		t.Helper()
		var made struct{ ID int }
		must(t, g.as(basic(login), "POST", pull+"/reviews", map[string]any{"event": event, "body": "so be it"}, &made))
		return made.ID
	}
	approved("not reviewed", head)
	review("rob", "APPROVED")
	approved("by who may only read", head)
	review("wim", "APPROVED")
	approved("by who may write", head, "wim")
	review("wim", "COMMENT")
	approved("with a comment", head, "wim")
	review("wim", "REQUEST_CHANGES")
	approved("with changes", head)
	id := review("wim", "APPROVED")
	approved("after all", head, "wim")
	g.do("POST", fmt.Sprintf("%s/reviews/%d/dismissals", pull, id), map[string]any{"message": "no"}, nil)
	approved("dismissed", head)
	review("wim", "APPROVED")

	status := func(what string, want sources.StatusState) {
		t.Helper()
		if got, err := c.StatusOf(ctx, head, "load-test"); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	status("none", "")
	for _, state := range []string{"pending", "success"} {
		must(t, g.as(basic("wim"), "POST", "repos/acme/mesh/statuses/"+head, map[string]any{"state": state, "context": "load-test"}, nil))
		status("somebody's", sources.StatusState(state))
	}

	// Another push: neither the label nor the approval is meant for it.
	time.Sleep(1100 * time.Millisecond)
	var pushed struct{ Commit struct{ SHA string } }
	must(t, g.as(basic("wim"), "POST", "repos/acme/mesh/contents/more.yaml", map[string]any{"content": "YQ==", "message": "more", "branch": "idea"}, &pushed))
	must(t, lab.Eventually(ctx, 10*time.Second, "the push is noted", func() error {
		since, err := c.HeadSince(ctx, number, pushed.Commit.SHA)
		if err == nil && !since.After(at) {
			err = fmt.Errorf("head since %s; want after %s", since, at)
		}
		return err
	}))
	if _, err := c.HeadSince(ctx, number, head); err == nil {
		t.Error("the old head is one still")
	}
	approved("of the new head", pushed.Commit.SHA)
	labelled("the label stays", "acme")
}
