package schema

import (
	"iter"
	"slices"
)

// Spec is all resources of one tree, loaded and validated: references resolve,
// every resource belongs to a mesh. It is never changed after Load.
type Spec struct {
	Meshes           map[Key]*Mesh
	VirtualNodes     map[Key]*VirtualNode
	VirtualServices  map[Key]*VirtualService
	VirtualRouters   map[Key]*VirtualRouter
	VirtualGateways  map[Key]*VirtualGateway
	GatewayRoutes    map[Key]*GatewayRoute
	BackendGroups    map[Key]*BackendGroup
	Endpoints        map[Key]*Endpoints
	RoutePolicies    map[Key]*RoutePolicy
	ListenerPolicies map[Key]*ListenerPolicy
	Rollouts         map[Key]*Rollout

	// Settings of the repository, nil without a settings file.
	Settings *Settings

	// The indexes that graph.go reads; derive.go makes them.
	names    map[named]Key
	routes   map[Key][]*GatewayRoute // by gateway
	users    map[Ref][]Ref           // who depends on it
	hosts    map[Key]*Endpoints      // by virtual node
	policies map[Ref][]Resource      // by what they target
	rollouts map[Ref]*Rollout        // by what they govern
}

// NewSpec returns a spec without resources.
func NewSpec() *Spec {
	s := &Spec{}
	for i := range kinds {
		kinds[i].open(s)
	}
	return s
}

// Find returns the resource of a ref, nil if there is none.
func (s *Spec) Find(ref Ref) Resource {
	if row := rowOf(ref.Kind); row != nil {
		return row.get(s, ref.Key)
	}
	return nil
}

// All yields every resource, by kind, namespace and name.
func (s *Spec) All() iter.Seq2[Ref, Resource] {
	return func(yield func(Ref, Resource) bool) {
		for _, row := range sortedKinds() {
			var all []Resource
			for _, r := range row.each(s) {
				all = append(all, r)
			}
			slices.SortFunc(all, func(a, b Resource) int { return a.meta().Ref.Key.Compare(b.meta().Ref.Key) })
			for _, r := range all {
				if !yield(r.meta().Ref, r) {
					return
				}
			}
		}
	}
}

// resources yields every resource, in no order.
func (s *Spec) resources() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		for i := range kinds {
			for _, r := range kinds[i].each(s) {
				if !yield(r) {
					return
				}
			}
		}
	}
}
