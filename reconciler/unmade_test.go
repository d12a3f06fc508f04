package reconciler

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// TestACommentThatPanics says so and is logged, once, and the daemon lives on; the
// next that can be made takes its place.
func TestACommentThatPanics(t *testing.T) {
	var log bytes.Buffer
	r := Reconciler{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	r.rules = rules{forge: true, limits: sources.Limits{Comment: 65000}, compose: func(p report.Pull, _ int) string {
		if len(p.Conflicts) > 0 {
			panic("nobody thought of this")
		}
		return "all is well"
	}}
	s := State{Pulls: map[int]*Pull{7: {}}}
	became := func(conflicts []string, want string) {
		t.Helper()
		next := s.clone()
		next.change(7, func(p *Pull) {
			p.Report.Conflicts = conflicts
			r.rules.comment(p)
		})
		r.tell(s, next)
		s = next
		if got := r.rules.writes(&s, time.Now()); len(got) != 1 || got[0].Body != want {
			t.Errorf("it writes %+v, want %q", got, want)
		}
	}
	became([]string{"a.yaml"}, report.Unmade)
	became([]string{"a.yaml", "b.yaml"}, report.Unmade)
	if got := log.String(); strings.Count(got, "nobody thought of this") != 1 || !strings.Contains(got, "pr=7") {
		t.Errorf("the log: %s", got)
	}
	log.Reset()
	became(nil, "all is well")
	if log.Len() > 0 {
		t.Errorf("the log: %s", log.String())
	}
}
