package schema

// VirtualNode is the VirtualNode kind.
type VirtualNode struct {
	Meta
	Spec VirtualNodeSpec
}

// VirtualNodeSpec is spec of a VirtualNode.
type VirtualNodeSpec struct {
	AWSName          string            `json:"awsName,omitempty"`
	PodSelector      *Selector         `json:"podSelector,omitempty"`
	Listeners        []NodeListener    `json:"listeners,omitempty"`
	ServiceDiscovery *ServiceDiscovery `json:"serviceDiscovery,omitempty"`
	Backends         []Backend         `json:"backends,omitempty"`
	BackendGroups    []Reference       `json:"backendGroups,omitempty"`
	BackendDefaults  *BackendDefaults  `json:"backendDefaults,omitempty"`
	Logging          *Logging          `json:"logging,omitempty"`
	MeshRef          *MeshReference    `json:"meshRef,omitempty"`
}

// NodeListener is a port on which a virtual node's application is reached.
type NodeListener struct {
	PortMapping      PortMapping       `json:"portMapping"`
	TLS              *ListenerTLS      `json:"tls,omitempty"`
	HealthCheck      *HealthCheck      `json:"healthCheck,omitempty"`
	Timeout          *ListenerTimeout  `json:"timeout,omitempty"`
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"`
	ConnectionPool   *ConnectionPool   `json:"connectionPool,omitempty"`
}

// ListenerAt returns the listener of a port or, for port 0, the only one; nil
// if there is none.
func (n *VirtualNode) ListenerAt(port uint32) *NodeListener {
	for i := range n.Spec.Listeners {
		l := &n.Spec.Listeners[i]
		if l.PortMapping.Port == port || port == 0 && len(n.Spec.Listeners) == 1 {
			return l
		}
	}
	return nil
}

// HealthCheck is what clients do towards the node.
type HealthCheck struct {
	HealthyThreshold   uint32   `json:"healthyThreshold"`
	UnhealthyThreshold uint32   `json:"unhealthyThreshold"`
	IntervalMillis     int64    `json:"intervalMillis"`
	TimeoutMillis      int64    `json:"timeoutMillis"`
	Path               string   `json:"path,omitempty"`
	Port               uint32   `json:"port,omitempty"`
	Protocol           Protocol `json:"protocol"`
}

// ListenerTimeout holds the timeouts of the listener's own protocol.
type ListenerTimeout struct {
	HTTP  *Timeout `json:"http,omitempty"`
	HTTP2 *Timeout `json:"http2,omitempty"`
	GRPC  *Timeout `json:"grpc,omitempty"`
	TCP   *Timeout `json:"tcp,omitempty"`
}

// For returns the timeout of a protocol, nil where none is written.
func (t *ListenerTimeout) For(p Protocol) *Timeout {
	if t == nil {
		return nil
	}
	switch p {
	case ProtocolHTTP:
		return t.HTTP
	case ProtocolHTTP2:
		return t.HTTP2
	case ProtocolGRPC:
		return t.GRPC
	default:
		return t.TCP
	}
}

// Timeout of a listener or route. Absent: App Mesh's defaults (15 s a request,
// 300 s idle); a value of 0 turns the limit off. TCP has Idle only.
type Timeout struct {
	Idle       *Duration `json:"idle,omitempty"`
	PerRequest *Duration `json:"perRequest,omitempty"`
}

// OutlierDetection takes failing endpoints out of the rotation.
type OutlierDetection struct {
	MaxServerErrors      int64    `json:"maxServerErrors"`
	Interval             Duration `json:"interval"`
	BaseEjectionDuration Duration `json:"baseEjectionDuration"`
	MaxEjectionPercent   uint32   `json:"maxEjectionPercent"`
}

// ConnectionPool holds the limits of the listener's own protocol.
type ConnectionPool struct {
	HTTP  *HTTPPool    `json:"http,omitempty"`
	HTTP2 *RequestPool `json:"http2,omitempty"`
	GRPC  *RequestPool `json:"grpc,omitempty"`
	TCP   *TCPPool     `json:"tcp,omitempty"`
}

// HTTPPool limits an HTTP/1 listener.
type HTTPPool struct {
	MaxConnections     uint32  `json:"maxConnections"`
	MaxPendingRequests *uint32 `json:"maxPendingRequests,omitempty"`
}

// RequestPool limits an HTTP/2 or gRPC listener.
type RequestPool struct {
	MaxRequests uint32 `json:"maxRequests"`
}

// TCPPool limits a TCP listener.
type TCPPool struct {
	MaxConnections uint32 `json:"maxConnections"`
}

// ServiceDiscovery says where a node's endpoints come from.
type ServiceDiscovery struct {
	DNS         *DNSDiscovery      `json:"dns,omitempty"`
	AWSCloudMap *CloudMapDiscovery `json:"awsCloudMap,omitempty"`
}

// DNSDiscovery resolves a hostname.
type DNSDiscovery struct {
	Hostname     string `json:"hostname"`
	ResponseType string `json:"responseType,omitempty"` // LOADBALANCER (the default) or ENDPOINTS
}

// CloudMapDiscovery asks AWS Cloud Map.
type CloudMapDiscovery struct {
	NamespaceName string              `json:"namespaceName"`
	ServiceName   string              `json:"serviceName"`
	Attributes    []CloudMapAttribute `json:"attributes,omitempty"`
}

// CloudMapAttribute is one condition on an instance.
type CloudMapAttribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Backend is a virtual service that a node may call.
type Backend struct {
	VirtualService BackendService `json:"virtualService"`
}

// BackendService names the virtual service by reference or ARN.
type BackendService struct {
	VirtualServiceRef *Reference    `json:"virtualServiceRef,omitempty"`
	VirtualServiceARN string        `json:"virtualServiceARN,omitempty"`
	ClientPolicy      *ClientPolicy `json:"clientPolicy,omitempty"`
}

// BackendDefaults apply to every backend that has no policy of its own.
type BackendDefaults struct {
	ClientPolicy *ClientPolicy `json:"clientPolicy,omitempty"`
}

// Logging is where a proxy writes its access log.
type Logging struct {
	AccessLog *AccessLog `json:"accessLog,omitempty"`
}

// AccessLog goes to a file.
type AccessLog struct {
	File *AccessLogFile `json:"file,omitempty"`
}

// AccessLogFile is a path on the proxy's disk and a format.
type AccessLogFile struct {
	Path   string           `json:"path"`
	Format *AccessLogFormat `json:"format,omitempty"`
}

// AccessLogFormat is text or JSON, of Envoy's command operators.
type AccessLogFormat struct {
	Text string          `json:"text,omitempty"`
	JSON []JSONFormatRef `json:"json,omitempty"`
}

// JSONFormatRef is one key of a JSON access log.
type JSONFormatRef struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}
