package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

// Gitea is a running git host that nobody here wrote.
type Gitea struct {
	*process.Process
	URL   string // http://127.0.0.1:PORT
	Owner string // of the repositories; an administrator
	Token string // the owner's
}

// giteaConfig is app.ini: one machine, no mail, no strangers, no look at the
// network; webhooks may go to loopback, and go at once: its default queue looks for
// work every two seconds.
const giteaConfig = `
APP_NAME = lab
RUN_MODE = prod
RUN_USER = %[1]s
WORK_PATH = %[2]s
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[3]d
ROOT_URL = http://127.0.0.1:%[3]d/
STATIC_ROOT_PATH = %[4]s
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2_v2
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback
[queue]
TYPE = channel
[actions]
ENABLED = false
[cron]
ENABLED = false
[log]
LEVEL = Warn
`

// tokenPattern is a token of Gitea's, alone on its line.
var tokenPattern = regexp.MustCompile(`(?m)^[0-9a-f]{40}$`)

// StartGitea starts a Gitea with one administrator. binary lies beside its
// templates and locales, as `make tools` puts it.
func (l *Lab) StartGitea(ctx context.Context, binary string) (*Gitea, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	binary, err = filepath.EvalSymlinks(binary)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	work := l.path("gitea")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, err
	}
	ini := filepath.Join(work, "app.ini")
	if err := os.WriteFile(ini, fmt.Appendf(nil, giteaConfig, me.Username, work, port, filepath.Dir(binary)), 0o600); err != nil {
		return nil, err
	}
	gitea := func(args ...string) *exec.Cmd {
		cmd := exec.Command(binary, append(args, "--config", ini, "--work-path", work)...)
		cmd.Env = append(os.Environ(), "HOME="+work, "GIT_CONFIG_NOSYSTEM=1")
		process.Own(cmd)
		return cmd
	}
	g := &Gitea{URL: fmt.Sprintf("http://127.0.0.1:%d", port), Owner: "acme"}
	if _, err := output(gitea("migrate")); err != nil {
		return nil, err
	}
	if _, err := output(gitea("admin", "user", "create", "--admin", "--username", g.Owner, "--email", "acme@example.com",
		"--random-password", "--must-change-password=false")); err != nil {
		return nil, err
	}
	out, err := output(gitea("admin", "user", "generate-access-token", "--username", g.Owner, "--scopes", "all", "--raw"))
	if err != nil {
		return nil, err
	}
	// What it logs may come after the token.
	if g.Token = tokenPattern.FindString(string(out)); g.Token == "" {
		return nil, fmt.Errorf("gitea printed no token")
	}

	if g.Process, err = l.start("gitea", gitea("web")); err != nil {
		return nil, err
	}
	return g, Eventually(ctx, 60*time.Second, "gitea answers", func() error {
		if err := g.Exited(); err != nil {
			return err
		}
		return g.api(ctx, http.MethodGet, "version", nil, nil)
	})
}

// NewRepo makes an empty repository and returns the URL to push to, with the
// token in it.
func (g *Gitea) NewRepo(ctx context.Context, name string) (string, error) {
	if err := g.api(ctx, http.MethodPost, "user/repos", map[string]any{"name": name, "default_branch": "main"}, nil); err != nil {
		return "", err
	}
	return g.repoURL(name, url.UserPassword(g.Owner, g.Token)), nil
}

// RepoURL is where a repository is, without a secret in it.
func (g *Gitea) RepoURL(name string) string { return g.repoURL(name, nil) }

func (g *Gitea) repoURL(name string, who *url.Userinfo) string {
	return (&url.URL{Scheme: "http", User: who, Host: strings.TrimPrefix(g.URL, "http://"), Path: "/" + g.Owner + "/" + name + ".git"}).String()
}

// Daemon is how a daemon is started on a repository: it reads and writes with the
// owner's token, and takes webhooks that are signed with a secret.
func (g *Gitea) Daemon(repo, secret string) DaemonConfig {
	return DaemonConfig{
		Repo: g.RepoURL(repo), Args: []string{"--github-api-url", g.URL + "/api/v1/", "--github-repo", g.Owner + "/" + repo},
		Env: []string{"MESHWRIGHT_GIT_TOKEN=" + g.Token, "MESHWRIGHT_GITHUB_TOKEN=" + g.Token, "MESHWRIGHT_WEBHOOK_SECRET=" + secret},
	}
}

// Hook has pushes, pull requests and their comments told to a URL, signed.
func (g *Gitea) Hook(ctx context.Context, repo, target, secret string) error {
	return g.api(ctx, http.MethodPost, g.repo(repo, "hooks"), map[string]any{
		"type": "gitea", "active": true, "events": []string{"push", "pull_request", "pull_request_sync", "pull_request_label", "pull_request_comment"},
		"config": map[string]string{"url": target, "content_type": "json", "secret": secret},
	}, nil)
}

// OpenPull opens a pull request from a branch to main. Gitea takes in a push
// after it has answered it, and until then says that there is no such branch.
func (g *Gitea) OpenPull(ctx context.Context, repo, branch, title string) error {
	return Eventually(ctx, 10*time.Second, "open a pull request", func() error {
		return g.api(ctx, http.MethodPost, g.repo(repo, "pulls"), map[string]any{"head": branch, "base": "main", "title": title}, nil)
	})
}

// GiteaPull is a pull request as the git host shows it.
type GiteaPull struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	Head   struct {
		Ref string `json:"ref"` // branch
		SHA string `json:"sha"`
	} `json:"head"`
}

// Pulls returns the open pull requests, newest first.
func (g *Gitea) Pulls(ctx context.Context, repo string) ([]GiteaPull, error) {
	var all []GiteaPull
	return all, g.api(ctx, http.MethodGet, g.repo(repo, "pulls?state=open&sort=newest"), nil, &all)
}

// MergePull merges a pull request as "merge", "squash" or "rebase". Gitea says for
// a while after a push that it is not ready for it.
func (g *Gitea) MergePull(ctx context.Context, repo string, number int, how string) error {
	return Eventually(ctx, 20*time.Second, "merge a pull request", func() error {
		return g.api(ctx, http.MethodPost, g.repo(repo, fmt.Sprintf("pulls/%d/merge", number)), map[string]any{"Do": how}, nil)
	})
}

// ClosePull closes a pull request without merging it.
func (g *Gitea) ClosePull(ctx context.Context, repo string, number int) error {
	return g.api(ctx, http.MethodPatch, g.repo(repo, fmt.Sprintf("pulls/%d", number)), map[string]string{"state": "closed"}, nil)
}

// NewWriter makes an account that may write to a repository.
func (g *Gitea) NewWriter(ctx context.Context, repo, login string) error {
	err := g.api(ctx, http.MethodPost, "admin/users", map[string]any{
		"username": login, "email": login + "@example.com", "password": "correct horse battery", "must_change_password": false,
	}, nil)
	if err != nil {
		return err
	}
	return g.api(ctx, http.MethodPut, g.repo(repo, "collaborators/"+login), map[string]any{"permission": "write"}, nil)
}

// Say has somebody comment on a pull request.
func (g *Gitea) Say(ctx context.Context, repo string, number int, login, body string) error {
	return g.api(ctx, http.MethodPost, g.repo(repo, fmt.Sprintf("issues/%d/comments?sudo=%s", number, login)), map[string]any{"body": body}, nil)
}

// GiteaComment is what somebody wrote on a pull request.
type GiteaComment struct {
	User struct {
		Login string `json:"login"`
	} `json:"user"`
	Body string `json:"body"`
}

// Comments returns those of a pull request, oldest first.
func (g *Gitea) Comments(ctx context.Context, repo string, number int) ([]GiteaComment, error) {
	var all []GiteaComment
	return all, g.api(ctx, http.MethodGet, g.repo(repo, fmt.Sprintf("issues/%d/comments", number)), nil, &all)
}

// GiteaStatus is one commit status as the git host shows it.
type GiteaStatus struct {
	Context     string `json:"context"`
	State       string `json:"status"`
	Description string `json:"description"`
}

// Statuses returns every status that was ever written beside a commit, newest
// first.
func (g *Gitea) Statuses(ctx context.Context, repo, commit string) ([]GiteaStatus, error) {
	var all []GiteaStatus
	return all, g.api(ctx, http.MethodGet, g.repo(repo, "commits/"+commit+"/statuses?sort=recentupdate&limit=50"), nil, &all)
}

func (g *Gitea) repo(name, path string) string { return "repos/" + g.Owner + "/" + name + "/" + path }

// api calls Gitea's API; in and out are JSON, or nil.
func (g *Gitea) api(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, g.URL+"/api/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "token "+g.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// freePort is a port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
