package schema

import (
	"cmp"
	"slices"
	"strings"
)

// named is the key of a resource by its App Mesh name. Of virtual services it
// has the kind VirtualService; names are unique within mesh and kind.
type named struct {
	kind       Kind
	mesh, name string
}

// uses returns what a resource depends on directly. A node's groups and
// everything that a group named * means may be absent; the routes of a gateway
// know it, not the other way round.
func (s *Spec) uses(r Resource) []Ref {
	if r == nil {
		return nil
	}
	n, isNode := r.(*VirtualNode)
	if _, isGateway := r.(*VirtualGateway); !isNode && !isGateway {
		return s.Refers(r)
	}
	var refs []Ref
	if m := s.MeshOf(r); m != nil {
		refs = append(refs, m.Ref)
	}
	for _, p := range s.PoliciesOf(r) {
		refs = append(refs, p.meta().Ref)
	}
	if !isNode {
		return refs
	}
	for _, b := range n.Spec.Backends {
		if v := s.backend(n, b); v != nil {
			refs = append(refs, v.Ref)
		}
	}
	for _, g := range n.Spec.BackendGroups {
		if g.Name == "*" {
			refs = append(refs, everyService(n.Mesh))
		} else {
			refs = append(refs, Ref{KindBackendGroup, g.In(n.Ref.Namespace)})
		}
	}
	return refs
}

// everyService stands for the backend group named *: no document can have that
// name.
func everyService(mesh string) Ref { return Ref{KindBackendGroup, Key{mesh, "*"}} }

// VirtualNodeNamed returns the virtual node of a mesh with an App Mesh name,
// nil if there is none.
func (s *Spec) VirtualNodeNamed(mesh, awsName string) *VirtualNode {
	return byName(s, KindVirtualNode, mesh, awsName, s.VirtualNodes)
}

// VirtualGatewayNamed returns the virtual gateway of a mesh with an App Mesh
// name, nil if there is none.
func (s *Spec) VirtualGatewayNamed(mesh, awsName string) *VirtualGateway {
	return byName(s, KindVirtualGateway, mesh, awsName, s.VirtualGateways)
}

// MeshOf returns the mesh that a resource belongs to.
func (s *Spec) MeshOf(r Resource) *Mesh {
	name := MetaOf(r).Mesh
	return byName(s, KindMesh, name, name, s.Meshes)
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
		return byName(s, kind, from.Mesh, arnName(arn), in)
	}
	return r
}

// byName finds a resource of a mesh by its App Mesh name.
func byName[R Resource](s *Spec, kind Kind, mesh, name string, in map[Key]R) (r R) {
	if key, ok := s.names[named{kind, mesh, name}]; ok {
		r = in[key]
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

// EndpointsOf returns the endpoints that are written for a virtual node, nil
// where its service discovery finds them.
func (s *Spec) EndpointsOf(n *VirtualNode) *Endpoints { return s.hosts[n.Ref.Key] }

// RolloutOf returns the rollout that governs a virtual router or gateway route,
// nil if none does.
func (s *Spec) RolloutOf(target Ref) *Rollout { return s.rollouts[target] }

// backend returns the virtual service that a node's backend names.
func (s *Spec) backend(n *VirtualNode, b Backend) *VirtualService {
	return lookup(s, KindVirtualService, &n.Meta, s.VirtualServices, b.VirtualService.VirtualServiceRef, b.VirtualService.VirtualServiceARN)
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
	links := make([]BackendLink, 0, len(n.Spec.Backends))
	at := make(map[*VirtualService]int, len(n.Spec.Backends))
	put := func(v *VirtualService, p *ClientPolicy) {
		at[v] = len(links)
		links = append(links, BackendLink{v, p})
	}
	for _, b := range n.Spec.Backends {
		v := s.backend(n, b)
		policy := cmp.Or(b.VirtualService.ClientPolicy, defaults)
		if i, again := at[v]; again {
			links[i].Policy = policy
		} else if v != nil {
			put(v, policy)
		}
	}
	add := func(v *VirtualService) {
		if _, own := at[v]; v != nil && !own {
			put(v, defaults)
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
	slices.SortFunc(links, func(a, b BackendLink) int {
		if c := strings.Compare(a.Service.AWSName, b.Service.AWSName); c != 0 {
			return c
		}
		return a.Service.Ref.Compare(b.Service.Ref)
	})
	return links
}

// Refers returns what a resource refers to directly, as far as it exists, and
// the policies that govern it. Who sends to a node refers too to the endpoints
// that are written for it, and to the policies of how to balance them.
func (s *Spec) Refers(r Resource) []Ref {
	var refs []Ref
	target := func(n *VirtualNode) {
		if n == nil {
			return
		}
		refs = append(refs, n.Ref)
		if e := s.EndpointsOf(n); e != nil {
			refs = append(refs, e.Ref)
		}
		for _, p := range s.PoliciesOf(n) {
			if p, ok := p.(*ListenerPolicy); ok && p.Spec.LoadBalancing != nil {
				refs = append(refs, p.Ref)
			}
		}
	}
	if m := s.MeshOf(r); m != nil {
		refs = append(refs, m.Ref)
	}
	for _, p := range s.PoliciesOf(r) {
		refs = append(refs, p.meta().Ref)
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
		target(node)
		if router != nil {
			refs = append(refs, router.Ref)
		}
	case *VirtualRouter:
		for i := range r.Spec.Routes {
			for _, t := range r.Spec.Routes[i].Targets() {
				target(s.TargetNode(r, t))
			}
			for _, c := range r.Spec.Routes[i].Derived.copies() {
				target(s.VirtualNodes[c.VirtualNodeRef.In("")])
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
		for _, b := range r.Spec.Derived.branches() {
			if v := s.TargetService(r, b.Target); v != nil {
				refs = append(refs, v.Ref)
			}
		}
		for _, c := range r.Spec.Derived.copies() {
			target(s.VirtualNodes[c.VirtualNodeRef.In("")])
		}
	case *Endpoints:
		if n := s.VirtualNodes[r.Spec.VirtualNodeRef.In(r.Ref.Namespace)]; n != nil {
			refs = append(refs, n.Ref)
		}
	case *RoutePolicy:
		if m := r.Spec.Mirror; m != nil {
			target(s.VirtualNodes[m.VirtualNodeRef.In(r.Ref.Namespace)])
		}
	case *ListenerPolicy:
		for _, asked := range r.Spec.asked() {
			if v := s.VirtualServices[asked.ref.In(r.Ref.Namespace)]; v != nil {
				refs = append(refs, v.Ref)
			}
		}
	case *Rollout: // nothing depends on it, so that no proxy is made anew for it
		for i := range r.Spec.Targets {
			if to := r.Spec.Targets[i].In(r.Ref.Namespace); s.Find(to) != nil {
				refs = append(refs, to)
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
//
// The slice is the spec's own: do not change it.
func (s *Spec) GatewayRoutesOf(g *VirtualGateway) []*GatewayRoute { return s.routes[g.Ref.Key] }

// Dependents returns the resources of the spec that may mean something else
// when the given ones change, those themselves included: from a node up to the
// routers that send to it, the services they answer for, the groups and gateway
// routes these are in, and the nodes and gateways that may call them. There the
// climb ends: who calls a node does not care what that node may call.
//
// The given ones need not be in the spec. After a change, ask the specs before
// and after it: what used a removed resource only the former knows. The cost
// follows what is found.
func (s *Spec) Dependents(changed []Ref) map[Ref]bool {
	found := make(map[Ref]bool, len(changed))
	var climb []Ref // found, and not yet climbed from
	reach := func(from Ref) {
		for _, user := range s.users[from] {
			if !found[user] {
				found[user] = true
				climb = append(climb, user)
			}
		}
	}
	up := func(from Ref) {
		reach(from)
		if v := s.VirtualServices[from.Key]; from.Kind == KindVirtualService && v != nil {
			reach(everyService(v.Mesh))
		}
	}
	for _, ref := range changed {
		found[ref] = true
	}
	for _, ref := range changed {
		up(ref)
	}
	for len(climb) > 0 {
		last := climb[len(climb)-1]
		climb = climb[:len(climb)-1]
		if last.Kind != KindVirtualNode && last.Kind != KindVirtualGateway {
			up(last)
		}
	}
	return found
}
