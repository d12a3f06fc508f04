package schema

// Endpoints is the Endpoints kind, one of ours: the instances of a virtual
// node, written in git. They take the place of what its serviceDiscovery would
// find; its DNS name stays the name that certificates and health checks are for.
type Endpoints struct {
	Meta
	Spec EndpointsSpec
}

// EndpointsSpec is spec of Endpoints.
type EndpointsSpec struct {
	VirtualNodeRef Reference      `json:"virtualNodeRef"`
	Endpoints      []Endpoint     `json:"endpoints"`
	MeshRef        *MeshReference `json:"meshRef,omitempty"`
}

// Endpoint is one instance of a virtual node.
type Endpoint struct {
	Address string         `json:"address"` // IPv4 or IPv6
	Ports   []EndpointPort `json:"ports,omitempty"`
	Zone    string         `json:"zone,omitempty"`
	Weight  uint32         `json:"weight,omitempty"` // 0: 1
	Health  Health         `json:"health,omitempty"` // empty: HEALTHY
}

// EndpointPort is where an instance answers for one of its node's listeners.
type EndpointPort struct {
	Listener uint32 `json:"listener"`
	Port     uint32 `json:"port"`
}

// Health is what is known of an instance.
type Health string

// The healths of an [Endpoint].
const (
	Healthy   Health = "HEALTHY"
	Unhealthy Health = "UNHEALTHY" // gets nothing
	Draining  Health = "DRAINING"  // gets nothing new while another is healthy
)

// Port returns where the instance answers for a listener of its node: on the
// listener's own port, unless another is written.
func (e *Endpoint) Port(listener uint32) uint32 {
	for _, p := range e.Ports {
		if p.Listener == listener {
			return p.Port
		}
	}
	return listener
}
