package translate

import (
	"math"
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// egressCluster is a node's listener as its clients see it.
func egressCluster(name string, u upstream, mesh *schema.Mesh) *clusterv3.Cluster {
	l := u.listener
	c := &clusterv3.Cluster{
		Name:             name,
		ConnectTimeout:   connectTimeout(),
		CircuitBreakers:  circuitBreakers(u.limits),
		HealthChecks:     healthChecks(u.node, l),
		OutlierDetection: outlierDetection(l.OutlierDetection),
	}
	nameStats(c)
	discover(c, u, mesh)
	balance(c, u.lb)
	speak(c, l.PortMapping.Protocol)
	c.TransportSocket = clientTLS(u)
	return c
}

// discover says where the endpoints come from: from this control plane, or
// from DNS, which the proxy itself asks every five seconds. Without a source
// there are no endpoints, and requests get a 503.
func discover(c *clusterv3.Cluster, u upstream, mesh *schema.Mesh) {
	dns := dnsOf(u.node)
	if u.eds && !u.barred {
		setEDS(c, u)
		return
	}
	if dns == nil || u.barred {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		c.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: c.Name}
		return
	}
	kind := clusterv3.Cluster_LOGICAL_DNS
	if dns.ResponseType == "ENDPOINTS" {
		kind = clusterv3.Cluster_STRICT_DNS
	}
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: kind}
	c.DnsLookupFamily = lookupFamily(mesh)
	c.LoadAssignment = loadAssignment(c.Name, address(dns.Hostname, u.listener.PortMapping.Port), checkedAt(u.listener, schema.Endpoint{}))
	// An address is a hostname too, of one endpoint that needs no DNS.
	if ip, err := netip.ParseAddr(dns.Hostname); err == nil && ip.Is6() {
		c.DnsLookupFamily = clusterv3.Cluster_AUTO
	}
}

func dnsOf(n *schema.VirtualNode) *schema.DNSDiscovery {
	if n.Spec.ServiceDiscovery == nil {
		return nil
	}
	return n.Spec.ServiceDiscovery.DNS
}

func cloudMapOf(n *schema.VirtualNode) *schema.CloudMapDiscovery {
	if n.Spec.ServiceDiscovery == nil {
		return nil
	}
	return n.Spec.ServiceDiscovery.AWSCloudMap
}

// ipPreference is the mesh's; empty where none is written.
func ipPreference(m *schema.Mesh) string {
	if d := m.Spec.MeshServiceDiscovery; d != nil {
		return d.IPPreference
	}
	return ""
}

// lookupFamily follows the mesh's ipPreference. App Mesh's default is not
// documented; IPv4 first is what most networks want.
func lookupFamily(m *schema.Mesh) clusterv3.Cluster_DnsLookupFamily {
	switch ipPreference(m) {
	case "IPv4_ONLY":
		return clusterv3.Cluster_V4_ONLY
	case "IPv6_ONLY":
		return clusterv3.Cluster_V6_ONLY
	case "IPv6_PREFERRED":
		return clusterv3.Cluster_AUTO
	default:
		return clusterv3.Cluster_V4_PREFERRED
	}
}

// addPassthrough adds the cluster of whatever address the application dialled.
// Its requests keep their version of HTTP.
func (b *builder) addPassthrough() {
	name := passthroughName(b.mesh.AWSName)
	b.addDerived(xds.Cluster, name, "", func() proto.Message {
		return &clusterv3.Cluster{
			Name:                 name,
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST},
			LbPolicy:             clusterv3.Cluster_CLUSTER_PROVIDED,
			ConnectTimeout:       durationpb.New(5 * time.Second), // Envoy's default: it may be far
			CircuitBreakers:      circuitBreakers(limits{}),
			TypedExtensionProtocolOptions: httpOptions(&upstreamhttpv3.HttpProtocolOptions{
				UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
					UseDownstreamProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_UseDownstreamHttpConfig{
						HttpProtocolOptions:  &corev3.Http1ProtocolOptions{},
						Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
					},
				},
			}),
		}
	})
}

// connectTimeout bounds the TCP handshake. To nodes it is App Mesh's, as dumps
// of its Envoys show it: short, since the default retry policy tries another
// endpoint next.
func connectTimeout() *durationpb.Duration { return durationpb.New(time.Second) }

func loadAssignment(cluster string, addr *corev3.Address, check *endpointv3.Endpoint_HealthCheckConfig) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: cluster,
		Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: addr, HealthCheckConfig: check}},
			}},
		}},
	}
}

// speak makes a cluster speak the listener's protocol: HTTP/2 needs to be
// said. Requests of a listener on http are HTTP/1.1 to it.
func speak(c *clusterv3.Cluster, p schema.Protocol) {
	if p != schema.ProtocolHTTP2 && p != schema.ProtocolGRPC {
		return
	}
	c.TypedExtensionProtocolOptions = httpOptions(&upstreamhttpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
				},
			},
		},
	})
}

func httpOptions(o *upstreamhttpv3.HttpProtocolOptions) map[string]*anypb.Any {
	return map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(o)}
}

// limits of a cluster; zero means none.
type limits struct{ connections, pending, requests uint32 }

// poolLimits reads the limits of the listener's own protocol.
func poolLimits(p *schema.ConnectionPool, protocol schema.Protocol) (l limits) {
	if p == nil {
		return l
	}
	switch {
	case protocol == schema.ProtocolHTTP && p.HTTP != nil:
		l.connections = p.HTTP.MaxConnections
		if p.HTTP.MaxPendingRequests != nil {
			l.pending = *p.HTTP.MaxPendingRequests
		}
	case protocol == schema.ProtocolHTTP2 && p.HTTP2 != nil:
		l.requests = p.HTTP2.MaxRequests
	case protocol == schema.ProtocolGRPC && p.GRPC != nil:
		l.requests = p.GRPC.MaxRequests
	case protocol == schema.ProtocolTCP && p.TCP != nil:
		l.connections = p.TCP.MaxConnections
	}
	return l
}

// circuitBreakers are as wide open as App Mesh's where no limit is written
// (Envoy's own defaults of 1024 would be limits).
func circuitBreakers(l limits) *clusterv3.CircuitBreakers {
	or := func(v uint32) *wrapperspb.UInt32Value {
		if v == 0 {
			v = math.MaxInt32
		}
		return u32(v)
	}
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections:     or(l.connections),
		MaxPendingRequests: or(l.pending),
		MaxRequests:        or(l.requests),
		MaxRetries:         or(0),
	}}}
}
