package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/meshwright/meshwright/sources"
)

// writerFor is how long an answer to [Client.MayWrite] counts.
const writerFor = time.Minute

type writer struct {
	may   bool
	until time.Time
}

// MayWrite reports whether an account may write to the repository, by whatever
// way it has come to that. An answer counts for a minute.
//
// [sources.Permanent]: Gitea tells administrators of the repository only, and we
// are none.
func (c *Client) MayWrite(ctx context.Context, login string) (bool, error) {
	if !namePattern.MatchString(strings.TrimSuffix(login, "[bot]")) {
		return false, nil
	}
	login = strings.ToLower(login)
	now := time.Now()
	c.mu.Lock()
	w, ok := c.writers[login]
	c.mu.Unlock()
	if ok && now.Before(w.until) {
		return w.may, nil
	}
	var answer struct {
		Permission string `json:"permission"` // GitHub: admin, write (maintain is told as that), read, none; Gitea also owner
	}
	_, err := c.call(ctx, http.MethodGet, c.at("/collaborators/%s/permission", login), nil, &answer, "")
	if r, _ := errors.AsType[*refusal](err); c.gitea && is(err, http.StatusForbidden) {
		return false, &sources.Permanent{Err: fmt.Errorf("%s; make the daemon's account an administrator of %s, or it cannot know whose commands count", r.text, c.name)}
	}
	if err != nil && !is(err, http.StatusNotFound) { // not found: no such account
		return false, err
	}
	w = writer{until: now.Add(writerFor)}
	switch answer.Permission {
	case "owner", "admin", "maintain", "write":
		w.may = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for login, w := range c.writers {
		if now.After(w.until) {
			delete(c.writers, login)
		}
	}
	c.writers[login] = w
	return w.may, nil
}
