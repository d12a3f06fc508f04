package github_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

var meshApp = githubtest.App{ID: 4242, Slug: "mesh-app", Installation: 777}

// app returns a client that acts as an App.
func (h *host) app(a githubtest.App) *github.Client {
	h.t.Helper()
	return h.as(github.Config{App: github.App{ID: a.ID, Key: sources.Secret(h.Install(a))}})
}

func TestAppToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c := h.app(meshApp)
		n := h.Open(githubtest.Pull{Head: commit})
		calls := func(want ...string) {
			t.Helper()
			if _, err := c.PullRequests(t.Context(), "main"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, h.Calls()); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
		}
		const find, ask, list = "GET /installation", "POST /app/installations/777/access_tokens", "GET /pulls"
		calls(find, ask, list)
		time.Sleep(58 * time.Minute)
		calls(list)
		time.Sleep(time.Minute + time.Second) // a minute before its end it is renewed
		calls(ask, list)
		if token, err := c.Token(t.Context()); err != nil || token != "ghs_2" {
			t.Errorf("Token: %#v, %v", token, err)
		}

		h.Install(meshApp) // with a new secret, say: tokens end before their time
		calls(list, ask, list)

		if err := c.SetComment(t.Context(), n, "plan", "text"); err != nil {
			t.Fatal(err)
		}
		if got := h.Comments(n)[0].User; got.Login != "mesh-app[bot]" || got.Type != "Bot" {
			t.Errorf("written by %v", got)
		}
		if err := h.app(meshApp).SetComment(t.Context(), n, "plan", "new text"); err != nil || len(h.Comments(n)) != 1 {
			t.Errorf("the next process: %v, %d comments; want 1", err, len(h.Comments(n)))
		}
	})
}

// TestAppTrouble: what is wrong with an App is said with what to do, and is no
// verdict on what was to be written.
func TestAppTrouble(t *testing.T) {
	gone, suspended, elsewhere, another := meshApp, meshApp, meshApp, meshApp
	gone.Installation, suspended.Suspended, elsewhere.Elsewhere, another.ID = 0, true, true, 1
	for name, test := range map[string]struct {
		then githubtest.App
		want string
		asks bool // for the installation
	}{
		"never installed": {gone, "the App 4242 is not installed on acme/mesh: install it there", true},
		"uninstalled":     {gone, "the App's installation 777 is gone: install the App on acme/mesh again", false},
		"suspended":       {suspended, "the App's installation 777: This installation has been suspended; let it work again in the settings", false},
		"not this repo":   {elsewhere, "the App's installation 777 does not have acme/mesh", false},
		"another App":     {another, "the host does not know the App 4242 by this private key", true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			cfg := github.Config{App: github.App{ID: meshApp.ID, Key: sources.Secret(h.Install(meshApp))}}
			if !test.asks {
				cfg.App.Installation = 777
			}
			c := h.as(cfg)
			h.Install(test.then)
			err := c.SetStatus(t.Context(), commit, "meshwright/check", good)
			if err == nil || isPermanent(err) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("err = %v; want %q", err, test.want)
			}
			h.Install(meshApp) // somebody has done so
			if err := c.SetStatus(t.Context(), commit, "meshwright/check", good); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("installed anew", func(t *testing.T) {
		h := newHost(t)
		c := h.app(meshApp)
		if err := c.SetStatus(t.Context(), commit, "meshwright/check", good); err != nil {
			t.Fatal(err)
		}
		again := meshApp
		again.Installation = 778
		h.Install(again)
		if _, err := c.PullRequests(t.Context(), "main"); err == nil {
			t.Error("the old installation still works")
		}
		if _, err := c.PullRequests(t.Context(), "main"); err != nil {
			t.Error(err)
		}
	})
	t.Run("limits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t)
			c := h.app(meshApp)
			h.Front = func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPost {
					return answer(429, `{"message": "too fast"}`, "Retry-After: 90"), nil
				}
				return nil, nil
			}
			start := time.Now()
			if got := limited(c.SetStatus(t.Context(), commit, "x", good)).Sub(start); got != 90*time.Second {
				t.Errorf("stay away for %s", got)
			}
		})
	})
	t.Run("a redirect elsewhere", func(t *testing.T) {
		h := newHost(t)
		c := h.app(meshApp)
		h.Front = func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "git.example.com" {
				t.Errorf("%s was asked, with %q", r.URL.Host, r.Header.Get("Authorization"))
			}
			return answer(307, "", "Location: https://evil.example.org/"), nil
		}
		if err := c.SetStatus(t.Context(), commit, "x", good); err == nil {
			t.Error("followed")
		}
	})
}

func TestNewRefusesApps(t *testing.T) {
	key := sources.Secret(newHost(t).Install(meshApp))
	for name, cfg := range map[string]github.Config{
		"no key":    {App: github.App{ID: 1}},
		"no PEM":    {App: github.App{ID: 1, Key: "hunter2"}},
		"a token":   {App: github.App{ID: 1, Key: key}, Token: token},
		"for Gitea": {App: github.App{ID: 1, Key: key}, BaseURL: "https://git.example.com/api/v1/"},
	} {
		cfg.Owner, cfg.Repo = "acme", "mesh"
		if _, err := github.New(cfg); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGitToken: the App's token goes to its own repository only.
func TestGitToken(t *testing.T) {
	key := sources.Secret(newHost(t).Install(meshApp))
	for api, addresses := range map[string]map[string]bool{
		"": {
			"https://github.com/acme/mesh.git": true, "https://github.com/Acme/mesh": true,
			"https://github.com/acme/other.git": false, "https://evil.example.org/acme/mesh.git": false, "http://github.com/acme/mesh.git": false,
			"https://ada:pw@github.com/acme/mesh.git": false, "git@github.com:acme/mesh.git": false, "/srv/git/acme/mesh": false,
		},
		"https://git.example.com/api/v3/": {"https://git.example.com/acme/mesh.git": true, "https://github.com/acme/mesh.git": false},
	} {
		c, err := github.New(github.Config{Owner: "acme", Repo: "mesh", BaseURL: api, App: github.App{ID: 1, Key: key}})
		if err != nil {
			t.Fatal(err)
		}
		for address, want := range addresses {
			if got := c.GitToken(address) != nil; got != want {
				t.Errorf("%s: %v; want %v", address, got, want)
			}
		}
	}
	person, _ := newHost(t).client()
	if person.GitToken("https://git.example.com/acme/mesh.git") != nil {
		t.Error("a token for the API was to be used for git, too")
	}
}

func TestLimitsOfHosts(t *testing.T) {
	h := newHost(t)
	person, _ := h.client()
	gitea, err := github.New(github.Config{Owner: "acme", Repo: "mesh", Token: token, BaseURL: "https://git.example.com/gitea/api/v1"})
	if err != nil {
		t.Fatal(err)
	}
	const comment = 65_536 - 256
	for name, test := range map[string]struct {
		c    *github.Client
		want sources.Limits
	}{
		"token": {person, sources.Limits{Description: 140, Comment: comment, Deployments: true}},
		"App":   {h.app(meshApp), sources.Limits{Description: 140, Comment: comment, Deployments: true, Annotations: true}},
		"Gitea": {gitea, sources.Limits{Description: 140, Comment: comment}},
	} {
		if got := test.c.Limits(); got != test.want {
			t.Errorf("%s: %+v; want %+v", name, got, test.want)
		}
	}
}
