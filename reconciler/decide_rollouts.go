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
	"github.com/meshwright/meshwright/xds"
)

// Evidence is what was seen of one rollout's nodes.
type Evidence struct {
	Canary, Base xds.Traffic // since [canary.State.Evidence]
	Reporting    int         // proxies of the callers that tell of traffic
	Silent       []string    // and those that should and do not
	Found                    // of its wishes
}

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
			if t.Run.live() {
				x.step(t.Run, canary.Observation{Newer: s.Taken})
			}
			delete(s.Rollouts, name)
		}
	}
	for _, rollout := range spec.Rollouts {
		name := nameOf(rollout.Ref)
		if _, known := s.Rollouts[name]; !known {
			s.Rollouts[name] = Track{Rollout: rollout.Ref, Stable: stableOf(old, rollout.Policy(), before)}
		}
	}
}

// stableOf is the commit at which a new Rollout's routes were completed last:
// that of another Rollout which governed them, perhaps by another name, or what
// was served before.
func stableOf(old map[string]Track, policy schema.RolloutSpec, before string) string {
	for _, name := range slices.Sorted(maps.Keys(old)) {
		t := old[name]
		if t.Run == nil || !t.Run.live() && !t.Run.wentBack() {
			continue
		}
		for i := range policy.Targets {
			if slices.Contains(t.Run.Governed, policy.Targets[i].In("")) {
				return t.Stable
			}
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
		if content := x.content(t, policy); retried || len(t.Completed) == 0 || content != t.Completed[0] {
			if merged := x.arrive(t, content); merged != nil {
				t.Run, t.At, t.Start = merged, taken, policy.Start
				x.s.Rollouts[name] = t
				return
			}
		}
		x.turn(&t, policy, retried)
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
// taken in: a run begins if it leads elsewhere.
func (x *rolling) turn(t *Track, policy schema.RolloutSpec, retried bool) {
	spec, base, taken := x.all[x.s.Taken], x.all[t.Stable], x.s.Taken
	content := x.content(*t, policy)
	t.At, t.Start = taken, policy.Start
	switch {
	case base == nil, len(canary.EndsOf(base, spec, policy).Moves) == 0:
		// The first install, or nothing that could be done in steps.
		t.complete(taken, content)
		if rec := x.s.find(taken); t.Run.wentBack() && (t.Run.Phase == canary.RolledBack || t.Run.Failed != "") && rec != nil {
			x.healthy(rec, report.Converged(sources.Status{Description: nameOf(t.Rollout) + " is where the branch leads again"}))
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
	}
	if slices.Contains(t.Completed, content) {
		st.Skip = "no steps: it leads where a commit did that was completed"
	}
	t.Run = newRun(st, base, spec, policy, x.now)
}

// observe gathers what is known of a run.
func (x *rolling) observe(key string, run *Run) canary.Observation {
	e := x.seen.Evidence[key]
	seen := canary.Observation{
		Away: x.seen.Away, Acks: x.seen.acks(),
		Reporting: e.Reporting, Silent: e.Silent, Canary: e.Canary, Base: e.Base, Gates: e.Gates, Numbers: e.Numbers,
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
		x.diverged(&next)
	}
	if d, ok := next.Next(policy, x.now); ok {
		x.next = earlier(x.next, x.now.Wall.Add(d))
	}
	return &next
}

// diverged says of the served commit that not all of it is served, and what is.
func (x *rolling) diverged(run *Run) {
	if rec := x.s.find(x.s.Taken); rec != nil {
		x.healthy(rec, report.Diverged(nameOf(run.Rollout)+" is at "+report.Short(run.Base)))
	}
}

// tell has the commits say what has become of their rollouts, and ends what
// nobody would end.
func (x *rolling) tell() {
	s := x.s
	runs := map[*Run]bool{}
	for _, run := range x.moved {
		runs[run] = true
	}
	for _, t := range s.Rollouts {
		if t.Run != nil {
			runs[t.Run] = true
		}
	}
	for _, t := range s.Trials {
		runs[t] = true
	}
	about := map[string][]canary.State{}
	live := map[string]bool{}
	for run := range runs {
		about[run.Target] = append(about[run.Target], run.State)
		live[run.Target] = live[run.Target] || run.live()
	}
	for _, run := range x.moved {
		rec := s.find(run.Target)
		if rec == nil || rec.Canary != nil && rec.Canary.State != sources.Pending && rec.Branch && rec.Commit != s.Taken {
			continue // what is not wanted any more keeps its end
		}
		st := canaries(about[run.Target])
		rec.Canary = &st
		x.timelines(s, rec, x.now.Wall)
		x.want(rec, report.KindCanary, st)
	}
	for i := range s.Records {
		if rec := &s.Records[i]; rec.Canary != nil && rec.Canary.State == sources.Pending && !live[rec.Commit] {
			st := report.Superseded(s.Taken)
			rec.Canary = &st
			x.want(rec, report.KindCanary, st)
		}
	}
}

// canaries is the status of several rollouts of one commit: of those that stand
// worst.
func canaries(all []canary.State) sources.Status {
	if len(all) == 1 {
		return all[0].Status()
	}
	rank := func(c canary.State) int {
		return slices.Index([]sources.StatusState{sources.Failure, sources.Errored, sources.Pending, sources.Success}, c.Status().State)
	}
	slices.SortFunc(all, func(a, b canary.State) int { return cmp.Or(rank(a)-rank(b), a.Rollout.Compare(b.Rollout)) })
	st := sources.Status{State: all[0].Status().State}
	for i, c := range all {
		if rank(c) > rank(all[0]) {
			break
		}
		if i > 0 {
			st.Description += "; "
		}
		st.Description += c.Rollout.Name + ": " + c.Status().Description
	}
	st.Description = report.Clamp(st.Description)
	return st
}

// underWay is what there is to say of the served commit on the proxies while not
// all of it is served; false: all is.
func (s State) underWay() (sources.Status, bool) {
	for _, name := range slices.Sorted(maps.Keys(s.Rollouts)) {
		switch run := s.Rollouts[name].Run; {
		case !run.live() && !run.wentBack():
		case run.Target != s.Taken: // an earlier commit's, which has failed
			return sources.Status{State: sources.Failure, Description: report.Clamp(name + ": " + canary.Line(run.State))}, true
		default:
			if rec := s.find(s.Taken); rec != nil && rec.Canary != nil {
				return *rec.Canary, true
			}
			return run.Status(), true
		}
	}
	return sources.Status{}, false
}
