package reconciler

import (
	"cmp"
	"maps"
	"slices"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// tell has the commits say what has become of their rollouts, and ends what
// nobody would end.
func (x *rolling) tell() {
	s := x.s
	runs := s.latest(x.moved)
	about := map[string][]canary.State{}
	live := map[string]bool{}
	for _, run := range runs {
		about[run.Target] = append(about[run.Target], run.State)
		live[run.Target] = live[run.Target] || run.live()
	}
	for _, run := range runs {
		if !slices.ContainsFunc(x.moved, run.same) {
			continue
		}
		rec, st := s.find(run.Target), canaries(about[run.Target])
		if rec == nil || rec.Canary != nil && rec.Canary.State != sources.Pending && rec.Canary.State != st.State && rec.Branch && rec.Commit != s.Taken {
			continue // what is not wanted any more keeps its end
		}
		x.canaried(rec, st)
		x.timelines(s, rec, x.now.Wall)
		if a := rec.Applied; a != nil && rec.Commit != s.Taken && a.Status.State == sources.Failure && st.State == sources.Failure {
			x.apply(rec, st, a.Progress, x.now.Wall) // it has gone back while another follows
		}
	}
	x.merged(runs, live)
	for i := range s.Records {
		if rec := &s.Records[i]; rec.Canary != nil && rec.Canary.State == sources.Pending && !live[rec.Commit] {
			x.canaried(rec, report.Superseded(s.Taken))
		}
	}
}

// canaried puts down what has become of a commit's rollouts.
func (r rules) canaried(rec *Record, st sources.Status) {
	rec.Canary = &st
	r.want(rec, report.KindCanary, st)
}

// merged has heads of pull requests that were merged before all steps had passed
// say how these have ended, once all have.
func (x *rolling) merged(runs []*Run, live map[string]bool) {
	about, as := map[string][]canary.State{}, map[string]string{}
	for _, run := range runs {
		if run.Head != "" {
			about[run.Head], as[run.Head] = append(about[run.Head], run.State), run.Target
			live[run.Head] = live[run.Head] || run.live()
		}
	}
	for _, head := range slices.Sorted(maps.Keys(about)) {
		if rec := x.s.find(head); rec != nil && !live[head] && rec.Canary != nil && rec.Canary.State == sources.Pending {
			st := canaries(about[head])
			st.Description = report.Clamp("went on as " + report.Short(as[head]) + ": " + st.Description)
			x.conclude(head, st)
		}
	}
}

// about are the rollouts that lead to a commit.
func (s State) about(commit string) (all []canary.State) {
	for _, run := range s.latest(nil) {
		if run.Target == commit {
			all = append(all, run.State)
		}
	}
	return all
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
	slices.SortStableFunc(all, func(a, b canary.State) int { return cmp.Or(rank(a)-rank(b), a.Rollout.Compare(b.Rollout)) })
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
			state := sources.Failure
			if run.Phase == canary.RollingBack { // what becomes of this one is still to come
				state = sources.Pending
			}
			return sources.Status{State: state, Description: report.Clamp(name + ": " + canary.Line(run.State))}, true
		default:
			if rec := s.find(s.Taken); rec != nil && rec.Canary != nil {
				return *rec.Canary, true
			}
			return run.Status(), true
		}
	}
	return sources.Status{}, false
}
