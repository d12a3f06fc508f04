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

// A trial is the run of a pull request that is canaried while it is open.

// parting is how long a pull request that was merged may wait for its commit, which
// the branch may never have: somebody may have set it elsewhere since.
const parting = 30 * time.Second

// trialKey is that of a trial: two pull requests may move the same.
func trialKey(name string, pull int) string { return fmt.Sprintf("%s#%d", name, pull) }

// trying are the heads whose specs are needed.
func (s State) trying() map[string]bool {
	heads := map[string]bool{}
	for _, a := range s.Asks {
		heads[a.Head] = true
	}
	for _, t := range s.Trials {
		if t.live() {
			heads[t.Target] = true
		}
	}
	return heads
}

// tried are the pull requests of which the end matters.
func (s State) tried() (pulls []int) {
	for _, t := range s.Trials {
		if t.live() {
			pulls = append(pulls, t.Pull)
		}
	}
	slices.Sort(pulls)
	return slices.Compact(pulls)
}

// trials has pull requests begin as canaries whose specs are there, and takes
// those a step on that have begun.
func (x *rolling) trials() {
	s, taken := x.s, x.all[x.s.Taken]
	for _, pull := range slices.Sorted(maps.Keys(s.Asks)) {
		a := s.Asks[pull]
		spec := x.heads[a.Head]
		switch {
		case spec != nil:
			x.try(pull, a, spec)
		case x.unfit(a.Head):
			x.conclude(a.Head, sources.Status{State: sources.Errored, Description: "cannot be a canary: its merge with the branch is not good, or changes nothing"})
		default:
			continue
		}
		delete(s.Asks, pull)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Trials)) {
		t := *s.Trials[key]
		removed := taken.Rollouts[t.Rollout.Key] == nil
		if !t.live() {
			if removed || x.seen.Open != nil && x.seen.Open.head(t.Pull) == "" {
				s.retire(key)
			}
			continue
		}
		seen := x.observe(key, &t)
		x.open(&t, &seen)
		s.Trials[key] = &t
		switch {
		case removed:
			seen.Removed = s.Taken
		case x.unfit(t.Target):
			seen.Newer = s.Taken
		}
		seen.Behind = x.behind(key, &t)
		ending := seen.Closed != "" || seen.Removed != "" || seen.Newer != "" || seen.Head != "" && seen.Head != t.Target
		if x.heads[t.Target] == nil && !ending {
			continue // it is loaded once more
		}
		s.Trials[key] = x.step(&t, seen)
	}
}

// follows has another head take the place of a trial, which ends if it has not.
func (x *rolling) follows(key, head string) {
	if t := x.s.Trials[key]; t.live() {
		seen := x.observe(key, t)
		if seen.Head = head; t.Phase == canary.RollingBack {
			seen.Newer = head
		}
		x.s.Trials[key] = x.step(t, seen)
	}
	x.s.retire(key)
}

// retire has a trial be one of the past.
func (s *State) retire(key string) {
	if t := s.Trials[key]; t != nil {
		s.bygone(t)
		delete(s.Trials, key)
	}
}

// try begins the trials of a pull request.
func (x *rolling) try(pull int, a Ask, spec *schema.Spec) {
	s, base := x.s, x.all[x.s.Taken]
	begun := false
	for _, name := range slices.Sorted(maps.Keys(s.Rollouts)) {
		t := s.Rollouts[name]
		policy := policyOf(base, t.Rollout)
		if policy.Start != schema.StartPullRequest || a.Name != "" && !sameName(name, a.Name) {
			continue
		}
		key := trialKey(name, pull)
		if old := s.Trials[key]; old.live() && old.Target == a.Head {
			begun = true // it goes on
			continue
		}
		from := x.beneath(t)
		st := canary.State{Rollout: t.Rollout, Start: policy.Start, Base: t.Stable, Target: a.Head, Pull: pull, By: a.By}
		run := newRun(s.Trials[key], st, from, spec, policy, x.now)
		if len(canary.EndsOf(from, spec, policy).Moves) == 0 {
			continue
		}
		if slices.Contains(t.Completed, run.Content) {
			run.Skip = "no steps: it leads where a commit did that was completed"
		}
		if s.Trials == nil {
			s.Trials = map[string]*Run{}
		}
		x.follows(key, a.Head)
		s.Trials[key] = run
		begun = true
	}
	if !begun {
		x.conclude(a.Head, sources.Status{State: sources.Success, Description: "nothing to do in steps: no route of a rollout that starts with a pull request leads elsewhere"})
	}
}

// unfit reports whether a head was just looked at, and there is no spec of it to be
// had. A branch that is refused itself says nothing against a spec that is there.
func (x *rolling) unfit(head string) bool {
	return slices.ContainsFunc(x.seen.Planned, func(p Planned) bool {
		return p.Head == head && p.Keep && !p.Stands && p.Merged == nil && (p.Err == nil || permanent(p.Err)) &&
			(x.heads[head] == nil || p.Basis.Base == x.s.Taken)
	})
}

// conclude says of a head what there is to say of its canary.
func (x *rolling) conclude(head string, st sources.Status) {
	if rec := x.s.find(head); rec != nil {
		x.canaried(rec, st)
	}
}

// open says what has become of a trial's pull request. One that was merged goes on
// until its commit has been seen, which may lead there ([rolling.arrive]); so does
// one of which nobody can say yet how it has ended.
func (x *rolling) open(t *Run, seen *canary.Observation) {
	if x.seen.Open == nil {
		return
	}
	if seen.Head = x.seen.Open.head(t.Pull); seen.Head != "" {
		t.Gone = time.Time{}
		return
	}
	merged, known := x.seen.Open.Ended[t.Pull]
	switch {
	case !known:
		return
	case merged == "":
		seen.Closed = "the pull request was closed"
		return
	case t.Gone.IsZero():
		t.Gone = x.now.Wall
	}
	until := t.Gone.Add(parting)
	switch here := x.s.landed(merged); {
	case !here && x.now.Wall.Before(until):
		x.next, seen.Landing = earlier(x.next, until), true
	case !here && x.seen.Away != "": // it cannot be seen
		seen.Landing = true
	default:
		seen.Closed = "the pull request was merged as " + report.Short(merged)
	}
}

// landed reports whether a commit is known to be the branch's.
func (s State) landed(commit string) bool {
	return slices.ContainsFunc(s.Records, func(r Record) bool {
		return r.Branch && (r.Commit == commit || slices.ContainsFunc(r.Landed, func(l Landed) bool { return l.Commit == commit }))
	})
}

// beneath is the spec that trials of a track are compared with: what is served
// without them.
func (x *rolling) beneath(t Track) *schema.Spec {
	if t.Run.wentBack() || t.Run.parked() {
		return x.all[t.Run.Base]
	}
	return x.all[x.s.Taken]
}

// ahead is whom a run of the branch waits for before it begins: a trial that has
// its routes.
func (x *rolling) ahead(rollout schema.Ref) string {
	for _, key := range slices.Sorted(maps.Keys(x.s.Trials)) {
		if t := x.s.Trials[key]; t.Rollout == rollout && t.live() && t.Phase != canary.Waiting {
			return fmt.Sprintf("#%d at %s %%", t.Pull, t.Weight)
		}
	}
	return ""
}

// behind is whom a trial waits for: who has its routes.
func (x *rolling) behind(key string, t *Run) string {
	if run := x.s.Rollouts[nameOf(t.Rollout)].Run; run.live() && !run.parked() {
		return fmt.Sprintf("%s at %s %%", report.Short(run.Target), run.Weight)
	}
	for _, other := range slices.Sorted(maps.Keys(x.s.Trials)) {
		o := x.s.Trials[other]
		if other == key || o.Rollout != t.Rollout || !o.live() {
			continue
		}
		if o.Phase != canary.Waiting || o.Began.Before(t.Began) || o.Began.Equal(t.Began) && other < key {
			return fmt.Sprintf("#%d at %s %%", o.Pull, o.Weight)
		}
	}
	return ""
}

// arrive tells the trials of a rollout that the branch leads elsewhere. One that
// leads to the same has been merged: it is the branch's own from now on, and is
// returned: of several, that of the very commit. The others are superseded.
func (x *rolling) arrive(t Track, content string) (merged *Run) {
	keys := slices.Sorted(maps.Keys(x.s.Trials))
	if i := slices.IndexFunc(keys, func(key string) bool {
		return x.s.Trials[key].Target == x.s.Taken && x.s.Trials[key].Rollout == t.Rollout
	}); i > 0 {
		keys[0], keys[i] = keys[i], keys[0]
	}
	for _, key := range keys {
		trial := *x.s.Trials[key]
		if trial.Rollout != t.Rollout || !trial.live() {
			continue
		}
		seen := x.observe(key, &trial)
		if merged == nil && trial.Content == content && trial.Phase != canary.RollingBack {
			head := trial.Target
			seen.Merged = x.s.Taken
			trial.Base = t.Stable
			next := x.step(&trial, seen)
			if next.Start == schema.StartMerge {
				merged = next
				delete(x.s.Trials, key)
				x.end(head, merged)
				continue
			}
			trial, seen.Merged = *next, "" // it has failed in this very moment
		}
		seen.Newer = x.s.Taken
		x.s.Trials[key] = x.step(&trial, seen)
	}
	return merged
}

// end gives a pull request's head the last word about its canary once it is
// merged; where steps are left, that is to come.
func (x *rolling) end(head string, merged *Run) {
	rec, as := x.s.find(head), "merged as "+report.Short(merged.Target)
	switch {
	case rec == nil || head == merged.Target:
	case rec.Canary == nil || rec.Canary.State == sources.Pending:
		merged.Head = head
		x.conclude(head, sources.Status{State: sources.Pending, Description: as + " before all steps had passed: they go on there"})
	case rec.Canary.State == sources.Success:
		x.conclude(head, sources.Status{State: sources.Success, Description: "passed: " + as})
	}
}
