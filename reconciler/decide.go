package reconciler

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// Seen is one look at the world.
type Seen struct {
	// Loaded are the commits of the branch loaded since the last look, in order.
	Loaded []Loaded
	// Heads are the pull requests' heads loaded since the last look.
	Heads []Loaded
	// Pulls are the open pull requests by head; nil when they are unknown.
	Pulls map[string][]int
	// Published is the commit of the state that the proxies were given by this
	// process; empty at its start.
	Published string
	Progress  xds.Progress
	Connected int // proxies
	// Written are the answers of the forge since the last look.
	Written []Written
}

// Loaded is a commit and what became of its load.
type Loaded struct {
	Revision sources.Revision // without Files
	// Restored: it is what the daemon served when it went down, not news.
	Restored bool
	// Err: the files could not be read, and Result says nothing.
	Err         error
	Documents   int
	Diagnostics schema.Diagnostics
	Spec        *schema.Spec // nil when it has errors, and for pull requests
}

// Written is what the forge answered to a [Write].
type Written struct {
	Write
	Stood   bool  // it stood there already
	Refused error // the forge will never take it
}

// Write is one commit status to write.
type Write struct {
	Commit, Context string
	Status          sources.Status
	Unsure          bool // look at what stands first
}

// Actions are what to do about the world. Both are whole assignments: to do
// them twice is harmless.
type Actions struct {
	// Publish is what the proxies shall have now; nil: what they have.
	Publish *Publish
	// Writes are all statuses that are outstanding, oldest commit first.
	Writes []Write
	// Next is when to decide again though nothing happens; zero: never.
	Next time.Time
}

// Publish is a spec to give to the proxies.
type Publish struct {
	Revision sources.Revision
	Spec     *schema.Spec
}

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
	forge       bool // statuses are written
	settle      time.Duration
	path        string // folder of the specs in the repository
	link        func(commit string) string
}

// decide is the core: what is known, what was seen and the time give what is
// known next and what to do. It changes none of its arguments.
func (r rules) decide(s State, seen Seen, now time.Time) (State, Actions) {
	s = s.clone()
	var do Actions
	for _, w := range seen.Written {
		s.written(w)
	}
	published := seen.Published
	for _, l := range seen.Loaded {
		if p := r.branch(&s, l, seen, published, now); p != nil {
			do.Publish, published = p, p.Revision.Commit
		}
	}
	for _, l := range seen.Heads {
		r.judge(s.front(l.Revision.Commit), l)
	}
	if seen.Pulls != nil {
		for i := range s.Records {
			s.Records[i].Pulls = seen.Pulls[s.Records[i].Commit]
		}
	}
	if do.Publish == nil && published == s.Good {
		do.Next = r.progress(&s, seen, now)
	}
	s.trim()
	do.Writes = r.writes(&s)
	return s, do
}

// completed is the commit to start from after a restart, before the newest is
// known; empty: the newest.
//
// It is the place where a canary's base is chosen: with rollouts the last
// completed commit is not always the last good one, and with the state lost it
// is the newest commit with a success status of our own.
func (s State) completed() string { return s.Good }

// branch takes in a loaded commit of the branch and returns what to publish,
// nil for nothing.
func (r rules) branch(s *State, l Loaded, seen Seen, published string, now time.Time) *Publish {
	commit := l.Revision.Commit
	if l.Restored {
		rec := s.find(commit)
		if commit != s.Good || rec == nil || published != "" {
			return nil // something newer came first
		}
		if l.Spec == nil { // an older, more lenient version had accepted it
			r.judge(rec, l)
			s.Good = ""
			return nil
		}
		return &Publish{l.Revision, l.Spec}
	}
	rec := s.front(commit)
	rec.Branch = true
	s.Head = commit
	l = r.emptied(l, s.find(s.Good))
	r.judge(rec, l)
	if l.Spec == nil {
		if s.Good == commit {
			s.Good = ""
		}
		r.apply(rec, report.Refused(report.Context(r.environment, report.KindCheck), s.Good), nil, now)
		return nil
	}
	if s.Good != commit {
		if old := s.find(s.Good); old != nil && old.Applied.Status.State == sources.Pending {
			r.supersede(old, commit, seen, now)
		}
		s.Good = commit
		rec.Applied = &Applied{Status: sources.Status{State: sources.Pending}, Changed: now}
	}
	if published == commit {
		return nil
	}
	return &Publish{l.Revision, l.Spec}
}

// supersede ends a commit that a newer one follows. If all proxies have it by
// now that is its end, though nobody has been told yet.
func (r rules) supersede(old *Record, by string, seen Seen, now time.Time) {
	if is := report.Applied(seen.Progress, seen.Connected); seen.Progress.Commit == old.Commit && seen.Progress.Touched > 0 && is.State == sources.Success {
		p := bounded(seen.Progress)
		r.apply(old, is, &p, now)
		return
	}
	r.apply(old, report.Superseded(by), old.Applied.Progress, now)
}

// emptied refuses a commit that takes the whole mesh away: moved files and
// wrong folders look like that, and every proxy that restarts would get nothing.
func (r rules) emptied(l Loaded, good *Record) Loaded {
	if l.Spec == nil || l.Documents > 0 || good == nil || good.Documents == 0 {
		return l
	}
	l.Spec = nil
	l.Diagnostics = append(slices.Clone(l.Diagnostics), schema.Diagnostic{
		Code: schema.CodeFile, Severity: schema.Error, Pos: schema.Pos{File: path.Clean(r.path)},
		What: "this commit has no resource any more, of " + report.Resources(good.Documents) + " before", Fix: "bring them back, or give the daemon another --path",
	})
	return l
}

// How many diagnostics a record keeps.
const (
	keepDiagnostics     = 50
	keepPullDiagnostics = 5
)

// judge puts down what is to be said about a commit's files.
func (r rules) judge(rec *Record, l Loaded) {
	rec.Title, rec.Author, rec.When = l.Revision.Title, l.Revision.Author, l.Revision.When
	if l.Err != nil {
		rec.Result = Unread
		r.want(rec, report.KindCheck, report.Unread(l.Err))
		return
	}
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
	keep := keepPullDiagnostics
	if rec.Branch {
		keep = keepDiagnostics
	}
	rec.Diagnostics = slices.Clone(found[:min(len(found), keep)])
	r.want(rec, report.KindCheck, report.Check(l.Documents, l.Diagnostics))
}

// progress follows the served commit on the proxies and returns when to look
// again.
func (r rules) progress(s *State, seen Seen, now time.Time) time.Time {
	rec := s.find(s.Good)
	if rec == nil || seen.Progress.Commit != s.Good {
		return time.Time{}
	}
	is := report.Applied(seen.Progress, seen.Connected)
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
	p := bounded(seen.Progress)
	r.apply(rec, is, &p, now)
	return time.Time{}
}

// due is when a verdict may follow the one that stands; false: never.
func (r rules) due(a *Applied, is sources.Status, p xds.Progress, started time.Time) (time.Time, bool) {
	switch was := a.Status; {
	case equal(is, was):
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

// want says what should stand beside a commit.
func (r rules) want(rec *Record, kind string, st sources.Status) {
	if !r.forge {
		return
	}
	if r.link != nil {
		st.URL = r.link(rec.Commit)
	}
	context := report.Context(r.environment, kind)
	slot, ok := rec.Statuses[context]
	if ok && equal(slot.Want, st) {
		return
	}
	slot.Want, slot.Refused = st, ""
	if rec.Statuses == nil {
		rec.Statuses = map[string]Slot{}
	}
	rec.Statuses[context] = slot
}

// written takes in an answer of the forge.
func (s *State) written(w Written) {
	rec := s.find(w.Commit)
	if rec == nil {
		return
	}
	slot, ok := rec.Statuses[w.Context]
	if !ok {
		return
	}
	slot.Tried, slot.Unsure = false, false
	switch {
	case w.Refused == nil:
		slot.Wrote = &w.Status
	case equal(slot.Want, w.Status):
		slot.Refused = w.Refused.Error()
	}
	rec.Statuses[w.Context] = slot
}

// writes returns all outstanding statuses, and marks them as tried.
func (r rules) writes(s *State) []Write {
	if !r.forge {
		return nil
	}
	var out []Write
	for _, rec := range slices.Backward(s.Records) {
		for _, context := range slices.Backward(slices.Sorted(maps.Keys(rec.Statuses))) { // check before applied
			if slot := rec.Statuses[context]; slot.open() {
				slot.Tried = true
				rec.Statuses[context] = slot
				// What was confirmed is wanted again while another is on its way: look, too.
				out = append(out, Write{rec.Commit, context, slot.Want, slot.Unsure || slot.stands()})
			}
		}
	}
	return out
}
