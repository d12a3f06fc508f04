package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/meshwright/meshwright/fixtures"
)

// TestWebhookExamples: of everything that GitHub delivers, as JSON and as a
// form, what is ours wakes and the rest is passed over.
func TestWebhookExamples(t *testing.T) {
	some := map[string][]string{ // actions that wake, of events of which not all do
		"issue_comment": {"created"}, "check_run": {"rerequested"}, "check_suite": {"rerequested"},
	}
	h, woken := hook(t)
	events, again := map[string]bool{}, 0
	for i, example := range fixtures.WebhookExamples(t) {
		var p struct {
			Action     string
			CheckRun   struct{ Head_SHA string } `json:"check_run"`
			CheckSuite struct{ Head_SHA string } `json:"check_suite"`
		}
		if err := json.Unmarshal(example.Payload, &p); err != nil {
			t.Fatal(err)
		}
		want := http.StatusNoContent
		switch actions, ok := some[example.Event]; {
		case ours[example.Event] && (!ok || slices.Contains(actions, p.Action)):
			want = http.StatusAccepted
		case example.Event == "ping":
			want = http.StatusOK
		}
		for kind, body := range map[string]string{"application/json": string(example.Payload), "application/x-www-form-urlencoded": url.Values{"payload": {string(example.Payload)}}.Encode()} {
			before := len(*woken)
			r := delivery(example.Event, body)
			r.Header.Set("Content-Type", kind)
			r.Header.Set("X-GitHub-Delivery", fmt.Sprint(i))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if wakes := len(*woken) > before; w.Code != want || wakes != (want == http.StatusAccepted) {
				t.Errorf("%s %s, %s: %d, wakes: %v; want %d", example.Event, p.Action, kind, w.Code, wakes, want)
				continue
			}
			if p.Action == "rerequested" {
				again++
				if got := (*woken)[before].Commit; got == "" || got != p.CheckRun.Head_SHA+p.CheckSuite.Head_SHA {
					t.Errorf("%s %s: of commit %q", example.Event, p.Action, got)
				}
			}
		}
		events[example.Event] = true
	}
	for event := range ours {
		if !events[event] {
			t.Errorf("there is no example of %s", event)
		}
	}
	t.Logf("%d kinds of events; %d deliveries wake, %d of them with a commit", len(events), len(*woken), again)
}
