package reconciler

import (
	"fmt"
	"testing"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
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
		for _, w := range r.writes(&s, time.Now()) {
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

// Nobody is asked to revert to what proxies may yet refuse.
func TestRevertWaitsForTheWayBack(t *testing.T) {
	now := time.Now()
	run := &Run{State: canary.State{Rollout: schema.Ref{Kind: schema.KindRollout}, Target: "b", Base: "a", Phase: canary.RollingBack, History: []canary.Event{{At: now}}}}
	s := State{
		Rollouts: map[string]Track{"api": {Run: run}},
		Records:  []Record{{Commit: "b", Revert: &Revert{To: "a", Slot: Slot{}.wanting(Content{Digest: "a"})}}},
	}
	r := rules{forge: true}
	if w := r.writes(&s, now.Add(answers-1)); len(w) != 0 {
		t.Errorf("written while proxies answer: %+v", w)
	}
	if w := r.writes(&s, now.Add(answers)); len(w) != 1 || w[0].Kind != RevertLetter {
		t.Errorf("written then: %+v", w)
	}
	run.Phase = canary.RolledBack
	if w := r.writes(&s, now); len(w) != 1 {
		t.Errorf("written once all have the base: %+v", w)
	}
}
