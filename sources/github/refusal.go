package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/meshwright/meshwright/sources"
)

var errUnchanged = errors.New("not modified")

// refusal is an answer of the host that is not a good one.
type refusal struct {
	status int
	text   string // the host's words
	advice string
}

func (r *refusal) Error() string { return r.text + r.advice }

// rights are what the token or the App needs, in GitHub's words.
func (c *Client) rights() string {
	if c.app != nil {
		return "the App checks (write), pull requests (write) and contents (read)"
	}
	return "the token commit statuses (write), pull requests (write) and contents (read)"
}

// refused says in one line what the host has answered and what to do about it.
func (c *Client) refused(answer *gh.ErrorResponse) *refusal {
	r := &refusal{status: answer.Response.StatusCode}
	words := []string{c.name + ":", fmt.Sprint(r.status), http.StatusText(r.status)}
	if answer.Message != "" {
		words[2] = answer.Message
	}
	for _, e := range answer.Errors {
		words = append(words, strings.Trim(e.Field+" "+e.Code+" "+e.Message, " "))
	}
	r.text = cut(strings.Join(strings.Fields(strings.Join(words, " ")), " "), 300)
	switch r.status {
	case http.StatusUnauthorized:
		r.advice = "; the token does not hold (any more): give a new one"
	case http.StatusForbidden:
		r.advice = "; give " + c.rights() + " of " + c.name
	case http.StatusNotFound:
		r.advice = "; check the name, and give " + c.rights() + " of it"
	}
	return r
}

// settled makes a refusal permanent where it is about the one thing asked for:
// what is wrong with the token or the repository somebody mends, and then the
// thing is wanted. A "not found" can be each of these, and so can Gitea's "internal
// server error", which it does not explain to everybody: so it looks whether
// thing is there.
func (c *Client) settled(ctx context.Context, err error, thing ...place) error {
	refused, _ := errors.AsType[*refusal](err)
	if refused == nil {
		return err
	}
	gone := func() bool {
		for _, t := range thing {
			_, lost := c.call(ctx, http.MethodGet, t, nil, nil, "")
			_, seen := c.call(ctx, http.MethodGet, c.at("/"), nil, nil, "")
			return is(lost, http.StatusNotFound, http.StatusGone) && seen == nil
		}
		return false
	}
	switch {
	case is(err, http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusGone), unknownCommit(err),
		is(err, http.StatusForbidden) && strings.Contains(refused.text, "locked"),
		(is(err, http.StatusNotFound) || c.gitea && is(err, http.StatusInternalServerError)) && gone():
		return &sources.Permanent{Err: errors.New(refused.text)}
	}
	return err
}

// is reports whether err is a refusal with one of these HTTP statuses.
func is(err error, statuses ...int) bool {
	var r *refusal
	if errors.As(err, &r) {
		for _, s := range statuses {
			if r.status == s {
				return true
			}
		}
	}
	return false
}
