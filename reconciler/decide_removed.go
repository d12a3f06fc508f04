package reconciler

import (
	"fmt"
	"path"
	"slices"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// remove forgets a Rollout that the commit taken in has no more: git says what is
// wanted, so what it governed is that commit's at once. Where this had not come
// to all requests before, people are told.
func (x *rolling) remove(name string) {
	s, run := x.s, x.s.Rollouts[name].Run
	delete(s.Rollouts, name)
	if run == nil {
		return
	}
	why := unproven(run)
	if run.live() {
		run = x.step(run, canary.Observation{Removed: s.Taken})
	}
	s.moot(run.Target, run.Failed)
	s.bygone(run)
	rec, spec := s.find(s.Taken), x.all[s.Taken]
	if why == "" || x.regoverned(run) {
		return
	}
	x.agreed(name)
	if rec == nil || canary.Content(spec, run.Governed) != run.Content {
		return
	}
	x.conclude(s.Taken, sources.Status{State: sources.Errored, Description: report.Clamp("not judged, and served at once: it removes the Rollout " + name + ", by which " + report.Short(run.Target) + " " + why)})
	x.atOnce(rec, run, report.Removed(x.environment, name, run.Target, "is removed", "it "+why))
}

// drop tells people where a Rollout that stays governs less than before, and what it
// governs no more comes to all requests though nobody has judged it.
func (x *rolling) drop(name string, run *Run) {
	if !run.live() && !run.wentBack() {
		return
	}
	spec, base := x.all[x.s.Taken], x.all[run.Base]
	lost := slices.DeleteFunc(slices.Clone(run.Governed), func(ref schema.Ref) bool { return spec.RolloutOf(ref) != nil || spec.Find(ref) == nil })
	rec, why := x.s.find(x.s.Taken), unproven(run)
	if len(lost) == 0 || rec == nil || why == "" || base == nil || canary.Content(spec, lost) == canary.Content(base, lost) {
		return
	}
	how := "does not govern " + lost[0].String() + " any more"
	if more := len(lost) - 1; more > 0 {
		how += fmt.Sprintf(", and %d more", more)
	}
	x.atOnce(rec, run, report.Removed(x.environment, name, x.s.Taken, how, report.Short(run.Target)+" "+why))
}

// atOnce writes down a comment on what the commit that was taken in brings to all
// requests at once, of what a run was to bring in steps.
func (x *rolling) atOnce(rec *Record, run *Run, body string) {
	if x.forge && x.limits.Comment > 0 {
		key := path.Join(x.environment, noticePrefix+report.Short(rec.Commit)+"-removed-"+run.Rollout.Namespace+"."+run.Rollout.Name)
		rec.notice(Notice{Key: key, Body: body})
	}
}

// agreed says that git and the proxies are one again, since a Rollout is no more
// whose base was served in the place of what the branch had.
func (x *rolling) agreed(name string) {
	st := report.Converged(sources.Status{Description: "the Rollout " + name + " is removed, and proxies have what the branch has"})
	for i := range x.s.Records {
		rec := &x.s.Records[i]
		if h := rec.Health; h != nil && report.IsDiverged(*h, name) {
			x.healthy(rec, st)
		}
	}
}

// unproven says why the target of a run is not what all requests get; empty: it is.
func unproven(run *Run) string {
	switch {
	case run.Failure != "":
		return "failed: " + run.Failure
	case run.Failed == run.Target:
		return "waited, for it had failed"
	case run.Failed != "":
		return "waited, for the same failed as " + report.Short(run.Failed)
	case run.live():
		return "was at " + run.Weight.String() + " %"
	}
	return ""
}

// regoverned reports whether another Rollout has taken a run's routes over.
func (x *rolling) regoverned(run *Run) bool {
	spec := x.all[x.s.Taken]
	return slices.ContainsFunc(run.Governed, func(ref schema.Ref) bool { return spec.RolloutOf(ref) != nil })
}
