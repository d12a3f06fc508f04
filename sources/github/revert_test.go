package github_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

const blob = "257cc5642cb1a054f08cc83f2d943e56fd3ebe99"

// undoing is the revert of a change of one file, that deleted another and added a
// third.
func undoing() sources.Revert {
	return sources.Revert{
		Commit: strings.Repeat("c", 40), To: strings.Repeat("a", 40), Tip: commit, Root: strings.Repeat("e", 40),
		Files: []sources.FileChange{
			{Path: "mesh/gone.yaml", Mode: "100644", Blob: blob},
			{Path: "mesh/new.yaml", Was: blob},
			{Path: "mesh/run.sh", Mode: "100755", Blob: blob, Was: blob},
		},
		Key: "ccccccc", Branch: "main", Title: `Revert "all to v2"`, Message: "The canary failed.", Body: "**why**",
	}
}

const (
	revertBranch = "meshwright/revert-ccccccc"
	postPulls    = "POST /pulls"
)

func TestOpenRevert(t *testing.T) {
	h := newHost(t)
	c, _ := h.client()
	number, err := c.OpenRevert(t.Context(), undoing())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"GET /user", "GET /pulls", "POST /git/trees", "POST /git/commits", "POST /git/refs", postPulls}
	if diff := cmp.Diff(want, h.Calls()); diff != "" {
		t.Error("calls (-want +got)\n" + diff)
	}
	entry := func(path, mode string, sha *string) githubtest.TreeEntry {
		return githubtest.TreeEntry{Path: path, Mode: mode, Type: "blob", SHA: sha}
	}
	sha := blob
	wantCommit := githubtest.Commit{
		Author: "mesh-bot", Message: "Revert \"all to v2\"\n\nThe canary failed.", Parents: []string{commit}, Base: strings.Repeat("e", 40),
		Changes: []githubtest.TreeEntry{entry("mesh/gone.yaml", "100644", &sha), entry("mesh/new.yaml", "100644", nil), entry("mesh/run.sh", "100755", &sha)},
	}
	made, _ := h.Branch(revertBranch)
	if diff := cmp.Diff(wantCommit, made); diff != "" {
		t.Error("commit (-want +got)\n" + diff)
	}
	var p githubtest.Pull
	h.Change(number, "looked_at", func(now *githubtest.Pull) { p = *now })
	if got := strings.Join([]string{p.Title, p.Body, p.Author, p.Ref, p.Base}, "|"); got != `Revert "all to v2"|**why**|mesh-bot|`+revertBranch+"|main" {
		t.Error(got)
	}

	for what, change := range map[string]func(*githubtest.Pull){
		"as it is": func(*githubtest.Pull) {}, "closed by a person": func(p *githubtest.Pull) { p.State = "closed" },
	} {
		h.Change(number, "edited", change)
		c, _ := h.client() // the next process
		h.Calls()
		if n, err := c.OpenRevert(t.Context(), undoing()); n != number || err != nil || len(h.Calls()) != 2 {
			t.Errorf("%s: #%d, %v; want #%d, looked up", what, n, err, number)
		}
	}
	other := undoing()
	other.Key = "ddddddd"
	if n, err := c.OpenRevert(t.Context(), other); n != number+1 || err != nil {
		t.Errorf("of another commit: #%d, %v", n, err)
	}
}

// Somebody else's pull request of that name is none of ours, nor is one of ours
// for another branch.
func TestOpenRevertAmongOthers(t *testing.T) {
	h := newHost(t)
	c, _ := h.client()
	h.Open(githubtest.Pull{Ref: revertBranch, Author: "mallory", Fork: true})
	h.Open(githubtest.Pull{Ref: revertBranch, Author: "mallory", Base: "other"})
	h.Open(githubtest.Pull{Ref: revertBranch, Author: "mesh-bot", Base: "release"})
	if n, err := c.OpenRevert(t.Context(), undoing()); n != 4 || err != nil {
		t.Errorf("#%d, %v; want #4", n, err)
	}
	h.Grant("ghs_workflow", "actions[bot]")
	h.Permit("actions[bot]", "write")
	h.Open(githubtest.Pull{Ref: "meshwright/revert-x", Author: "mallory"})
	mine := undoing()
	mine.Key = "y"
	for range 2 { // of a token that may not ask whose it is
		c := h.as(github.Config{Token: "ghs_workflow"})
		if n, err := c.OpenRevert(t.Context(), mine); n != 6 || err != nil {
			t.Errorf("of a workflow's token: #%d, %v; want #6", n, err)
		}
	}
}

// However often it is cut off, there is one pull request in the end.
func TestOpenRevertCutOff(t *testing.T) {
	for _, lost := range []string{"POST /git/trees", "POST /git/commits", "POST /git/refs", postPulls} {
		h := newHost(t)
		c, _ := h.client()
		h.Back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
			if r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v3/repos/acme/mesh") == lost {
				return nil, io.ErrUnexpectedEOF
			}
			return resp, nil
		}
		if _, err := c.OpenRevert(t.Context(), undoing()); err == nil || isPermanent(err) {
			t.Errorf("%s: %v", lost, err)
		}
		h.Back = nil
		if n, err := c.OpenRevert(t.Context(), undoing()); n != 1 || err != nil {
			t.Errorf("%s: #%d, %v; want #1", lost, n, err)
		}
	}
}

func TestOpenRevertRefused(t *testing.T) {
	refusal := func(method, path string, status int, body string) func(*host) {
		return func(h *host) {
			h.Front = func(r *http.Request) (*http.Response, error) {
				if r.Method == method && strings.HasSuffix(r.URL.Path, path) {
					return answer(status, body), nil
				}
				return nil, nil
			}
		}
	}
	for name, test := range map[string]struct {
		prepare   func(*host)
		change    func(*sources.Revert)
		permanent bool
		want      string
	}{
		"a fine-grained token without the right": {prepare: refusal("POST", "/git/trees", 403, `{"message": "Resource not accessible by personal access token"}`),
			permanent: true, want: "the daemon needs contents (write) of acme/mesh"},
		"an account that may only read": {prepare: func(h *host) { h.Permit(githubtest.Account, "read") }, permanent: true, want: "contents (write)"},
		"archived":                      {prepare: refusal("POST", "/git/trees", 403, `{"message": "Repository was archived so is read-only."}`), permanent: true, want: "archived"},
		"a ruleset":                     {prepare: refusal("POST", "/git/refs", 422, `{"message": "Repository rule violations found"}`), permanent: true, want: "rule violations"},
		"no pull requests of workflows": {prepare: refusal("POST", "/pulls", 403, `{"message": "GitHub Actions is not permitted to create or approve pull requests."}`),
			permanent: true, want: "pull requests (write)"},
		"somebody has made the pull request": {prepare: func(h *host) {
			h.AddBranch(revertBranch, commit)
			h.Open(githubtest.Pull{Ref: revertBranch, Author: "ada"})
		}, permanent: true, want: "already exists"},
		"nothing to undo":  {change: func(r *sources.Revert) { r.Files, r.Left = nil, []string{"a", "b"} }, permanent: true, want: "nothing of ccccccc is there to be undone; changed again since: a, b"},
		"the host is down": {prepare: refusal("GET", "/pulls", 502, ""), want: "502"},
		"down later":       {prepare: refusal("POST", "/git/commits", 502, ""), want: "502"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			h := newHost(t)
			c, _ := h.client()
			if test.prepare != nil {
				test.prepare(h)
			}
			r := undoing()
			if test.change != nil {
				test.change(&r)
			}
			n, err := c.OpenRevert(t.Context(), r)
			if n != 0 || isPermanent(err) != test.permanent || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("#%d, %v; want %q, permanent %v", n, err, test.want, test.permanent)
			}
		})
	}
}

// What was just pushed, the API may not know yet.
func TestOpenRevertWaitsForTheBranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c, _ := h.client()
		asked := 0
		h.Front = func(r *http.Request) (*http.Response, error) {
			if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/pulls") {
				if asked++; asked < 3 {
					return answer(422, `{"message": "Validation Failed", "errors": [{"resource": "PullRequest", "field": "head", "code": "invalid"}]}`), nil
				}
			}
			return nil, nil
		}
		if n, err := c.OpenRevert(t.Context(), undoing()); n != 1 || err != nil {
			t.Errorf("#%d, %v; want #1", n, err)
		}
		asked = -10
		other := undoing()
		other.Key = "ddddddd"
		if _, err := c.OpenRevert(t.Context(), other); !isPermanent(err) {
			t.Errorf("a head that never comes: %v", err)
		}
	})
}

// An App needs the right, too, and is who has made it.
func TestOpenRevertOfAnApp(t *testing.T) {
	h := newHost(t)
	app := meshApp
	open := func() (int, error) {
		c := h.as(github.Config{App: github.App{ID: app.ID, Key: sources.Secret(h.Install(app))}})
		return c.OpenRevert(t.Context(), undoing())
	}
	if _, err := open(); !isPermanent(err) || !strings.Contains(err.Error(), "Resource not accessible by integration; ") {
		t.Errorf("without the right: %v", err)
	}
	app.MayPush = true
	for range 2 {
		if n, err := open(); n != 1 || err != nil {
			t.Errorf("#%d, %v; want #1", n, err)
		}
	}
	if made, _ := h.Branch(revertBranch); made.Author != "mesh-app[bot]" {
		t.Errorf("%+v", made)
	}
}

func TestGiteaRevert(t *testing.T) {
	var asked []string
	refuse := answer(201, "{}")
	c, err := github.New(github.Config{BaseURL: "https://git.example.com/api/v1", Owner: "acme", Repo: "mesh", Token: token, Transport: front(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		switch {
		case strings.HasSuffix(r.URL.Path, "/user"):
			return answer(200, `{"login": "mesh-bot"}`), nil
		case r.Method == "GET":
			return answer(200, `[{"number": 3, "user": {"login": "mesh-bot"}, "head": {"ref": "refs/pull/3/head", "label": "meshwright/revert-old"}, "base": {"ref": "main"}}]`), nil
		case strings.HasSuffix(r.URL.Path, "/contents"):
			body, _ := io.ReadAll(r.Body)
			asked = append(asked, strings.TrimSpace(string(body)))
			return refuse, nil
		}
		return answer(201, `{"number": 7}`), nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	r := undoing()
	r.Files[0].Content, r.Files[2].Content = []byte("v1"), []byte("#!")
	if n, err := c.OpenRevert(t.Context(), r); n != 7 || err != nil {
		t.Errorf("#%d, %v", n, err)
	}
	want := []string{
		"GET /api/v1/user", "GET /api/v1/repos/acme/mesh/pulls?state=all&poster=mesh-bot&base_branch=main&limit=50", "POST /api/v1/repos/acme/mesh/contents",
		`{"branch":"main","files":[{"operation":"create","path":"mesh/gone.yaml","content":"djE="},{"operation":"delete","path":"mesh/new.yaml","sha":"` + blob + `"},` +
			`{"operation":"update","path":"mesh/run.sh","content":"IyE=","sha":"` + blob + `"}],"message":"Revert \"all to v2\"\n\nThe canary failed.","new_branch":"` + revertBranch + `"}`,
		"POST /api/v1/repos/acme/mesh/pulls",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
	r.Key = "old" // its branch is gone
	if n, err := c.OpenRevert(t.Context(), r); n != 3 || err != nil {
		t.Errorf("#%d, %v; want #3", n, err)
	}
	r.Key, r.Files[0].Mode = "new", "120000"
	if _, err := c.OpenRevert(t.Context(), r); !isPermanent(err) {
		t.Errorf("a symbolic link: %v", err)
	}
	r.Files = slices.Delete(r.Files, 0, 1)
	for text, permanent := range map[string]bool{
		"sha does not match [given: 2b, expected: 34]": false, "repository file already exists [path: a]": false,
		"path contains a malformed path component [path: a]": true,
	} {
		refuse = answer(422, `{"message": "`+text+`"}`)
		_, err := c.OpenRevert(t.Context(), r)
		if _, is := errors.AsType[*sources.Permanent](err); err == nil || is != permanent {
			t.Errorf("%s: %v; permanent %v", text, err, permanent)
		}
	}
	refuse = answer(422, `{"message": "branch already exists [name: x]"}`)
	if n, err := c.OpenRevert(t.Context(), r); n != 7 || err != nil {
		t.Errorf("a branch that was left: #%d, %v", n, err)
	}
}
