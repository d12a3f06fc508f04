package github_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

var good = sources.Status{State: sources.Success, Description: "12 resources", URL: "https://mesh.example.com/#4be1c0d"}

func TestStatusesAreWrittenAndRead(t *testing.T) {
	h := newHost(t)
	h.PerPage = 2
	c, log := h.client()
	for i, s := range []sources.Status{{State: sources.Pending}, good} {
		if err := c.SetStatus(t.Context(), commit, "meshwright/check", s); err != nil {
			t.Fatal(i, err)
		}
	}
	failed := sources.Status{State: sources.Failure, Description: "a.yaml:3:1: error"}
	if err := c.SetStatus(t.Context(), commit, "meshwright/applied", failed); err != nil {
		t.Fatal(err)
	}
	// Whoever may push may write under our contexts; it does not count.
	h.AddStatus("mallory", githubtest.Status{Commit: commit, State: "success", Context: "meshwright/applied"})
	h.AddStatus("ci", githubtest.Status{Commit: commit, State: "error", Context: "ci/build"})

	got, err := c.Statuses(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]sources.Status{"meshwright/check": good, "meshwright/applied": failed}, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
	if strings.Contains(log.String(), token) {
		t.Errorf("the token is in the log:\n%s", log)
	}
}

// TestWhoseStatuses: our own account is the token's, or the one that our writes
// turn out to bear.
func TestWhoseStatuses(t *testing.T) {
	h := newHost(t)
	h.Grant("ghs_app", "mesh-app[bot]") // an App's token may not ask
	h.AddStatus("mesh-app[bot]", githubtest.Status{Commit: commit, State: "success", Context: "meshwright/check"})
	c := h.as(github.Config{Token: "ghs_app"})
	if got, err := c.Statuses(t.Context(), commit); err != nil || len(got) != 0 {
		t.Errorf("before the first write: %v, %v; want none, for it is not known whose they are", got, err)
	}
	if err := c.SetStatus(t.Context(), commit, "meshwright/applied", good); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Statuses(t.Context(), commit); err != nil || len(got) != 2 {
		t.Errorf("after it: %v, %v; want both", got, err)
	}
}

func TestDescriptionsAreCutOnRunes(t *testing.T) {
	h := newHost(t)
	c, _ := h.client()
	for text, want := range map[string]string{
		strings.Repeat("é", 140):        strings.Repeat("é", 140),
		strings.Repeat("é", 141):        strings.Repeat("é", 139) + "…",
		"3 " + strings.Repeat("世", 500): "3 " + strings.Repeat("世", 137) + "…",
	} {
		if err := c.SetStatus(t.Context(), commit, "x", sources.Status{State: sources.Success, Description: text}); err != nil {
			t.Fatal(err)
		}
		if got := h.Statuses(commit)[0].Description; got == nil || *got != want {
			t.Errorf("%v; want %q", got, want)
		}
	}
}

func TestPullRequests(t *testing.T) {
	h := newHost(t)
	h.PerPage = 2
	c, _ := h.client()
	for n, p := range []githubtest.Pull{
		{Head: "head1", Title: "change 1", Fork: true, Gone: true},
		{Head: "head2", Title: "change 2", Base: "release"},
		{Head: "head3", Title: "change 3", Fork: true, Author: "mallory"},
		{Head: "head4", Title: "change 4", Author: "ada", Labels: []string{"risky", "fast"}, Draft: true},
	} {
		if h.Open(p) != n+1 {
			t.Fatal("numbers")
		}
	}
	want := []sources.PullRequest{
		{Number: 4, Head: "head4", Base: "main", Title: "change 4", Author: "ada", Labels: []string{"fast", "risky"}, Draft: true},
		{Number: 3, Head: "head3", Base: "main", Title: "change 3", Author: "mallory", Fork: true},
		{Number: 1, Head: "head1", Base: "main", Title: "change 1", Author: "ada", Fork: true},
	}
	look := func(wantFresh int) {
		t.Helper()
		fresh := 0
		h.Back = func(_ *http.Request, resp *http.Response) (*http.Response, error) {
			if resp.StatusCode == http.StatusOK {
				fresh++
			}
			return resp, nil
		}
		got, err := c.PullRequests(t.Context(), "main")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("(-want +got)\n" + diff)
		}
		if fresh != wantFresh {
			t.Errorf("%d pages answered in full; want %d", fresh, wantFresh)
		}
	}
	look(2)
	look(0) // every page answered 304, which is free
	h.Change(1, "synchronize", func(p *githubtest.Pull) { p.Head = "moved1" })
	want[2].Head = "moved1"
	look(1)
	h.Merge(1, commit)
	want = want[:2]
	look(1)
	for n := range 4 {
		h.Change(n+1, "closed", func(p *githubtest.Pull) { p.State = "closed" })
	}
	want = nil
	look(1)
}

// TestListsThatMove: what is opened while a list is read moves others to the next
// page.
func TestListsThatMove(t *testing.T) {
	h := newHost(t)
	h.PerPage = 1
	for range 2 {
		h.Open(githubtest.Pull{Head: commit})
	}
	c, _ := h.client()
	pages := 0
	h.Front = func(*http.Request) (*http.Response, error) {
		if pages++; pages == 2 {
			h.Open(githubtest.Pull{Head: commit})
		}
		return nil, nil
	}
	got, err := c.PullRequests(t.Context(), "main")
	if err != nil || len(got) != 2 || got[0].Number != 2 || got[1].Number != 1 {
		t.Errorf("%v, %v; want 2 and 1, each once", got, err)
	}
}

// TestErrorsSayWhatToDo and what the caller is to do: only what is wrong with
// the one status is permanent.
func TestErrorsSayWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		status    int
		body      string
		permanent bool
		want      string
	}{
		"expired token":  {401, `{"message": "Bad credentials"}`, false, "acme/mesh: 401 Bad credentials; the token does not hold (any more): give a new one"},
		"narrow token":   {403, `{"message": "Resource not accessible by personal access token"}`, false, "give the token commit statuses (write)"},
		"out of sight":   {404, `{"message": "Not Found"}`, false, "acme/mesh: 404 Not Found; check the name"},
		"down":           {502, "<html>\n<h1>Bad\n Gateway</h1>", false, "acme/mesh: 502 Bad Gateway"},
		"gone mad":       {500, "", false, "acme/mesh: 500 Internal Server Error"},
		"refused":        {422, `{"message": "Validation Failed", "errors": [{"resource": "Status", "field": "target_url", "code": "invalid"}]}`, true, "acme/mesh: 422 Validation Failed target_url invalid"},
		"not understood": {400, `{"message": "Problems parsing JSON"}`, true, "400 Problems parsing JSON"},
		"lines":          {422, `{"message": "a\n\tb"}`, true, "422 a b"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.Front = func(*http.Request) (*http.Response, error) { return answer(test.status, test.body), nil }
			c, _ := h.client()
			err := c.SetStatus(t.Context(), commit, "meshwright/check", good)
			var permanent *sources.Permanent
			if errors.As(err, &permanent) != test.permanent {
				t.Errorf("permanent: %v; want %v", !test.permanent, test.permanent)
			}
			var limited *sources.RetryAfter
			if errors.As(err, &limited) {
				t.Error("taken for a limit")
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n\t") {
				t.Errorf("err = %v; want one line with %q", err, test.want)
			}
			if _, err := c.PullRequests(t.Context(), "main"); err == nil || errors.As(err, &permanent) {
				t.Errorf("list: %v; nothing of a list is permanent", err)
			}
		})
	}
}

// TestTooManyStatuses: GitHub takes 1,000 of a commit and context.
func TestTooManyStatuses(t *testing.T) {
	h := newHost(t)
	for range 1000 {
		h.AddStatus(githubtest.Account, githubtest.Status{Commit: commit, Context: "meshwright/check", State: "pending"})
	}
	c, _ := h.client()
	err := c.SetStatus(t.Context(), commit, "meshwright/check", good)
	var permanent *sources.Permanent
	if !errors.As(err, &permanent) || !strings.Contains(err.Error(), "maximum number of statuses") {
		t.Errorf("err = %v", err)
	}
}

// TestCommitThatTheAPIDoesNotKnow: git has a push before the API has; one that
// stays unknown is gone.
func TestCommitThatTheAPIDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c, _ := h.client()
		tries := 0
		h.Front = func(r *http.Request) (*http.Response, error) {
			if tries++; tries < 3 {
				return answer(422, `{"message": "No commit found for SHA: `+commit+`"}`), nil
			}
			return nil, nil
		}
		if err := c.SetStatus(t.Context(), commit, "meshwright/check", good); err != nil || len(h.Statuses(commit)) != 1 {
			t.Errorf("late: %v, %d statuses", err, len(h.Statuses(commit)))
		}
		h.Front = nil
		gone := strings.Repeat("1", 40)
		start := time.Now()
		err := c.SetStatus(t.Context(), gone, "meshwright/check", good)
		var permanent *sources.Permanent
		if !errors.As(err, &permanent) || !strings.Contains(err.Error(), "No commit found") {
			t.Errorf("gone: %v; want Permanent", err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		if got, err := c.Statuses(t.Context(), gone); err != nil || len(got) != 0 {
			t.Errorf("statuses of a commit that is gone: %v, %v", got, err)
		}
		h.Front = func(*http.Request) (*http.Response, error) { // Gitea 1.26
			return answer(500, `{"message": "GetCommit[`+gone+`]: object does not exist [id: `+gone+`, rel_path: ]"}`), nil
		}
		if err := c.SetStatus(t.Context(), gone, "meshwright/check", good); !errors.As(err, &permanent) {
			t.Errorf("gone from Gitea: %v; want Permanent", err)
		}
	})
}

// TestLostAnswers: the status stands, but we do not know; whoever asks sees it.
func TestLostAnswers(t *testing.T) {
	for name, lose := range map[string]func(*http.Response) (*http.Response, error){
		"cut off":  func(*http.Response) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"half":     func(*http.Response) (*http.Response, error) { return answer(201, `{"id": 1, "sta`), nil },
		"a portal": func(*http.Response) (*http.Response, error) { return answer(200, "<html>log in</html>"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			c, _ := h.client()
			h.Back = func(_ *http.Request, resp *http.Response) (*http.Response, error) { return lose(resp) }
			err := c.SetStatus(t.Context(), commit, "meshwright/check", good)
			var permanent *sources.Permanent
			if err == nil || errors.As(err, &permanent) || strings.Contains(err.Error(), token) {
				t.Errorf("err = %v", err)
			}
			h.Back = nil
			if got, err := c.Statuses(t.Context(), commit); err != nil || !cmp.Equal(got["meshwright/check"], good) {
				t.Errorf("standing: %v, %v", got, err)
			}
		})
	}
	h := newHost(t)
	c, _ := h.client()
	t.Run("an empty list is no list", func(t *testing.T) {
		h.Back = func(_ *http.Request, resp *http.Response) (*http.Response, error) { return answer(200, ""), nil }
		if got, err := c.PullRequests(t.Context(), "main"); err == nil {
			t.Errorf("an empty body counts as %v", got)
		}
	})
	t.Run("links that never end", func(t *testing.T) {
		h.Back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
			return answer(200, "[]", `Link: <https://git.example.com/x?page=2>; rel="next"`), nil
		}
		if _, err := c.PullRequests(t.Context(), "main"); err == nil || !strings.Contains(err.Error(), "more than 100 pages") {
			t.Errorf("err = %v", err)
		}
	})
}

func TestSlowHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.Front = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		c, _ := h.client()
		start := time.Now()
		if err := c.SetStatus(t.Context(), commit, "x", good); err == nil || time.Since(start) > time.Minute {
			t.Errorf("err = %v after %s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.PullRequests(ctx, "main"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v; want the context's", err)
		}
	})
}

// TestRedirects: a renamed repository is followed as long as the request stays
// what it is; the token goes to no other host.
func TestRedirects(t *testing.T) {
	h := newHost(t)
	c, _ := h.client()
	to, status := "https://git.example.com/api/v3/repos/acme/mesh/statuses/"+commit, 307
	tries := 0
	var elsewhere string
	h.Front = func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "git.example.com" {
			elsewhere = r.Header.Get("Authorization")
			return answer(401, `{}`), nil
		}
		if tries++; tries == 1 {
			return answer(status, "", "Location: "+to), nil
		}
		return nil, nil
	}
	tries = 0
	if err := c.SetStatus(t.Context(), commit, "x", good); err != nil || len(h.Statuses(commit)) != 1 {
		t.Errorf("307: %v, %d statuses", err, len(h.Statuses(commit)))
	}
	tries = 0
	status = 301
	if err := c.SetStatus(t.Context(), commit, "x", good); err == nil || !strings.Contains(err.Error(), "has the repository a new name?") {
		t.Errorf("301: %v", err)
	}
	tries = 0
	status, to = 307, "https://evil.example.org/"
	if err := c.SetStatus(t.Context(), commit, "x", good); err == nil || elsewhere != "" {
		t.Errorf("another host: %v, and got %q", err, elsewhere)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]github.Config{
		"no owner":       {Repo: "mesh", Token: token},
		"a path":         {Owner: "acme", Repo: "mesh/../x", Token: token},
		"no token":       {Owner: "acme", Repo: "mesh"},
		"no URL":         {Owner: "acme", Repo: "mesh", Token: token, BaseURL: "api.github.com"},
		"a user":         {Owner: "acme", Repo: "mesh", Token: token, BaseURL: "https://ada:" + token + "@api.github.com/"},
		"another scheme": {Owner: "acme", Repo: "mesh", Token: token, BaseURL: "ftp://api.github.com/"},
	} {
		if _, err := github.New(cfg); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", github.Config{Token: token}, github.Config{Token: token}, github.Config{Token: token}); strings.Contains(text, token) {
		t.Errorf("the token prints: %s", text)
	}
}

func TestParseRepo(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/acme/mesh.git":       "acme/mesh",
		"https://github.com/acme/mesh":           "acme/mesh",
		"https://x:y@github.com/acme/mesh.git/":  "acme/mesh",
		"http://127.0.0.1:3000/acme/mesh.x.git":  "acme/mesh.x",
		"ssh://git@github.com:22/acme/mesh.git":  "acme/mesh",
		"git@github.com:acme/mesh.git":           "acme/mesh",
		"github.com:acme/mesh":                   "acme/mesh",
		"/srv/git/mesh.git":                      "",
		"./a:b/c":                                "",
		"file:///acme/mesh":                      "",
		"https://github.com/acme":                "",
		"https://gitlab.example/group/sub/mesh":  "",
		"https://github.com/acme/mesh%2F..%2Fxx": "",
		"git@github.com:":                        "",
		"":                                       "",
	} {
		owner, name, ok := github.ParseRepo(address)
		got := ""
		if ok {
			got = owner + "/" + name
		}
		if got != want {
			t.Errorf("%s: %q; want %q", address, got, want)
		}
	}
}

func TestHosts(t *testing.T) {
	for address, want := range map[string]bool{
		"https://github.com/acme/mesh.git":          true,
		"https://x:y@GitHub.com/acme/mesh":          true,
		"git@github.com:acme/mesh.git":              true,
		"ssh://git@ssh.github.com:443/acme/mesh":    true,
		"github.com:acme/mesh":                      true,
		"http://127.0.0.1:3000/acme/mesh.git":       false,
		"https://github.com.example.com/acme/mesh":  false,
		"https://github.com@git.example.com/a/mesh": false,
		"git@git.example.com:github.com/mesh":       false,
		"/srv/github.com/acme/mesh":                 false,
		"https://github.example.com/acme/mesh":      false,
		"file://github.com/acme/mesh":               false,
		"":                                          false,
	} {
		if got := github.Hosts(address); got != want {
			t.Errorf("%s: %t; want %t", address, got, want)
		}
	}
}
