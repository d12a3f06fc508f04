package reconciler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// Open is what waits to be merged.
type Open struct {
	List   int // its number among those that this process has asked for
	Pulls  []sources.PullRequest
	Groups []string // heads of a merge queue's groups
	// Ended are the pull requests that are canaries and not open any more, with the
	// commits that they were merged as; empty: they were closed. Of one that is
	// neither here nor open it is not known.
	Ended map[int]string
}

// Job is a head to merge with the branch, to check and to plan. It is a whole
// assignment: to do it twice is harmless.
type Job struct {
	Head  string
	Pull  int // one that has this head; 0: it is a merge group's
	Basis Basis
	// Was is what the verdict that stands rests on, and Last its plan: it stays
	// when nothing that it depends on has moved since. nil: there is no such verdict.
	Was    *Basis
	Last   *plan.Plan
	Broken bool     // its spec has errors
	Labels []string // of the pull request
	// Rollouts are those by which something is on its way, or has failed.
	Rollouts []plan.Standing
	// Completed are the contents by Rollout to which a change takes no steps.
	Completed map[string][]string
	// Keep: its spec is wanted, for it is a canary, or is to be one.
	Keep bool
	// Questions to answer with the head as it would be after the merge.
	Questions []Question
}

// same reports whether two jobs are the same work.
func (j Job) same(other Job) bool {
	return j.Head == other.Head && j.Basis.equal(other.Basis) && j.Keep == other.Keep && (j.Was == nil) == (other.Was == nil) &&
		slices.EqualFunc(j.Questions, other.Questions, func(a, b Question) bool { return a.Comment == b.Comment })
}

// equal leaves the files out: they follow from the rest.
func (b Basis) equal(other Basis) bool {
	return b.Base == other.Base && b.label() == other.label() && b.Labels == other.Labels && b.Rollouts == other.Rollouts
}

// label is that of the spec which a plan begins at.
func (b Basis) label() string { return cmp.Or(b.Label, b.Serving) }

// Planned is what became of a [Job].
type Planned struct {
	Job
	// Stands: nothing that the verdict depends on has moved.
	Stands bool
	// Loaded is the merge result, when there is something to load; Err says why
	// there is none.
	Loaded
	Conflicts []string     // files that both sides changed
	Protected []string     // what the change lacks, a line each
	Merged    *schema.Spec // if the job asks for it, and it is good
	Plan      *plan.Plan
	Answers   map[int64]string // to the questions, by comment
}

// pulls takes in what is known of pull requests and merge groups, and returns
// what is to be looked at, and when to decide again.
func (r rules) pulls(s *State, seen Seen, published string, now time.Time) (jobs []Job, next time.Time) {
	for _, p := range seen.Planned {
		r.planned(s, p, now)
	}
	if seen.Open == nil {
		return nil, time.Time{}
	}
	heads, trying, loaded := seen.Open.heads(), s.trying(), seen.heads()
	rollouts, completed := s.standings(), s.completed()
	beneath, serves := "", ""
	if taken := seen.specs()[s.Taken]; taken != nil {
		beneath = s.label(s.layers(taken, nil))
	}
	if _, words := (State{Taken: s.Taken, Rollouts: s.Rollouts}).serving(published); words != report.Short(published) {
		serves = words
	}
	stand := "" // all of it, in short
	if len(rollouts) > 0 {
		stand = digest(fmt.Sprint(rollouts))
	}
	r.gone(s, seen.Open, now)
	for _, h := range heads {
		rec := s.find(h.commit)
		if rec == nil {
			rec = s.front(h.commit)
			rec.Title, rec.Author = h.title, h.author
		}
		rec.Pulls, rec.Group = h.pulls, h.group
		if rec.Branch && (rec.Commit == s.Head || rec.Commit == s.Good || seen.Open.List <= s.Moved) {
			continue // what is on the branch was judged as it is
		}
		rec.Branch = false // the branch was taken back, and this is to come anew
		if rec.Basis == nil {
			next = earlier(next, r.waiting(rec, now))
		}
		if rec.Rerun = rec.Rerun && rec.outstanding(); rec.Rerun {
			continue // people see first that it begins anew
		}
		if s.Head == "" || published != s.Good {
			continue // there is nothing to merge with or to compare with yet
		}
		if settled := s.Started.Add(r.settle); now.Before(settled) && seen.Connected < s.Proxies {
			next = earlier(next, settled)
			continue // who has not come back yet would be in no plan
		}
		j := Job{Head: h.commit, Broken: rec.Errors > 0, Labels: h.labels, Rollouts: rollouts, Completed: completed, Basis: Basis{
			Base: s.Head, Serving: published, Label: beneath, Serves: serves, Labels: strings.Join(h.labels, ","), Rollouts: stand, Counted: seen.Counted,
		}}
		for _, n := range h.pulls {
			j.Pull = n
			if p := s.Pulls[n]; p != nil {
				j.Questions = append(j.Questions, p.Questions...)
				j.Last = p.Report.Plan
			}
		}
		j.Keep = trying[h.commit]
		switch {
		case rec.Basis == nil || len(j.Questions) > 0 || j.Keep && loaded[h.commit] == nil:
		case seen.Counted.After(rec.Basis.Counted) && joined(j.Last, seen.Around):
		case rec.Basis.equal(j.Basis):
			continue
		case seen.Open.List <= s.Moved:
			continue // perhaps this one has just been merged: the next list tells
		case rec.Basis.Labels == j.Basis.Labels:
			j.Was, j.Basis.Counted = rec.Basis, rec.Basis.Counted
		}
		jobs = append(jobs, j)
	}
	return jobs, next
}

// joined reports whether proxies have come that a plan knows nothing of: of all
// that there are, or of those that it touches, it saw none. That more come, or that
// some go, makes no new plan, so that none follows proxies that come and go.
func joined(p *plan.Plan, around map[xds.Identity]int) bool {
	if p == nil || p.Proxies.Touched > 0 || len(p.Proxies.Identities) == 0 {
		return false
	}
	touched := func(t plan.Touched) bool { return around[t.Identity] > 0 }
	return p.Proxies.Connected == 0 && len(around) > 0 || slices.ContainsFunc(p.Proxies.Identities, touched)
}

// head is that of an open pull request; empty: it is not open.
func (o *Open) head(pull int) string {
	for _, p := range o.Pulls {
		if p.Number == pull {
			return p.Head
		}
	}
	return ""
}

// head is a commit that waits to be merged.
type head struct {
	commit, title, author string
	pulls                 []int
	group                 bool
	labels                []string // that all its pull requests have
}

// heads returns what is open by commit, in the order of the list.
func (o *Open) heads() []head {
	var out []head
	for _, p := range o.Pulls {
		i := slices.IndexFunc(out, func(h head) bool { return h.commit == p.Head })
		if i < 0 {
			out = append(out, head{commit: p.Head, title: p.Title, author: p.Author, pulls: []int{p.Number}, labels: p.Labels})
			continue
		}
		h := &out[i]
		h.pulls = append(h.pulls, p.Number)
		h.labels = slices.DeleteFunc(slices.Clone(h.labels), func(label string) bool { return !slices.Contains(p.Labels, label) })
	}
	for _, commit := range o.Groups {
		if !slices.ContainsFunc(out, func(h head) bool { return h.commit == commit }) {
			out = append(out, head{commit: commit, title: "merge group", group: true})
		}
	}
	return out
}

// planned takes in a verdict about a head.
func (r rules) planned(s *State, p Planned, now time.Time) {
	rec := s.find(p.Head)
	if rec == nil || rec.Branch || !rec.open() {
		return // it has ended
	}
	if p.Stands {
		rec.Basis = &p.Basis
		return
	}
	rec.Title, rec.Author, rec.When = p.Revision.Title, p.Revision.Author, p.Revision.When
	check, planned := report.Rebase(p.Conflicts), report.Rebase(p.Conflicts)
	switch {
	case permanent(p.Err): // its author has to do something
		rec.Result, rec.Diagnostics, rec.Errors, rec.Warnings = Bad, nil, 0, 0
		check, planned = report.Unmergeable(p.Err), report.Unmergeable(p.Err)
	case p.Err != nil:
		rec.Result = Unread
		check, planned = report.Unread(p.Err), report.Unread(p.Err)
	case len(p.Conflicts) > 0:
		rec.Result, rec.Diagnostics, rec.Errors, rec.Warnings = Bad, nil, 0, 0
	case len(p.Basis.Files) == 0:
		rec.Result, rec.Diagnostics, rec.Errors, rec.Warnings = Good, nil, 0, 0
		check, planned = report.Untouched(), report.Untouched()
	default:
		check = r.judge(rec, r.emptied(p.Loaded, s.find(s.Good)))
		if rec.Result != Good {
			p.Plan = nil
		} else if len(p.Protected) > 0 {
			check = report.Protected(p.Protected)
		}
		planned = report.Plan(p.Plan)
	}
	if rec.Basis = nil; p.Err == nil || permanent(p.Err) { // else what stood before is taken back
		rec.Basis, rec.Since = &p.Basis, time.Time{}
	}
	r.want(rec, report.KindCheck, check)
	r.want(rec, report.KindPlan, planned)
	r.report(s, rec, p, now)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
