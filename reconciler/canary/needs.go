package canary

import (
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// keep notes what a governed route needs, at the end that is not the one that
// most is taken from.
func (b *blender) keep(spec *schema.Spec, r schema.Resource) {
	if spec == b.from {
		b.needs = append(b.needs, r)
	}
}

// withNeeds returns what is put into the spec: the governed routes, and what
// they need of the other end and the spec does not have. A node goes with its
// endpoints, its policies and the services that it calls.
func (b *blender) withNeeds() []schema.Resource {
	added := map[schema.Ref]schema.Resource{}
	var parts []schema.Resource // endpoints and policies: only of what is added
	var visit func(r schema.Resource)
	visit = func(r schema.Resource) {
		for _, ref := range b.from.Refers(r) {
			if added[ref] != nil || b.into.Find(ref) != nil {
				continue
			}
			need := b.from.Find(ref)
			switch ref.Kind {
			case schema.KindVirtualNode:
				n := need.(*schema.VirtualNode)
				if b.into.VirtualNodeNamed(n.Mesh, n.AWSName) != nil {
					continue // it is there by another name
				}
			case schema.KindVirtualService, schema.KindVirtualRouter, schema.KindBackendGroup:
			case schema.KindEndpoints, schema.KindRoutePolicy, schema.KindListenerPolicy:
				parts = append(parts, need)
				continue
			default:
				continue
			}
			added[ref] = need
			visit(need)
		}
	}
	for _, r := range b.needs {
		visit(r)
	}
	// What is asked for by a part that is added may itself be missing.
	for i := 0; i < len(parts); i++ {
		ref := schema.MetaOf(parts[i]).Ref
		if added[ref] == nil && belongs(parts[i], added) {
			added[ref] = parts[i]
			visit(parts[i])
			i = -1
		}
	}
	put := slices.Clone(b.put)
	for _, r := range added {
		put = append(put, r)
	}
	slices.SortFunc(put, func(x, y schema.Resource) int { return schema.MetaOf(x).Ref.Compare(schema.MetaOf(y).Ref) })
	return put
}

// belongs reports whether a resource only says something about what is added.
func belongs(r schema.Resource, added map[schema.Ref]schema.Resource) bool {
	namespace := schema.MetaOf(r).Ref.Namespace
	var about []schema.Ref
	switch r := r.(type) {
	case *schema.Endpoints:
		about = append(about, schema.Ref{Kind: schema.KindVirtualNode, Key: r.Spec.VirtualNodeRef.In(namespace)})
	case *schema.RoutePolicy:
		for i := range r.Spec.Targets {
			about = append(about, r.Spec.Targets[i].In(namespace))
		}
	case *schema.ListenerPolicy:
		for i := range r.Spec.Targets {
			about = append(about, r.Spec.Targets[i].In(namespace))
		}
	}
	return !slices.ContainsFunc(about, func(ref schema.Ref) bool { return added[ref] == nil })
}
