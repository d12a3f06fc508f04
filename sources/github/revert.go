package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/meshwright/meshwright/sources"
)

// maxTitle is how long the title of a pull request may be (characters).
const maxTitle = 255

// OpenRevert opens the pull request of a revert, and returns its number. Its one
// commit is made of the host's own API, on a branch of its own; the branch that it
// is for is left to people. It is opened once: one of ours whose head is the
// branch of that key is it, also when somebody has closed it.
//
// [sources.Permanent]: there is nothing to undo, or the host takes no branch, no
// commit or no pull request of us. Its text says what right is missing; whoever
// asked may tell people how to do it by hand.
func (c *Client) OpenRevert(ctx context.Context, r sources.Revert) (int, error) {
	head := "meshwright/revert-" + r.Key
	number, err := c.ownPull(ctx, head, r.Branch)
	if number != 0 || err != nil {
		return number, err
	}
	if len(r.Files) == 0 {
		nothing := fmt.Sprintf("%s: nothing of %.7s is there to be undone", c.name, r.Commit)
		if len(r.Left) > 0 {
			nothing += "; changed again since: " + strings.Join(r.Left, ", ")
		}
		return 0, &sources.Permanent{Err: errors.New(cut(nothing, 300))}
	}
	commit := c.commitTree
	if c.gitea {
		commit = c.commitFiles
	}
	if err := commit(ctx, head, r); err != nil {
		return 0, c.unwritable(ctx, err, "contents")
	}
	var opened pull
	err = again(ctx, unknownBranch, func() error {
		in := map[string]string{"title": cut(r.Title, maxTitle), "head": head, "base": r.Branch, "body": cut(r.Body, maxComment)}
		_, err := c.call(ctx, http.MethodPost, c.at("/pulls"), in, &opened, "")
		return err
	})
	if err == nil && opened.Number == 0 {
		err = errors.New(c.name + ": the answer to a pull request is none")
	}
	if err != nil {
		return 0, c.unwritable(ctx, err, "pull requests")
	}
	c.learn(opened.User.Login)
	return opened.Number, nil
}

// unknownBranch reports whether the host says that it does not have the head of a
// pull request: GitHub with a 422, Gitea with a 404.
func unknownBranch(err error) bool {
	return is(err, http.StatusNotFound) || is(err, http.StatusUnprocessableEntity) && strings.Contains(err.Error(), "head invalid")
}

// unwritable makes a refusal permanent that would have been none with a right: a
// host that hides what somebody may not do says "not found", but the repository
// has just told of its pull requests.
func (c *Client) unwritable(ctx context.Context, err error, right string) error {
	if r, _ := errors.AsType[*refusal](err); r != nil && is(err, http.StatusForbidden, http.StatusNotFound) {
		return &sources.Permanent{Err: fmt.Errorf("%s; to open pull requests of its own, the daemon needs %s (write) of %s", r.text, right, c.name)}
	}
	return c.settled(ctx, err)
}

// ownPull returns the number of the newest pull request of ours from a branch of
// the repository; 0: there was never one.
func (c *Client) ownPull(ctx context.Context, head, base string) (int, error) {
	me, err := c.account(ctx)
	if err != nil {
		return 0, err
	}
	owner, _, _ := strings.Cut(c.name, "/")
	from := c.at("/pulls?state=all&head=%s&base=%s&per_page=100", owner+":"+head, base)
	if c.gitea { // which knows no head
		from = c.at("/pulls?state=all&poster=%s&base_branch=%s", me, base)
	}
	pulls, err := list[[]pull](ctx, c, from)
	if err != nil {
		return 0, err
	}
	newest := 0
	for _, p := range pulls {
		if (p.Head.Ref == head || p.Head.Label == head) && p.Base.Ref == base && p.User.is(me) {
			newest = max(newest, p.Number)
		}
	}
	return newest, nil
}

// commitTree makes the commit of a revert, on its tip, and a branch that names it.
// A branch of that name was left by us when we were killed: it stays as it is.
// The author is whoever asks; GitHub signs what it makes for an App.
func (c *Client) commitTree(ctx context.Context, branch string, r sources.Revert) error {
	type entry struct {
		Path string  `json:"path"`
		Mode string  `json:"mode"`
		Type string  `json:"type"`
		SHA  *string `json:"sha"` // null: the file goes
	}
	var entries []entry
	for _, f := range r.Files {
		e := entry{f.Path, "100644", "blob", nil}
		if f.Blob != "" {
			e.Mode, e.SHA = f.Mode, &f.Blob
		}
		entries = append(entries, e)
	}
	var tree, commit struct {
		SHA string `json:"sha"`
	}
	if _, err := c.call(ctx, http.MethodPost, c.at("/git/trees"), map[string]any{"base_tree": r.Root, "tree": entries}, &tree, ""); err != nil {
		return err
	}
	in := map[string]any{"message": r.Title + "\n\n" + r.Message, "tree": tree.SHA, "parents": []string{r.Tip}}
	if _, err := c.call(ctx, http.MethodPost, c.at("/git/commits"), in, &commit, ""); err != nil {
		return err
	}
	_, err := c.call(ctx, http.MethodPost, c.at("/git/refs"), map[string]string{"ref": "refs/heads/" + branch, "sha": commit.SHA}, nil, "")
	if is(err, http.StatusUnprocessableEntity) && strings.Contains(err.Error(), "already exists") {
		return nil
	}
	return err
}

// commitFiles is commitTree of Gitea, which makes a commit of files only, on the
// branch as it is now: a file that has moved since is a refusal, to come again
// with what is new.
func (c *Client) commitFiles(ctx context.Context, branch string, r sources.Revert) error {
	type file struct {
		Operation string `json:"operation"`
		Path      string `json:"path"`
		Content   []byte `json:"content,omitempty"`
		SHA       string `json:"sha,omitempty"`
	}
	var files []file
	for _, f := range r.Files {
		op := "update"
		switch {
		case f.Blob == "":
			op = "delete"
		case f.Mode == "120000":
			return &sources.Permanent{Err: fmt.Errorf("%s: %s is a symbolic link, which the host's API cannot write", c.name, f.Path)}
		case f.Was == "":
			op = "create"
		}
		files = append(files, file{op, f.Path, f.Content, f.Was})
	}
	_, err := c.call(ctx, http.MethodPost, c.at("/contents"), map[string]any{
		"branch": r.Branch, "new_branch": branch, "message": r.Title + "\n\n" + r.Message, "files": files,
	}, nil, "")
	refused, _ := errors.AsType[*refusal](err)
	switch {
	case refused == nil:
		return err
	case strings.Contains(refused.text, "branch already exists"):
		return nil
	case movedPattern.MatchString(refused.text):
		return fmt.Errorf("%s: the branch %s has moved", refused.text, r.Branch) // no refusal for good
	}
	return err
}

// movedPattern is how Gitea says that a file is not what it is said to be.
var movedPattern = regexp.MustCompile(`sha does not match|already exists|does not exist`)
