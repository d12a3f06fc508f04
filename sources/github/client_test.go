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
)

var good = sources.Status{State: sources.Success, Description: "12 resources", URL: "https://mesh.example.com/#4be1c0d"}

func TestStatusesAreWrittenAndRead(t *testing.T) {
	h := newHost(t)
	h.perPage = 2
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
	h.add("mallory", map[string]any{"state": "success", "context": "meshwright/applied", "description": "all is well"})
	h.add("ci", map[string]any{"state": "error", "context": "ci/build", "description": nil, "target_url": nil})

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
	h.account = "" // an App's token may not ask
	h.add("mesh-app[bot]", map[string]any{"state": "success", "context": "meshwright/check", "description": "from before"})
	c, _ := h.client()
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
		if got := h.statuses[0]["description"]; got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

func TestPullRequests(t *testing.T) {
	h := newHost(t)
	h.perPage = 2
	c, _ := h.client()
	add := func(n int, base string, head any) {
		h.pulls = append(h.pulls, map[string]any{
			"number": n, "title": fmt.Sprint("change ", n),
			"head": map[string]any{"ref": "x", "sha": fmt.Sprint("head", n), "repo": head},
			"base": map[string]any{"ref": base, "sha": "b", "repo": map[string]any{"id": 1}},
		})
	}
	add(5, "main", map[string]any{"id": 1})
	add(4, "main", map[string]any{"id": 2}) // a fork
	add(4, "main", map[string]any{"id": 2}) // moved to the next page meanwhile
	add(3, "release", map[string]any{"id": 1})
	add(2, "main", nil) // a fork that is deleted
	want := []sources.PullRequest{
		{Number: 5, Head: "head5", Base: "main", Title: "change 5"},
		{Number: 4, Head: "head4", Base: "main", Title: "change 4", Fork: true},
		{Number: 2, Head: "head2", Base: "main", Title: "change 2", Fork: true},
	}
	look := func(wantFresh int) {
		t.Helper()
		fresh := 0
		h.back = func(_ *http.Request, resp *http.Response) (*http.Response, error) {
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
	look(3)
	look(0) // every page answered 304, which is free
	h.pulls[4]["head"].(map[string]any)["sha"] = "moved2"
	h.pulls[4]["title"] = "change 2 again"
	want[2].Head, want[2].Title = "moved2", "change 2 again"
	look(1)
	h.pulls, want = nil, nil
	look(1)
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
			h.front = func(*http.Request) (*http.Response, error) { return answer(test.status, test.body), nil }
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
		h.add("mesh-bot", map[string]any{"context": "meshwright/check", "state": "pending"})
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
		h.front = func(r *http.Request) (*http.Response, error) {
			if tries++; tries < 3 {
				return answer(422, `{"message": "No commit found for SHA: `+commit+`"}`), nil
			}
			return nil, nil
		}
		if err := c.SetStatus(t.Context(), commit, "meshwright/check", good); err != nil || len(h.statuses) != 1 {
			t.Errorf("late: %v, %d statuses", err, len(h.statuses))
		}
		h.front = nil
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
		h.front = func(*http.Request) (*http.Response, error) { // Gitea 1.26
			return answer(500, `{"message": "GetCommit[`+gone+`]: object does not exist [id: `+gone+`, rel_path: ]"}`), nil
		}
		if err := c.SetStatus(t.Context(), gone, "meshwright/check", good); !errors.As(err, &permanent) {
			t.Errorf("gone from Gitea: %v; want Permanent", err)
		}
	})
}

// TestLostAnswers: the status stands, but we do not know; whoever asks sees it.
func TestLostAnswers(t *testing.T) {
	h := newHost(t)
	c, _ := h.client()
	for name, lose := range map[string]func(*http.Response) (*http.Response, error){
		"cut off":  func(*http.Response) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"half":     func(*http.Response) (*http.Response, error) { return answer(201, `{"id": 1, "sta`), nil },
		"a portal": func(*http.Response) (*http.Response, error) { return answer(200, "<html>log in</html>"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			h.statuses = nil
			h.back = func(_ *http.Request, resp *http.Response) (*http.Response, error) { return lose(resp) }
			err := c.SetStatus(t.Context(), commit, "meshwright/check", good)
			var permanent *sources.Permanent
			if err == nil || errors.As(err, &permanent) || strings.Contains(err.Error(), token) {
				t.Errorf("err = %v", err)
			}
			h.back = nil
			if got, err := c.Statuses(t.Context(), commit); err != nil || !cmp.Equal(got["meshwright/check"], good) {
				t.Errorf("standing: %v, %v", got, err)
			}
		})
	}
	t.Run("an empty list is no list", func(t *testing.T) {
		h.back = func(_ *http.Request, resp *http.Response) (*http.Response, error) { return answer(200, ""), nil }
		if got, err := c.PullRequests(t.Context(), "main"); err == nil {
			t.Errorf("an empty body counts as %v", got)
		}
	})
	t.Run("links that never end", func(t *testing.T) {
		h.back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
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
		h.front = func(r *http.Request) (*http.Response, error) {
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
	var elsewhere string
	h.front = func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "git.example.com" {
			elsewhere = r.Header.Get("Authorization")
			return answer(401, `{}`), nil
		}
		if len(h.requests) == 1 {
			return answer(status, "", "Location: "+to), nil
		}
		return nil, nil
	}
	h.count()
	if err := c.SetStatus(t.Context(), commit, "x", good); err != nil || len(h.statuses) != 1 {
		t.Errorf("307: %v, %d statuses", err, len(h.statuses))
	}
	h.count()
	status = 301
	if err := c.SetStatus(t.Context(), commit, "x", good); err == nil || !strings.Contains(err.Error(), "has the repository a new name?") {
		t.Errorf("301: %v", err)
	}
	h.count()
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
