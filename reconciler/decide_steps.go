package reconciler

import (
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// Evidence is what was seen of one rollout's nodes.
type Evidence struct {
	Canary, Base xds.Traffic        // since [canary.State.Evidence]
	Reporting    int                // proxies of the callers that tell of traffic
	Silent       []canary.Straggler // and those that should and do not
	Heard        time.Duration      // up to when all have told; see [canary.Observation]
	Lacking      []canary.Straggler // who has not taken what is published
	Found                           // of its wishes
}

// observe gathers what is known of a run.
func (x *rolling) observe(key string, run *Run) canary.Observation {
	e := x.seen.Evidence[key]
	seen := canary.Observation{
		Away: x.seen.Away, Acks: x.seen.acks(),
		Lacking: e.Lacking, Reporting: e.Reporting, Silent: e.Silent, Heard: e.Heard, Canary: e.Canary, Base: e.Base, Gates: e.Gates, Numbers: e.Numbers,
	}
	for _, by := range e.Approved {
		seen.Said = append(seen.Said, canary.Saying{Verb: canary.Approve, By: by})
	}
	if x.has {
		seen.Serving = run.ID()
	}
	if run.Phase == canary.Watching || run.Phase == canary.Paused || run.Phase == canary.Passed {
		for other, r := range x.s.runs() {
			if other != key && (r.Phase == canary.Moving || r.Phase == canary.Promoting || r.Phase == canary.RollingBack) {
				seen.Acks.Rejected = nil // all have taken this one: it is the other's that is refused
			}
		}
	}
	for _, w := range x.said {
		if w.verb == Retry {
			w.verb = canary.Resume // what has failed, as an earlier commit
		}
		if sameName(nameOf(run.Rollout), w.name) && (w.pull == 0 || run.Start == schema.StartMerge || w.pull == run.Pull) {
			seen.Said = append(seen.Said, canary.Saying{Verb: w.verb, By: w.by})
		}
	}
	return seen
}

// acks are how far what is published has come. What a proxy refuses of an earlier
// push is no answer to this one; it does not have it all the same.
func (seen Seen) acks() xds.Progress {
	p := seen.Acks
	p.Rejected = nil
	for _, no := range seen.Acks.Rejected {
		if no.Commit == seen.Label {
			p.Rejected = append(p.Rejected, no)
		}
	}
	return p
}

// step takes a run a step on, and has the state say what follows from it.
func (x *rolling) step(run *Run, seen canary.Observation) *Run {
	policy := policyOf(x.all[x.s.Taken], run.Rollout)
	next := *run
	var effects []canary.Effect
	next.State, effects = canary.Step(run.State, policy, seen, x.now)
	rec := x.s.find(next.Target)
	for _, e := range effects {
		switch {
		case e.Do == canary.Publish:
			x.s.Pushes++
			x.aim(&next)
		case e.Do == canary.Report:
			x.moved = append(x.moved, &next)
		case e.Do == canary.Notify && rec != nil:
			x.notify(rec, &next, x.now.Wall)
		case e.Do == canary.Revert && rec != nil && rec.Revert == nil && x.forge && x.limits.Comment > 0:
			rec.Revert = &Revert{To: next.Base, Reason: e.Text, Rollout: nameOf(next.Rollout)}
			rec.Revert.Slot = rec.Revert.Slot.wanting(Content{Digest: digest(next.Base)})
		}
	}
	if run.Phase != next.Phase && next.Phase == canary.RolledBack && next.Start == schema.StartMerge {
		x.diverged(next.State)
	}
	if d, ok := next.Next(policy, x.now); ok {
		x.next = earlier(x.next, x.now.Wall.Add(d))
	}
	return &next
}

// aim has a run watch the nodes that its shares move between, and who calls them,
// as they are now: commits that came since it began may have changed both.
func (x *rolling) aim(run *Run) {
	base, target := x.all[run.Base], x.all[run.Target]
	if run.Start == schema.StartPullRequest {
		base, target = x.beneath(x.s.Rollouts[nameOf(run.Rollout)]), x.heads[run.Target]
	}
	if base == nil || target == nil {
		return // it has ended
	}
	if ends := canary.EndsOf(base, target, policyOf(x.all[x.s.Taken], run.Rollout)); len(ends.Moves) > 0 {
		run.watch(ends)
	}
}

// converging says of the served commit that what failed of it is tried again, if
// nothing else of it has failed.
func (x *rolling) converging(rollout schema.Ref) {
	for _, t := range x.s.Rollouts {
		if t.Rollout != rollout && (t.Run.wentBack() || t.Run.parked()) {
			return
		}
	}
	if rec := x.s.find(x.s.Taken); rec != nil && rec.Health != nil && rec.Health.State == sources.Failure {
		x.healthy(rec, report.Converging(nameOf(rollout)))
	}
}

// diverged says of the served commit that not all of it is served, and what is.
func (x *rolling) diverged(st canary.State) {
	if rec := x.s.find(x.s.Taken); rec != nil {
		x.healthy(rec, report.Diverged(nameOf(st.Rollout)+" is at "+report.Short(st.Base)))
	}
}
