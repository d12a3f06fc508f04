package reconciler

import (
	"maps"
	"slices"

	"github.com/meshwright/meshwright/reconciler/canary"
)

// tellRollouts logs the transitions that a decision has brought, and the Rollouts
// that are no more.
func (r *Reconciler) tellRollouts(was, is State, moved []*Run) {
	for _, pair := range since(was, is, moved) {
		old, run := pair[0], pair[1]
		log := r.cfg.Logger.With("resource", run.key(), "commit", run.Target)
		for _, e := range run.History[len(run.History)-newEvents(old.History, run.History):] {
			tell := log.Info
			atOnce := e.Phase == canary.Completed && len(run.History) == 1 // for want of a base
			if e.Phase == canary.RollingBack || e.Phase == canary.Held || atOnce {
				tell = log.Warn
			}
			tell("rollout "+string(e.Phase), "verdict", e.Weight.String()+" %", "reason", e.Reason)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was.Rollouts)) {
		if _, still := is.Rollouts[name]; still {
			continue
		}
		tell, reason := r.cfg.Logger.Info, "it has nothing on its way"
		if rec := is.find(is.Taken); rec != nil && rec.Canary != nil {
			tell, reason = r.cfg.Logger.Warn, rec.Canary.Description
		}
		tell("rollout removed", "resource", name, "commit", is.Taken, "reason", reason)
	}
}
