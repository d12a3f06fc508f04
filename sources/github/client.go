package github

import (
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
	// merge queues); for reverts it may write these, too.
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
	_, path, ok := splitAddress(address)
	owner, name, two := strings.Cut(strings.Trim(path, "/"), "/")
	name = strings.TrimSuffix(name, ".git")
	if !ok || !two || !namePattern.MatchString(owner) || !namePattern.MatchString(name) {
		return "", "", false
	}
	return owner, name, true
}

// Hosts reports whether a repository's address is at github.com, whose API is
// the default of [Config].
func Hosts(address string) bool {
	host, _, ok := splitAddress(address)
	switch strings.ToLower(host) {
	case "github.com", "www.github.com", "ssh.github.com":
		return ok
	}
	return false
}

// splitAddress takes a repository's address at a git host apart; false for
// anything else.
func splitAddress(address string) (host, path string, ok bool) {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Hostname(), u.Path, u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "ssh"
	}
	host, path, colon := strings.Cut(address, ":")
	if !colon || strings.Contains(host, "/") || strings.HasPrefix(path, "//") {
		return "", "", false
	}
	return host[strings.LastIndex(host, "@")+1:], path, true
}
