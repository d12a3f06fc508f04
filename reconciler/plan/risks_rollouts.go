package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
)

// Standing is where a Rollout stands with a commit that not all requests get. The
// names are those of the daemon's API, whose answers can be read into it.
type Standing struct {
	Name     string              `json:"name"` // namespace/name
	Start    schema.RolloutStart `json:"start"`
	Governed []schema.Ref        `json:"governed"`
	Target   string              `json:"target"` // commit
	Pull     int                 `json:"pull"`
	Phase    canary.Phase        `json:"phase"`
	Step     int                 `json:"step"`   // counted from 0
	Weight   float64             `json:"weight"` // in percent
	Past     bool                `json:"past"`   // nothing leads to it any more
}

// failed reports whether its target went back, or is about to.
func (s Standing) failed() bool {
	return s.Phase == canary.RolledBack || s.Phase == canary.RollingBack || s.Phase == canary.Held
}

// called is what is on its way, for people.
func (s Standing) called() string {
	if s.Start == schema.StartPullRequest {
		return fmt.Sprintf("the canary of #%d", s.Pull)
	}
	return s.Target[:min(7, len(s.Target))]
}

// standings are what is on its way by a Rollout, or has failed by it: with a
// target, of that.
func (c *change) standings(rollout, target schema.Ref) (all []Standing) {
	for _, s := range c.seen.Rollouts {
		on := s.failed() || s.Phase != "" && !s.Phase.Ended()
		if on && !s.Past && s.Name == rollout.Namespace+"/"+rollout.Name && (target == schema.Ref{} || slices.Contains(s.Governed, target)) {
			all = append(all, s)
		}
	}
	return all
}

// governors are the Rollouts of a spec by what they govern.
func governors(s *schema.Spec) map[schema.Ref]*schema.Rollout {
	by := map[schema.Ref]*schema.Rollout{}
	for _, r := range s.Rollouts {
		policy := r.Policy()
		for i := range policy.Targets {
			by[policy.Targets[i].In("")] = r
		}
	}
	return by
}

// rolloutRemoved looks at what is governed no more, and rolloutMoved at what another
// Rollout governs.
func (c *change) rolloutRemoved(_ *Plan, tell teller) {
	is := governors(c.to.Spec)
	for ref, was := range governors(c.from.Spec) {
		if is[ref] != nil || c.to.Spec.Find(ref) == nil {
			continue
		}
		at, how := schema.Resource(was), "is removed"
		if left := c.to.Spec.Rollouts[was.Ref.Key]; left != nil {
			at, how = left, "drops it"
		}
		level, text := Low, fmt.Sprintf("%s changes at once from now on: %s %s, and nothing else takes it in steps", ref, was.Ref, how)
		for _, s := range c.standings(was.Ref, ref) {
			switch {
			case s.Start == schema.StartPullRequest:
				text += "; " + s.called() + ", which is on its way, is withdrawn"
			case s.failed():
				level = High
				text = fmt.Sprintf("%s %s, whose target %s failed: 100 %% of the requests to %s get at once what the branch has; revert that first", was.Ref, how, s.called(), ref)
			default:
				level = High
				text = fmt.Sprintf("%s %s, whose target %s is at %g %%: 100 %% of the requests to %s get at once what the branch has; wait for its end", was.Ref, how, s.called(), s.Weight, ref)
			}
		}
		tell(level, at, "spec.targets", text)
	}
}

func (c *change) rolloutMoved(_ *Plan, tell teller) {
	before := governors(c.from.Spec)
	for ref, is := range governors(c.to.Spec) {
		was := before[ref]
		if was == nil || was.Ref == is.Ref {
			continue
		}
		text := fmt.Sprintf("%s is no longer governed by %s but by %s: from now on its changes take the steps of that", ref, was.Ref, is.Ref)
		for _, s := range c.standings(was.Ref, ref) {
			text += "; " + s.called() + ", which " + verb(s) + ", ends, and what leads elsewhere begins anew"
		}
		tell(Low, is, "spec.targets", text)
	}
}

func verb(s Standing) string {
	if s.failed() {
		return "failed"
	}
	return fmt.Sprintf("is at %g %%", s.Weight)
}

// rolloutChanged looks at the Rollouts that change while something is on its way by
// them: what it does next, the new one says.
func (c *change) rolloutChanged(_ *Plan, tell teller) {
	for _, key := range slices.SortedFunc(maps.Keys(c.to.Spec.Rollouts), schema.Key.Compare) {
		is := c.to.Spec.Rollouts[key]
		if c.ops[is.Ref] != schema.Changed {
			continue
		}
		for _, s := range c.standings(is.Ref, schema.Ref{}) {
			switch steps := len(is.Spec.Steps); {
			case s.failed() || s.Phase == canary.Passed || s.Phase == canary.Promoting: // it takes no steps
			case s.Step >= steps:
				next := "it gets 100 % of the requests"
				if s.Start == schema.StartPullRequest {
					next = "it has passed"
				}
				tell(High, is, "spec.steps", fmt.Sprintf("%s is at step %d, of which there are %d now: none is left, so %s next", s.called(), s.Step+1, steps, next))
			default:
				tell(Low, is, "spec", fmt.Sprintf("%s is at step %d: it keeps its weight of %g %% there, is judged by the new bounds, and goes on with the new steps after it; a change of its routes would begin anew", s.called(), s.Step+1, s.Weight))
			}
		}
	}
}

// rolloutFirst looks at what is governed for the first time: nothing has judged the
// base of its first steps, if there is one.
func (c *change) rolloutFirst(_ *Plan, tell teller) {
	before := governors(c.from.Spec)
	for ref, is := range governors(c.to.Spec) {
		switch {
		case before[ref] != nil || c.to.Spec.Find(ref) == nil:
		case c.from.Spec.Find(ref) == nil:
			tell(Low, is, "spec.targets", fmt.Sprintf("nothing is served of %s yet that steps could begin from: what this change has of it applies at once", ref))
		default:
			tell(Low, is, "spec.targets", fmt.Sprintf("what is served of %s now is the base of its steps, and nothing has judged it", ref))
		}
	}
}

// soon is how long a Rollout may keep what is merged until its reviewers should
// know.
const soon = 30 * 24 * time.Hour

// rolloutShut looks at the Rollouts that change, or would have something to do.
func (c *change) rolloutShut(p *Plan, tell teller) {
	for _, is := range c.to.Spec.Rollouts {
		acts := slices.ContainsFunc(p.Rollouts, func(r Rollout) bool { return r.Ref == is.Ref })
		if c.seen.Now.IsZero() || c.ops[is.Ref] == "" && !acts {
			continue
		}
		if path, why := shut(is.Policy(), c.seen.Now); why != "" {
			tell(Low, is, path, fmt.Sprintf("nothing begins within 30 days: %s; what is merged until then waits", why))
		}
	}
}

// shut is what keeps all that begins within some time from now, and where it is
// said; empty: nothing does.
func shut(policy schema.RolloutSpec, now time.Time) (path, why string) {
	at, last := now, now.Add(soon)
	if h := policy.Hold; h != nil {
		if h.End().IsZero() || h.End().After(last) {
			return "spec.hold", "hold: " + h.Reason
		}
		if h.End().After(at) {
			at = h.End()
		}
	}
	for o := policy.Windows.Open(at); !o.Open; o = policy.Windows.Open(at) {
		if o.Until.IsZero() || o.Until.After(last) {
			return "spec.windows", o.Reason
		}
		at = o.Until
	}
	return "", ""
}
