package reconciler

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// Ask is a person's wish that a pull request's head be the canary, until its
// spec is there.
type Ask struct {
	Head string `json:"head"`
	By   string `json:"by"`
	Name string `json:"name,omitempty"` // of the rollout; empty: all that it moves
}

// ask takes in that somebody wants a pull request to be the canary, and returns
// why it may not; empty: it may, or is already.
func (r rules) ask(s *State, o Order, pr *sources.PullRequest) string {
	if pr == nil {
		return "this pull request is not open" + s.retries(o.Pull)
	}
	name := strings.Join(o.Args, "")
	starts := schema.StartMerge
	for n, t := range s.Rollouts {
		if t.Start == schema.StartPullRequest && (name == "" || sameName(n, name)) {
			starts = schema.StartPullRequest
		}
	}
	why := canary.Ask{By: o.Author, MayWrite: true, Fork: pr.Fork, Commit: o.Head, Head: pr.Head, Start: starts}.Refusal()
	if why != "" {
		return why
	}
	for _, t := range s.Trials {
		if t.Target == pr.Head && t.Pull == pr.Number && o.ID == 0 { // a label stays where it is
			return ""
		}
	}
	s.Asks = maps.Clone(s.Asks)
	if s.Asks == nil {
		s.Asks = map[int]Ask{}
	}
	s.Asks[pr.Number] = Ask{Head: pr.Head, By: o.Author, Name: name}
	return ""
}

// unasked forgets what was asked of heads that are none any more.
func (rules) unasked(s *State, seen Seen) {
	if seen.Open == nil {
		return
	}
	maps.DeleteFunc(s.Asks, func(pull int, a Ask) bool {
		return !slices.ContainsFunc(seen.Open.Pulls, func(p sources.PullRequest) bool { return p.Number == pull && p.Head == a.Head })
	})
}
