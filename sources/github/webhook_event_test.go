package github_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources/github"
)

// ours are the events that may wake.
var ours = map[string]bool{
	"push": true, "create": true, "delete": true, "pull_request": true, "merge_group": true, "label": true, "issue_comment": true,
	"check_run": true, "check_suite": true, "repository": true, "installation": true, "installation_repositories": true,
}

// TestEvents: what is read of deliveries, JSON and forms alike; what cannot be
// read still wakes.
func TestEvents(t *testing.T) {
	const id = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
	long := `"` + strings.Repeat("x", 1<<20) + `"`
	for name, test := range map[string]struct {
		event, body string
		want        *github.Event // nil: it does not wake
	}{
		"labelled":                     {"pull_request", `{"action": "labeled"}`, &github.Event{Action: "labeled"}},
		"pushed to, at Gitea":          {"pull_request", `{"action": "synchronized"}`, &github.Event{Action: "synchronized"}},
		"a comment":                    {"issue_comment", `{"action": "created"}`, &github.Event{Action: "created"}},
		"an edited comment":            {"issue_comment", `{"action": "edited"}`, nil},
		"a deleted comment":            {"issue_comment", `{"action": "deleted"}`, nil},
		"our own check run":            {"check_run", `{"action": "completed", "check_run": {"head_sha": "` + commit + `"}}`, nil},
		"a check run again":            {"check_run", `{"action": "rerequested", "check_run": {"head_sha": "` + commit + `"}}`, &github.Event{Action: "rerequested", Commit: commit}},
		"a suite that begins":          {"check_suite", `{"action": "requested", "check_suite": {"head_sha": "` + commit + `"}}`, nil},
		"a suite again":                {"check_suite", `{"action": "rerequested", "check_suite": {"head_sha": "` + strings.Repeat("ab", 32) + `"}}`, &github.Event{Action: "rerequested", Commit: strings.Repeat("ab", 32)}},
		"another's commit":             {"check_suite", `{"action": "rerequested", "check_run": {"head_sha": "` + commit + `"}}`, &github.Event{Action: "rerequested"}},
		"a push has no commit":         {"push", `{"action": "rerequested", "check_run": {"head_sha": "` + commit + `"}}`, &github.Event{Action: "rerequested"}},
		"a branch instead of a commit": {"check_run", `{"action": "rerequested", "check_run": {"head_sha": "main"}}`, &github.Event{Action: "rerequested"}},
		"upper case":                   {"check_run", `{"action": "rerequested", "check_run": {"head_sha": "` + strings.ToUpper(commit) + `"}}`, &github.Event{Action: "rerequested"}},
		"a path in a commit":           {"check_run", `{"action": "rerequested", "check_run": {"head_sha": "../` + commit + `"}}`, &github.Event{Action: "rerequested"}},
		"a number instead of a run":    {"check_run", `{"action": "rerequested", "check_run": 5}`, &github.Event{Action: "rerequested"}},
		"a number for an action":       {"check_run", `{"action": 5, "check_run": {"head_sha": "` + commit + `"}}`, &github.Event{}},
		"no JSON":                      {"check_run", `{"action": "rerequested", "check_run"`, &github.Event{}},
		"nothing":                      {"issue_comment", ``, &github.Event{}},
		"null":                         {"issue_comment", `null`, &github.Event{}},
		"more than is read":            {"check_run", `{"text": ` + long + `, "action": "completed"}`, &github.Event{}},
	} {
		if test.want != nil {
			test.want.Name, test.want.Delivery = test.event, id
		}
		for kind, body := range map[string]string{"application/json": test.body, "application/x-www-form-urlencoded": url.Values{"payload": {test.body}}.Encode()} {
			t.Run(name+", "+kind, func(t *testing.T) {
				h, woken := hook(t)
				r := delivery(test.event, body)
				r.Header.Set("Content-Type", kind)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				var want []github.Event
				status := http.StatusNoContent
				if test.want != nil {
					want, status = []github.Event{*test.want}, http.StatusAccepted
				}
				if diff := cmp.Diff(want, *woken); diff != "" || w.Code != status {
					t.Errorf("%d; want %d (-want +got)\n%s", w.Code, status, diff)
				}
			})
		}
	}
}

// TestAdvice: what somebody should see to is one line of the log.
func TestAdvice(t *testing.T) {
	for name, test := range map[string]struct{ event, body, want string }{
		"a hook that lacks events": {"ping", `{"hook": {"events": ["push", "issues", "pull_request"]}}`, `level=WARN msg="webhook lacks events: what they tell waits for the next poll" type=issue_comment`},
		"a hook of pushes":         {"ping", `{"hook": {"events": ["push"]}}`, `level=WARN msg="webhook lacks events: what they tell waits for the next poll" type="pull_request issue_comment"`},
		"a hook with all":          {"ping", `{"hook": {"events": ["*"]}}`, ""},
		"a hook with enough":       {"ping", `{"hook": {"events": ["push", "pull_request", "issue_comment"]}}`, ""},
		"a hook that does not say": {"ping", `{"zen": "Keep it logically awesome."}`, ""},
		"a new name":               {"repository", `{"action": "renamed", "repository": {"full_name": "acme/grid"}}`, `level=WARN msg="repository has a new name: the old one works until somebody takes it" repo=acme/grid`},
		"a new name of many lines": {"repository", `{"action": "renamed", "repository": {"full_name": "a\nb"}}`, `level=WARN msg="repository has a new name: the old one works until somebody takes it" repo="a\nb"`},
		"a new description":        {"repository", `{"action": "edited"}`, ""},
		"uninstalled":              {"installation", `{"action": "deleted"}`, `level=WARN msg="installation of the app ended: where it was, nothing is written back" type=deleted`},
		"installed":                {"installation", `{"action": "created"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h, err := github.Webhook(secret, func(github.Event) {}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				},
			})))
			if err != nil {
				t.Fatal(err)
			}
			r := delivery(test.event, test.body)
			r.Header.Set("X-Hub-Signature-256", sign("by a stranger"))
			h.ServeHTTP(httptest.NewRecorder(), r)
			if log.Len() > 0 {
				t.Errorf("a stranger writes in the log: %s", &log)
			}
			h.ServeHTTP(httptest.NewRecorder(), delivery(test.event, test.body))
			if got := strings.TrimSpace(log.String()); got != test.want {
				t.Errorf("%s\nwant\n%s", got, test.want)
			}
		})
	}
}
