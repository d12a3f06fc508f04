package reconciler

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// What rollouts begin at may be lost: this version refuses it, the repository has
// it no more, proxies never took it, or the state is gone and nothing says what it
// was. Then nothing is guessed, people are told, and what comes next, or what a
// person promotes, is taken as it is.

// Doubt is a good commit that is not served, since nothing is known of what was
// completed before.
type Doubt struct {
	Commit   string
	Rollouts []schema.Ref
}

// restored takes in whether there is a spec of a commit that is needed.
func (s *State) restored(l Loaded) {
	s.Unfit = maps.Clone(s.Unfit)
	if delete(s.Unfit, l.Revision.Commit); l.Spec != nil {
		return
	}
	if s.Unfit == nil {
		s.Unfit = map[string]string{}
	}
	s.Unfit[l.Revision.Commit] = firstError(l.Diagnostics)
}

// lost has nothing be good any more: what was is refused by this version. A
// rollout that was completed at it has no base to begin from.
func (s *State) lost(commit string) {
	s.Good, s.Taken = "", ""
	for name, t := range s.Rollouts {
		if t.Stable == commit {
			t.Stable = ""
			s.Rollouts[name] = t
		}
	}
}

// leave has rollouts end whose base this version refuses, when a commit comes that
// leads elsewhere: there is nothing to begin from. Of one that leads to the same
// nothing is known to be good, and nothing is served.
func (s *State) leave(all specs, spec *schema.Spec) {
	for name, t := range s.Rollouts {
		base, known := all[t.Stable]
		if known && base == nil && (t.Run == nil || canary.Content(spec, t.Run.Governed) != t.Run.Content) {
			s.forsake(name, t)
		}
	}
}

// forsake has a track begin nowhere, for there is no spec of what it was completed
// at: what comes next is taken as it is.
func (s *State) forsake(name string, t Track) {
	t.Unfit = "its base " + report.Short(t.Stable) + " is no more: " + s.Unfit[t.Stable]
	t.At, t.Stable, t.Run = "", "", nil
	s.Rollouts[name] = t
}

// doubt keeps a commit from being served, until a person promotes it.
func (r rules) doubt(s *State, rec *Record, spec *schema.Spec, now time.Time) {
	s.Doubt = &Doubt{Commit: rec.Commit}
	for _, rollout := range spec.Rollouts {
		s.Doubt.Rollouts = append(s.Doubt.Rollouts, rollout.Ref)
	}
	slices.SortFunc(s.Doubt.Rollouts, schema.Ref.Compare)
	st := sources.Status{State: sources.Pending, Description: inDoubt}
	r.canaried(rec, st)
	r.apply(rec, st, nil, now)
}

// inDoubt is what is told of a commit in doubt.
const inDoubt = "waits: no commit before it is known to be completed; promote takes it as it is"

// unfitLine is what is told of a rollout whose base has no spec.
func unfitLine(base, why string) string {
	return report.Clamp(fmt.Sprintf("waits: its base %s cannot be served; promote it, or merge what leads elsewhere: %s", report.Short(base), why))
}

// promoted takes in that a person has what has nothing to begin from be taken as it
// is.
func (r rules) promoted(s *State, seen Seen, said []said, now time.Time) {
	for _, w := range said {
		if w.verb != canary.Promote {
			continue
		}
		if d := s.Doubt; d != nil && s.Good == "" && slices.ContainsFunc(d.Rollouts, func(ref schema.Ref) bool { return sameName(nameOf(ref), w.name) }) {
			if spec, rec := seen.specs()[d.Commit], s.find(d.Commit); spec != nil && rec != nil {
				r.accept(s, rec, spec, seen, now)
			}
		}
		for name, t := range s.Rollouts {
			if t.Run != nil && s.Unfit[t.Run.Base] != "" && sameName(name, w.name) {
				s.forsake(name, t)
			}
		}
	}
}

// stranded says of the commits on their way that what they begin at has no spec.
func (r rules) stranded(s *State) {
	for _, t := range s.Rollouts {
		if !t.Run.live() || s.Unfit[t.Run.Base] == "" {
			continue
		}
		if rec := s.find(t.Run.Target); rec != nil {
			r.canaried(rec, sources.Status{State: sources.Pending, Description: unfitLine(t.Run.Base, s.Unfit[t.Run.Base])})
		}
	}
}

// refusedBack reports whether proxies refuse the base that a run goes back to: they
// are given nothing else.
func (x *rolling) refusedBack(run *Run, seen canary.Observation) bool {
	return seen.Serving == run.ID() && len(seen.Acks.Rejected) > 0 && x.s.takenBack() == run.Base && len(x.s.trying()) == 0
}

// unfitBase is why nothing can begin at what a track was completed at; empty: it
// can. Proxies that refuse a commit have none of it; those that have had it, and
// refuse it since, are not to end the steps of all others.
func (x *rolling) unfitBase(t Track) string {
	if t.Unfit != "" || t.Stable == "" {
		return t.Unfit
	}
	rec := x.s.find(t.Stable)
	if rec == nil || rec.Applied == nil || rec.Applied.Status.State != sources.Failure || len(rec.Applied.rejected()) == 0 {
		return ""
	}
	if rec.Watch != nil && !rec.Watch.Applied.IsZero() || rec.Canary != nil && rec.Canary.State != sources.Success {
		return "" // they have had it, or what they refuse is a rollout of it
	}
	return "proxies refuse its base " + report.Short(t.Stable)
}
