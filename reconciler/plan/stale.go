package plan

import (
	"maps"
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// Touches returns the resources that the plan is about: what it changes, what
// refers to that, and what that refers to.
func (p *Plan) Touches() map[schema.Ref]bool {
	touches := map[schema.Ref]bool{}
	for _, r := range p.Resources {
		touches[r.Ref] = true
	}
	for _, ref := range p.Around {
		touches[ref] = true
	}
	return touches
}

// Stale reports whether a change of the served spec is about a resource that the
// plan [Plan.Touches]: it changes it, or there is a reference between the two
// that was not, for a new resource has no place in a plan that was made before.
func (p *Plan) Stale(from, to *schema.Spec) bool {
	touches := p.Touches()
	changed := map[schema.Ref]bool{}
	for _, c := range schema.Diff(from, to) {
		if touches[c.Ref] {
			return true
		}
		changed[c.Ref] = true
	}
	refers := func(s *schema.Spec, ref schema.Ref) []schema.Ref {
		if r := s.Find(ref); r != nil {
			return s.Refers(r)
		}
		return nil
	}
	linked := func(these, those map[schema.Ref]bool) bool {
		for ref := range these {
			was := refers(from, ref)
			for _, now := range refers(to, ref) {
				if those[now] && !slices.Contains(was, now) {
					return true
				}
			}
		}
		return false
	}
	return len(changed) > 0 && (linked(changed, touches) || linked(touches, changed))
}

// near are the resources that the change is about: down from what changes as far
// as requests go, which is to the nodes. Everything refers to its mesh, so that
// this says something only where the mesh itself changes.
func (c *change) near() map[schema.Ref]bool {
	near := maps.Clone(c.reach)
	for _, spec := range c.sides() {
		seen := map[schema.Ref]bool{}
		var down func(ref schema.Ref)
		down = func(ref schema.Ref) {
			r := spec.Find(ref)
			if r == nil || seen[ref] {
				return
			}
			seen[ref] = true
			for _, to := range spec.Refers(r) {
				if to.Kind == schema.KindMesh {
					continue
				}
				if near[to] = true; to.Kind != schema.KindVirtualNode {
					down(to)
				}
			}
		}
		for _, d := range c.diff {
			down(d.Ref)
		}
	}
	return near
}

// around is what is near and does not change itself, sorted.
func (c *change) around() []schema.Ref {
	around := []schema.Ref{}
	for ref := range c.near() {
		if c.ops[ref] == "" {
			around = append(around, ref)
		}
	}
	slices.SortFunc(around, schema.Ref.Compare)
	return around
}
