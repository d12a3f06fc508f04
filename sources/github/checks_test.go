package github_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

// told is a check run in a line.
func told(r githubtest.CheckRun) string {
	return strings.Join([]string{r.Name, r.Status, r.Conclusion, r.Title, fmt.Sprint(len(r.Annotations))}, "|")
}

// runs are the check runs of the commit, in lines.
func (h *host) runs() []string {
	var all []string
	for _, r := range h.CheckRuns(commit) {
		all = append(all, told(r))
	}
	return all
}

// remarks are n warnings, and behind them an error.
func remarks(n int) []sources.Annotation {
	var all []sources.Annotation
	for i := range n {
		all = append(all, sources.Annotation{File: "specs/a.yaml", Line: i + 1, Column: 3, Title: "MW3001", Message: "unused"})
	}
	return append(all, sources.Annotation{File: "specs/b.yaml", Line: 7, Failure: true, Title: "MW2001", Message: "no such node"})
}

func TestCheckRuns(t *testing.T) {
	h := newHost(t)
	c := h.app(meshApp)
	h.AddCheckRun(githubtest.CheckRun{Commit: commit, Name: "meshwright/check", Status: "completed", Conclusion: "success", App: 1})
	set := func(s sources.Status, wantCalls int) {
		t.Helper()
		h.Calls()
		if err := c.SetStatus(t.Context(), commit, "meshwright/check", s); err != nil {
			t.Fatal(err)
		}
		if calls := h.Calls(); len(calls) != wantCalls {
			t.Errorf("%s: %d calls; want %d: %s", s.State, len(calls), wantCalls, calls)
		}
	}
	want := func(runs ...string) {
		t.Helper()
		if diff := cmp.Diff(runs, h.runs()[1:]); diff != "" { // but the other App's
			t.Error("(-want +got)\n" + diff)
		}
	}
	pending := sources.Status{State: sources.Pending, Description: "being checked"}
	set(pending, 4) // installation, token, what there is, the run
	want("meshwright/check|in_progress||being checked|0")
	set(pending, 0)
	failed := sources.Status{State: sources.Failure, Description: "specs/b.yaml:7: no such node", URL: good.URL, Annotations: remarks(2)}
	set(failed, 1)
	set(failed, 0)
	want("meshwright/check|completed|failure|specs/b.yaml:7: no such node|3")
	run := h.CheckRuns(commit)[1]
	if diff := cmp.Diff([]githubtest.Annotation{
		{Path: "specs/b.yaml", StartLine: 7, EndLine: 7, Level: "failure", Title: "MW2001", Message: "no such node"},
		{Path: "specs/a.yaml", StartLine: 1, EndLine: 1, StartColumn: 3, EndColumn: 3, Level: "warning", Title: "MW3001", Message: "unused"},
		{Path: "specs/a.yaml", StartLine: 2, EndLine: 2, StartColumn: 3, EndColumn: 3, Level: "warning", Title: "MW3001", Message: "unused"},
	}, run.Annotations); diff != "" {
		t.Error("annotations (-want +got)\n" + diff)
	}
	if run.Summary != "On lines of files: 1 error, 2 warnings." || run.DetailsURL != good.URL {
		t.Errorf("summary %q, details %q", run.Summary, run.DetailsURL)
	}

	// The next process finds it.
	c = h.app(meshApp)
	set(failed, 3)
	// Remarks cannot be taken back, so another verdict is another run.
	set(pending, 1)
	set(sources.Status{State: sources.Errored, Description: "superseded"}, 1)
	want("meshwright/check|completed|failure|specs/b.yaml:7: no such node|3", "meshwright/check|completed|cancelled|superseded|0")
	if got := h.CheckRuns(commit)[2].Summary; got != "Nothing to remark on any line." {
		t.Errorf("summary %q", got)
	}
	if len(h.Statuses(commit)) != 0 {
		t.Error("a status was written, too: GitHub would require both")
	}
}

func TestStatusesOfCheckRuns(t *testing.T) {
	h := newHost(t)
	c := h.app(meshApp)
	want := map[string]sources.Status{}
	for _, s := range []sources.Status{
		{State: sources.Pending, Description: "p", URL: good.URL}, good, {State: sources.Failure, Description: "f", URL: good.URL}, {State: sources.Errored, Description: "e", URL: good.URL},
	} {
		want[string(s.State)] = s
		if err := c.SetStatus(t.Context(), commit, string(s.State), s); err != nil {
			t.Fatal(err)
		}
	}
	h.AddCheckRun(githubtest.CheckRun{Commit: commit, Name: "success", Status: "completed", Conclusion: "failure", App: 1})
	if got, err := c.Statuses(t.Context(), commit); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v (-want +got)\n%s", err, cmp.Diff(want, got))
	}
	if got, err := c.Statuses(t.Context(), strings.Repeat("1", 40)); err != nil || len(got) != 0 {
		t.Errorf("of a commit that is gone: %v, %v", got, err)
	}
	synctest.Test(t, func(t *testing.T) {
		if err := c.SetStatus(t.Context(), strings.Repeat("1", 40), "x", good); !isPermanent(err) {
			t.Errorf("a commit that is gone: %v; want Permanent", err)
		}
	})
}

// TestManyAnnotations go 50 at a time, 200 in all, and after a crash in between
// none comes twice.
func TestManyAnnotations(t *testing.T) {
	for name, test := range map[string]struct {
		warnings, wantCalls, want int
		wantSummary               string
	}{
		"49":  {49, 1, 50, "On lines of files: 1 error, 49 warnings."},
		"51":  {50, 2, 51, "On lines of files: 1 error, 50 warnings."},
		"200": {199, 4, 200, "On lines of files: 1 error, 199 warnings."},
		"500": {499, 4, 200, "On lines of files: 1 error, 499 warnings. The first 200 are shown here, 300 are not."},
	} {
		for lost := range test.wantCalls + 1 {
			t.Run(fmt.Sprint(name, ", lost ", lost), func(t *testing.T) {
				h := newHost(t)
				c := h.app(meshApp)
				failed := sources.Status{State: sources.Failure, Description: "500 mistakes", Annotations: remarks(test.warnings)}
				writes := 0
				h.Back = func(r *http.Request, resp *http.Response) (*http.Response, error) {
					if strings.Contains(r.URL.Path, "check-runs") && r.Method != http.MethodGet {
						if writes++; writes == lost {
							return nil, io.ErrUnexpectedEOF
						}
					}
					return resp, nil
				}
				err := c.SetStatus(t.Context(), commit, "meshwright/check", failed)
				if lost > 0 {
					if err == nil || isPermanent(err) {
						t.Fatalf("lost: %v", err)
					}
					err = h.app(meshApp).SetStatus(t.Context(), commit, "meshwright/check", failed)
				}
				if err != nil {
					t.Fatal(err)
				}
				runs := h.CheckRuns(commit)
				if len(runs) != 1 || told(runs[0]) != fmt.Sprintf("meshwright/check|completed|failure|500 mistakes|%d", test.want) || writes != test.wantCalls {
					t.Fatalf("%s in %d writes; want %d annotations in %d", h.runs(), writes, test.want, test.wantCalls)
				}
				if runs[0].Annotations[0].Level != "failure" || runs[0].Annotations[1].StartLine != 1 || runs[0].Annotations[test.want-1].StartLine != test.want-1 {
					t.Error("order or doubles")
				}
				if runs[0].Summary != test.wantSummary {
					t.Errorf("summary %q; want %q", runs[0].Summary, test.wantSummary)
				}
			})
		}
	}
}

// TestRerequested: a run that somebody asks for again has no conclusion any
// more, though it was completed; it gets its verdict anew, and no second remarks.
func TestRerequested(t *testing.T) {
	h := newHost(t)
	c := h.app(meshApp)
	s := sources.Status{State: sources.Failure, Description: "2 mistakes", Annotations: remarks(2)}
	set := func() {
		t.Helper()
		if err := c.SetStatus(t.Context(), commit, "x", s); err != nil {
			t.Fatal(err)
		}
	}
	set()
	done := h.runs()
	h.Rerequest(commit, "x")
	if got, err := c.Statuses(t.Context(), commit); err != nil || got["x"].State != sources.Pending {
		t.Errorf("asked for again: %v, %v", got, err)
	}
	set()
	if diff := cmp.Diff(done, h.runs()); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// TestRemarksOfAnother verdict that was told in part are left behind.
func TestRemarksOfAnother(t *testing.T) {
	h := newHost(t)
	c := h.app(meshApp)
	writes := 0
	h.Front = func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "check-runs") && r.Method != http.MethodGet {
			if writes++; writes == 2 {
				return answer(502, ""), nil
			}
		}
		return nil, nil
	}
	if err := c.SetStatus(t.Context(), commit, "x", sources.Status{State: sources.Failure, Description: "old", Annotations: remarks(60)}); err == nil {
		t.Fatal("no error")
	}
	if err := c.SetStatus(t.Context(), commit, "x", sources.Status{State: sources.Failure, Description: "new", Annotations: remarks(0)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"x|in_progress||old|50", "x|completed|failure|new|1"}, h.runs()); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
	if got, err := c.Statuses(t.Context(), commit); err != nil || got["x"].Description != "new" {
		t.Errorf("%v, %v", got, err)
	}
}

// TestExtremes: what would make the host refuse the whole.
func TestExtremes(t *testing.T) {
	h := newHost(t)
	c := h.app(meshApp)
	s := sources.Status{State: sources.Failure, Annotations: []sources.Annotation{
		{File: "a", Title: strings.Repeat("é", 1000), Message: strings.Repeat("世", 100_000)}, // line 0: of the whole file
		{File: "a", Line: 1, Title: "only a title"},
	}}
	if err := c.SetStatus(t.Context(), commit, "x", s); err != nil {
		t.Fatal(err)
	}
	if got := h.CheckRuns(commit)[0].Annotations[1].Message; got != "only a title" {
		t.Error(got)
	}
	if err := c.SetStatus(t.Context(), commit, strings.Repeat("x", 256), good); !isPermanent(err) {
		t.Errorf("a long name: %v; want Permanent", err)
	}
}
