package reconciler

import (
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
// to publish, and when to look again. Nothing moves while a spec is missing that
// decides what is served.
func (r rules) rollouts(s *State, seen Seen, said []said, now time.Time) (*Publish, time.Time) {
	all := seen.specs()
	if s.Good == "" || !all.has(s.needs()...) {
		return nil, time.Time{}
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
		return nil, x.next
	}
	p := &Publish{Label: label, Spec: s.served(layers, all, x.heads)}
	if rec := s.find(s.Taken); rec != nil {
		p.When = rec.When
	}
	return p, x.next
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
		}
	}
	for _, rollout := range spec.Rollouts {
		name := nameOf(rollout.Ref)
		if _, known := s.Rollouts[name]; !known {
			s.Rollouts[name] = Track{Rollout: rollout.Ref, Stable: stableOf(old, targetsOf(spec, rollout.Ref), before)}
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
		switch {
		case t.At == taken:
		case x.content(t, policy) == t.Run.Content:
			seen.Follows = taken
		default:
			seen.Newer = taken
		}
		if t.Run = x.step(t.Run, seen); t.Run.Target == taken {
			t.At = taken
		}
		if t.Run.Phase == canary.Completed {
			t.complete(t.Run.Target, t.Run.Content)
		}
	}
	retried := t.Run != nil && t.Run.Phase == canary.RolledBack && slices.ContainsFunc(x.said, func(w said) bool { return w.verb == Retry && sameName(name, w.name) })
	if (t.At != taken || retried) && !t.Run.live() {
		content := x.content(t, policy)
		if retried || len(t.Completed) == 0 || content != t.Completed[0] {
			if merged := x.arrive(t, content); merged != nil {
				t.Run, t.At, t.Start = merged, taken, policy.Start
				x.s.Rollouts[name] = t
				return
			}
		}
		x.turn(&t, policy, content, retried)
		if t.Run.live() {
			t.Run = x.step(t.Run, x.observe(name, t.Run))
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
	t.At, t.Start = taken, policy.Start
	switch {
	case base == nil, len(canary.EndsOf(base, spec, policy).Moves) == 0:
		// The first install, or nothing that could be done in steps.
		t.complete(taken, content)
		if rec := x.s.find(taken); t.Run.wentBack() && (t.Run.Phase == canary.RolledBack || t.Run.Failed != "") && rec != nil {
			x.healthy(rec, report.Converged(sources.Status{Description: nameOf(t.Rollout) + " is where the branch leads again"}))
		}
		if t.Run != nil {
			x.s.moot(t.Run.Target, t.Run.Failed)
		}
		if !t.Run.completed() {
			t.Run = nil
		}
		return
	}
	st := canary.State{Rollout: t.Rollout, Start: schema.StartMerge, Base: t.Stable, Target: taken}
	if was := t.Run; was.wentBack() && was.Phase == canary.RolledBack && was.Content == content && !retried {
		st.Failed = was.Target // the branch still has it
		x.diverged(was)
	} else if was != nil {
		x.s.moot(was.Target, was.Failed)
	}
	if slices.Contains(t.Completed, content) {
		st.Skip = "no steps: it leads where a commit did that was completed"
	}
	t.Run = newRun(st, base, spec, policy, x.now)
}
