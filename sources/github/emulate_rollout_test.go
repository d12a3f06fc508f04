package github_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
)

// TestEmulateRollout: a commit is undone by a pull request, and who has labelled
// and approved one is seen. It has no commit statuses.
func TestEmulateRollout(t *testing.T) {
	t.Parallel()
	e := newEmulated(t)
	c, err := github.New(github.Config{BaseURL: e.api, Owner: "acme", Repo: "mesh", Token: "tok_dev"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	t.Run("revert", func(t *testing.T) {
		type put struct {
			Content struct{ SHA string }
			Commit  struct {
				SHA  string
				Tree struct{ SHA string }
			}
		}
		write := func(path, content, was string) (p put) {
			in := map[string]any{"message": path, "content": content, "branch": "main"}
			if was != "" {
				in["sha"] = was
			}
			e.call("PUT", "repos/acme/mesh/contents/"+path, in, &p)
			return p
		}
		v1 := write("mesh/router.yaml", "djE=", "")
		v2 := write("mesh/router.yaml", "djI=", v1.Content.SHA)
		tip := write("mesh/new.yaml", "djI=", "")
		var on struct{ Tree struct{ SHA string } }
		e.call("GET", "repos/acme/mesh/git/commits/"+tip.Commit.SHA, nil, &on)
		r := undoing()
		r.Commit, r.To, r.Tip, r.Root = v2.Commit.SHA, v1.Commit.SHA, tip.Commit.SHA, on.Tree.SHA
		r.Files = []sources.FileChange{
			{Path: "mesh/new.yaml", Was: tip.Content.SHA},
			{Path: "mesh/router.yaml", Mode: "100644", Blob: v1.Content.SHA, Was: v2.Content.SHA},
		}
		number, err := c.OpenRevert(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.OpenRevert(ctx, r); again != number || err != nil {
			t.Errorf("again: #%d, %v; want #%d", again, err, number)
		}
		var opened struct {
			Title, Body string
			User        struct{ Login string }
			Head, Base  struct{ Ref string }
		}
		e.call("GET", fmt.Sprintf("repos/acme/mesh/pulls/%d", number), nil, &opened)
		if got := strings.Join([]string{opened.Title, opened.Body, opened.User.Login, opened.Head.Ref, opened.Base.Ref}, "|"); got != `Revert "all to v2"|**why**|mesh-dev|`+revertBranch+"|main" {
			t.Error(got)
		}
		var ref struct{ Object struct{ SHA string } }
		e.call("GET", "repos/acme/mesh/git/ref/heads/"+revertBranch, nil, &ref)
		var commit struct {
			Message string
			Tree    struct{ SHA string }
			Parents []struct{ SHA string }
		}
		e.call("GET", "repos/acme/mesh/git/commits/"+ref.Object.SHA, nil, &commit)
		if commit.Message != "Revert \"all to v2\"\n\nThe canary failed." || len(commit.Parents) != 1 || commit.Parents[0].SHA != tip.Commit.SHA {
			t.Errorf("%+v", commit)
		}
		var tree struct{ Tree []struct{ Path, SHA string } }
		e.call("GET", "repos/acme/mesh/git/trees/"+commit.Tree.SHA+"?recursive=1", nil, &tree)
		files := map[string]string{}
		for _, f := range tree.Tree {
			if strings.HasPrefix(f.Path, "mesh/") {
				files[f.Path] = f.SHA
			}
		}
		if diff := cmp.Diff(map[string]string{"mesh/router.yaml": v1.Content.SHA}, files); diff != "" {
			t.Error("files of the revert (-want +got)\n" + diff)
		}
	})
	t.Run("label", func(t *testing.T) {
		var issue struct{ Number int } // it remembers what happens to issues only
		e.call("POST", "repos/acme/mesh/issues", map[string]any{"title": "in the place of a pull request"}, &issue)
		began := time.Now().Add(-time.Second).Truncate(time.Second)
		e.call("POST", fmt.Sprintf("repos/acme/mesh/issues/%d/labels", issue.Number), map[string]any{"labels": []string{"canary"}}, nil)
		if by, at, err := c.LabeledBy(ctx, issue.Number, "canary"); by != "mesh-dev" || at.Before(began) || err != nil {
			t.Errorf("%q at %s, %v", by, at, err)
		}
		e.call("DELETE", fmt.Sprintf("repos/acme/mesh/issues/%d/labels/canary", issue.Number), nil, nil)
		if by, _, err := c.LabeledBy(ctx, issue.Number, "canary"); by != "" || err != nil {
			t.Errorf("taken away: %q, %v", by, err)
		}
		_, _, err := c.LabeledBy(ctx, 99, "canary")
		if _, ok := errors.AsType[*sources.Permanent](err); !ok {
			t.Errorf("of no pull request: %v", err)
		}
	})
	t.Run("approvals", func(t *testing.T) {
		e.call("POST", fmt.Sprintf("repos/acme/mesh/pulls/%d/reviews", e.pull), map[string]any{"event": "APPROVE", "commit_id": e.head}, nil)
		bot, err := github.New(github.Config{BaseURL: e.api, Owner: "acme", Repo: "mesh", Token: "tok_bot"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bot.Approvals(ctx, e.pull, e.head); !slices.Equal(got, []string{"mesh-dev"}) || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := bot.Approvals(ctx, e.pull, strings.Repeat("1", 40)); len(got) > 0 || err != nil {
			t.Errorf("of another head: %q, %v", got, err)
		}
		if got, err := c.Approvals(ctx, e.pull, e.head); len(got) > 0 || err != nil {
			t.Errorf("by ourselves: %q, %v", got, err)
		}
	})
}
