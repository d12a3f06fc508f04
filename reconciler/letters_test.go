package reconciler

import (
	"fmt"
	"testing"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// TestLettersAreSpared: texts and pendings use up most of what a host takes of one
// status, and never the last of it, which verdicts are left; comments have no
// such end.
func TestLettersAreSpared(t *testing.T) {
	r := rules{forge: true}
	s := State{Records: []Record{{Commit: "abc"}}, Pulls: map[int]*Pull{7: {}}}
	written := func(state sources.StatusState, text string) (statuses, comments int) {
		r.want(s.find("abc"), report.KindApplied, sources.Status{State: state, Description: text})
		s.change(7, func(p *Pull) { p.Comment = p.Comment.wanting(Content{Digest: text}) })
		for _, w := range r.writes(&s) {
			s.written(Written{Write: w})
			if w.Kind == StatusLetter {
				statuses++
			} else {
				comments++
			}
		}
		return statuses, comments
	}
	statuses, comments := 0, 0
	for i := range 2000 {
		n, m := written(sources.Failure, fmt.Sprint("refused ", i))
		statuses, comments = statuses+n, comments+m
	}
	if statuses != mostWrites || comments != 2000 {
		t.Errorf("%d statuses and %d comments written, want %d and 2000", statuses, comments, mostWrites)
	}
	for _, c := range []struct {
		state sources.StatusState
		want  int
	}{{sources.Pending, 0}, {sources.Failure, 0}, {sources.Success, 1}, {sources.Pending, 0}, {sources.Success, 0}, {sources.Failure, 1}, {sources.Errored, 1}} {
		if n, _ := written(c.state, "later "+string(c.state)); n != c.want {
			t.Errorf("%s: %d written, want %d", c.state, n, c.want)
		}
	}
}
