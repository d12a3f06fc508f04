package reconciler

import (
	"maps"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// watching is the watch over the served commit's traffic whose verdict is still
// to come; nil: there is none.
func (s State) watching() *Watch {
	rec := s.find(s.Good)
	if rec == nil || rec.Watch == nil || rec.Watch.Done || rec.Watch.Applied.IsZero() {
		return nil
	}
	return rec.Watch
}

// watch judges the traffic after a change, and returns when it will.
func (r rules) watch(s *State, seen Seen, now time.Time) time.Time {
	w := s.watching()
	if w == nil || r.window == 0 {
		return time.Time{}
	}
	due := w.Applied.Add(r.window)
	if now.Before(due) || seen.Traffic == nil {
		return due
	}
	w.Done = true
	rec := s.find(s.Good)
	if rec.Health == nil || rec.Health.State != sources.Failure { // else it has diverged meanwhile
		r.healthy(rec, health(w.Nodes, *seen.Traffic, r.window))
	}
	return time.Time{}
}

// converge follows a verdict about the served commit on the proxies, which was
// another before.
func (r rules) converge(rec *Record, was sources.StatusState, now time.Time) {
	is := rec.Applied.Status
	switch {
	case is.State == sources.Success && was != sources.Success && rec.Health != nil && rec.Health.State != sources.Success:
		r.healthy(rec, report.Converged(is))
	case is.State == sources.Failure && was == sources.Success:
		r.healthy(rec, report.Diverged(is.Description))
	}
	if w := rec.Watch; w != nil && is.State == sources.Success && w.Applied.IsZero() {
		w.Applied = now
		w.Done = len(w.Nodes) == 0 || rec.Applied.Progress.Touched == 0
	}
}

// healthy puts down how a commit of the branch does.
func (r rules) healthy(rec *Record, st sources.Status) {
	rec.Health = &st
	r.want(rec, report.KindHealth, st)
}

// touched returns the virtual nodes whose traffic a change of the spec may
// alter: those that change or whose policies do, and those that requests are led
// to by what changes, or by what uses it.
func touched(from, to *schema.Spec) []schema.Ref {
	if from == nil {
		return nil // there was no traffic to compare with
	}
	changed := map[schema.Ref]bool{}
	governed := false
	for _, c := range schema.Diff(from, to) {
		changed[c.Ref] = true
		governed = governed || c.Ref.Kind == schema.KindListenerPolicy
	}
	nodes := map[schema.Ref]bool{}
	for _, s := range []*schema.Spec{from, to} {
		seen := map[schema.Ref]bool{}
		var follow func(schema.Ref)
		follow = func(ref schema.Ref) {
			switch res := s.Find(ref); {
			case res == nil || seen[ref]:
			case ref.Kind == schema.KindVirtualNode:
				nodes[ref] = true // whom it calls is another matter
			case ref.Kind != schema.KindMesh:
				seen[ref] = true
				for _, next := range s.Refers(res) {
					follow(next)
				}
			}
		}
		for ref := range s.Dependents(slices.Collect(maps.Keys(changed))) {
			caller := ref.Kind == schema.KindVirtualNode || ref.Kind == schema.KindVirtualGateway
			if !caller || governed || changed[ref] {
				follow(ref)
			}
		}
	}
	return slices.SortedFunc(maps.Keys(nodes), schema.Ref.Compare)
}
