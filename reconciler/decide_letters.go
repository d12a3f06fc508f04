package reconciler

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// want says what should stand beside a commit.
func (r rules) want(rec *Record, kind string, st sources.Status) {
	if !r.forge {
		return
	}
	if r.link != nil {
		st.URL = r.link(rec.Commit)
	}
	c := Content{Status: st}
	if kind == report.KindCheck && r.limits.Annotations && st.State != sources.Pending { // it has no mistakes yet
		c.Digest = digest(rec.Diagnostics.String())
	}
	put(&rec.Statuses, report.Context(r.environment, kind), c)
}

// put wants a content in the slot of a name.
func put(slots *map[string]Slot, name string, c Content) {
	if *slots == nil {
		*slots = map[string]Slot{}
	}
	(*slots)[name] = (*slots)[name].wanting(c)
}

// wanted is the status that should stand beside a commit; the zero status where
// none was wanted yet.
func (r rules) wanted(rec *Record, kind string) sources.Status {
	return rec.Statuses[report.Context(r.environment, kind)].Want.Status
}

// digest stands for a text that is too long to keep, or for none.
func digest(text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// written takes in an answer of the forge.
func (s *State) written(w Written) {
	in := func(slots map[string]Slot) {
		if slot, ok := slots[w.Name]; ok {
			slots[w.Name] = slot.answered(w)
		}
	}
	switch rec := s.find(w.Commit); {
	case w.Kind == StatusLetter && rec != nil:
		in(rec.Statuses)
	case w.Kind == DeploymentLetter && rec != nil:
		in(rec.Deployments)
	case w.Kind == RevertLetter && rec != nil && rec.Revert != nil:
		rec.Revert.Slot, rec.Revert.Pull = rec.Revert.Slot.answered(w), cmp.Or(w.Opened, rec.Revert.Pull)
	case w.Kind == CommentLetter && strings.HasPrefix(path.Base(w.Name), noticePrefix):
		for i := range s.Records {
			for j, n := range s.Records[i].Notices {
				if n.Key == w.Name && n.pull(s.Records[i]) == int(w.Number) {
					s.Records[i].Notices[j].Slot = n.Slot.answered(w)
				}
			}
		}
	case w.Kind == CommentLetter:
		s.change(int(w.Number), func(p *Pull) { p.Comment = p.Comment.answered(w) })
	case w.Kind == ReactionLetter: // written or refused: it is over
		s.Reactions = slices.DeleteFunc(s.Reactions, func(x Reaction) bool { return x.Comment == w.Number && x.Name == w.Name })
	}
}

// change puts a changed copy of a pull request in its place.
func (s *State) change(number int, do func(*Pull)) {
	if p := s.Pulls[number]; p != nil {
		next := *p
		do(&next)
		s.Pulls[number] = &next
	}
}

// writes returns all outstanding letters, and marks them as tried: reactions,
// for whom somebody waits, then the statuses and deployments of the oldest
// commit first, then comments.
func (r rules) writes(s *State, now time.Time) []Write {
	if !r.forge {
		return nil
	}
	var out []Write
	for _, x := range s.Reactions {
		out = append(out, Write{Address: Address{Kind: ReactionLetter, Number: x.Comment, Name: x.Name}})
	}
	for i := range slices.Backward(s.Records) {
		rec := &s.Records[i]
		for _, name := range slices.SortedFunc(maps.Keys(rec.Statuses), byRank) {
			if slot := rec.Statuses[name]; slot.open() {
				w := slot.letter(Address{Kind: StatusLetter, Commit: rec.Commit, Name: name})
				if w.Digest != "" {
					w.Annotations = annotations(rec.Diagnostics)
				}
				out = append(out, w)
				slot.Tried = true
				rec.Statuses[name] = slot
			}
		}
		for _, name := range slices.Sorted(maps.Keys(rec.Deployments)) {
			if slot := rec.Deployments[name]; slot.open() {
				out = append(out, slot.letter(Address{Kind: DeploymentLetter, Commit: rec.Commit, Name: name}))
				slot.Tried = true
				rec.Deployments[name] = slot
			}
		}
	}
	for i := range slices.Backward(s.Records) {
		rec := &s.Records[i]
		if u := rec.Revert; u != nil && u.Slot.open() && s.answering(rec.Commit, now).IsZero() {
			w := u.Slot.letter(Address{Kind: RevertLetter, Commit: rec.Commit, Name: u.Rollout})
			w.Undo = r.undo(s, rec)
			out = append(out, w)
			u.Slot.Tried = true
		}
		for j, n := range rec.Notices {
			if to := n.pull(*rec); to != 0 && n.Slot.open() {
				w := n.Slot.letter(Address{Kind: CommentLetter, Number: int64(to), Name: n.Key})
				w.Body = n.Body
				out = append(out, w)
				rec.Notices[j].Slot.Tried = true
			}
		}
	}
	for _, number := range slices.Sorted(maps.Keys(s.Pulls)) {
		if p := s.Pulls[number]; p.Comment.open() {
			w := p.Comment.letter(Address{Kind: CommentLetter, Number: int64(number), Name: r.commentKey()})
			w.Body = p.body
			out = append(out, w)
			if !p.Comment.Tried {
				s.change(number, func(p *Pull) { p.Comment.Tried = true })
			}
		}
	}
	return out
}

// noticePrefix begins the keys of notices.
const noticePrefix = "rollback-"

// noticeKey tells the notice of a run from all others: namespaces have no dots.
func (r rules) noticeKey(run *Run) string {
	return path.Join(r.environment, noticePrefix+report.Short(run.Target)+"-"+run.Rollout.Namespace+"."+run.Rollout.Name)
}

// notify wants a comment that stays, of a rollout of a commit that has failed.
func (r rules) notify(rec *Record, run *Run, now time.Time) {
	if !r.forge || r.limits.Comment == 0 {
		return
	}
	n := Notice{Key: r.noticeKey(run), Pull: run.Pull, Body: report.Notice(r.environment, inWords(run, now), r.limits.Comment)}
	rec.notice(n)
}

// notice wants a comment that stays, in the place of one with its key.
func (r *Record) notice(n Notice) {
	if i := slices.IndexFunc(r.Notices, func(old Notice) bool { return old.Key == n.Key }); i >= 0 {
		n.Slot = r.Notices[i].Slot
		r.Notices = slices.Delete(r.Notices, i, i+1)
	}
	n.Slot = n.Slot.wanting(Content{Digest: digest(n.Body)})
	r.Notices = append(r.Notices, n)
}

// outlived tells the pull requests that take back what has failed that it has been
// completed since.
func (r rules) outlived(s *State, run *Run) {
	for i := range s.Records {
		rec := &s.Records[i]
		u := rec.Revert
		failed := rec.Commit == run.Target || slices.Contains(run.Retries, rec.Commit)
		if !failed || u == nil || u.Pull == 0 || u.Rollout != nameOf(run.Rollout) || !r.forge || r.limits.Comment == 0 {
			continue
		}
		key := path.Join(r.environment, noticePrefix+report.Short(rec.Commit)+"-outlived")
		rec.notice(Notice{Key: key, Pull: u.Pull, Body: report.Outlived(r.environment, u.Rollout, run.Target)})
	}
}

// undo is what a revert of a commit takes back.
func (r rules) undo(s *State, rec *Record) *Undo {
	return &Undo{To: rec.Revert.To, Tip: s.Head, Failed: report.Failed{
		Rollouts: []string{rec.Revert.Rollout}, Title: rec.Title, Pull: max(0, rec.Brought), Reason: rec.Revert.Reason, Path: r.path,
	}}
}

// answers is how long proxies may take to say whether they refuse a way back.
const answers = 5 * time.Second

// answering is until when it may still turn out that proxies refuse what the
// rollouts of a commit go back to, so that nobody is to be asked to revert to it;
// zero: it has.
func (s State) answering(commit string, now time.Time) (until time.Time) {
	for _, run := range s.runs() {
		if at := run.over().Add(answers); run.Target == commit && run.Phase == canary.RollingBack && now.Before(at) {
			until = earlier(until, at)
		}
	}
	return until
}

// moot forgets to ask for reverts of commits that the branch leads away from.
func (s *State) moot(commits ...string) {
	for _, c := range commits {
		if rec := s.find(c); rec != nil && rec.Revert != nil && rec.Revert.Slot.open() {
			rec.Revert = nil
		}
	}
}

// byHand tells people how to revert a commit where the host takes no pull request
// of ours.
func (r rules) byHand(s *State, w Written) {
	rec := s.find(w.Commit)
	if w.Kind != RevertLetter || w.Refused == nil || rec == nil || rec.Revert == nil {
		return
	}
	undo := sources.Revert{Commit: rec.Commit, To: rec.Revert.To, Branch: r.branchName}
	n := Notice{Key: path.Join(r.environment, noticePrefix+report.Short(rec.Commit)+"-by-hand"), Body: report.RevertByHand(undo, r.undo(s, rec).Failed, w.Refused)}
	rec.notice(n)
}

// letter is what the slot has to write. What was confirmed and is wanted again
// while another is on its way has to be looked at, too.
func (s Slot) letter(to Address) Write {
	return Write{Address: to, Content: s.Want, Unsure: s.Unsure || s.stands()}
}

// byRank orders contexts as people read them.
func byRank(a, b string) int {
	rank := func(context string) int {
		return slices.Index([]string{report.KindCheck, report.KindPlan, report.KindCanary, report.KindApplied, report.KindHealth}, path.Base(context))
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// annotations are diagnostics as git hosts show them on lines.
func annotations(found schema.Diagnostics) []sources.Annotation {
	out := make([]sources.Annotation, 0, len(found))
	for _, d := range found {
		title := string(d.Code)
		if d.Resource != (schema.Ref{}) {
			title = strings.TrimSpace(title + " " + d.Resource.String())
		}
		message := d.What
		if d.Path != "" {
			message = d.Path + ": " + message
		}
		if d.Fix != "" {
			message += "; " + d.Fix
		}
		out = append(out, sources.Annotation{
			File: d.Pos.File, Line: max(d.Pos.Line, 1), Column: d.Pos.Col, Failure: d.Severity == schema.Error, Title: title, Message: message,
		})
	}
	return out
}
