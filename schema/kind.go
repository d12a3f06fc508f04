package schema

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
)

// The API groups of the documents that are resources, with their versions.
const (
	appMeshGroup   = "appmesh.k8s.aws"
	appMeshVersion = appMeshGroup + "/v1beta2"
	ourGroup       = "meshwright.dev"
	ourVersion     = ourGroup + "/v1alpha1"
)

// kindRow is all that the schema has to know of a kind as a kind. A new one is
// a row of kinds, a definition of its name in schema.cue, a Go type with Meta
// and Spec, and a map of [Spec]; what it names is told in references, who
// depends on what in [Spec.Refers], its meshRef in meshRef.
type kindRow struct {
	kind    Kind
	version string // apiVersion of its documents
	new     func() Resource
	open    func(s *Spec) // makes the map
	clone   func(s *Spec) // makes it a copy of what it is
	put     func(s *Spec, r Resource)
	drop    func(s *Spec, k Key)
	get     func(s *Spec, k Key) Resource          // nil if there is none
	each    func(s *Spec) iter.Seq2[Key, Resource] // in no order
	diff    func(from, to *Spec) []Change
}

// kinds are all kinds, App Mesh's before ours, in the order of schema.cue.
var kinds = []kindRow{
	kindOf(KindMesh, appMeshVersion, func(s *Spec) *map[Key]*Mesh { return &s.Meshes }),
	kindOf(KindVirtualNode, appMeshVersion, func(s *Spec) *map[Key]*VirtualNode { return &s.VirtualNodes }),
	kindOf(KindVirtualService, appMeshVersion, func(s *Spec) *map[Key]*VirtualService { return &s.VirtualServices }),
	kindOf(KindVirtualRouter, appMeshVersion, func(s *Spec) *map[Key]*VirtualRouter { return &s.VirtualRouters }),
	kindOf(KindVirtualGateway, appMeshVersion, func(s *Spec) *map[Key]*VirtualGateway { return &s.VirtualGateways }),
	kindOf(KindGatewayRoute, appMeshVersion, func(s *Spec) *map[Key]*GatewayRoute { return &s.GatewayRoutes }),
	kindOf(KindBackendGroup, appMeshVersion, func(s *Spec) *map[Key]*BackendGroup { return &s.BackendGroups }),

	kindOf(KindEndpoints, ourVersion, func(s *Spec) *map[Key]*Endpoints { return &s.Endpoints }),
	kindOf(KindRoutePolicy, ourVersion, func(s *Spec) *map[Key]*RoutePolicy { return &s.RoutePolicies }),
	kindOf(KindListenerPolicy, ourVersion, func(s *Spec) *map[Key]*ListenerPolicy { return &s.ListenerPolicies }),
	kindOf(KindRollout, ourVersion, func(s *Spec) *map[Key]*Rollout { return &s.Rollouts }),
}

// kindOf makes the row of a kind from its Go type and its map.
func kindOf[T any, R interface {
	*T
	Resource
}](kind Kind, version string, in func(*Spec) *map[Key]R) kindRow {
	return kindRow{
		kind: kind, version: version,
		new:   func() Resource { return R(new(T)) },
		open:  func(s *Spec) { *in(s) = map[Key]R{} },
		clone: func(s *Spec) { *in(s) = maps.Clone(*in(s)) },
		put:   func(s *Spec, r Resource) { (*in(s))[r.meta().Ref.Key] = r.(R) },
		drop:  func(s *Spec, k Key) { delete(*in(s), k) },
		get: func(s *Spec, k Key) Resource {
			if r, ok := (*in(s))[k]; ok {
				return r
			}
			return nil
		},
		each: func(s *Spec) iter.Seq2[Key, Resource] {
			return func(yield func(Key, Resource) bool) {
				for k, r := range *in(s) {
					if !yield(k, r) {
						return
					}
				}
			}
		},
		diff: func(from, to *Spec) []Change { return diff(kind, *in(from), *in(to)) },
	}
}

// rowOf returns the row of a kind, nil if there is no such kind.
func rowOf(kind Kind) *kindRow {
	for i := range kinds {
		if kinds[i].kind == kind {
			return &kinds[i]
		}
	}
	return nil
}

// ours reports whether a kind is Meshwright's own. Such a resource has no name
// in App Mesh.
func (k Kind) ours() bool { r := rowOf(k); return r != nil && r.version == ourVersion }

// sortedKinds returns the rows in the order of the kinds' names.
func sortedKinds() []kindRow {
	return slices.SortedFunc(slices.Values(kinds), func(a, b kindRow) int { return cmp.Compare(a.kind, b.kind) })
}

// namesOf returns the names of the kinds of an apiVersion, all for none.
func namesOf(version string) []string {
	var names []string
	for i := range kinds {
		if version == "" || kinds[i].version == version {
			names = append(names, string(kinds[i].kind))
		}
	}
	return names
}

// spellKinds spells the kinds of an apiVersion for people.
func spellKinds(version string) string { return strings.Join(namesOf(version), ", ") }
