package schema

import (
	"iter"
	"maps"
	"slices"
)

// Spec is all resources of one tree, loaded and validated: references resolve,
// every resource belongs to a mesh. It is never changed after Load.
type Spec struct {
	Meshes          map[Key]*Mesh
	VirtualNodes    map[Key]*VirtualNode
	VirtualServices map[Key]*VirtualService
	VirtualRouters  map[Key]*VirtualRouter
	VirtualGateways map[Key]*VirtualGateway
	GatewayRoutes   map[Key]*GatewayRoute
	BackendGroups   map[Key]*BackendGroup

	// The indexes of graph.go.
	byName map[named]Resource
	routes map[Key][]*GatewayRoute // by gateway
	users  map[Ref][]Ref           // who refers to it
}

// NewSpec returns a spec without resources.
func NewSpec() *Spec {
	return &Spec{
		Meshes:          map[Key]*Mesh{},
		VirtualNodes:    map[Key]*VirtualNode{},
		VirtualServices: map[Key]*VirtualService{},
		VirtualRouters:  map[Key]*VirtualRouter{},
		VirtualGateways: map[Key]*VirtualGateway{},
		GatewayRoutes:   map[Key]*GatewayRoute{},
		BackendGroups:   map[Key]*BackendGroup{},
	}
}

// put adds a resource.
func (s *Spec) put(r Resource) {
	switch r := r.(type) {
	case *Mesh:
		s.Meshes[r.Ref.Key] = r
	case *VirtualNode:
		s.VirtualNodes[r.Ref.Key] = r
	case *VirtualService:
		s.VirtualServices[r.Ref.Key] = r
	case *VirtualRouter:
		s.VirtualRouters[r.Ref.Key] = r
	case *VirtualGateway:
		s.VirtualGateways[r.Ref.Key] = r
	case *GatewayRoute:
		s.GatewayRoutes[r.Ref.Key] = r
	case *BackendGroup:
		s.BackendGroups[r.Ref.Key] = r
	}
}

// All yields every resource, by kind, namespace and name.
func (s *Spec) All() iter.Seq2[Ref, Resource] {
	return func(yield func(Ref, Resource) bool) {
		_ = each(KindBackendGroup, s.BackendGroups, yield) &&
			each(KindGatewayRoute, s.GatewayRoutes, yield) &&
			each(KindMesh, s.Meshes, yield) &&
			each(KindVirtualGateway, s.VirtualGateways, yield) &&
			each(KindVirtualNode, s.VirtualNodes, yield) &&
			each(KindVirtualRouter, s.VirtualRouters, yield) &&
			each(KindVirtualService, s.VirtualServices, yield)
	}
}

// resources yields every resource, in no order.
func (s *Spec) resources() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		_ = some(s.Meshes, yield) && some(s.VirtualNodes, yield) && some(s.VirtualServices, yield) && some(s.VirtualRouters, yield) &&
			some(s.VirtualGateways, yield) && some(s.GatewayRoutes, yield) && some(s.BackendGroups, yield)
	}
}

func some[R Resource](m map[Key]R, yield func(Resource) bool) bool {
	for _, r := range m {
		if !yield(r) {
			return false
		}
	}
	return true
}

func each[R Resource](kind Kind, m map[Key]R, yield func(Ref, Resource) bool) bool {
	for _, k := range slices.SortedFunc(maps.Keys(m), Key.Compare) {
		if !yield(Ref{kind, k}, m[k]) {
			return false
		}
	}
	return true
}
