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

// event is what has happened to a pull request, as the host remembers it.
type event struct {
	Event   string    `json:"event"` // GitHub's word
	Type    string    `json:"type"`  // Gitea's
	Actor   user      `json:"actor"`
	User    user      `json:"user"` // Gitea's actor
	Body    string    `json:"body"` // of Gitea's label: "1" when it is set, "" when it is taken away
	Created time.Time `json:"created_at"`
	Label   struct {
		Name string `json:"name"`
	} `json:"label"`
}

// LabeledBy returns who has set a label that a pull request bears, and when, to
// the second: the last time, should it have been taken away between. An empty
// login: nobody has, or the host does not say who.
//
// A label does not say of which commit it is: [Client.HeadSince] tells whether
// the head has moved after it.
func (c *Client) LabeledBy(ctx context.Context, pull int, label string) (login string, at time.Time, err error) {
	route := "/issues/%s/events?per_page=100"
	if c.gitea {
		route = "/issues/%s/timeline"
	}
	events, err := list[[]event](ctx, c, c.at(route, pull))
	if err != nil {
		return "", time.Time{}, c.settled(ctx, err, c.at("/issues/%s", pull))
	}
	for _, e := range events { // oldest first
		switch {
		case !strings.EqualFold(e.Label.Name, label):
		case e.Event == "labeled", e.Type == "label" && e.Body == "1":
			login, at = e.Actor.Login+e.User.Login, e.Created
		case e.Event == "unlabeled", e.Type == "label":
			login, at = "", time.Time{}
		}
	}
	return login, at, nil
}

// HeadSince returns since when a commit is the head of a pull request from a
// branch of the repository, to the second and by the host's clock: what commits
// say of themselves anybody can write. What was asked for later, by a label or a
// comment, is meant for that commit. Gitea notes a push a moment after it.
//
// [sources.Permanent]: it is not the head (any more), or the host does not know.
func (c *Client) HeadSince(ctx context.Context, number int, head string) (time.Time, error) {
	var p pull
	if _, err := c.call(ctx, http.MethodGet, c.at("/pulls/%s", number), nil, &p, ""); err != nil {
		return time.Time{}, c.settled(ctx, err, c.at("/issues/%s", number))
	}
	if p.Head.SHA != head {
		return time.Time{}, &sources.Permanent{Err: fmt.Errorf("%s: %.7s is not the head of #%d: %.7s is", c.name, head, number, p.Head.SHA)}
	}
	if c.gitea {
		events, err := list[[]event](ctx, c, c.at("/issues/%s/timeline", number))
		since := p.Created
		for _, e := range events {
			if e.Type == "pull_push" && e.Created.After(since) {
				since = e.Created
			}
		}
		return since, err
	}
	var pushes []struct {
		After string    `json:"after"`
		Time  time.Time `json:"timestamp"`
	}
	// Newest first: the head is what was pushed last.
	_, err := c.call(ctx, http.MethodGet, c.at("/activity?ref=%s&per_page=100", "refs/heads/"+p.Head.Ref), nil, &pushes, "")
	if err != nil {
		return time.Time{}, err
	}
	for _, push := range pushes {
		if push.After == head {
			return push.Time, nil
		}
	}
	return time.Time{}, &sources.Permanent{Err: errors.New(c.name + ": the host does not say when " + head + " was pushed to " + p.Head.Ref)}
}
