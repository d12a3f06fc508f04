package schema

import "time"

// Meta is what every resource of a spec has.
type Meta struct {
	Ref    Ref               `json:"ref"`
	Labels map[string]string `json:"labels,omitempty"`
	// AWSName is the resource's name in App Mesh: spec.awsName, or its default
	// (the controller's mutators): a mesh's own name, NAME_NAMESPACE, and for
	// virtual services NAME.NAMESPACE.
	AWSName string `json:"awsName"`
	// Mesh is the AWSName of the mesh the resource belongs to.
	Mesh string `json:"mesh"`
	// Pos is where the document starts.
	Pos Pos `json:"pos"`
	// Digest is a hash of the resource's content (labels and spec, not its
	// position): equal digests mean equal resources.
	Digest string `json:"digest"`

	doc *document // shared with the loader; nil: made by hand
}

// At is the place of a field, spelled as in [Diagnostic].Path; where the field
// is absent, that of what it would stand in.
func (m *Meta) At(path string) Pos {
	if m.doc == nil {
		return m.Pos
	}
	_, pos := m.doc.root().at(path)
	return pos
}

// Meta returns itself, so that every kind that embeds it is a [Resource].
func (m *Meta) meta() *Meta { return m }

// Resource is any of the kinds: *Mesh, *VirtualNode, …
type Resource interface {
	meta() *Meta
}

// MetaOf returns what the resource has in common with all others.
func MetaOf(r Resource) *Meta { return r.meta() }

// Reference is how a document names another: a name and, where it differs from
// the document's own, a namespace.
type Reference struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// In resolves the reference of a document of the given namespace.
func (r Reference) In(namespace string) Key {
	if r.Namespace != "" {
		namespace = r.Namespace
	}
	return Key{Namespace: namespace, Name: r.Name}
}

// MeshReference is meshRef, which App Mesh's controller fills in.
type MeshReference struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

// Selector is a Kubernetes label selector.
type Selector struct {
	MatchLabels      map[string]string     `json:"matchLabels,omitempty"`
	MatchExpressions []SelectorRequirement `json:"matchExpressions,omitempty"`
}

// SelectorRequirement is one expression of a [Selector].
type SelectorRequirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"` // In, NotIn, Exists, DoesNotExist
	Values   []string `json:"values,omitempty"`
}

// Duration is App Mesh's {unit, value}.
type Duration struct {
	Unit  string `json:"unit"` // "s" or "ms"
	Value int64  `json:"value"`
}

// Duration is the length of time.
func (d Duration) Duration() time.Duration {
	if d.Unit == "s" {
		return time.Duration(d.Value) * time.Second
	}
	return time.Duration(d.Value) * time.Millisecond
}

// Protocol of a listener.
type Protocol string

// The protocols of App Mesh's listeners.
const (
	ProtocolHTTP  Protocol = "http"
	ProtocolHTTP2 Protocol = "http2"
	ProtocolGRPC  Protocol = "grpc"
	ProtocolTCP   Protocol = "tcp"
)

// PortMapping is a listener's port and protocol.
type PortMapping struct {
	Port     uint32   `json:"port"`
	Protocol Protocol `json:"protocol"`
}
