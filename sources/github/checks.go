package github

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/meshwright/meshwright/sources"
)

// What a check run takes. ("REST API endpoints for check runs", GitHub's
// documentation; the host itself sets no end to the sum.)
const (
	batchOfAnnotations = 50 // a request; those of the next are appended
	maxAnnotations     = 200
	maxRemark          = 255   // characters of an annotation's title
	maxMessage         = 4_000 // and of its text; 64 KB are the host's
)

// checkRun is one as the host has it.
type checkRun struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Status     string `json:"status"` // completed, or on the way to it
	Conclusion string `json:"conclusion"`
	Verdict    string `json:"external_id"` // hash of what we make of it
	DetailsURL string `json:"details_url"`
	Output     struct {
		Title       string `json:"title"`
		Annotations int    `json:"annotations_count"`
	} `json:"output"`
	App struct {
		ID int64 `json:"id"`
	} `json:"app"`
}

// checkRuns is a page of them.
type checkRuns []checkRun

func (r *checkRuns) UnmarshalJSON(b []byte) error {
	var page struct {
		Runs []checkRun `json:"check_runs"`
	}
	err := json.Unmarshal(b, &page)
	*r = page.Runs
	return err
}

// conclusions are GitHub's words for ours. An error of ours is not the author's
// failure: it stops a merge where the check is required, as "failure" does, but
// is gray and not red.
var conclusions = map[sources.StatusState]string{sources.Success: "success", sources.Failure: "failure", sources.Errored: "cancelled"}

// status is what a run tells.
func (r checkRun) status() sources.Status {
	s := sources.Status{State: sources.Errored, Description: r.Output.Title, URL: r.DetailsURL}
	if r.Status != "completed" {
		s.State = sources.Pending
	}
	for state, conclusion := range conclusions {
		if r.Status == "completed" && r.Conclusion == conclusion {
			s.State = state
		}
	}
	return s
}

// ownRuns returns our check runs of a commit by name, the newest of each.
func (c *Client) ownRuns(ctx context.Context, commit string) (map[string]checkRun, error) {
	if own, known := c.runs[commit]; known {
		return own, nil
	}
	all, err := list[checkRuns](ctx, c, c.at("/commits/%s/check-runs?app_id=%s&filter=all&per_page=100", commit, c.app.ID))
	if err != nil {
		return nil, err
	}
	own := map[string]checkRun{}
	for _, r := range all {
		// The host has filtered; a stand-in may, and not say whose a run is.
		if (r.App.ID == c.app.ID || r.App.ID == 0) && r.ID > own[r.Name].ID {
			own[r.Name] = r
		}
	}
	if len(c.runs) >= maxRemembered {
		clear(c.runs)
	}
	c.runs[commit] = own
	return own, nil
}

// setCheckRun makes a check run of a commit tell a status. The run carries a hash
// of it, so that one that tells it already is left alone, and one whose remarks
// were taken in part is gone on with: remarks can only be added. For the same
// reason what is completed stays, and a new verdict is a new run.
func (c *Client) setCheckRun(ctx context.Context, commit, name string, s sources.Status) error {
	c.checks.Lock()
	defer c.checks.Unlock()
	own, err := c.ownRuns(ctx, commit)
	if err != nil {
		return err
	}
	remarks, summary := annotations(s.Annotations)
	verdict := hashOf(s, remarks, summary)
	run := own[name]
	switch {
	case run.Verdict == verdict && (run.Status == "completed" || s.State == sources.Pending):
		return nil
	case run.Status == "completed", run.Verdict != verdict && run.Output.Annotations > 0:
		run = checkRun{}
	}
	for sent := run.Output.Annotations; ; {
		n := min(len(remarks)-sent, batchOfAnnotations)
		if n < 0 { // more than we sent: somebody else's
			n = 0
		}
		in := map[string]any{
			"name": name, "external_id": verdict, "status": "in_progress",
			"output": map[string]any{"title": cmp.Or(cut(s.Description, maxDescription), string(s.State)), "summary": summary, "annotations": remarks[min(sent, len(remarks)):][:n]},
		}
		if s.URL != "" {
			in["details_url"] = s.URL
		}
		sent += n
		if s.State != sources.Pending && sent >= len(remarks) {
			in["status"], in["conclusion"] = "completed", conclusions[s.State]
		}
		method, to := http.MethodPatch, c.at("/check-runs/%s", run.ID)
		if run.ID == 0 {
			method, to, in["head_sha"] = http.MethodPost, c.at("/check-runs"), commit
		}
		var now checkRun
		_, err := c.call(ctx, method, to, in, &now, "")
		if err == nil && now.ID == 0 {
			err = errors.New(c.name + ": the answer to a check run is none")
		}
		if err != nil {
			delete(c.runs, commit) // it may stand
			return err
		}
		now.Name, now.Verdict, now.Status, now.Output.Annotations = name, verdict, in["status"].(string), sent
		run, own[name] = now, now
		if sent >= len(remarks) {
			return nil
		}
	}
}

// runStatuses is [Client.Statuses] of an App.
func (c *Client) runStatuses(ctx context.Context, commit string) (map[string]sources.Status, error) {
	c.checks.Lock()
	defer c.checks.Unlock()
	delete(c.runs, commit) // whoever asks wants to know
	own, err := c.ownRuns(ctx, commit)
	if unknownCommit(err) {
		return nil, nil
	}
	standing := map[string]sources.Status{}
	for name, run := range own {
		standing[name] = run.status()
	}
	return standing, err
}

// annotation is a remark as the host takes it.
type annotation struct {
	Path      string `json:"path"`
	StartLine int    `json:"start_line"`
	EndLine   int    `json:"end_line"`
	Column    int    `json:"start_column,omitempty"`
	EndColumn int    `json:"end_column,omitempty"`
	Level     string `json:"annotation_level"`
	Title     string `json:"title,omitempty"`
	Message   string `json:"message"`
}

// annotations makes remarks what the host takes, errors first, and says in
// Markdown how many there are and how many were left out. There is nothing in
// that of what people wrote.
func annotations(remarks []sources.Annotation) ([]annotation, string) {
	all := []annotation{}
	errs := 0
	for _, failures := range []bool{true, false} {
		for _, r := range remarks {
			if r.Failure != failures {
				continue
			}
			a := annotation{
				Path: r.File, StartLine: max(r.Line, 1), EndLine: max(r.Line, 1), Column: r.Column, EndColumn: r.Column,
				Level: "warning", Title: cut(r.Title, maxRemark), Message: cmp.Or(cut(r.Message, maxMessage), r.Title),
			}
			if r.Failure {
				a.Level = "failure"
				errs++
			}
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		return all, "Nothing to remark on any line."
	}
	summary := fmt.Sprintf("On lines of files: %s, %s.", many(errs, "error"), many(len(all)-errs, "warning"))
	if dropped := len(all) - maxAnnotations; dropped > 0 {
		all = all[:maxAnnotations]
		summary += fmt.Sprintf(" The first %d are shown here, %d are not.", maxAnnotations, dropped)
	}
	return all, summary
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

func hashOf(s sources.Status, remarks []annotation, summary string) string {
	b, err := json.Marshal([]any{s, remarks, summary})
	if err != nil {
		panic(err) // strings and numbers
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
