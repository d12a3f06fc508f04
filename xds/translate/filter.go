package translate

import (
	"cmp"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	grpcstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	healthcheckv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	localratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
)

// httpListener is what differs between HTTP connection managers.
type httpListener struct {
	stats   string
	routes  string // name of the RouteConfiguration, which comes by RDS
	acting  acting // on those routes
	codec   hcmv3.HttpConnectionManager_CodecType
	edge    bool                // requests come from outside of the mesh
	health  *schema.HealthCheck // of the proxy itself, which answers it
	guards  guards
	logging *schema.Logging
	spans   *hcmv3.HttpConnectionManager_Tracing // nil: no tracing
}

// httpFilter is one of the filters that a request passes.
type httpFilter struct {
	name string
	// of returns the filter as a listener has it; nil: not at all.
	of func(*httpListener) proto.Message
	// on returns what it does on a route; nil: nothing. Where any route has it
	// do something, idle is what it does elsewhere. A change of a route is then
	// no change of the listener, unless it is the first or the last to use it.
	on   func(*schema.RouteRules) proto.Message
	idle proto.Message
	// sees reports that it does something on a route by being there.
	sees func(*schema.Route) bool
}

// filters are all HTTP filters, in the order in which a request passes them:
// browsers ask without credentials, and what is limited or refused is not
// delayed before.
var filters = []httpFilter{
	{name: "envoy.filters.http.health_check", of: healthFilter},
	{name: "envoy.filters.http.cors", on: corsOn, idle: &corsv3.Cors{}},
	{name: "envoy.filters.http.local_ratelimit.listener", of: func(l *httpListener) proto.Message { return l.guards.limit }},
	{name: "envoy.filters.http.jwt_authn", of: func(l *httpListener) proto.Message { return l.guards.jwt }},
	{name: "envoy.filters.http.ext_authz", of: func(l *httpListener) proto.Message { return l.guards.authz }},
	{name: "envoy.filters.http.local_ratelimit", on: rateLimitOn, idle: &localratelimitv3.LocalRateLimit{StatPrefix: rateLimitStats}},
	{name: "envoy.filters.http.fault", on: faultOn, idle: &faultv3.HTTPFault{}},
	{name: "envoy.filters.http.grpc_stats", sees: carriesGRPC, idle: grpcStats},
	{name: "envoy.filters.http.router", of: func(*httpListener) proto.Message { return &routerv3.Router{} }},
}

func carriesGRPC(r *schema.Route) bool { return r.GRPCRoute != nil }

// grpcStats counts calls by their status, which for HTTP are all a 200, in
// metrics of the cluster; not by method, of which there may be many.
var grpcStats = &grpcstatsv3.FilterConfig{PerMethodStatSpecifier: &grpcstatsv3.FilterConfig_IndividualMethodStatsAllowlist{
	IndividualMethodStatsAllowlist: &corev3.GrpcMethodList{},
}}

// acting is a set of filters, by index, that do something on some route.
type acting uint32

// actOn makes the filters do on a route what its rules say.
func actOn(r *routev3.Route, rules *schema.RouteRules) {
	for _, f := range filters {
		if f.on == nil {
			continue
		}
		if m := f.on(rules); m != nil {
			if r.TypedPerFilterConfig == nil {
				r.TypedPerFilterConfig = map[string]*anypb.Any{}
			}
			r.TypedPerFilterConfig[f.name] = packed(m)
		}
	}
}

// actingOn returns which filters do something on a route.
func actingOn(r *route) (set acting) {
	for i, f := range filters {
		if f.on != nil && f.on(&r.rules) != nil || f.sees != nil && f.sees(r.Route) {
			set |= 1 << i
		}
	}
	return set
}

// filtersOf returns the filters of a listener.
func filtersOf(l *httpListener) []*hcmv3.HttpFilter {
	var out []*hcmv3.HttpFilter
	for i, f := range filters {
		var m proto.Message
		if f.of != nil {
			m = f.of(l)
		} else if l.acting&(1<<i) != 0 {
			m = f.idle
		}
		if m != nil {
			out = append(out, &hcmv3.HttpFilter{Name: f.name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(m)}})
		}
	}
	return out
}

// httpFilters end HTTP. Routes come by RDS, so that a change of a route is a
// change of one RouteConfiguration and drains no listener.
//
// HTTP/1.0 is accepted, for nginx proxies with it by default, and so are
// WebSockets, which Envoy refuses if nothing is said. Paths are normalized
// before a route is looked for, as App Mesh had it, so that /public/../admin is
// no way around a route: dots are resolved, slashes merged, escaped slashes
// kept. Inside the mesh
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
		HttpFilters:       filtersOf(&l),
		GenerateRequestId: wrapperspb.Bool(true),
		AccessLog:         accessLog(l.logging),
		Tracing:           l.spans,
		NormalizePath:     wrapperspb.Bool(true),
		MergeSlashes:      true,

		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED,
	}
	if l.codec != hcmv3.HttpConnectionManager_HTTP2 {
		m.HttpProtocolOptions = &corev3.Http1ProtocolOptions{AcceptHttp_10: true}
		m.UpgradeConfigs = []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}}
	}
	if l.guards.exempt { // or /exempt/../other would need no token either
		m.NormalizePath = wrapperspb.Bool(true)
		m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_REJECT_REQUEST
	}
	if l.edge {
		m.UseRemoteAddress = wrapperspb.Bool(true)
	}
	return []*listenerv3.Filter{filter("envoy.filters.network.http_connection_manager", m)}
}

// healthFilter answers health checks of the proxy itself on a path: 200 while
// it takes traffic, 503 while it drains.
func healthFilter(l *httpListener) proto.Message {
	h := l.health
	if h == nil || h.Protocol != schema.ProtocolHTTP && h.Protocol != schema.ProtocolHTTP2 {
		return nil
	}
	return &healthcheckv3.HealthCheck{
		PassThroughMode: wrapperspb.Bool(false),
		Headers:         []*routev3.HeaderMatcher{exactHeader(":path", cmp.Or(h.Path, "/"))},
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
func tcpProxy(stats string, logging *schema.Logging, limits *schema.Timeout, w way) []*listenerv3.Filter {
	p := &tcpproxyv3.TcpProxy{
		StatPrefix:  stats,
		IdleTimeout: durationpb.New(idleTimeout(limits)),
		AccessLog:   accessLog(logging),
		HashPolicy:  connectionHash(w.hash),
	}
	split := &tcpproxyv3.TcpProxy_WeightedCluster{}
	for _, to := range w.to {
		if to.weight > 0 { // Envoy takes no 0 here
			split.Clusters = append(split.Clusters, &tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight{Name: to.cluster, Weight: to.weight})
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
