package githubtest

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// CheckRun is one, with all the annotations that it was given.
type CheckRun struct {
	ID          int64
	Commit      string
	Name        string
	Status      string
	Conclusion  string
	ExternalID  string
	DetailsURL  string
	Title       string
	Summary     string
	Annotations []Annotation
	App         int64
}

// Annotation is a remark on a line.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn int    `json:"start_column"`
	EndColumn   int    `json:"end_column"`
	Level       string `json:"annotation_level"`
	Title       string `json:"title"`
	Message     string `json:"message"`
}

// CheckRuns returns those of a commit, oldest first.
func (h *Host) CheckRuns(commit string) []CheckRun {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []CheckRun
	for _, r := range h.runs {
		if r.Commit == commit {
			copied := *r
			copied.Annotations = slices.Clone(r.Annotations)
			all = append(all, copied)
		}
	}
	return all
}

// AddCheckRun has another App write a check run.
func (h *Host) AddCheckRun(r CheckRun) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.ID = h.next()
	h.runs = append(h.runs, &r)
}

// runRequest is what creates and updates a check run; what is nil stays.
type runRequest struct {
	Name       *string
	Commit     string `json:"head_sha"`
	Status     *string
	Conclusion *string
	ExternalID *string `json:"external_id"`
	DetailsURL *string `json:"details_url"`
	Output     *struct {
		Title       *string
		Summary     *string
		Annotations []Annotation
	}
}

// bad judges a request by the rules of GitHub's OpenAPI.
func (in runRequest) bad() *reply {
	schema := func(what string) *reply { return says(422, "Invalid request.\n\n"+what) }
	switch {
	case in.Name != nil && utf8.RuneCountInString(*in.Name) > 255:
		return invalid("CheckRun", "name", "name is too long (maximum is 255 characters)")
	case in.Status != nil && !slices.Contains([]string{"queued", "in_progress", "completed"}, *in.Status):
		return schema(*in.Status + " is not a member of status.")
	case in.Status != nil && *in.Status == "completed" && in.Conclusion == nil:
		return schema("conclusion is needed when the status is completed.")
	case in.Conclusion != nil && !slices.Contains([]string{"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"}, *in.Conclusion):
		return schema(*in.Conclusion + " is not a member of conclusion.")
	case in.Output == nil:
		return nil
	case in.Output.Title == nil || *in.Output.Title == "" || in.Output.Summary == nil || *in.Output.Summary == "":
		return schema("output needs a title and a summary.")
	case utf8.RuneCountInString(*in.Output.Summary) > 65_535:
		return schema("Only 65535 characters are allowed in summary.")
	case len(in.Output.Annotations) > 50:
		return schema(fmt.Sprintf("No more than 50 items are allowed; %d were supplied.", len(in.Output.Annotations)))
	}
	for _, a := range in.Output.Annotations {
		switch {
		case a.Path == "" || a.StartLine < 1 || a.EndLine < a.StartLine || a.Message == "":
			return schema("an annotation needs a path, lines and a message.")
		case !slices.Contains([]string{"notice", "warning", "failure"}, a.Level):
			return schema(a.Level + " is not a member of annotation_level.")
		case a.StartColumn != 0 && a.StartLine != a.EndLine:
			return schema("columns are for one line.")
		case utf8.RuneCountInString(a.Title) > 255 || len(a.Message) > 64<<10:
			return schema("title or message of an annotation is too long.")
		}
	}
	return nil
}

// apply makes the run what the request says; annotations are added.
func (in runRequest) apply(r *CheckRun) {
	for _, set := range []struct {
		field *string
		value *string
	}{{&r.Name, in.Name}, {&r.Status, in.Status}, {&r.Conclusion, in.Conclusion}, {&r.ExternalID, in.ExternalID}, {&r.DetailsURL, in.DetailsURL}} {
		if set.value != nil {
			*set.field = *set.value
		}
	}
	if in.Output != nil {
		r.Title, r.Summary = *in.Output.Title, *in.Output.Summary
		r.Annotations = append(r.Annotations, in.Output.Annotations...)
	}
}

func (r *CheckRun) json() map[string]any {
	var conclusion, completed any
	if r.Conclusion != "" {
		conclusion, completed = r.Conclusion, time.Now().UTC().Format(time.RFC3339)
	}
	return map[string]any{
		"id": r.ID, "name": r.Name, "head_sha": r.Commit, "status": r.Status, "conclusion": conclusion, "completed_at": completed,
		"external_id": r.ExternalID, "details_url": r.DetailsURL, "app": map[string]any{"id": r.App},
		"output": map[string]any{"title": r.Title, "summary": r.Summary, "annotations_count": len(r.Annotations)},
	}
}

func (h *Host) postCheckRun(r *request) *reply {
	if r.from.app == 0 {
		return says(403, "You must authenticate via a GitHub App.")
	}
	var in runRequest
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	if bad := in.bad(); bad != nil {
		return bad
	}
	if in.Name == nil || !h.knows(in.Commit) {
		return says(422, "No commit found for SHA: "+in.Commit)
	}
	run := &CheckRun{ID: h.next(), Commit: in.Commit, Status: "queued", App: r.from.app, DetailsURL: "https://mesh.example.com/"} // the App's own page
	in.apply(run)
	h.runs = append(h.runs, run)
	return ok(201, run.json())
}

func (h *Host) patchCheckRun(r *request) *reply {
	for _, run := range h.runs {
		if run.ID != r.number("id") {
			continue
		}
		var in runRequest
		if bad := r.decode(&in); bad != nil {
			return bad
		}
		if run.App != r.from.app {
			return says(403, "Resource not accessible by integration")
		}
		if bad := in.bad(); bad != nil {
			return bad
		}
		in.apply(run)
		return ok(200, run.json())
	}
	return missing
}

func (h *Host) getCheckRuns(r *request) *reply {
	commit := r.PathValue("sha")
	if !h.knows(commit) {
		return says(422, "No commit found for SHA: "+commit)
	}
	all := []any{}
	q := r.URL.Query()
	type latest struct {
		name string
		app  int64
	}
	seen := map[latest]bool{}
	for _, run := range slices.Backward(h.runs) {
		if run.Commit == commit && (number(r.Request, "app_id") == 0 || number(r.Request, "app_id") == int(run.App)) &&
			(q.Get("check_name") == "" || q.Get("check_name") == run.Name) && (q.Get("filter") == "all" || !seen[latest{run.Name, run.App}]) {
			seen[latest{run.Name, run.App}] = true
			all = append(all, run.json())
		}
	}
	return &reply{status: 200, body: all, key: "check_runs"}
}
