package schema

// Mesh is the Mesh kind.
type Mesh struct {
	Meta
	Spec MeshSpec
}

// MeshSpec is spec of a Mesh.
type MeshSpec struct {
	AWSName              string                `json:"awsName,omitempty"`
	NamespaceSelector    *Selector             `json:"namespaceSelector,omitempty"`
	EgressFilter         *EgressFilter         `json:"egressFilter,omitempty"`
	MeshOwner            string                `json:"meshOwner,omitempty"`
	MeshServiceDiscovery *MeshServiceDiscovery `json:"meshServiceDiscovery,omitempty"`
}

// EgressFilter says what becomes of traffic to what is no backend.
type EgressFilter struct {
	Type string `json:"type"` // ALLOW_ALL or DROP_ALL (the default)
}

// MeshServiceDiscovery is the mesh's preference of address family.
type MeshServiceDiscovery struct {
	IPPreference string `json:"ipPreference,omitempty"`
}

// AllowAll reports whether proxies let traffic to unknown destinations pass.
func (m *Mesh) AllowAll() bool {
	return m.Spec.EgressFilter != nil && m.Spec.EgressFilter.Type == "ALLOW_ALL"
}
