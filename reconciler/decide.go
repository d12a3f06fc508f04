package reconciler

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

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
	was := s.Head
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
	do.Publish, do.Moved, do.Next = r.rollouts(&s, seen, said, now)
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
	do.Writes = r.writes(&s, now)
	for _, rec := range s.Records {
		if rec.Revert != nil && rec.Revert.Slot.open() {
			do.Next = earlier(do.Next, s.answering(rec.Commit, now))
		}
	}
	do.Needs, do.Heads, do.Tried, do.List = s.needs(), s.trying(), s.tried(), seen.Open != nil && s.Head != was
	if taken := seen.specs()[s.Taken]; taken != nil {
		do.Wishes = s.wishes(taken)
	}
	return s, do
}

// branch takes in a loaded commit of the branch.
func (r rules) branch(s *State, l Loaded, seen Seen, now time.Time) {
	commit := l.Revision.Commit
	if l.Restored {
		s.restored(l)
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
	switch {
	case s.Good == commit:
	case s.Good == "" && l.Unproven:
		r.doubt(s, rec, l.Spec, now)
	default:
		r.accept(s, rec, l.Spec, seen, now)
	}
}

// accept has a good commit of the branch be the one to serve.
func (r rules) accept(s *State, rec *Record, spec *schema.Spec, seen Seen, now time.Time) {
	if old := s.find(s.Good); old != nil {
		r.supersede(s, old, rec.Commit, seen, now)
	}
	s.Good = rec.Commit
	s.leave(seen.specs(), spec)
	rec.Applied = &Applied{Status: sources.Status{State: sources.Pending}, Changed: now}
	if r.forge && r.deployments && r.limits.Deployments {
		rec.Deployments = map[string]Slot{r.environmentOf(spec): {}}
	}
	rec.Watch = &Watch{Nodes: touched(seen.Spec, spec), Published: now}
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

// supersede ends a commit that a newer one follows: with what there is to say of it
// by now, though nobody has been told yet. That is the end of its rollouts, or that
// all proxies have it, or that one refuses it.
func (r rules) supersede(s *State, old *Record, by string, seen Seen, now time.Time) {
	if h := old.Health; h != nil && h.State == sources.Pending {
		r.healthy(old, report.Superseded(by))
	}
	p := seen.Progress
	rollouts, rolling := s.underWay()
	switch was := old.Applied.Status.State; {
	case was == sources.Failure && rolling && rollouts.State == sources.Failure:
		r.apply(old, rollouts, old.Applied.Progress, now)
	case was != sources.Pending: // it has an end
	case !rolling && p.Commit == old.Commit && p.Touched > 0 && (p.Done() || refuses(p, old.Commit)):
		p = bounded(p)
		r.apply(old, report.Applied(p, seen.Connected), &p, now)
	default:
		r.apply(old, report.Superseded(by), old.Applied.Progress, now)
	}
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
	st, rolling := s.underWay()
	if rolling {
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
	if rolling && rec.Applied.Status.State == sources.Failure && is.State == sources.Pending { // a person has it tried again
		r.apply(rec, is, nil, now)
		return time.Time{}
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
