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
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/sources"
)

// timeout is that of one request, with its answer.
const timeout = 30 * time.Second

// Config of a [Client]. Owner, Repo, and Token or App are needed.
type Config struct {
	// BaseURL of the API, taken as it is: https://api.github.com/ (default),
	// https://HOST/api/v3/ of an Enterprise Server, https://HOST/api/v1/ of Gitea.
	BaseURL string
	Owner   string
	Repo    string
	// Token may write commit statuses, pull requests (their comments) and, if they
	// are wanted, deployments of the repository, and read its contents (the refs of
	// merge queues).
	Token sources.Secret
	// App acts in the place of a token: then statuses are check runs.
	App       App
	Logger    *slog.Logger          // nil: silent
	Metrics   prometheus.Registerer // nil: none
	Transport http.RoundTripper     // nil: one of its own, that heeds HTTPS_PROXY
}

// Client is one repository at the host. It is safe for concurrent use.
type Client struct {
	api     *gh.Client
	gitea   bool
	name    string // OWNER/NAME
	token   sources.Secret
	app     *installation // nil: there is a token
	log     *slog.Logger
	metrics *metrics
	limits  limits

	checks sync.Mutex // held while a check run is written; guards:
	runs   map[string]map[string]checkRun

	mu          sync.Mutex // guards:
	login       string     // our own account; "" while it is unknown
	known       map[string]any
	comments    map[int]*thread
	writers     map[string]writer
	deployments map[deployment]deployed
}

// namePattern is what GitHub allows as the name of an account or repository.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// New checks the configuration. It reads no network.
func New(cfg Config) (*Client, error) {
	if !namePattern.MatchString(cfg.Owner) || !namePattern.MatchString(cfg.Repo) {
		return nil, fmt.Errorf("repository %q: write OWNER/NAME", cfg.Owner+"/"+cfg.Repo)
	}
	switch {
	case cfg.Token == "" && cfg.App.ID == 0:
		return nil, errors.New("the token for the API is empty")
	case cfg.Token != "" && cfg.App.ID != 0:
		return nil, errors.New("a token and an App: give one of them, for what one has written the other would write again")
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
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	api := gh.NewClient(&http.Client{Transport: cfg.Transport, CheckRedirect: follow})
	api.BaseURL = base
	api.UserAgent = "meshwright"
	c := &Client{
		api: api, gitea: strings.HasSuffix(base.Path, "/api/v1/"), name: cfg.Owner + "/" + cfg.Repo, token: cfg.Token, log: cfg.Logger,
		known: map[string]any{}, comments: map[int]*thread{}, writers: map[string]writer{}, deployments: map[deployment]deployed{}, runs: map[string]map[string]checkRun{},
	}
	if cfg.App.ID != 0 {
		if c.gitea {
			return nil, errors.New("there are no Apps at Gitea: give a token")
		}
		if c.app, err = newInstallation(cfg.App, api, cfg.Transport); err != nil {
			return nil, err
		}
	}
	c.metrics = newMetrics(cfg.Metrics)
	return c, nil
}

// Limits are GitHub's: a comment has room for the marker that [Client.SetComment]
// puts before it. Gitea, which is known by its base URL, takes more, but has no
// deployments.
func (c *Client) Limits() sources.Limits {
	return sources.Limits{Description: maxDescription, Comment: maxComment, Deployments: !c.gitea, Annotations: c.app != nil}
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

// place is where a request goes: a route, which is one of few, with what it is
// filled with. A route starts below the base URL, "/" stands for the repository.
type place struct {
	route string
	path  string
	app   bool // asked by the App itself, not by its installation
}

func (p place) asApp() place {
	p.app = true
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
