package reconciler

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// rolling is the rollouts' part of a decision.
type rolling struct {
	rules
	s     *State
	seen  Seen
	all   specs
	heads specs
	said  []said
	now   canary.Now
	has   bool // the proxies are given what the state says
	moved []*Run
	next  time.Time
}

// rollouts takes in the good commit, and each rollout a step on; it returns what
// to publish, what has moved, and when to look again. Nothing moves while a spec is
// missing that decides what is served.
func (r rules) rollouts(s *State, seen Seen, said []said, now time.Time) (*Publish, []*Run, time.Time) {
	all := seen.specs()
	r.promoted(s, seen, said, now)
	if s.Good == "" || !all.has(s.needs()...) {
		r.stranded(s)
		return nil, nil, time.Time{}
	}
	x := rolling{rules: r, s: s, seen: seen, all: all, heads: seen.heads(), said: said, now: canary.Now{Wall: now, Mono: now.Sub(s.Started)}}
	x.has = seen.Label != "" && s.Taken != "" && seen.Label == s.label(s.layers(all[s.Taken], x.heads))
	if s.Taken != s.Good {
		x.takeIn()
	}
	for _, name := range slices.Sorted(maps.Keys(s.Rollouts)) {
		x.follow(name)
	}
	x.trials()
	x.tell()
	layers := s.layers(all[s.Taken], x.heads)
	label := s.label(layers)
	if label == seen.Label {
		return nil, x.moved, x.next
	}
	p := &Publish{Label: label, Spec: s.served(layers, all, x.heads)}
	p.Beneath.Commit, _ = s.serving(s.Taken)
	p.Beneath.Label, p.Beneath.Spec = label, p.Spec
	if under := s.layers(all[s.Taken], nil); len(under) < len(layers) {
		p.Beneath.Label, p.Beneath.Spec = s.label(under), s.served(under, all, nil)
	}
	if rec := s.find(s.Taken); rec != nil {
		p.When = rec.When
	}
	return p, x.moved, x.next
}

// takeIn has the good commit be the one that is served, or led to. A Rollout
// that is new begins at what was served before.
func (x *rolling) takeIn() {
	s, before := x.s, x.s.Taken
	s.Taken = s.Good
	s.Pushes++
	spec := x.all[s.Taken]
	if s.Rollouts == nil {
		s.Rollouts = map[string]Track{}
	}
	old := maps.Clone(s.Rollouts)
	for name, t := range old {
		if spec.Rollouts[t.Rollout.Key] == nil { // what it governed changes at once from now on
			x.remove(name)
			continue
		}
		x.drop(name, t.Run)
	}
	for _, rollout := range spec.Rollouts {
		name := nameOf(rollout.Ref)
		if _, known := s.Rollouts[name]; !known {
			t := Track{Rollout: rollout.Ref, Stable: stableOf(old, targetsOf(spec, rollout.Ref), before)}
			if s.Doubt != nil && before == "" {
				t.Unfit = "promoted, and no commit before it is known to be completed"
			}
			s.Rollouts[name] = t
		}
	}
	s.Doubt = nil
	for key, t := range s.Trials {
		if t.live() {
			run := *t
			x.aim(&run)
			s.Trials[key] = &run
		}
	}
}

// stableOf is the commit at which a new Rollout's routes were completed last:
// that of another Rollout which governed them, perhaps by another name, or what
// was served before.
func stableOf(old map[string]Track, targets []schema.Ref, before string) string {
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if run := old[name].Run; (run.live() || run.wentBack()) && run.governs(targets) {
			return old[name].Stable
		}
	}
	return before
}

// follow takes a track to the commit that was taken in, and its run a step on.
func (x *rolling) follow(name string) {
	t, taken := x.s.Rollouts[name], x.s.Taken
	policy := policyOf(x.all[taken], t.Rollout)
	if t.Run.live() {
		seen := x.observe(name, t.Run)
		seen.Behind = x.ahead(t.Rollout)
		if t.Run.Phase == canary.RollingBack && t.At == taken {
			if t.Unfit = ""; x.refusedBack(t.Run, seen) {
				t.Unfit = "proxies refuse its base " + report.Short(t.Run.Base)
				x.s.moot(t.Run.Target)
			}
		}
		switch {
		case t.At == taken:
		case x.content(t, policy) == t.Run.Content:
			seen.Follows = taken
		default:
			seen.Newer = taken
		}
		parked := t.Run.parked()
		if t.Run = x.step(t.Run, seen); parked && t.Run.live() && !t.Run.parked() {
			x.converging(t.Rollout)
		}
		if t.Run.Target == taken {
			t.At = taken
		}
		if t.Run.Phase == canary.Completed {
			t.complete(t.Run.Target, t.Run.Content)
			x.outlived(x.s, t.Run)
		}
	}
	retried := t.Run != nil && t.Run.Phase == canary.RolledBack && slices.ContainsFunc(x.said, func(w said) bool { return w.verb == Retry && sameName(name, w.name) })
	if (t.At != taken || retried) && !t.Run.live() {
		content := x.content(t, policy)
		if t.At != taken && (len(t.Completed) == 0 || content != t.Completed[0]) {
			if merged := x.arrive(t, content); merged != nil {
				t.Run, t.At, t.Start = merged, taken, policy.Start
				x.s.Rollouts[name] = t
				return
			}
		}
		x.turn(&t, policy, content, retried)
		if t.Run.live() {
			seen := x.observe(name, t.Run)
			seen.Behind = x.ahead(t.Rollout)
			t.Run = x.step(t.Run, seen)
		}
	}
	x.s.Rollouts[name] = t
}

// content is that of the commit which was taken in, for a track.
func (x *rolling) content(t Track, policy schema.RolloutSpec) string {
	spec, base := x.all[x.s.Taken], x.all[t.Stable]
	if base == nil {
		base = spec
	}
	return canary.Content(spec, canary.EndsOf(base, spec, policy).Governed)
}

// turn has a track on which nothing is under way look at the commit that was
// taken in, which has this content: a run begins if it leads elsewhere.
func (x *rolling) turn(t *Track, policy schema.RolloutSpec, content string, retried bool) {
	spec, base, taken := x.all[x.s.Taken], x.all[t.Stable], x.s.Taken
	was, unfit := t.Run, x.unfitBase(*t)
	t.At, t.Start, t.Unfit = taken, policy.Start, ""
	st := canary.State{Rollout: t.Rollout, Start: schema.StartMerge, Base: cmp.Or(t.Stable, taken), Target: taken}
	switch {
	case base == nil && unfit == "", base != nil && len(canary.EndsOf(base, spec, policy).Moves) == 0:
		// The first install, or nothing that could be done in steps.
		t.complete(taken, content)
		if rec := x.s.find(taken); was.wentBack() && (was.Phase == canary.RolledBack || was.Failed != "") && rec != nil {
			x.healthy(rec, report.Converged(sources.Status{Description: nameOf(t.Rollout) + " is where the branch leads again"}))
		}
		if was != nil {
			x.s.moot(was.Target, was.Failed)
		}
		if !was.completed() {
			t.Run = nil
		}
	case unfit != "": // there is nothing to begin from
		t.complete(taken, content)
		if was != nil {
			x.s.moot(was.Target, was.Failed)
		}
		t.Run = &Run{State: canary.Complete(st, policy, "at once, without steps: "+unfit, x.now), Content: content}
		x.moved = append(x.moved, t.Run)
	default:
		t.Run = x.newTurn(*t, st, content, retried)
	}
}

// newTurn is the run that takes a track from what was completed to the commit that
// was taken in. What has failed is not tried again because it is merged once more.
func (x *rolling) newTurn(t Track, st canary.State, content string, retried bool) *Run {
	was, trial, before := t.Run, x.failedOpen(t, content), x.failedBefore(content, st)
	switch failed := was != nil && was.Phase == canary.RolledBack && was.Content == content; {
	case failed && !retried:
		st.Failed = was.Target
	case slices.Contains(t.Completed, content):
		st.Skip = "no steps: it leads where a commit did that was completed"
	case retried:
	case trial != nil:
		st.Failed, st.FailedIn = trial.Target, trial.Pull
	case before != "":
		st.Failed = before
	}
	if st.Failed != "" {
		x.diverged(st)
	}
	if was != nil && was.Target != st.Failed {
		x.s.moot(was.Target, was.Failed)
	}
	spec := x.all[x.s.Taken]
	run := newRun(was, st, x.all[t.Stable], spec, policyOf(spec, t.Rollout), x.now)
	if was != nil && was.Content == content {
		run.Retries = append(slices.Clone(was.Retries), was.Target)
	}
	if retried {
		x.converging(t.Rollout)
	}
	return run
}

// failedBefore is the commit that went back before the state was lost, and led
// where the branch does now; empty: there is none.
func (x *rolling) failedBefore(content string, st canary.State) string {
	spec := x.all[x.s.Taken]
	governed := canary.EndsOf(x.all[st.Base], spec, policyOf(spec, st.Rollout)).Governed
	for _, l := range x.seen.Loaded {
		for _, commit := range slices.Sorted(maps.Keys(l.Failed)) {
			if l.Revision.Commit == x.s.Taken && canary.Content(l.Failed[commit], governed) == content {
				return commit
			}
		}
	}
	return ""
}

// failedOpen is the run of a pull request that went back before it was merged, and
// led where the branch does now; nil: there is none.
func (x *rolling) failedOpen(t Track, content string) *Run {
	failed := func(run *Run) bool {
		return run.Rollout == t.Rollout && run.Start == schema.StartPullRequest && run.Phase == canary.RolledBack && run.Content == content
	}
	for _, key := range slices.Sorted(maps.Keys(x.s.Trials)) {
		if failed(x.s.Trials[key]) {
			return x.s.Trials[key]
		}
	}
	if i := slices.IndexFunc(x.s.Past, failed); i >= 0 {
		return x.s.Past[i]
	}
	return nil
}
