package translate

import (
	"cmp"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	healthcheckv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
)

// httpListener is what differs between HTTP connection managers.
type httpListener struct {
	stats   string
	routes  string // name of the RouteConfiguration, which comes by RDS
	codec   hcmv3.HttpConnectionManager_CodecType
	edge    bool                // requests come from outside of the mesh
	health  *schema.HealthCheck // of the proxy itself, which answers it
	logging *schema.Logging
}

// httpFilters end HTTP. Routes come by RDS, so that a change of a route is a
// change of one RouteConfiguration and drains no listener.
//
// HTTP/1.0 is accepted, for nginx proxies with it by default. Inside the mesh
// x-forwarded-for and x-envoy-* headers are kept as they come; at its edge
// they are not trusted.
func httpFilters(l httpListener) []*listenerv3.Filter {
	m := &hcmv3.HttpConnectionManager{
		CodecType:  l.codec,
		StatPrefix: l.stats,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource:    fromADS(),
			RouteConfigName: l.routes,
		}},
		HttpFilters:       []*hcmv3.HttpFilter{routerFilter()},
		GenerateRequestId: wrapperspb.Bool(true),
		AccessLog:         accessLog(l.logging),
	}
	if l.codec != hcmv3.HttpConnectionManager_HTTP2 {
		m.HttpProtocolOptions = &corev3.Http1ProtocolOptions{AcceptHttp_10: true}
	}
	if h := l.health; h != nil && (h.Protocol == schema.ProtocolHTTP || h.Protocol == schema.ProtocolHTTP2) {
		m.HttpFilters = append([]*hcmv3.HttpFilter{healthFilter(cmp.Or(h.Path, "/"))}, m.HttpFilters...)
	}
	if l.edge {
		m.UseRemoteAddress = wrapperspb.Bool(true)
	}
	return []*listenerv3.Filter{filter("envoy.filters.network.http_connection_manager", m)}
}

// routerFilter is the last of all HTTP filters.
func routerFilter() *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{
		Name:       "envoy.filters.http.router",
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&routerv3.Router{})},
	}
}

// healthFilter answers health checks of the proxy itself on a path: 200 while
// it takes traffic, 503 while it drains.
func healthFilter(path string) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{
		Name: "envoy.filters.http.health_check",
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&healthcheckv3.HealthCheck{
			PassThroughMode: wrapperspb.Bool(false),
			Headers:         []*routev3.HeaderMatcher{exactHeader(":path", path)},
		})},
	}
}

// codecOf is what a listener of a protocol speaks.
func codecOf(p schema.Protocol) hcmv3.HttpConnectionManager_CodecType {
	if p == schema.ProtocolHTTP {
		return hcmv3.HttpConnectionManager_HTTP1
	}
	return hcmv3.HttpConnectionManager_HTTP2
}

// weighted is a cluster and its share.
type weighted struct {
	cluster string
	weight  uint32
}

// tcpProxy forwards connections to clusters by weight; without any weight they
// are closed. The weights are part of the listener: Envoy drains the filter
// chains that a new weight replaces, so connections live on for its drain time
// and no longer.
func tcpProxy(stats string, logging *schema.Logging, limits *schema.Timeout, to []weighted) []*listenerv3.Filter {
	p := &tcpproxyv3.TcpProxy{
		StatPrefix:  stats,
		IdleTimeout: durationpb.New(idleTimeout(limits)),
		AccessLog:   accessLog(logging),
	}
	split := &tcpproxyv3.TcpProxy_WeightedCluster{}
	for _, w := range to {
		if w.weight > 0 { // Envoy takes no 0 here
			split.Clusters = append(split.Clusters, &tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight{Name: w.cluster, Weight: w.weight})
		}
	}
	switch len(split.Clusters) {
	case 0:
		return nil
	case 1:
		p.ClusterSpecifier = &tcpproxyv3.TcpProxy_Cluster{Cluster: split.Clusters[0].Name}
	default:
		p.ClusterSpecifier = &tcpproxyv3.TcpProxy_WeightedClusters{WeightedClusters: split}
	}
	return []*listenerv3.Filter{filter("envoy.filters.network.tcp_proxy", p)}
}

func filter(name string, m proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(m)}}
}

func listenerFilter(name string, m proto.Message) *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{Name: name, ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed(m)}}
}

// fromADS says that a resource comes over the stream that brought this one.
func fromADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// App Mesh's timeouts where none is written ("Listeners" and "Routes" in its
// user guide). A written 0 turns the limit off.
const (
	defaultRequestTimeout = 15 * time.Second
	defaultIdleTimeout    = 300 * time.Second
)

func requestTimeout(t *schema.Timeout) time.Duration {
	if t == nil || t.PerRequest == nil {
		return defaultRequestTimeout
	}
	return t.PerRequest.Duration()
}

func idleTimeout(t *schema.Timeout) time.Duration {
	if t == nil || t.Idle == nil {
		return defaultIdleTimeout
	}
	return t.Idle.Duration()
}
