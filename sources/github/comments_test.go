package github_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

// texts are the bodies of a pull request's comments, with their authors.
func (h *host) texts(pull int) []string {
	var all []string
	for _, c := range h.Comments(pull) {
		all = append(all, c.User.Login+": "+c.Body)
	}
	return all
}

func isPermanent(err error) bool {
	_, ok := errors.AsType[*sources.Permanent](err)
	return ok
}

func TestSetComment(t *testing.T) {
	h := newHost(t)
	h.PerPage = 2
	n := h.Open(githubtest.Pull{Head: commit})
	c, _ := h.client()
	set := func(c *github.Client, key, body string, wantCalls ...string) {
		t.Helper()
		h.Calls()
		if err := c.SetComment(t.Context(), n, key, body); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantCalls, h.Calls(), cmpopts.EquateEmpty()); diff != "" {
			t.Error("calls (-want +got)\n" + diff)
		}
	}
	want := func(texts ...string) {
		t.Helper()
		if diff := cmp.Diff(texts, h.texts(n)); diff != "" {
			t.Error("(-want +got)\n" + diff)
		}
	}
	const mark, list, post, patch = "<!-- meshwright:plan -->\n", "GET /issues/1/comments", "POST /issues/1/comments", "PATCH /issues/comments/"

	// Whoever may comment may write our marker; it does not count.
	h.Comment("mallory", n, mark+"all is well")
	for range 3 {
		h.Comment("ada", n, "looks good")
	}
	others := h.texts(n)
	set(c, "plan", "one", list, list, "GET /user", post)
	want(append(others, "mesh-bot: "+mark+"one")...)
	set(c, "plan", "one")
	id := h.Comments(n)[4].ID
	edit := patch + fmt.Sprint(id)
	set(c, "plan", "two", edit)
	set(c, "alarm", "stopped", post) // another key is another comment
	set(c, "plan", mark+"two")       // who brings the marker need not be given it
	want(append(others, "mesh-bot: "+mark+"two", "mesh-bot: <!-- meshwright:alarm -->\nstopped")...)

	// The next process finds it, on whatever page it is.
	c, _ = h.client()
	set(c, "plan", "two", list, list, list, "GET /user")
	set(c, "plan", "three", edit)

	// What somebody deletes comes back with the next change.
	h.Delete(id)
	set(c, "plan", "four", edit, post)
	set(c, "alarm", "stopped")
	want(append(others, "mesh-bot: <!-- meshwright:alarm -->\nstopped", "mesh-bot: "+mark+"four")...)
}

// TestTwoComments: where a crash has left two of one key, the older goes on.
func TestTwoComments(t *testing.T) {
	h := newHost(t)
	n := h.Open(githubtest.Pull{Head: commit})
	h.Comment(githubtest.Account, n, "<!-- meshwright:plan -->\r\nfirst\r\n")
	h.Comment(githubtest.Account, n, "I said: <!-- meshwright:plan -->")
	h.Comment(githubtest.Account, n, "<!-- meshwright:plan -->\nsecond")
	c, _ := h.client()
	if err := c.SetComment(t.Context(), n, "plan", "first"); err != nil {
		t.Fatal(err)
	}
	want := []string{"mesh-bot: <!-- meshwright:plan -->\r\nfirst\r\n", "mesh-bot: I said: <!-- meshwright:plan -->"}
	if diff := cmp.Diff(want, h.texts(n)); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// TestCommentsAtOnce: one comment comes of many writers.
func TestCommentsAtOnce(t *testing.T) {
	h := newHost(t)
	n := h.Open(githubtest.Pull{Head: commit})
	c, _ := h.client()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := c.SetComment(t.Context(), n, "plan", "text"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := h.texts(n); len(got) != 1 {
		t.Errorf("%d comments; want 1", len(got))
	}
}

// TestLostComment: who does not know whether a comment was taken looks before
// writing another.
func TestLostComment(t *testing.T) {
	h := newHost(t)
	n := h.Open(githubtest.Pull{Head: commit})
	c, _ := h.client()
	h.Back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
		if r.Method == http.MethodPost {
			return nil, io.ErrUnexpectedEOF
		}
		return resp, nil
	}
	if err := c.SetComment(t.Context(), n, "plan", "text"); err == nil || isPermanent(err) {
		t.Errorf("err = %v", err)
	}
	h.Back = nil
	if err := c.SetComment(t.Context(), n, "plan", "text"); err != nil || len(h.texts(n)) != 1 {
		t.Errorf("%v, %d comments; want 1", err, len(h.texts(n)))
	}
}

func TestLongComment(t *testing.T) {
	h := newHost(t)
	n := h.Open(githubtest.Pull{Head: commit})
	c, _ := h.client()
	limit := c.Limits().Comment
	for _, length := range []int{limit, limit + 1000} {
		if err := c.SetComment(t.Context(), n, "plan", strings.Repeat("世", length)); err != nil {
			t.Fatal(err)
		}
		if body := h.Comments(n)[0].Body; strings.HasSuffix(body, "…") != (length > limit) {
			t.Errorf("%d characters end with %q", length, body[len(body)-9:])
		}
	}
}

// TestNoPlaceForAComment: what will never take our comment, and what may later.
func TestNoPlaceForAComment(t *testing.T) {
	h := newHost(t)
	n := h.Open(githubtest.Pull{Head: commit})
	id := h.Comment("ada", n, "/meshwright plan")
	c, _ := h.client()
	check := func(name string, err error, permanent bool, want string) {
		t.Helper()
		if err == nil || isPermanent(err) != permanent || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v (permanent: %v)", name, err, isPermanent(err))
		}
	}
	check("no such pull request", c.SetComment(t.Context(), 99, "plan", "text"), true, "404 Not Found")
	check("no such comment", c.React(t.Context(), 99, "eyes"), true, "404 Not Found")
	check("no such reaction", c.React(t.Context(), id, "shrug"), true, "not included")
	h.Change(n, "locked", func(p *githubtest.Pull) { p.Locked = true })
	check("locked", c.SetComment(t.Context(), n, "plan", "text"), true, "403 Unable to create comment because issue is locked.")
	h.Front = func(*http.Request) (*http.Response, error) { return answer(404, `{"message": "Not Found"}`), nil }
	check("out of sight", c.SetComment(t.Context(), n, "plan", "text"), false, "check the name")
	check("out of sight", c.React(t.Context(), id, "eyes"), false, "check the name")
	h.Front = func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost { // how GitHub tells a narrow token about a public repository
			return answer(404, `{"message": "Not Found"}`), nil
		}
		return nil, nil
	}
	h.Change(n, "unlocked", func(p *githubtest.Pull) { p.Locked = false })
	check("narrow token", c.SetComment(t.Context(), n, "plan", "text"), false, "check the name")
	h.Front = nil
	h.Change(n, "closed", func(p *githubtest.Pull) { p.State = "closed" })
	if err := c.SetComment(t.Context(), n, "plan", "text"); err != nil {
		t.Errorf("closed: %v; comments go on", err)
	}
}

func TestReact(t *testing.T) {
	h := newHost(t)
	n := h.Open(githubtest.Pull{Head: commit})
	id := h.Comment("ada", n, "/meshwright plan")
	c, _ := h.client()
	for range 2 {
		for _, reaction := range []string{"eyes", "+1", "-1", "confused"} {
			if err := c.React(t.Context(), id, reaction); err != nil {
				t.Error(err)
			}
		}
	}
	want := []string{"mesh-bot eyes", "mesh-bot +1", "mesh-bot -1", "mesh-bot confused"}
	if diff := cmp.Diff(want, h.Comments(n)[0].Reactions); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

func TestComments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.PerPage = 2
		n := h.Open(githubtest.Pull{Head: commit})
		c, _ := h.client()
		old := h.Comment("ada", n, "before")
		time.Sleep(time.Minute)
		since := time.Now()
		h.Edit(old, "/meshwright plan") // its news is not that it was made
		first := h.Comment("ada", n, "/meshwright plan")
		h.Comment("ada", n+1, "an issue")
		h.Comment("dependabot[bot]", n, "bump")
		h.Comment(githubtest.Account, n, "ours")
		time.Sleep(time.Second)
		h.Edit(first, "/meshwright pause x")
		h.Comment("bob", n, "/meshwright explain a b /")
		want := []sources.Comment{
			{ID: first, Pull: n, Author: "ada", Edited: true, Created: since.UTC(), Body: "/meshwright pause x"},
			{ID: first + 1, Author: "ada", Created: since.UTC(), Body: "an issue"},
			{ID: first + 2, Pull: n, Author: "dependabot[bot]", Bot: true, Created: since.UTC(), Body: "bump"},
			{ID: first + 3, Pull: n, Author: githubtest.Account, Bot: true, Created: since.UTC(), Body: "ours"},
			{ID: first + 4, Pull: n, Author: "bob", Created: since.Add(time.Second).UTC(), Body: "/meshwright explain a b /"},
		}
		look := func(wantFresh int) {
			t.Helper()
			fresh := 0
			h.Back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
				if resp.StatusCode == http.StatusOK && strings.HasSuffix(r.URL.Path, "/comments") {
					fresh++
				}
				return resp, nil
			}
			got, err := c.Comments(t.Context(), since.Add(300*time.Millisecond)) // whole seconds are what a host has
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
		look(0)
		h.Delete(first)
		want = want[1:]
		look(3)
	})
}

// TestTooManyComments: of more than a list may have, the first are told, so that
// the next look goes on from there.
func TestTooManyComments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.PerPage = 1
		n := h.Open(githubtest.Pull{Head: commit})
		c, _ := h.client()
		since := time.Now()
		for range 120 {
			h.Comment("ada", n+1, "an issue")
			time.Sleep(time.Second)
		}
		last := h.Comment("ada", n, "/meshwright plan")
		got, err := c.Comments(t.Context(), since)
		if err != nil || len(got) != 100 || got[99].Pull != 0 {
			t.Fatalf("%d comments, %v; want the first 100", len(got), err)
		}
		got, err = c.Comments(t.Context(), got[99].Created)
		if err != nil || len(got) != 22 || got[21].ID != last || got[21].Pull != n {
			t.Errorf("%d comments, %v; want the other 22", len(got), err)
		}
	})
}

func TestMayWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		c, _ := h.client()
		for login, permission := range map[string]string{"ann": "admin", "mia": "maintain", "wim": "write", "tom": "triage", "rob": "read", "Ned": "none"} {
			h.Permit(login, permission)
		}
		for login, want := range map[string]bool{
			"ann": true, "mia": true, "wim": true, "tom": false, "rob": false, "ned": false, "nobody": false, "../../user": false, "": false,
		} {
			if got, err := c.MayWrite(t.Context(), login); err != nil || got != want {
				t.Errorf("%s: %v, %v; want %v", login, got, err, want)
			}
		}
		h.Permit("rob", "write")
		h.Calls()
		if got, _ := c.MayWrite(t.Context(), "Rob"); got || len(h.Calls()) != 0 {
			t.Error("asked again at once")
		}
		time.Sleep(time.Minute)
		if got, _ := c.MayWrite(t.Context(), "rob"); !got {
			t.Error("after a minute the answer of before still counts")
		}
		h.Front = func(*http.Request) (*http.Response, error) {
			return answer(403, `{"message": "Must have push access to view collaborator permission."}`), nil
		}
		if got, err := c.MayWrite(t.Context(), "ada"); got || err == nil {
			t.Errorf("a token that may not ask: %v, %v", got, err)
		}
	})
}
