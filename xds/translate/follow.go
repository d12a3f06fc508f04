package translate

import (
	"maps"
	"slices"
	"sync"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Most changes are to what backends are, not to which there are: a weight, a
// time-out, a canary's step. Then all nodes that reached the same before reach the
// same again, so that what becomes of that is found out once, and each of their
// proxies takes the step with a few pointers.

// step is from what nodes reached to what they reach now.
type step struct {
	once     sync.Once
	from, to *reach
	plain    bool // nothing but resources differs
}

// keepsBackends reports whether every list of backends leads to the services
// that it led to, whatever those have become.
func (d difference) keepsBackends() bool {
	for ref := range d.changed {
		was, is := d.from.Find(ref), d.to.Find(ref)
		if was == nil || is == nil || ref.Kind == schema.KindBackendGroup {
			return false
		}
		if a, b := schema.MetaOf(was), schema.MetaOf(is); a.Mesh != b.Mesh || a.AWSName != b.AWSName {
			return false
		}
	}
	return true
}

// follow makes of a node's proxy, of which nothing but backends has changed, what
// it is with these. It reports false where that takes a build.
func (m *maker) follow(profile xds.Profile, was product) (product, bool) {
	if was.reach == nil || was.err != nil {
		return was, false
	}
	s := m.step(was.reach, profile)
	if !s.plain {
		return was, false
	}
	res := *was.res
	for t := range res {
		var ok bool
		if res[t], ok = exchanged(was.res[t], s.from.part.res[t], s.to.part.res[t]); !ok {
			return was, false
		}
	}
	was.res, was.reach = &res, s.to
	return was, true
}

// step returns the one from what a profile's node has reached.
func (m *maker) step(from *reach, profile xds.Profile) *step {
	m.known.mu.Lock()
	s := m.known.steps[from]
	if s == nil {
		s = &step{from: from}
		m.known.steps[from] = s
	}
	m.known.mu.Unlock()
	s.once.Do(func() {
		n := m.Spec.VirtualNodeNamed(profile.Identity.Mesh, profile.Identity.Name)
		b := m.builder(profile)
		b.mesh = m.Spec.MeshOf(n)
		s.to = b.reach(b.callees(m.Spec.BackendsOf(n)), n.Ref.Namespace, from)
		was, is := s.from.part, s.to.part
		s.plain = b.err == nil && is.err == nil && len(was.needs)+len(is.needs) == 0 && s.from.front == s.to.front &&
			slices.Equal(s.from.told, s.to.told) && slices.Equal(was.notices, is.notices) &&
			slices.Equal(was.assignments, is.assignments) && maps.Equal(was.targets, is.targets)
	})
	return s
}

// exchanged returns a list with what is in the place of what was in it: itself
// where nothing changed, the other list where it was nothing else. It reports
// false if that is no exchange one by one.
func exchanged(list, was, is []*xds.Resource) ([]*xds.Resource, bool) {
	if len(list) == len(was) && (len(list) == 0 || &list[0] == &was[0]) {
		return is, true
	}
	if slices.Equal(was, is) {
		return list, true
	}
	if len(was) != len(is) {
		return nil, false
	}
	out, j := slices.Clone(list), 0
	for i, r := range out {
		if j < len(was) && r == was[j] && is[j].Name == r.Name {
			out[i] = is[j]
			j++
		}
	}
	return out, j == len(was)
}
