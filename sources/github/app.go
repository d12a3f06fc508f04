package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"github.com/meshwright/meshwright/sources"
)

// App is a GitHub App that is installed on the repository. It may do what a
// person's token may not: write check runs, with remarks on the lines of files.
type App struct {
	ID int64 // the App's, as its settings show it; 0: there is none
	// Installation is the App's on the account that owns the repository; 0: it is
	// asked for.
	Installation int64
	Key          sources.Secret // private key, PEM
}

// installation keeps the token by which an App acts on the repository: GitHub
// gives one for an hour.
type installation struct {
	App
	api *gh.Client // asks as the App itself, with a JWT
	jwt *ghinstallation.AppsTransport

	mu    sync.Mutex // guards, also while a token is asked for:
	id    int64      // 0: not known
	token *ghinstallation.Transport
	found sources.Secret // what token has given last
}

// newInstallation checks the key.
func newInstallation(a App, base *gh.Client, transport http.RoundTripper) (*installation, error) {
	jwt, err := ghinstallation.NewAppsTransport(transport, a.ID, []byte(a.Key))
	if err != nil {
		return nil, errors.New("the App's private key is no RSA key in PEM; make one in the App's settings")
	}
	jwt.BaseURL = strings.TrimSuffix(base.BaseURL.String(), "/")
	api := gh.NewClient(&http.Client{Transport: jwt, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if next.URL.Host != via[0].URL.Host { // which would get a JWT, too
			return fmt.Errorf("redirected to %s", next.URL.Redacted())
		}
		return follow(next, via)
	}})
	api.BaseURL, api.UserAgent = base.BaseURL, base.UserAgent
	return &installation{App: a, api: api, jwt: jwt, id: a.Installation}, nil
}

// Token is what requests are sent with now: the configured token, or that of the
// App's installation, which is renewed before it ends. It is good for reading the
// repository with git, too.
func (c *Client) Token(ctx context.Context) (sources.Secret, error) {
	if c.app == nil {
		return c.token, nil
	}
	if err := c.limits.closed(); err != nil {
		return "", err
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a := c.app
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token == nil {
		if err := c.findInstallation(within); err != nil {
			return "", err
		}
		a.token = ghinstallation.NewFromAppsTransport(a.jwt, a.id)
		// No more than it is for, should the installation have other repositories.
		_, repo, _ := strings.Cut(c.name, "/")
		a.token.InstallationTokenOptions = &gh.InstallationTokenOptions{Repositories: []string{repo}}
	}
	token, err := a.token.Token(within)
	ask := place{route: "app/installations/*/access_tokens", app: true}
	if err != nil {
		a.token = nil
		err = c.noToken(err)
		c.metrics.asked(http.MethodPost, ask, err)
		return "", err
	}
	if a.found != sources.Secret(token) {
		a.found = sources.Secret(token)
		c.metrics.asked(http.MethodPost, ask, nil)
	}
	return a.found, nil
}

// GitToken returns what gives the password for reading an address with git: nil,
// unless it is the repository where the App is installed, over HTTPS.
func (c *Client) GitToken(address string) func(context.Context) (sources.Secret, error) {
	u, err := url.Parse(address)
	if c.app == nil || err != nil || u.User != nil || u.Scheme != c.api.BaseURL.Scheme || u.Host != strings.TrimPrefix(c.api.BaseURL.Host, "api.") {
		return nil
	}
	if owner, name, ok := ParseRepo(address); !ok || !strings.EqualFold(owner+"/"+name, c.name) {
		return nil
	}
	return c.Token
}

// renew has the next request ask for a new token: this one was refused, though
// its time was not up.
func (a *installation) renew(refused sources.Secret) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == refused { // else somebody has already
		a.token = nil
	}
}

// findInstallation asks which installation has the repository.
func (c *Client) findInstallation(ctx context.Context) error {
	if c.app.id != 0 {
		return nil
	}
	var found struct {
		ID int64 `json:"id"`
	}
	_, err := c.call(ctx, http.MethodGet, c.at("/installation").asApp(), nil, &found, "")
	switch {
	case is(err, http.StatusNotFound):
		return fmt.Errorf("the App %d is not installed on %s: install it there, from the App's page", c.app.ID, c.name)
	case is(err, http.StatusUnauthorized):
		return c.badKey()
	case err == nil && found.ID == 0:
		err = errors.New(c.name + ": the answer to an installation is none")
	}
	c.app.id = found.ID
	return err
}

func (c *Client) badKey() error {
	return fmt.Errorf("the host does not know the App %d by this private key: check both, and the clock of this machine", c.app.ID)
}

// noToken says what is to be done about an installation that gives no token.
// Whatever that is, the thing that was to be written may be taken later: so these
// are no refusals of it.
func (c *Client) noToken(err error) error {
	failed, _ := errors.AsType[*ghinstallation.HTTPError](err)
	if failed == nil || failed.Response == nil {
		return fmt.Errorf("%s: a token of the App's installation: %w", c.name, err)
	}
	defer failed.Response.Body.Close()
	told := gh.CheckResponse(failed.Response)
	if limited := c.limits.heed(&gh.Response{Response: failed.Response}, told); limited != nil {
		return limited
	}
	id := c.app.id
	c.app.id = c.app.Installation // one that is installed anew has another
	answer, _ := errors.AsType[*gh.ErrorResponse](told)
	if answer == nil {
		return fmt.Errorf("%s: a token of the App's installation: %w", c.name, told)
	}
	said := cmp.Or(answer.Message, answer.Response.Status)
	switch answer.Response.StatusCode {
	case http.StatusUnauthorized:
		return c.badKey()
	case http.StatusForbidden:
		return fmt.Errorf("the App's installation %d: %s; let it work again in the settings of the account that owns %s", id, said, c.name)
	case http.StatusNotFound:
		return fmt.Errorf("the App's installation %d is gone: install the App on %s again", id, c.name)
	case http.StatusUnprocessableEntity:
		return fmt.Errorf("the App's installation %d does not have %s (%s): add the repository in the installation's settings", id, c.name, said)
	}
	return fmt.Errorf("%s: a token of the App's installation: %s", c.name, said)
}

// appLogin returns the login that an App's writes bear.
func (c *Client) appLogin(ctx context.Context) (string, error) {
	var app struct {
		Slug string `json:"slug"`
	}
	_, err := c.call(ctx, http.MethodGet, c.at("app").asApp(), nil, &app, "")
	switch {
	case is(err, http.StatusUnauthorized):
		return "", c.badKey()
	case err == nil && app.Slug == "":
		err = errors.New("the answer to who the App is has no name")
	}
	return app.Slug + "[bot]", err
}
