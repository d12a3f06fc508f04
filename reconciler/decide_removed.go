package reconciler

import (
	"path"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
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
	if rec == nil || why == "" || canary.Content(spec, run.Governed) != run.Content || x.regoverned(run) {
		return
	}
	x.conclude(s.Taken, sources.Status{State: sources.Errored, Description: report.Clamp("not judged, and served at once: it removes the Rollout " + name + ", by which " + report.Short(run.Target) + " " + why)})
	if x.forge && x.limits.Comment > 0 {
		key := path.Join(x.environment, noticePrefix+report.Short(s.Taken)+"-removed-"+run.Rollout.Namespace+"."+run.Rollout.Name)
		rec.notice(Notice{Key: key, Body: report.Removed(x.environment, name, run.Target, why)})
	}
}

// unproven says why the target of a run is not what all requests get; empty: it is.
func unproven(run *Run) string {
	switch {
	case run.Failure != "":
		return "failed: " + run.Failure
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
	for _, rollout := range spec.Rollouts {
		if run.governs(targetsOf(spec, rollout.Ref)) {
			return true
		}
	}
	return false
}
