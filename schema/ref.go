package schema

import (
	"cmp"
	"strconv"
	"strings"
	"unicode"
)

// Kind is the kind of a resource, spelled as in its document.
type Kind string

// The kinds of appmesh.k8s.aws/v1beta2.
const (
	KindMesh           Kind = "Mesh"
	KindVirtualNode    Kind = "VirtualNode"
	KindVirtualService Kind = "VirtualService"
	KindVirtualRouter  Kind = "VirtualRouter"
	KindVirtualGateway Kind = "VirtualGateway"
	KindGatewayRoute   Kind = "GatewayRoute"
	KindBackendGroup   Kind = "BackendGroup"
)

// The kinds of meshwright.dev/v1alpha1.
const (
	KindEndpoints      Kind = "Endpoints"
	KindRoutePolicy    Kind = "RoutePolicy"
	KindListenerPolicy Kind = "ListenerPolicy"
	KindRollout        Kind = "Rollout"
)

// Key is a namespace and a name: what identifies a resource among those of its
// kind. A Mesh is not namespaced: its Namespace is empty.
type Key struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Compare orders keys by namespace, then name.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name))
}

// Ref identifies one resource of a spec.
type Ref struct {
	Kind Kind `json:"kind"`
	Key
}

// String is the ref as people read it: kind/namespace/name, or kind/name for
// what has no namespace.
func (r Ref) String() string {
	r.Name = cmp.Or(r.Name, "(no name)")
	if r.Namespace == "" {
		return string(r.Kind) + "/" + r.Name
	}
	return string(r.Kind) + "/" + r.Namespace + "/" + r.Name
}

// Compare orders refs by kind, namespace, name.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Kind, o.Kind), r.Key.Compare(o.Key))
}

// Pos is a place in a file of the spec: Line and Col count from 1, columns in
// runes; zero means unknown.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// String is file:line:col, without the parts that are unknown.
func (p Pos) String() string {
	s := p.File
	if strings.ContainsFunc(s, unicode.IsControl) {
		s = strconv.Quote(s) // or it would be several lines
	}
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
		if p.Col > 0 {
			s += ":" + strconv.Itoa(p.Col)
		}
	}
	return s
}

// Compare orders positions by file, line, column.
func (p Pos) Compare(o Pos) int {
	return cmp.Or(cmp.Compare(p.File, o.File), cmp.Compare(p.Line, o.Line), cmp.Compare(p.Col, o.Col))
}
