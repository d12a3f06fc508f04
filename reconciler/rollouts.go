package reconciler

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Track is how far the branch's commits have come on the routes that one
// Rollout governs.
type Track struct {
	Rollout schema.Ref          `json:"rollout"`
	Start   schema.RolloutStart `json:"start"` // as the Rollout has it
	// At is the good commit that was looked at last.
	At string `json:"at"`
	// Stable is the commit that the governed routes were completed at last.
	Stable string `json:"stable"`
	// Unfit is why nothing can begin at what was completed last, and the commit that
	// comes next is taken as it is; empty: it can.
	Unfit string `json:"unfit,omitempty"`
	// Completed are the contents (see [canary.Content]) that were completed, newest
	// first: Stable's is the first. To go back to one of them takes no steps.
	Completed []string `json:"completed"`
	// Run is the last change that was on its way from Stable, or to it; nil: there
	// was none. Of one that went back the base is served, as long as the branch has
	// the content that failed.
	Run *Run `json:"run,omitempty"`
}

// Run is a change on its way.
type Run struct {
	canary.State
	// Content is that of the target.
	Content string `json:"content"`
	// What to watch: see [canary.Ends].
	CanaryNodes []schema.Ref   `json:"canaryNodes"`
	BaseNodes   []schema.Ref   `json:"baseNodes"`
	Callers     []xds.Identity `json:"callers"`
	// Retries are the commits with this content that had failed before.
	Retries []string `json:"retries,omitempty"`
	// Gone is since when a pull request is known to be merged; zero: it is not.
	Gone time.Time `json:"gone,omitzero"`
	// Head is that of the pull request which was merged before all steps had passed,
	// and is told how it ends.
	Head string `json:"head,omitempty"`
}

// keepCompleted is how many contents are known to be good.
const keepCompleted = 5

// nameOf is the name of a Rollout: namespace/name.
func nameOf(rollout schema.Ref) string { return path.Join(rollout.Namespace, rollout.Name) }

// live reports whether a run is on its way.
func (r *Run) live() bool { return r != nil && !r.Phase.Ended() }

// wentBack reports whether the base is served in the place of what was to come.
func (r *Run) wentBack() bool {
	return r != nil && (r.Phase == canary.RollingBack || r.Phase == canary.RolledBack || r.Phase == canary.Superseded)
}

// parked reports whether a run waits for a person, since the same has failed.
func (r *Run) parked() bool { return r.live() && r.Phase == canary.Waiting && r.Failed != "" }

// atBase reports whether nothing is served of what a run leads to.
func (r *Run) atBase() bool {
	return r.Phase == canary.Waiting || r.Mix(schema.RolloutSpec{}).Side == canary.AtBase
}

// completed reports whether a run has led to its target.
func (r *Run) completed() bool { return r != nil && r.Phase == canary.Completed }

// governs reports whether one of some targets moves with a run.
func (r *Run) governs(targets []schema.Ref) bool {
	return slices.ContainsFunc(targets, func(ref schema.Ref) bool { return slices.Contains(r.Governed, ref) })
}

// newRun is a run from one spec to another that waits for its first step, and takes
// the place of the one that was there before, if there was one.
func newRun(was *Run, st canary.State, base, target *schema.Spec, policy schema.RolloutSpec, now canary.Now) *Run {
	ends := canary.EndsOf(base, target, policy)
	st.Governed = ends.Governed
	if was != nil && was.Began.Equal(now.Wall) { // by that they are told apart
		now.Wall = now.Wall.Add(1)
	}
	run := &Run{State: canary.Begin(st, policy, now), Content: canary.Content(target, ends.Governed)}
	run.watch(ends)
	return run
}

// watch has the evidence of a run be that between some ends.
func (r *Run) watch(ends canary.Ends) {
	r.CanaryNodes, r.BaseNodes, r.Callers = ends.Canary, ends.Base, ends.Callers
}

// latest are the runs of a state, and those of moved that it has no more, each as
// it is known last; in order.
func (s State) latest(moved []*Run) []*Run {
	runs := slices.Collect(maps.Values(s.allRuns()))
	for _, run := range slices.Backward(moved) {
		if !slices.ContainsFunc(runs, run.same) {
			runs = append(runs, run)
		}
	}
	slices.SortFunc(runs, func(a, b *Run) int {
		return cmp.Or(a.Rollout.Compare(b.Rollout), a.Began.Compare(b.Began), cmp.Compare(a.Pull, b.Pull))
	})
	return runs
}

// since pairs the runs that a decision has left behind with what they were before.
func since(was, is State, moved []*Run) (pairs [][2]*Run) {
	before := slices.Collect(maps.Values(was.allRuns()))
	for _, run := range is.latest(moved) {
		old := &Run{}
		if i := slices.IndexFunc(before, run.same); i >= 0 {
			old = before[i]
		}
		pairs = append(pairs, [2]*Run{old, run})
	}
	return pairs
}

// same reports whether two are one run, at different times.
func (r *Run) same(o *Run) bool {
	return r.Rollout == o.Rollout && r.Pull == o.Pull && r.Began.Equal(o.Began)
}

// complete has a commit be the one that the governed routes were completed at.
func (t *Track) complete(commit, content string) {
	t.Stable = commit
	if len(t.Completed) == 0 || t.Completed[0] != content {
		t.Completed = first(keepCompleted, append([]string{content}, t.Completed...))
	}
}

// key is the name of a run's Rollout; of a trial, that and the number of its pull
// request.
func (r *Run) key() string {
	if r.Start == schema.StartPullRequest {
		return trialKey(nameOf(r.Rollout), r.Pull)
	}
	return nameOf(r.Rollout)
}

// over is since when a run has ended.
func (r *Run) over() time.Time { return r.History[len(r.History)-1].At }

// What is kept of runs that nothing leads to any more.
const (
	keepPast = 20
	longPast = 24 * time.Hour
)

// bygone keeps a run that has ended, and has no place any more, for people.
func (s *State) bygone(run *Run) {
	if len(run.History) > 0 {
		s.Past = first(keepPast, append([]*Run{run}, s.Past...))
	}
}

// allRuns are those of a state that are on their way or were last, by key.
func (s State) allRuns() map[string]*Run {
	runs := map[string]*Run{}
	for _, run := range slices.Backward(s.Past) {
		runs[run.key()] = run
	}
	maps.Copy(runs, s.Trials)
	for name, t := range s.Rollouts {
		if t.Run != nil {
			runs[name] = t.Run
		}
	}
	return runs
}

// standings are where the runs stand that have not come to all requests, for plans.
func (s State) standings() (all []plan.Standing) {
	runs := s.allRuns()
	for _, key := range slices.Sorted(maps.Keys(runs)) {
		if run := runs[key]; run.live() || run.Phase == canary.RolledBack {
			all = append(all, plan.Standing{
				Name: nameOf(run.Rollout), Start: run.Start, Governed: run.Governed, Target: run.Target, Pull: run.Pull,
				Phase: run.Phase, Step: run.Step, Weight: weightOf(run.State), Past: slices.Contains(s.Past, run),
			})
		}
	}
	return all
}

// completed are the contents to which each Rollout goes without steps, by name.
func (s State) completed() map[string][]string {
	all := map[string][]string{}
	for name, t := range s.Rollouts {
		all[name] = t.Completed
	}
	return all
}

// runs are those that are on their way.
func (s State) runs() map[string]*Run {
	runs := s.allRuns()
	maps.DeleteFunc(runs, func(_ string, run *Run) bool { return !run.live() })
	return runs
}
