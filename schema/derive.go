package schema

import (
	"maps"
	"slices"
)

// Derive returns a spec that differs from this one in some resources: those of
// put are added, or take the place of the resources of their refs, and those of
// drop are gone. It is as if loaded; but nothing is checked, so that what the
// other resources refer to has to stay.
//
// A resource is never changed: copy it, change the copy and what it points to,
// and give it its [Digest]. Resources of other specs may be put as they are.
// Where all of put only change routes, the cost follows the change, but for
// copies of a few maps; otherwise it is that of a load of unchanged files.
func (s *Spec) Derive(put []Resource, drop []Ref) *Spec {
	derived := *s // shares what does not change
	out, owned := &derived, map[Kind]bool{}
	own := func(kind Kind) *kindRow {
		row := rowOf(kind)
		if !owned[kind] {
			owned[kind] = true
			row.clone(out)
		}
		return row
	}
	for _, r := range put {
		own(r.meta().Ref.Kind).put(out, r)
	}
	for _, ref := range drop {
		own(ref.Kind).drop(out, ref.Key)
	}
	if len(drop) > 0 || slices.ContainsFunc(put, func(r Resource) bool { return !s.onlyRoutes(r) }) {
		out.link()
		return out
	}
	out.byName, out.users, out.routes = maps.Clone(s.byName), maps.Clone(s.users), maps.Clone(s.routes)
	for _, r := range put {
		out.reroute(r)
	}
	return out
}

// onlyRoutes reports whether a resource can take the place of that of its ref
// with no other resource leading elsewhere.
func (s *Spec) onlyRoutes(r Resource) bool {
	is := r.meta()
	switch r := r.(type) {
	case *VirtualRouter:
		was := s.VirtualRouters[is.Ref.Key]
		return was != nil && was.Mesh == is.Mesh && was.AWSName == is.AWSName
	case *GatewayRoute:
		was := s.GatewayRoutes[is.Ref.Key]
		return was != nil && was.Mesh == is.Mesh && was.AWSName == is.AWSName && was.Gateway == r.Gateway
	}
	return false
}

// reroute puts a resource into the indexes in the place of the one of its ref.
// Slices may be those of another spec: they are copied, not changed.
func (s *Spec) reroute(is Resource) {
	m := is.meta()
	name := named{m.Ref.Kind, m.Mesh, m.AWSName}
	for _, to := range s.uses(s.byName[name]) {
		others := slices.DeleteFunc(slices.Clone(s.users[to]), func(user Ref) bool { return user == m.Ref })
		if s.users[to] = others; len(others) == 0 {
			delete(s.users, to)
		}
	}
	for _, to := range s.uses(is) {
		s.users[to] = append(slices.Clip(s.users[to]), m.Ref)
	}
	s.byName[name] = is
	if route, ok := is.(*GatewayRoute); ok {
		routes := slices.Clone(s.routes[route.Gateway])
		for i := range routes {
			if routes[i].Ref == route.Ref {
				routes[i] = route
			}
		}
		s.routes[route.Gateway] = routes
	}
}
