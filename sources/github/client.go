package github

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/meshwright/meshwright/sources"
)

// timeout is that of one request, with its answer.
const timeout = 30 * time.Second

// Config of a [Client]. Owner, Repo and Token are needed.
type Config struct {
	// BaseURL of the API, taken as it is: https://api.github.com/ (default),
	// https://HOST/api/v3/ of an Enterprise Server, https://HOST/api/v1/ of Gitea.
	BaseURL string
	Owner   string
	Repo    string
	// Token may write commit statuses and read pull requests of the repository.
	Token     sources.Secret
	Logger    *slog.Logger      // nil: silent
	Transport http.RoundTripper // nil: one of its own, that heeds HTTPS_PROXY
}

// Client is one repository at the host. It is safe for concurrent use.
type Client struct {
	api    *gh.Client
	repo   string // path of the repository below the base URL
	name   string // of the repository, for people
	token  sources.Secret
	log    *slog.Logger
	limits limits

	mu    sync.Mutex // guards:
	login string     // our own account; "" while it is unknown
	pulls map[string][]page[pull]
}

// namePattern is what GitHub allows as the name of an account or repository.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// New checks the configuration. It reads no network.
func New(cfg Config) (*Client, error) {
	if !namePattern.MatchString(cfg.Owner) || !namePattern.MatchString(cfg.Repo) {
		return nil, fmt.Errorf("repository %q: write OWNER/NAME", cfg.Owner+"/"+cfg.Repo)
	}
	if cfg.Token == "" {
		return nil, errors.New("the token for the API is empty")
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = "https://api.github.com/"
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, errors.New("the base URL of the API is malformed; write https://HOST/PATH/, without a user or a query")
	}
	if !strings.HasSuffix(base.Path, "/") {
		base.Path += "/"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	api := gh.NewClient(&http.Client{Transport: cfg.Transport, CheckRedirect: follow})
	api.BaseURL = base
	api.UserAgent = "meshwright"
	name := cfg.Owner + "/" + cfg.Repo
	return &Client{api: api, repo: "repos/" + name, name: name, token: cfg.Token, log: cfg.Logger, pulls: map[string][]page[pull]{}}, nil
}

// follow lets a request go on to where a renamed repository is, unless it would
// become another request on the way: net/http makes a GET of a POST.
func follow(next *http.Request, via []*http.Request) error {
	if next.Method != via[0].Method || len(via) > 3 {
		return fmt.Errorf("redirected to %s: has the repository a new name?", next.URL.Redacted())
	}
	return nil
}

// ParseRepo takes the owner and the name out of a repository's address at a git
// host: https://HOST/OWNER/NAME.git, ssh://git@HOST/OWNER/NAME or
// git@HOST:OWNER/NAME. It reports false for anything else, such as a path.
func ParseRepo(address string) (owner, name string, ok bool) {
	var path string
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		path = u.Path
		ok = u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "ssh"
	} else if host, rest, colon := strings.Cut(address, ":"); colon && !strings.Contains(host, "/") && !strings.HasPrefix(rest, "//") {
		path = rest
		ok = true
	}
	owner, name, two := strings.Cut(strings.Trim(path, "/"), "/")
	name = strings.TrimSuffix(name, ".git")
	if !ok || !two || !namePattern.MatchString(owner) || !namePattern.MatchString(name) {
		return "", "", false
	}
	return owner, name, true
}

// call sends one request and decodes the answer into out. etag, unless empty,
// makes it conditional: errUnchanged then means that it still holds.
func (c *Client) call(ctx context.Context, method, path string, in, out any, etag string) (*gh.Response, error) {
	if err := c.limits.closed(); err != nil {
		return nil, err
	}
	req, err := c.api.NewRequest(method, path, in)
	if err != nil {
		return nil, err
	}
	// On the request, not in the transport: net/http takes it off when a
	// redirect leads to another host.
	req.Header.Set("Authorization", "Bearer "+string(c.token))
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	start := time.Now()
	// Not http.Client.Timeout: its timer runs on, for go-github loses the body
	// of an error, which is to be closed.
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := c.api.Do(within, req, out)
	if within.Err() != nil && ctx.Err() == nil && err != nil {
		err = fmt.Errorf("%s: no answer within %s", c.name, timeout)
	}
	c.log.Debug("api called", "type", method+" "+req.URL.Path, "took", time.Since(start), "err", err)
	if limited := c.limits.heed(resp, err); limited != nil {
		return nil, limited
	}
	var answer *gh.ErrorResponse
	switch {
	case !errors.As(err, &answer):
		return resp, err
	case answer.Response.StatusCode == http.StatusNotModified:
		return resp, errUnchanged
	}
	return resp, c.refused(answer)
}

var errUnchanged = errors.New("not modified")

// refusal is an answer of the host that is not a good one.
type refusal struct {
	status int
	text   string // the host's words
	advice string
}

func (r *refusal) Error() string { return r.text + r.advice }

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
		r.advice = "; give the token commit statuses (write) and pull requests (read) of " + c.name
	case http.StatusNotFound:
		r.advice = "; check the name, and that the token has commit statuses (write) and pull requests (read) of it"
	}
	return r
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

// maxPages bounds a list, should a host's links never end.
const maxPages = 100

// page is one page of a list, kept to ask next time whether it has changed: a
// "no" costs nothing of the limits.
type page[T any] struct {
	etag  string
	items []T
	next  int // number of the next page; 0: none
}

// list reads a list page by page. path has a query already. known are the
// pages of the time before.
func list[T any](ctx context.Context, c *Client, path string, known []page[T]) ([]page[T], error) {
	var pages []page[T]
	for n := 1; n != 0; {
		i := len(pages)
		if i == maxPages {
			return nil, fmt.Errorf("%s: the list %s has more than %d pages", c.name, path, maxPages)
		}
		var p, old page[T]
		if i < len(known) {
			old = known[i]
		}
		resp, err := c.call(ctx, http.MethodGet, fmt.Sprintf("%s&page=%d", path, n), nil, &p.items, old.etag)
		switch {
		case errors.Is(err, errUnchanged) && old.etag != "":
			p = old
		case err != nil:
			return nil, err
		case p.items == nil: // go-github takes an empty body for an answer
			return nil, fmt.Errorf("%s: the answer to %s is no list", c.name, path)
		default:
			p.etag, p.next = resp.Header.Get("ETag"), resp.NextPage
		}
		pages = append(pages, p)
		n = p.next
	}
	return pages, nil
}
