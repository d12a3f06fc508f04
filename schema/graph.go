package schema

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// named is the key of a resource by its App Mesh name. Of virtual services it
// has the kind VirtualService; names are unique within mesh and kind.
type named struct {
	kind       Kind
	mesh, name string
}

// link makes the indexes that the methods below read. Load calls it once, when
// all resources are in and know their mesh; the spec does not change after.
func (s *Spec) link() {
	s.byName = map[named]Resource{}
	for ref, r := range s.All() {
		m := MetaOf(r)
		s.byName[named{ref.Kind, m.Mesh, m.AWSName}] = r
	}
}

// VirtualNodeNamed returns the virtual node of a mesh with an App Mesh name,
// nil if there is none.
func (s *Spec) VirtualNodeNamed(mesh, awsName string) *VirtualNode {
	n, _ := s.byName[named{KindVirtualNode, mesh, awsName}].(*VirtualNode)
	return n
}

// VirtualGatewayNamed returns the virtual gateway of a mesh with an App Mesh
// name, nil if there is none.
func (s *Spec) VirtualGatewayNamed(mesh, awsName string) *VirtualGateway {
	g, _ := s.byName[named{KindVirtualGateway, mesh, awsName}].(*VirtualGateway)
	return g
}

// MeshOf returns the mesh that a resource belongs to.
func (s *Spec) MeshOf(r Resource) *Mesh {
	name := MetaOf(r).Mesh
	m, _ := s.byName[named{KindMesh, name, name}].(*Mesh)
	return m
}

// arnName returns the last part of an App Mesh ARN
// (arn:aws:appmesh:…:mesh/M/virtualService/N): the resource's App Mesh name.
func arnName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// lookup finds what a resource refers to: by reference, from its own
// namespace, or by ARN, of which the name counts (App Mesh shared meshes
// between accounts; here they are one repository).
func lookup[R Resource](s *Spec, kind Kind, from *Meta, in map[Key]R, ref *Reference, arn string) (r R) {
	switch {
	case ref != nil:
		return in[ref.In(from.Ref.Namespace)]
	case arn != "":
		r, _ = s.byName[named{kind, from.Mesh, arnName(arn)}].(R)
	}
	return r
}

// ProviderOf returns what answers for a virtual service: a node, a router, or
// neither.
func (s *Spec) ProviderOf(v *VirtualService) (*VirtualNode, *VirtualRouter) {
	switch p := v.Spec.Provider; {
	case p == nil:
	case p.VirtualNode != nil:
		return lookup(s, KindVirtualNode, &v.Meta, s.VirtualNodes, p.VirtualNode.VirtualNodeRef, p.VirtualNode.VirtualNodeARN), nil
	case p.VirtualRouter != nil:
		return nil, lookup(s, KindVirtualRouter, &v.Meta, s.VirtualRouters, p.VirtualRouter.VirtualRouterRef, p.VirtualRouter.VirtualRouterARN)
	}
	return nil, nil
}

// TargetNode returns the virtual node of a router's weighted target.
func (s *Spec) TargetNode(r *VirtualRouter, t WeightedTarget) *VirtualNode {
	return lookup(s, KindVirtualNode, &r.Meta, s.VirtualNodes, t.VirtualNodeRef, t.VirtualNodeARN)
}

// TargetService returns the virtual service that a gateway route sends to.
func (s *Spec) TargetService(g *GatewayRoute, t GatewayTarget) *VirtualService {
	return lookup(s, KindVirtualService, &g.Meta, s.VirtualServices, t.VirtualService.VirtualServiceRef, t.VirtualService.VirtualServiceARN)
}

// BackendLink is a virtual service that a node may call, and the client policy
// that applies (the backend's own, else the node's default; nil: none).
type BackendLink struct {
	Service *VirtualService
	Policy  *ClientPolicy
}

// BackendsOf returns what a node may call, from its backends and backend
// groups, each service once, sorted by App Mesh name. The group named * means
// every virtual service of the mesh.
func (s *Spec) BackendsOf(n *VirtualNode) []BackendLink {
	var defaults *ClientPolicy
	if n.Spec.BackendDefaults != nil {
		defaults = n.Spec.BackendDefaults.ClientPolicy
	}
	links := map[*VirtualService]BackendLink{}
	for _, b := range n.Spec.Backends {
		v := lookup(s, KindVirtualService, &n.Meta, s.VirtualServices, b.VirtualService.VirtualServiceRef, b.VirtualService.VirtualServiceARN)
		if v != nil {
			links[v] = BackendLink{v, cmp.Or(b.VirtualService.ClientPolicy, defaults)}
		}
	}
	add := func(v *VirtualService) {
		if _, own := links[v]; v != nil && !own {
			links[v] = BackendLink{v, defaults}
		}
	}
	for _, ref := range n.Spec.BackendGroups {
		if ref.Name == "*" {
			for _, v := range s.VirtualServices {
				if v.Mesh == n.Mesh {
					add(v)
				}
			}
			continue
		}
		if g := s.BackendGroups[ref.In(n.Ref.Namespace)]; g != nil {
			for _, member := range g.Spec.VirtualServices {
				add(s.VirtualServices[member.In(g.Ref.Namespace)])
			}
		}
	}
	return slices.SortedFunc(maps.Values(links), func(a, b BackendLink) int {
		return cmp.Or(cmp.Compare(a.Service.AWSName, b.Service.AWSName), a.Service.Ref.Compare(b.Service.Ref))
	})
}

// Refers returns what a resource refers to directly, as far as it exists.
func (s *Spec) Refers(r Resource) []Ref {
	var refs []Ref
	if m := s.MeshOf(r); m != nil {
		refs = append(refs, m.Ref)
	}
	switch r := r.(type) {
	case *Mesh:
		return nil
	case *VirtualNode:
		for _, b := range s.BackendsOf(r) {
			refs = append(refs, b.Service.Ref)
		}
		for _, g := range r.Spec.BackendGroups {
			if group := s.BackendGroups[g.In(r.Ref.Namespace)]; group != nil {
				refs = append(refs, group.Ref)
			}
		}
	case *VirtualService:
		node, router := s.ProviderOf(r)
		if node != nil {
			refs = append(refs, node.Ref)
		}
		if router != nil {
			refs = append(refs, router.Ref)
		}
	case *VirtualRouter:
		for i := range r.Spec.Routes {
			for _, t := range r.Spec.Routes[i].Targets() {
				if n := s.TargetNode(r, t); n != nil {
					refs = append(refs, n.Ref)
				}
			}
		}
	case *VirtualGateway:
		for _, g := range s.GatewayRoutesOf(r) {
			refs = append(refs, g.Ref)
		}
	case *GatewayRoute:
		for _, t := range r.Targets() {
			if v := s.TargetService(r, t); v != nil {
				refs = append(refs, v.Ref)
			}
		}
	case *BackendGroup:
		for _, member := range r.Spec.VirtualServices {
			if v := s.VirtualServices[member.In(r.Ref.Namespace)]; v != nil {
				refs = append(refs, v.Ref)
			}
		}
	}
	return refs
}

// GatewayRoutesOf returns the routes that a gateway picks by its selectors,
// sorted by key. A route belongs to the gateway of its mesh whose
// namespaceSelector picks the route's namespace and whose gatewayRouteSelector
// picks its labels; Load has resolved that into the route's Gateway.
func (s *Spec) GatewayRoutesOf(g *VirtualGateway) []*GatewayRoute {
	var routes []*GatewayRoute
	for _, r := range s.GatewayRoutes {
		if r.Gateway == g.Ref.Key {
			routes = append(routes, r)
		}
	}
	slices.SortFunc(routes, func(a, b *GatewayRoute) int { return a.Ref.Compare(b.Ref) })
	return routes
}
