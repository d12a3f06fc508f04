package github

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/meshwright/meshwright/sources"
)

// maxDescription is how long a status's description may be (characters).
const maxDescription = 140

// unknownFor is when to ask again for what the API does not know: what
// was just pushed reaches git before it reaches the API.
var unknownFor = []time.Duration{time.Second, 3 * time.Second}

// commitStatus is a status as the host has it.
type commitStatus struct {
	gh.RepoStatus
	GiteaState sources.StatusState `json:"status"` // what Gitea calls state
}

func (s commitStatus) state() sources.StatusState {
	return cmp.Or(sources.StatusState(s.GetState()), s.GiteaState)
}

// SetStatus puts a status beside a commit, under a context. A description that
// is too long is cut. An App writes a check run of that name, which shows the
// status's annotations, and leaves one that tells the same as it stands.
//
// [sources.Permanent]: the host refuses this status for good: it does not have
// the commit, or has as many statuses of it as it takes (1,000 a context).
func (c *Client) SetStatus(ctx context.Context, commit, context string, s sources.Status) error {
	write := func() error { return c.setCommitStatus(ctx, commit, context, s) }
	if c.app != nil {
		write = func() error { return c.setCheckRun(ctx, commit, context, s) }
	}
	return c.settled(ctx, again(ctx, unknownCommit, write), c.at("/git/commits/%s", commit))
}

// again does something, and does it again after pauses while the host does not
// know what was just pushed.
func again(ctx context.Context, unknown func(error) bool, do func() error) error {
	err := do()
	for _, pause := range unknownFor {
		if !unknown(err) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		err = do()
	}
	return err
}

func (c *Client) setCommitStatus(ctx context.Context, commit, context string, s sources.Status) error {
	in := &gh.RepoStatus{State: gh.String(string(s.State)), Context: &context, Description: gh.String(cut(s.Description, maxDescription))}
	if s.URL != "" {
		in.TargetURL = &s.URL
	}
	var out commitStatus
	_, err := c.call(ctx, http.MethodPost, c.at("/statuses/%s", commit), in, &out, "")
	if err == nil {
		c.learn(out.GetCreator().GetLogin())
	}
	return err
}

// unknownCommit reports whether the host says that it does not have the commit:
// GitHub with a 422, Gitea with a 500.
func unknownCommit(err error) bool {
	return is(err, http.StatusUnprocessableEntity) && strings.Contains(err.Error(), "No commit found") ||
		is(err, http.StatusInternalServerError) && strings.Contains(err.Error(), "object does not exist")
}

// Statuses returns what stands beside a commit by context: the newest of those
// that our own account wrote. Whoever may push may write statuses, under any
// context.
func (c *Client) Statuses(ctx context.Context, commit string) (map[string]sources.Status, error) {
	if c.app != nil {
		return c.runStatuses(ctx, commit)
	}
	me, err := c.account(ctx)
	if err != nil {
		return nil, fmt.Errorf("whose is the token: %w", err)
	}
	all, err := list[[]commitStatus](ctx, c, c.at("/commits/%s/statuses?per_page=100", commit))
	if unknownCommit(err) {
		return nil, nil // nothing stands beside it
	}
	if err != nil {
		return nil, err
	}
	standing := map[string]sources.Status{}
	newest := map[string]int64{}
	for _, s := range all {
		if s.GetCreator().GetLogin() != me {
			continue
		}
		if id, ok := newest[s.GetContext()]; ok && s.GetID() <= id {
			continue
		}
		newest[s.GetContext()] = s.GetID()
		standing[s.GetContext()] = sources.Status{State: s.state(), Description: s.GetDescription(), URL: s.GetTargetURL()}
	}
	return standing, nil
}

// account returns the login that what we write bears. A token that some App was
// given, such as that of a workflow, may not ask who it is; then our first write tells, and until then nothing
// counts as ours: at worst a status is written twice, never left out because
// of somebody else's.
func (c *Client) account(ctx context.Context) (string, error) {
	c.mu.Lock()
	login := c.login
	c.mu.Unlock()
	if login != "" {
		return login, nil
	}
	if c.app != nil {
		login, err := c.appLogin(ctx)
		if err == nil {
			c.learn(login)
		}
		return login, err
	}
	var me gh.User
	_, err := c.call(ctx, http.MethodGet, c.at("user"), nil, &me, "")
	switch {
	case err != nil && !is(err, http.StatusForbidden, http.StatusNotFound):
		return "", err
	case me.GetLogin() == "":
		me.Login = gh.String(noAccount)
	}
	c.learn(me.GetLogin())
	return me.GetLogin(), nil
}

// learn remembers the login that a write of ours turns out to bear.
func (c *Client) learn(login string) {
	if login == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.login = login
}

// noAccount is nobody's login: a status without a creator is not ours either.
const noAccount = "\x00"

// is reports whether what a user has made is ours. A token that may not ask who
// it is belongs to an app.
func (u user) is(me string) bool { return u.Login == me || me == noAccount && u.Type == "Bot" }
