package reconciler

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// How patient the decisions are.
const (
	// hold is how long a pending status, or another text for a state that
	// stands already, waits for something better to write: most changes are
	// through before, and forges count every write.
	hold = 3 * time.Second
	// calm is how long nobody must refuse a commit before a failure heals, so
	// that an Envoy in a crash loop does not make the status flap.
	calm = time.Minute
)

// rules are the settings that decisions depend on.
type rules struct {
	environment string
	forge       bool // letters are written
	limits      sources.Limits
	deployments bool // are written, too
	settle      time.Duration
	window      time.Duration // of traffic after a change
	path        string        // folder of the specs in the repository
	version     string        // of this program
	branchName  string        // that is watched
	link, files func(commit string) string
	compose     func(p report.Pull, limit int) string // a comment's text: [report.Comment]
}

// decide is the core: what is known, what was seen and the time give what is
// known next and what to do. It changes none of its arguments.
func (r rules) decide(s State, seen Seen, now time.Time) (State, Actions) {
	s = s.clone()
	var do Actions
	for _, w := range seen.Written {
		s.written(w)
		r.byHand(&s, w)
	}
	for _, l := range seen.Loaded {
		r.branch(&s, l, seen, now)
	}
	if !seen.Counted.IsZero() {
		s.Proxies = 0
		for _, n := range seen.Around {
			s.Proxies += n
		}
	}
	said := append(slices.Clone(seen.Said), r.asked(&s, seen, now)...)
	r.unasked(&s, seen)
	do.Publish, do.Next = r.rollouts(&s, seen, said, now)
	published := seen.Published
	if do.Publish != nil {
		published = commitOf(do.Publish.Label)
	}
	jobs, next := r.pulls(&s, seen, published, now)
	do.Jobs, do.Next = jobs, earlier(do.Next, next)
	if do.Publish == nil && published == s.Good {
		do.Next = earlier(do.Next, r.progress(&s, seen, now))
		do.Next = earlier(do.Next, r.watch(&s, seen, now))
	}
	r.refused(&s, seen)
	do.Trace = r.merged(&s, seen, now)
	s.trim(now)
	do.Writes = r.writes(&s)
	do.Needs, do.Heads, do.Tried = s.needs(), s.trying(), s.tried()
	if taken := seen.specs()[s.Taken]; taken != nil {
		do.Wishes = s.wishes(taken)
	}
	return s, do
}

// branch takes in a loaded commit of the branch.
func (r rules) branch(s *State, l Loaded, seen Seen, now time.Time) {
	commit := l.Revision.Commit
	if l.Restored {
		if rec := s.find(commit); rec != nil && commit == s.Good && l.Spec == nil { // an older, more lenient version had accepted it
			r.want(rec, report.KindCheck, r.judge(rec, l))
			s.lost(commit)
		}
		return
	}
	var landed []Landed
	for _, before := range l.Revision.Landed {
		if s.find(before) == nil {
			landed = append(landed, Landed{Commit: before})
		}
	}
	if l.Found {
		if s.Good == "" && l.Spec != nil {
			rec := s.front(commit)
			rec.Branch = true
			r.judge(rec, l)
			rec.Applied = &Applied{Status: sources.Status{State: sources.Success, Description: "completed before"}, Changed: now}
			s.Good, s.Taken = commit, commit
		}
		return
	}
	rec := s.front(commit)
	rec.Branch = true
	if landed != nil {
		rec.Landed = landed
	}
	if s.Head != commit {
		s.Head, s.Moved = commit, seen.Lists
	}
	l = r.emptied(l, s.find(s.Good))
	r.want(rec, report.KindCheck, r.judge(rec, l))
	if rec.Result != Good {
		if s.Good == commit {
			s.lost(commit)
		}
		r.apply(rec, report.Refused(report.Context(r.environment, report.KindCheck), s.Good), nil, now)
		if s.Good != "" {
			r.healthy(rec, report.Diverged("serving "+report.Short(s.Good)))
		}
		return
	}
	if s.Good != commit {
		if old := s.find(s.Good); old != nil && old.Applied.Status.State == sources.Pending {
			r.supersede(s, old, commit, seen, now)
		}
		s.Good = commit
		s.leave(seen.specs(), l.Spec)
		rec.Applied = &Applied{Status: sources.Status{State: sources.Pending}, Changed: now}
		if r.forge && r.deployments && r.limits.Deployments {
			rec.Deployments = map[string]Slot{r.environmentOf(l.Spec): {}}
		}
		rec.Watch = &Watch{Nodes: touched(seen.Spec, l.Spec), Published: now}
	}
}

// lost has nothing be good any more: what was is refused by this version. A
// rollout that was completed at it has no base to begin from.
func (s *State) lost(commit string) {
	s.Good, s.Taken = "", ""
	for name, t := range s.Rollouts {
		if t.Stable == commit {
			t.Stable = ""
			s.Rollouts[name] = t
		}
	}
}

// leave has rollouts end whose base this version refuses, when a commit comes that
// leads elsewhere: there is nothing to begin from. Of one that leads to the same
// nothing is known to be good, and nothing is served.
func (s *State) leave(all specs, spec *schema.Spec) {
	for name, t := range s.Rollouts {
		base, known := all[t.Stable]
		if known && base == nil && (t.Run == nil || canary.Content(spec, t.Run.Governed) != t.Run.Content) {
			t.Stable, t.Run = "", nil
			s.Rollouts[name] = t
		}
	}
}

// environmentOf names where a spec is deployed to: the environment of the
// daemon, or the mesh.
func (r rules) environmentOf(spec *schema.Spec) string {
	for ref := range spec.All() {
		if ref.Kind == schema.KindMesh && r.environment == "" {
			return ref.Name
		}
	}
	return cmp.Or(r.environment, "mesh")
}

// supersede ends a commit that a newer one follows. If all proxies have it by
// now that is its end, though nobody has been told yet.
func (r rules) supersede(s *State, old *Record, by string, seen Seen, now time.Time) {
	_, underWay := s.underWay()
	if is := report.Applied(seen.Progress, seen.Connected); !underWay && seen.Progress.Commit == old.Commit && seen.Progress.Touched > 0 && is.State == sources.Success {
		p := bounded(seen.Progress)
		r.apply(old, is, &p, now)
		return
	}
	r.apply(old, report.Superseded(by), old.Applied.Progress, now)
}

// emptied refuses a commit that takes the whole mesh away: moved files and
// wrong folders look like that, and every proxy that restarts would get nothing.
func (r rules) emptied(l Loaded, good *Record) Loaded {
	if len(l.Diagnostics.Errors()) > 0 || l.Documents > 0 || good == nil || good.Documents == 0 {
		return l
	}
	l.Diagnostics = append(slices.Clone(l.Diagnostics), schema.Diagnostic{
		Code: schema.CodeFile, Severity: schema.Error, Pos: schema.Pos{File: path.Clean(r.path)},
		What: "this commit has no resource any more, of " + report.Resources(good.Documents) + " before", Fix: "bring them back, or give the daemon another --path",
	})
	return l
}

// keepDiagnostics is how many of them a record keeps.
const keepDiagnostics = 50

// judge puts down what is to be said about a commit's files, and returns its
// check.
func (r rules) judge(rec *Record, l Loaded) sources.Status {
	rec.Title, rec.Author, rec.When = l.Revision.Title, l.Revision.Author, l.Revision.When
	found := l.Diagnostics.Errors()
	rec.Result = Good
	if len(found) > 0 {
		rec.Result = Bad
	}
	rec.Documents, rec.Errors, rec.Warnings = l.Documents, len(found), len(l.Diagnostics)-len(found)
	for _, d := range l.Diagnostics {
		if d.Severity != schema.Error {
			found = append(found, d)
		}
	}
	rec.Diagnostics = slices.Clone(found[:min(len(found), keepDiagnostics)])
	return report.Check(l.Documents, l.Diagnostics)
}

// progress follows the served commit on the proxies and returns when to look
// again. While a rollout is under way, that is what there is to tell.
func (r rules) progress(s *State, seen Seen, now time.Time) time.Time {
	rec := s.find(s.Good)
	if rec == nil || seen.Progress.Commit != s.Good {
		return time.Time{}
	}
	is := report.Applied(seen.Progress, seen.Connected)
	if st, ok := s.underWay(); ok {
		is = st
	}
	if len(s.trying()) > 0 && rec.Applied.Status.State == sources.Success {
		return time.Time{} // what proxies say is about a pull request's canary
	}
	switch a := rec.Applied; {
	case is.State != sources.Success || a.Status.State != sources.Failure:
		a.Calm = time.Time{}
	case a.Calm.IsZero():
		a.Calm = now
	}
	due, news := r.due(rec.Applied, is, seen.Progress, s.Started)
	if !news || now.Before(due) {
		return due
	}
	p, was := bounded(seen.Progress), rec.Applied.Status.State
	r.apply(rec, is, &p, now)
	r.converge(rec, was, now)
	return time.Time{}
}

// due is when a verdict may follow the one that stands; false: never.
func (r rules) due(a *Applied, is sources.Status, p xds.Progress, started time.Time) (time.Time, bool) {
	switch was := a.Status; {
	case same(is, was):
		return time.Time{}, false
	case was.State == sources.Success && is.State != sources.Failure:
		return time.Time{}, false // it stands, also when proxies come and go
	case was.State == sources.Failure && is.State == sources.Pending:
		return time.Time{}, false
	case was.State == sources.Pending && is.State == sources.Success:
		return started.Add(r.settle), true // who has not come back yet is not in the count
	case was.State == sources.Failure && is.State == sources.Success:
		return a.Calm.Add(calm), true
	case was.State == is.State:
		return a.Changed.Add(hold), true
	case was.State == sources.Pending && !refuses(p, p.Commit):
		// What a proxy refuses is still the commit before; its answer to this
		// one is on the way. When it is not even asked again, the refusal counts.
		return a.Changed.Add(hold), true
	}
	return time.Time{}, true
}

// apply puts down a verdict about a commit on the proxies.
func (r rules) apply(rec *Record, st sources.Status, p *xds.Progress, now time.Time) {
	rec.Applied = &Applied{Status: st, Changed: now, Progress: p}
	r.want(rec, report.KindApplied, st)
	for environment := range rec.Deployments {
		put(&rec.Deployments, environment, Content{Status: st})
	}
}

// refuses reports whether a proxy refuses this very commit.
func refuses(p xds.Progress, commit string) bool {
	return slices.ContainsFunc(p.Rejected, func(r xds.Rejection) bool { return r.Commit == commit })
}

// bounded keeps a record small: the first refusals, and Envoy's messages to a
// length that still tells all.
func bounded(p xds.Progress) xds.Progress {
	p.Rejected = slices.Clone(p.Rejected[:min(len(p.Rejected), 20)])
	for i := range p.Rejected {
		n := &p.Rejected[i].NACK
		n.Message = strings.ToValidUTF8(n.Message[:min(len(n.Message), 2000)], "")
		n.Resources = n.Resources[:min(len(n.Resources), 20)]
	}
	return p
}
