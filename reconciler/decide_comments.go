package reconciler

import (
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// How much of a pull request's past its comment tells.
const (
	keepPlans   = 10
	keepAnswers = 10
)

// commentKey tells our comment from those of daemons of other environments.
func (r rules) commentKey() string { return path.Join(r.environment, "pull") }

// report renews what is told of the pull requests that have a head. One that
// touches nothing of the mesh gets no comment, unless it has one.
func (r rules) report(s *State, rec *Record, p Planned, now time.Time) {
	for _, n := range rec.Pulls {
		if s.Pulls[n] == nil {
			if len(p.Basis.Files) == 0 {
				continue
			}
			s.Pulls[n] = &Pull{}
		}
		s.change(n, func(pull *Pull) {
			was := pull.Report
			is := report.Pull{
				Environment: r.environment, Number: n, Head: rec.Commit, Base: p.Basis.Base, Serving: p.Basis.Serving, Serves: p.Basis.Serves, Version: r.version,
				Check: r.wanted(rec, report.KindCheck), PlanStatus: r.wanted(rec, report.KindPlan),
				Diagnostics: rec.Diagnostics, Errors: rec.Errors, Warnings: rec.Warnings,
				Conflicts: p.Conflicts, Protected: p.Protected, Plan: p.Plan, Past: was.Past, Answers: was.Answers, Refused: was.Refused, Rollouts: was.Rollouts,
			}
			if was.Head != "" && was.Head != is.Head {
				past := report.PastPlan{Head: was.Head, When: now.UTC().Truncate(time.Second), Verdict: report.Verdict(was)}
				is.Past = first(keepPlans, append([]report.PastPlan{past}, was.Past...))
			}
			pull.Report = is
			var later []Question // came when the look was under way
			for _, q := range pull.Questions {
				if !slices.ContainsFunc(p.Questions, func(asked Question) bool { return asked.Comment == q.Comment }) {
					later = append(later, q)
					continue
				}
				text, ok := p.Answers[q.Comment]
				switch {
				case q.plan():
					text = "planned anew: " + report.Verdict(is)
				case !ok:
					text = "no answer: " + is.Check.Description
				}
				pull.answer(report.Answer{Who: q.Who, Command: q.Text, Text: text, Asked: q.Asked})
			}
			pull.Questions = later
			r.comment(pull)
		})
	}
}

// refused tells the open pull requests that have a comment when the branch itself
// has errors, and when no more: their statuses stand, for they are right of what
// they were checked with.
func (r rules) refused(s *State, seen Seen) {
	head := s.find(s.Head)
	if head == nil || seen.Open == nil || seen.Open.List <= s.Moved {
		return // perhaps it was one of these: the next list tells
	}
	for n, p := range s.Pulls {
		is := ""
		if mended := p.Report.Base == s.Head && p.Report.Errors == 0; head.Result == Bad && !mended {
			is = s.Head
		}
		if p.Closed.IsZero() && p.Report.Head != "" && p.Report.Refused != is {
			s.change(n, func(p *Pull) {
				p.Report.Refused = is
				r.comment(p)
			})
		}
	}
}

// timelines has the pull request of a commit tell where its rollouts stand: the
// one whose head it is, or that it was merged from.
func (r rules) timelines(s *State, rec *Record, now time.Time) {
	about := map[int][]report.Rollout{}
	for _, run := range s.allRuns() {
		if run.Target != rec.Commit {
			continue
		}
		if n := max(run.Pull, rec.Brought); s.Pulls[n] != nil {
			about[n] = append(about[n], inWords(run, now))
		}
	}
	for n, rollouts := range about {
		slices.SortFunc(rollouts, func(a, b report.Rollout) int { return strings.Compare(a.Name, b.Name) })
		s.change(n, func(p *Pull) {
			p.Report.Rollouts = rollouts
			r.comment(p)
		})
	}
}

// inWords is a run as comments tell of it.
func inWords(run *Run, now time.Time) report.Rollout {
	return report.Rollout{
		Name: nameOf(run.Rollout), Base: run.Base, Target: run.Target, Status: run.Status(), Failure: run.Failure, Held: run.Phase == canary.Held,
		Chart: canary.Chart(run.State, now), Timeline: canary.Timeline(run.State),
	}
}

// answer puts down what became of a command: those come first that were asked
// for last, whichever took longer.
func (p *Pull) answer(a report.Answer) {
	all := append([]report.Answer{a}, p.Report.Answers...)
	slices.SortStableFunc(all, func(a, b report.Answer) int { return b.Asked.Compare(a.Asked) })
	p.Report.Answers = first(keepAnswers, all)
}

// comment wants the comment that a pull request should have.
func (r rules) comment(p *Pull) {
	if r.files != nil && p.Report.Head != "" {
		p.Report.Files = r.files(p.Report.Head)
	}
	if !r.forge || r.limits.Comment == 0 {
		return
	}
	p.body, p.mistake = body(p.Report, r.limits.Comment, r.compose)
	p.Comment = p.Comment.wanting(Content{Digest: digest(p.body)})
}

// body makes the text of a comment. What strangers wrote must not end the daemon,
// whatever it does to the code that shows it: the comment says so then, and
// mistake is what has happened.
func body(p report.Pull, limit int, compose func(report.Pull, int) string) (text, mistake string) {
	defer func() {
		if x := recover(); x != nil {
			text, mistake = report.Unmade, fmt.Sprintf("%v\n%s", x, debug.Stack())
		}
	}()
	return compose(p, limit), ""
}

// restore makes anew what a state does not keep.
func (r rules) restore(s *State) {
	for n, p := range s.Pulls {
		if p.Comment.open() {
			s.change(n, r.comment)
		}
	}
}

// traced is how long after the last verdict about a commit its pull request is
// still looked for, should the forge not answer; of the newest one, always.
const traced = 2 * time.Hour

// merged takes in which pull requests brought commits to the branch, gives them
// the last word, and returns the commits of which that is to be found.
func (r rules) merged(s *State, seen Seen, now time.Time) (trace []string) {
	told := map[int]bool{} // by a later commit
	for i := range s.Records {
		rec := &s.Records[i]
		if rec.Applied == nil {
			continue
		}
		recent := rec.Commit == s.Head || now.Sub(rec.Applied.Changed) < traced
		follow := func(commit string, brought *int) {
			if n, found := seen.Brought[commit]; found {
				*brought = n
				r.timelines(s, rec, now)
			}
			switch {
			case *brought == 0 && recent && r.forge && r.limits.Comment > 0:
				trace = append(trace, commit)
			case *brought > 0 && !told[*brought]:
				told[*brought] = true
				r.lastWord(s, *brought, commit, rec)
			}
		}
		follow(rec.Commit, &rec.Brought)
		for k := range rec.Landed {
			follow(rec.Landed[k].Commit, &rec.Landed[k].Brought)
		}
	}
	return trace
}

// lastWord tells a pull request what became of its merge: of the record's commit
// on the proxies, or of the one that overtook it.
func (r rules) lastWord(s *State, pull int, merge string, rec *Record) {
	p := s.Pulls[pull]
	after := report.After{Commit: merge}
	if last := s.overtaker(rec); last != rec {
		rec, after.By = last, last.Commit
	}
	if p == nil || rec.Applied.Status.State == sources.Pending {
		return // more is to come in a moment
	}
	after.Applied = rec.Applied.Status
	if rec.Health != nil {
		after.Health = *rec.Health
	}
	if was := p.Report.After; was != nil && was.Commit == after.Commit && was.By == after.By && same(was.Applied, after.Applied) && same(was.Health, after.Health) {
		return
	}
	s.change(pull, func(p *Pull) {
		p.Report.After = &after
		r.comment(p)
	})
}

// overtaker is the commit that superseded one, or the one that superseded that,
// and so on; itself where none did, or none is known any more.
func (s State) overtaker(rec *Record) *Record {
	for range s.Records { // what is read from a disk may go round in circles
		if rec.Applied.Status.State != sources.Errored {
			break
		}
		i := slices.IndexFunc(s.Records, func(by Record) bool {
			return by.Applied != nil && same(rec.Applied.Status, report.Superseded(by.Commit))
		})
		if i < 0 {
			break
		}
		rec = &s.Records[i]
	}
	return rec
}

func same(a, b sources.Status) bool { return equal(Content{Status: a}, Content{Status: b}) }

// first returns the first n of a list, or all.
func first[T any](n int, list []T) []T { return slices.Clip(list[:min(n, len(list))]) }
