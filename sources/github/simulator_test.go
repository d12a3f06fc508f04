package github_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
)

// TestSimulator holds every kind of request that the client sends against
// GitHub's OpenAPI description, by a server that nobody here wrote. Its answers
// are the description's examples.
func TestSimulator(t *testing.T) {
	t.Parallel()
	wire := &tap{t: t}
	c, err := github.New(github.Config{BaseURL: fixtures.Simulator(t), Owner: "acme", Repo: "mesh", Token: token, Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	since := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		name string
		do   func() error
		want string // requests
	}{
		{"read statuses", func() error { _, err := c.Statuses(ctx, commit); return err }, `
			GET /user 200
			GET /repos/acme/mesh/commits/` + commit + `/statuses?per_page=100 200`},
		{"write a status", func() error { return c.SetStatus(ctx, commit, "meshwright/check", good) }, `
			POST /repos/acme/mesh/statuses/` + commit + ` 201`},
		{"list pull requests", func() error { _, err := c.PullRequests(ctx, "main"); return err }, `
			GET /repos/acme/mesh/pulls?state=open&per_page=100&base=main 200`},
		{"list merge groups", func() error { _, err := c.MergeGroups(ctx, "main"); return err }, `
			GET /repos/acme/mesh/git/matching-refs/heads/gh-readonly-queue/main/ 200`},
		{"find the pull request of a commit", func() error { _, err := c.PullOf(ctx, commit); return err }, `
			GET /repos/acme/mesh/commits/` + commit + `/pulls?per_page=100 200`},
		{"comment", func() error { return c.SetComment(ctx, 7, "pull", "**3 routes**") }, `
			GET /repos/acme/mesh/issues/7/comments?per_page=100 200
			POST /repos/acme/mesh/issues/7/comments 201`},
		{"edit the comment", func() error { return c.SetComment(ctx, 7, "pull", "**4 routes**") }, `
			PATCH /repos/acme/mesh/issues/comments/1 200`},
		{"read comments", func() error { _, err := c.Comments(ctx, since); return err }, `
			GET /repos/acme/mesh/issues/comments?sort=created&direction=asc&per_page=100&since=2026-11-25T09%3A00%3A00Z 200`},
		{"look what somebody may do", func() error { _, err := c.MayWrite(ctx, "dev"); return err }, `
			GET /repos/acme/mesh/collaborators/dev/permission 200`},
		{"react", func() error {
			return errors.Join(c.React(ctx, 1, "+1"), c.React(ctx, 1, "-1"), c.React(ctx, 1, "eyes"), c.React(ctx, 1, "confused"))
		}, strings.Repeat(`
			POST /repos/acme/mesh/issues/comments/1/reactions 200`, 4)},
		{"go on with a deployment", func() error { return c.SetDeployment(ctx, commit, "prod", good) }, `
			GET /repos/acme/mesh/deployments?sha=` + commit + `&environment=prod&per_page=100 200
			GET /repos/acme/mesh/deployments/1/statuses?per_page=100 200
			POST /repos/acme/mesh/deployments/1/statuses 201`},
		{"begin a deployment", func() error {
			wire.instead("[]") // of other deployments
			return c.SetDeployment(ctx, strings.Repeat("b", 40), "prod", good)
		}, `
			GET /repos/acme/mesh/deployments?sha=` + strings.Repeat("b", 40) + `&environment=prod&per_page=100 200
			POST /repos/acme/mesh/deployments 201
			POST /repos/acme/mesh/deployments/1/statuses 201`},
		{"delete a comment that is there twice", func() error {
			ours := `{"id": %d, "user": {"login": "octocat"}, "body": "<!-- meshwright:pull -->\ntext"}`
			wire.instead(fmt.Sprintf("["+ours+","+ours+"]", 1, 2))
			return c.SetComment(ctx, 8, "pull", "text")
		}, `
			GET /repos/acme/mesh/issues/8/comments?per_page=100 200
			DELETE /repos/acme/mesh/issues/comments/2 204`},
		{"see who has set a label", func() error { _, _, err := c.LabeledBy(ctx, 7, "canary"); return err }, `
			GET /repos/acme/mesh/issues/7/events?per_page=100 200`},
		{"see what has become of a pull request", func() error {
			fate, err := c.Fate(ctx, 7, "master") // the example's is open, and merged
			if err == nil && fate.Merged == "" {
				err = fmt.Errorf("%+v", fate)
			}
			return err
		}, `
			GET /repos/acme/mesh/pulls/7 200`},
		{"see since when a head is one", func() error {
			_, err := c.HeadSince(ctx, 7, "6dcb09b5b57875f334f61aebed695e2e4193db5e") // the example's, that nobody pushed there
			if _, ok := errors.AsType[*sources.Permanent](err); !ok {
				return fmt.Errorf("pushed: %v", err)
			}
			return nil
		}, `
			GET /repos/acme/mesh/pulls/7 200
			GET /repos/acme/mesh/activity?ref=refs%2Fheads%2Fnew-topic&per_page=100 200`},
		{"see who has approved", func() error { _, err := c.Approvals(ctx, 7, commit); return err }, `
			GET /repos/acme/mesh/pulls/7/reviews?per_page=100 200`},
		{"see somebody else's status", func() error { _, err := c.StatusOf(ctx, commit, "load test"); return err }, `
			GET /repos/acme/mesh/commits/` + commit + `/statuses?per_page=100 200
			GET /repos/acme/mesh/commits/` + commit + `/check-runs?check_name=load+test&filter=latest&per_page=100 200`},
		{"open a revert", func() error { _, err := c.OpenRevert(ctx, undoing()); return err }, `
			GET /repos/acme/mesh/pulls?state=all&head=acme%3Ameshwright%2Frevert-ccccccc&base=main&per_page=100 200
			POST /repos/acme/mesh/git/trees 201
			POST /repos/acme/mesh/git/commits 201
			POST /repos/acme/mesh/git/refs 201
			POST /repos/acme/mesh/pulls 201`},
		{"look what is not there", func() error {
			wire.instead("404", "404")
			var permanent *sources.Permanent
			if err := c.React(ctx, 3, "+1"); !errors.As(err, &permanent) {
				return fmt.Errorf("a comment that is gone: %v", err)
			}
			return nil
		}, `
			POST /repos/acme/mesh/issues/comments/3/reactions 200
			GET /repos/acme/mesh/issues/comments/3 200
			GET /repos/acme/mesh 200`},
	} {
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(strings.Fields(step.want), strings.Fields(wire.take())); diff != "" {
			t.Errorf("%s (-want +got)\n%s", step.name, diff)
		}
	}

	// That it looks: what is wrong, it refuses.
	var permanent *sources.Permanent
	if err := c.SetStatus(ctx, commit, "meshwright/check", sources.Status{State: "odd"}); !errors.As(err, &permanent) {
		t.Errorf("a state that there is not: %v", err)
	}
	if err := c.React(ctx, 1, "shrug"); !errors.As(err, &permanent) {
		t.Errorf("a reaction that there is not: %v", err)
	}
}

// tap is a transport that writes down what passes: METHOD PATH STATUS, and what
// was refused with the answer.
type tap struct {
	t      testing.TB
	passed strings.Builder
	next   []string // what to answer next, in the place of the server
}

// instead has the next requests answered with a body, or with 404, if the server
// takes them.
func (w *tap) instead(answers ...string) { w.next = answers }

func (w *tap) take() string {
	defer w.passed.Reset()
	return w.passed.String()
}

func (w *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	w.passed.WriteString(r.Method + " " + r.URL.RequestURI())
	// GitHub takes the slashes of a ref as they are, the simulator escaped only.
	if before, ref, ok := strings.Cut(r.URL.Path, "/git/matching-refs/"); ok {
		r = r.Clone(r.Context())
		r.URL.RawPath = before + "/git/matching-refs/" + strings.ReplaceAll(ref, "/", "%2F")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	w.passed.WriteString(" " + resp.Status[:3] + "\n")
	switch {
	case resp.StatusCode >= 400:
		w.t.Logf("%s %s: %s %s", r.Method, r.URL.RequestURI(), resp.Status, body)
	case len(w.next) > 0:
		if body = []byte(w.next[0]); w.next[0] == "404" {
			resp.StatusCode, body = http.StatusNotFound, []byte("{}")
		}
		w.next = w.next[1:]
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
