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

	byName map[named]Resource // see graph.go
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

func each[R Resource](kind Kind, m map[Key]R, yield func(Ref, Resource) bool) bool {
	for _, k := range slices.SortedFunc(maps.Keys(m), Key.Compare) {
		if !yield(Ref{kind, k}, m[k]) {
			return false
		}
	}
	return true
}
