package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/meshwright/meshwright/sources"
)

// place is where a request goes: a route, which is one of few, with what it is
// filled with. A route starts below the base URL, "/" stands for the repository.
type place struct {
	route string
	path  string
	app   bool // asked by the App itself, not by its installation
	maybe bool // that there is nothing (404) is an answer
}

func (p place) asApp() place {
	p.app = true
	return p
}

func (p place) ifAny() place {
	p.maybe = true
	return p
}

// at fills each %s of a route, escaped as that part of a URL needs it; a slash in
// a path stays one, as in the name of a branch.
func (c *Client) at(route string, args ...any) place {
	path, query, _ := strings.Cut(route, "?")
	inPath := strings.Count(path, "%s")
	escaped := make([]any, len(args))
	for i, arg := range args {
		if i < inPath {
			escaped[i] = strings.ReplaceAll(url.PathEscape(fmt.Sprint(arg)), "%2F", "/")
		} else {
			escaped[i] = url.QueryEscape(fmt.Sprint(arg))
		}
	}
	p := place{route: strings.ReplaceAll(path, "%s", "*"), path: fmt.Sprintf(path, escaped[:inPath]...)}
	switch {
	case path == "/":
		p.path = "repos/" + c.name
	case path[0] == '/':
		p.path = "repos/" + c.name + p.path
	}
	if query != "" {
		p.path += "?" + fmt.Sprintf(query, escaped[inPath:]...)
	}
	return p
}

// call sends one request and decodes the answer into out. etag, unless empty,
// makes it conditional: errUnchanged then means that it still holds.
func (c *Client) call(ctx context.Context, method string, to place, in, out any, etag string) (*gh.Response, error) {
	if to.app {
		return c.send(ctx, c.app.api, "", method, to, in, out, etag)
	}
	token, err := c.Token(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, c.api, token, method, to, in, out, etag)
	if c.app == nil || !is(err, http.StatusUnauthorized) {
		return resp, err
	}
	c.app.renew(token)
	if token, err = c.Token(ctx); err != nil {
		return nil, err
	}
	return c.send(ctx, c.api, token, method, to, in, out, etag)
}

func (c *Client) send(ctx context.Context, api *gh.Client, token sources.Secret, method string, to place, in, out any, etag string) (*gh.Response, error) {
	if err := c.limits.closed(); err != nil {
		return nil, err
	}
	req, err := api.NewRequest(method, to.path, in)
	if err != nil {
		return nil, err
	}
	// On the request, not in the transport: net/http takes it off when a
	// redirect leads to another host.
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	start := time.Now()
	// Not http.Client.Timeout: its timer runs on, for go-github loses the body
	// of an error, which is to be closed.
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := api.Do(within, req, out)
	if within.Err() != nil && ctx.Err() == nil && err != nil {
		err = fmt.Errorf("%s: no answer within %s", c.name, timeout)
	}
	c.log.Debug("api called", "type", method+" "+req.URL.Path, "took", time.Since(start), "err", err)
	if !to.app { // whose hour is another
		c.metrics.left(c.limits.note(resp))
	}
	err = c.judge(resp, err)
	c.metrics.asked(method, to, err)
	return resp, err
}

// judge makes an error of go-github one of ours.
func (c *Client) judge(resp *gh.Response, err error) error {
	if limited := c.limits.heed(resp, err); limited != nil {
		return limited
	}
	answer, told := errors.AsType[*gh.ErrorResponse](err)
	switch {
	case !told:
		return err
	case answer.Response.StatusCode == http.StatusNotModified:
		return errUnchanged
	}
	return c.refused(answer)
}
