package reconciler

import (
	"cmp"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// Order is a command of somebody who may give it.
type Order struct {
	sources.Comment
	Command
	Head string // of the pull request when a canary was asked for; empty: it is not known
	Err  error  // it is ours, and wrong
}

// Heard is up to where comments were read: all that were created before Since,
// and of those since then the ones that it names.
type Heard struct {
	Since time.Time `json:"since"`
	// Lately is when they were created, by id.
	Lately map[int64]time.Time `json:"lately,omitempty"`
}

// Question is a command that is answered with the next look at a head.
type Question struct {
	Comment int64    `json:"comment"`
	Who     string   `json:"who"`
	Text    string   `json:"text"` // of the command
	Args    []string `json:"args"` // of explain; none: to plan
	// Asked is when the comment was written.
	Asked time.Time `json:"asked,omitzero"`
}

func (q Question) plan() bool { return len(q.Args) == 0 }

// Reaction is one of ours to somebody's comment.
type Reaction struct {
	Comment int64  `json:"comment"`
	Name    string `json:"name"`
}

// The reactions to a command.
const (
	done      = "+1"
	working   = "eyes"
	confusing = "confused"

	spoken = "spoken" // to a rollout, which is none
)

// asked carries out what people ask for, in comments and by having a check run
// again, and returns what they say to rollouts. An abort goes before everything.
func (r rules) asked(s *State, seen Seen, now time.Time) (words []said) {
	for _, commit := range seen.Again {
		if rec := s.find(commit); rec != nil {
			r.rerun(rec, now)
		}
	}
	if !seen.Heard.Since.IsZero() {
		s.Heard = seen.Heard
	}
	orders := slices.Clone(seen.Orders)
	slices.SortStableFunc(orders, func(a, b Order) int { return urgency(b) - urgency(a) })
	for _, o := range orders {
		overruled := slices.ContainsFunc(orders, func(other Order) bool { return o.OverruledBy(other.Command) })
		if overruled && o.Err == nil {
			o.Err = errors.New("overruled by an abort that was asked for at the same time")
		}
		words = append(words, r.order(s, o, seen.Open, now)...)
	}
	return words
}

func urgency(o Order) int {
	if o.Verb == "abort" {
		return 1
	}
	return 0
}

// order carries out one command. Pull requests against other branches are
// somebody else's.
func (r rules) order(s *State, o Order, open *Open, now time.Time) (words []said) {
	var head string
	var pr *sources.PullRequest
	if open != nil {
		if i := slices.IndexFunc(open.Pulls, func(p sources.PullRequest) bool { return p.Number == o.Pull }); i >= 0 {
			pr, head = &open.Pulls[i], open.Pulls[i].Head
		}
	}
	if s.Pulls[o.Pull] == nil {
		if head == "" {
			return nil
		}
		s.Pulls[o.Pull] = &Pull{Report: report.Pull{Environment: r.environment, Number: o.Pull, Version: r.version}}
	}
	s.change(o.Pull, func(p *Pull) {
		rec := s.find(head)
		if head != "" && rec == nil {
			rec = &Record{} // it is about to be looked at
		}
		reaction, text := r.carryOut(s, o, p, rec, now)
		if reaction == spoken && o.Verb == "canary" {
			if reaction, text = done, r.ask(s, o, pr); text != "" {
				reaction = confusing
			}
		}
		if reaction == spoken {
			reaction, words = done, append(words, said{name: o.Args[0], by: o.Author, verb: canary.Verb(o.Verb), pull: o.Pull})
		}
		if o.ID != 0 { // else it is a label
			s.Reactions = append(s.Reactions, Reaction{o.ID, reaction})
		}
		if text != "" {
			p.answer(report.Answer{Who: o.Author, Command: o.text(), Text: text, Asked: o.Created})
			r.comment(p)
		}
	})
	return words
}

// carryOut does what a command says and returns the reaction and, unless the
// comment will tell, the answer. rec is the pull request's head; nil: it is not
// open.
func (r rules) carryOut(s *State, o Order, p *Pull, rec *Record, now time.Time) (reaction, answer string) {
	if _, lacking := errors.AsType[lacksName](o.Err); lacking {
		return confusing, named(rolloutViews(*s, now)) + ": " + o.Err.Error()
	}
	if o.Err != nil {
		return confusing, o.Err.Error()
	}
	switch o.Verb {
	case "plan", "explain":
		if rec == nil || rec.Branch {
			return confusing, "this pull request is not open: there is nothing to " + o.Verb
		}
		if o.Verb == "plan" {
			r.again(rec, now)
		}
		p.Questions = append(slices.Clone(p.Questions), Question{Comment: o.ID, Who: o.Author, Text: o.text(), Args: o.Args, Asked: o.Created})
		return working, ""
	case "help":
		return done, CommandHelp()
	case "retry":
		if kind := path.Base(o.Args[0]); rec != nil && (kind == report.KindCheck || kind == report.KindPlan) {
			r.again(rec, now)
			return working, ""
		}
	}
	if o.Verb == "canary" {
		return spoken, ""
	}
	if err := sayable(rolloutViews(*s, now), o.Args[0], canary.Verb(o.Verb)); err != nil {
		return confusing, err.Error()
	}
	return spoken, ""
}

// retries says, of a pull request that is merged, what starts anew which rollout of
// its commit that went back, or waits since the same has failed; empty: there is none.
func (s State) retries(pull int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.Rollouts)) {
		run := s.Rollouts[name].Run
		if run == nil || run.Phase != canary.RolledBack && !run.parked() {
			continue
		}
		if rec := s.find(run.Target); run.Pull == pull || rec != nil && rec.Brought == pull {
			all = append(all, Command{Verb: string(Retry), Args: []string{name}}.String())
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ", for it is merged; to start anew what went back, write " + strings.Join(all, ", or write ")
}

// refusal is why a command that was just carried out was refused; empty: it was not.
func (s State) refusal(o Order) string {
	why := ""
	if o.Err != nil {
		why = o.Err.Error()
	}
	p := s.Pulls[o.Pull]
	if p == nil || o.ID == 0 || !slices.Contains(s.Reactions, Reaction{o.ID, confusing}) {
		return why
	}
	for _, a := range p.Report.Answers {
		if a.Who == o.Author && a.Command == o.text() && a.Asked.Equal(o.Created) {
			return a.Text
		}
	}
	return cmp.Or(why, "see its answer")
}

// text is the command as people are shown it.
func (o Order) text() string {
	if o.Verb != "" {
		return o.Command.String()
	}
	line := firstLine(o.Body)
	return strings.ToValidUTF8(line[:min(len(line), maxCommand)], "")
}
