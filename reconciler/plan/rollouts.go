package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
)

// Rollout is how a change of routes would reach traffic step by step.
type Rollout struct {
	Ref   schema.Ref          `json:"ref"`
	Start schema.RolloutStart `json:"start"` // with the merge, or while the pull request is open
	// Moves are the routes that lead elsewhere, as the ref of what has them and,
	// of a router, their name.
	Moves []string `json:"moves"`
	// Steps are what is served one after the other, a phrase each: "5 % for 2m0s".
	// After the last one, all requests take the new way.
	Steps []string `json:"steps"`
	// Waits are what is served only then.
	Waits []canary.Wait `json:"waits"`
	// Skips: none of the steps is taken, for it leads where a commit did that was
	// completed lately.
	Skips bool `json:"skips,omitempty"`
}

// rollouts are those of the changed side that would have something to do. The
// policy is the one that governs: after a merge the new one, of a pull request
// the one of the branch.
func (c *change) rollouts() []Rollout {
	out := []Rollout{}
	for _, key := range slices.SortedFunc(maps.Keys(c.to.Spec.Rollouts), schema.Key.Compare) {
		policy := c.to.Spec.Rollouts[key].Policy()
		if was := c.from.Spec.Rollouts[key]; was != nil && was.Policy().Start == schema.StartPullRequest {
			policy = was.Policy()
		}
		ends := canary.EndsOf(c.from.Spec, c.to.Spec, policy)
		if len(ends.Moves) == 0 {
			continue
		}
		r := Rollout{Ref: c.to.Spec.Rollouts[key].Ref, Start: policy.Start, Moves: []string{}, Steps: []string{}, Waits: canary.Waits(c.from.Spec, c.to.Spec, policy)}
		for _, m := range ends.Moves {
			r.Moves = append(r.Moves, strings.TrimSuffix(m.Of.String()+" "+m.Route, " "))
		}
		for i := range policy.Steps {
			r.Steps = append(r.Steps, stepOf(policy, i))
		}
		if done := c.seen.Completed[r.Ref.Namespace+"/"+r.Ref.Name]; r.Start == schema.StartMerge {
			r.Skips = slices.Contains(done, canary.Content(c.to.Spec, ends.Governed))
		}
		if r.Waits == nil {
			r.Waits = []canary.Wait{}
		}
		out = append(out, r)
	}
	return out
}

// stepOf says what a step does.
func stepOf(policy schema.RolloutSpec, i int) string {
	step := policy.Steps[i]
	var parts []string
	if step.Weight != nil {
		parts = append(parts, step.Weight.String()+" %")
	}
	if step.Header != nil {
		parts = append(parts, "requests with header "+step.Header.Name)
	}
	if step.Mirror != nil {
		parts = append(parts, "copies of "+step.Mirror.String()+" %")
	}
	if len(parts) == 0 {
		parts = append(parts, policy.WeightAt(i).String()+" %")
	}
	text := strings.Join(parts, ", ")
	if step.Hold > 0 {
		text += " for " + schema.SpellSpan(step.Hold)
	}
	if g := step.Gate; g != nil && g.Approval {
		text += ", until somebody approves"
	} else if g != nil {
		text += ", until " + g.Status + " is success"
	}
	return text
}

// How says which steps are taken, and when.
func (r Rollout) How() string {
	if r.Skips {
		return "at once, without steps: it leads where a commit did that was completed"
	}
	return strings.Join(r.Steps, " → ") + ", then all, " + r.When()
}

// When says when the steps are taken.
func (r Rollout) When() string {
	if r.Start == schema.StartPullRequest {
		return "while the pull request is open, once it is labeled canary"
	}
	return "after the merge"
}

// lines are a rollout as people read it in a terminal.
func (r Rollout) lines() []string {
	rows := []string{
		fmt.Sprintf("%s: %s", r.Ref, r.How()),
		"    moves " + listed(r.Moves),
	}
	for _, w := range r.Waits {
		rows = append(rows, "    waits until then: "+w.String())
	}
	return rows
}

// governed reports whether a route moves in steps.
func (p *Plan) governed(r Route) bool {
	return slices.ContainsFunc(p.Rollouts, func(x Rollout) bool {
		return slices.Contains(x.Moves, strings.TrimSuffix(r.Owner.String()+" "+r.Name, " ")) || slices.Contains(x.Moves, r.Owner.String())
	})
}
