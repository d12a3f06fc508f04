package github_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github"
)

// TestEmulateApp: an App that nobody here wrote the other side of: JWT,
// installation, token, check runs. It keeps the last request's annotations only.
func TestEmulateApp(t *testing.T) {
	t.Parallel()
	e := newEmulated(t)
	open := func() *github.Client {
		c, err := github.New(github.Config{BaseURL: e.api, Owner: "acme", Repo: "mesh", App: github.App{ID: 4242, Key: sources.Secret(e.key)}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	failed := sources.Status{State: sources.Failure, Description: "41 mistakes", URL: "https://mesh.example.com/", Annotations: remarks(40)}
	for _, s := range []sources.Status{{State: sources.Pending}, failed, failed} {
		if err := c.SetStatus(t.Context(), e.head, "meshwright/check", s); err != nil {
			t.Fatal(err)
		}
	}
	if err := open().SetStatus(t.Context(), e.head, "meshwright/check", failed); err != nil { // the next process
		t.Fatal(err)
	}
	var listed struct {
		Runs []struct {
			ID         int64
			Status     string
			Conclusion string
			Output     struct {
				Title string
				Count int `json:"annotations_count"`
			}
		} `json:"check_runs"`
	}
	e.call("GET", "repos/acme/mesh/commits/"+e.head+"/check-runs", nil, &listed)
	if len(listed.Runs) != 1 {
		t.Fatalf("%+v; want one check run", listed.Runs)
	}
	if r := listed.Runs[0]; r.Status != "completed" || r.Conclusion != "failure" || r.Output.Title != "41 mistakes" || r.Output.Count != 41 {
		t.Errorf("%+v", r)
	}
	failed.Annotations = nil
	got, err := open().Statuses(t.Context(), e.head)
	if diff := cmp.Diff(map[string]sources.Status{"meshwright/check": failed}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}

	if err := c.SetComment(t.Context(), e.pull, "plan", "text"); err != nil {
		t.Fatal(err)
	}
	var comments []struct{ User struct{ Login string } }
	e.call("GET", fmt.Sprintf("repos/acme/mesh/issues/%d/comments", e.pull), nil, &comments)
	if len(comments) != 1 || comments[0].User.Login != "mesh-app[bot]" {
		t.Errorf("comments: %+v", comments)
	}
}

// TestSimulatorApp holds the requests of an App against GitHub's OpenAPI
// description.
func TestSimulatorApp(t *testing.T) {
	t.Parallel()
	wire := &tap{t: t}
	c, err := github.New(github.Config{
		BaseURL: fixtures.Simulator(t), Owner: "acme", Repo: "mesh", Transport: wire,
		App: github.App{ID: 4242, Installation: 1, Key: sources.Secret(newHost(t).Install(meshApp))},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetStatus(t.Context(), commit, "meshwright/check", sources.Status{State: sources.Pending}); err != nil {
		t.Fatal(err)
	}
	if err := c.SetStatus(t.Context(), commit, "meshwright/check", sources.Status{State: sources.Failure, URL: good.URL, Annotations: remarks(120)}); err != nil {
		t.Fatal(err)
	}
	patches := strings.Repeat("PATCH /repos/acme/mesh/check-runs/4 200\n", 3)
	const token = "POST /app/installations/1/access_tokens 201\n" // the example's is of long ago
	want := token + "GET /repos/acme/mesh/commits/" + commit + "/check-runs?app_id=4242&filter=all&per_page=100 200\n" +
		"POST /repos/acme/mesh/check-runs 201\n" + patches
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(token+strings.ReplaceAll(wire.take(), token, ""), "\n")); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}
