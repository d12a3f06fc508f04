package translate

import (
	"fmt"
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Tracing is where proxies send the spans of HTTP requests. The zero value is
// no tracing, and nothing of it is in any resource.
type Tracing struct {
	// Endpoint is HOST:PORT of an OpenTelemetry collector (OTLP over gRPC,
	// plain), as the proxies reach it; empty: no tracing.
	Endpoint string
	// Percent of the traces that a proxy begins, 0 to 100. A request that comes
	// with a trace (traceparent) follows what that one's beginning decided.
	Percent float64
}

// Validate says what is wrong with the settings.
func (t Tracing) Validate() error {
	if t.Endpoint == "" {
		return nil
	}
	if _, port, err := splitHostPort(t.Endpoint); err != nil || port == 0 {
		return fmt.Errorf("tracing endpoint %q: write HOST:PORT", t.Endpoint)
	}
	if !(t.Percent >= 0 && t.Percent <= 100) {
		return fmt.Errorf("tracing sampling %v: write a percentage, 0 to 100", t.Percent)
	}
	return nil
}

// spans makes a connection manager trace requests; nil without tracing. Proxies
// are called MESH/NAME, as App Mesh's Envoys were in X-Ray.
func (b *builder) spans(m *schema.Meta) *hcmv3.HttpConnectionManager_Tracing {
	if b.Tracing.Endpoint == "" {
		return nil
	}
	b.addDerived(xds.Cluster, tracingCluster, fmt.Sprint(b.Tracing), func() proto.Message { return b.Tracing.cluster() })
	return &hcmv3.HttpConnectionManager_Tracing{
		RandomSampling: &typev3.Percent{Value: b.Tracing.Percent},
		Provider: &tracev3.Tracing_Http{
			Name: "envoy.tracers.opentelemetry",
			ConfigType: &tracev3.Tracing_Http_TypedConfig{TypedConfig: packed(&tracev3.OpenTelemetryConfig{
				ServiceName: m.Mesh + "/" + m.AWSName,
				GrpcService: &corev3.GrpcService{
					TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: tracingCluster}},
					Timeout:         durationpb.New(time.Second), // a collector that is away holds nothing up
				},
			})},
		},
	}
}

// cluster is the collector's.
func (t Tracing) cluster() *clusterv3.Cluster {
	host, port, _ := splitHostPort(t.Endpoint) // checked by Validate
	c := &clusterv3.Cluster{
		Name:                 tracingCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		DnsLookupFamily:      clusterv3.Cluster_V4_PREFERRED,
		ConnectTimeout:       connectTimeout(),
		LoadAssignment:       loadAssignment(tracingCluster, address(host, port), nil),
	}
	if _, err := netip.ParseAddr(host); err == nil {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		c.DnsLookupFamily = 0
	}
	speak(c, schema.ProtocolGRPC)
	return c
}
