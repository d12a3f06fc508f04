package reconciler

import (
	"maps"
	"slices"

	"github.com/meshwright/meshwright/reconciler/canary"
)

// tellRollouts logs the transitions that a decision has brought, and the Rollouts
// that are no more.
func (r *Reconciler) tellRollouts(was, is State) {
	old, runs := was.allRuns(), is.allRuns()
	for _, key := range slices.Sorted(maps.Keys(runs)) {
		run, known := runs[key], 0
		if before := old[key]; before != nil && before.Began.Equal(run.Began) {
			known = min(len(before.History), len(run.History))
		}
		log := r.cfg.Logger.With("resource", key, "commit", run.Target)
		for _, e := range run.History[known:] {
			tell := log.Info
			if e.Phase == canary.RollingBack || e.Phase == canary.Held {
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
