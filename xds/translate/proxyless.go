package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// proxyless builds what a gRPC client without a proxy has: its node's backends,
// each as a listener by the name that an application dials, xds:///NAME[:PORT].
//
// gRPC's libraries take a part of xDS only (gRFC A27 and those after it) and
// refuse a whole resource for what they do not know, so that everything here is
// made of what they do.
func (b *builder) proxyless(n *schema.VirtualNode, called []*callee) {
	names := hostnames(called, n.Ref.Namespace)
	for _, c := range called {
		dialled := names[c.Service]
		if exact := c.Service.AWSName; len(dialled) > 0 && !slices.Contains(dialled, exact) {
			dialled = append(dialled, exact) // gRPC compares as it is written
		}
		portless := false
		for _, a := range c.answers {
			if a.protocol != schema.ProtocolGRPC && a.protocol != schema.ProtocolHTTP2 {
				b.notice("Virtual service %s, port %d: gRPC clients do not speak %s; it is not offered to them.", c.Service.AWSName, a.port, a.protocol)
				continue
			}
			routes := b.grpcRoutes(a)
			for _, name := range dialled {
				b.apiListener(fmt.Sprintf("%s:%d", name, a.port), routes)
				if !portless {
					b.apiListener(name, routes) // the first port
				}
			}
			portless = true
		}
	}
}

// apiListener adds a listener that no socket belongs to.
func (b *builder) apiListener(name, routes string) {
	b.addDerived(xds.Listener, name, "grpc "+routes, func() proto.Message {
		return &listenerv3.Listener{Name: name, ApiListener: &listenerv3.ApiListener{ApiListener: packed(&hcmv3.HttpConnectionManager{
			StatPrefix:     egressStats,
			RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: fromADS(), RouteConfigName: routes}},
			HttpFilters:    filtersOf(&httpListener{}),
		})}}
	})
}

// grpcRoutes adds the routes of a backend on a port and returns their name.
func (b *builder) grpcRoutes(a answer) string {
	name := grpcRouteName(a.link.Service, a.port)
	clusters := make([][]weighted, len(a.routes))
	for i, r := range a.routes {
		clusters[i] = weigh(r.targets, func(t target) string { return b.grpcCluster(a.link, t) })
		b.grpcLosses(a, r)
	}
	inputs := sha256.Sum256(fmt.Appendln(nil, a.digest, a.protocol, a.port, clusters))
	b.addDerived(xds.Route, name, "grpc "+hex.EncodeToString(inputs[:]), func() proto.Message {
		host := &routev3.VirtualHost{Name: virtualHostName(a.link.Service), Domains: []string{"*"}} // the listener's name said which
		for i, r := range a.routes {
			if made := grpcRoute(r, clusters[i]); made != nil {
				host.Routes = append(host.Routes, made)
			}
		}
		if warm := warmRoute(clusters); warm != nil {
			host.Routes = append(host.Routes, warm)
		}
		return routeConfiguration(name, host)
	})
	return name
}

// grpcRoute makes the route of a gRPC client; nil if none of its calls can
// match.
func grpcRoute(r route, to []weighted) *routev3.Route {
	match := matchOf(r.Route)
	if !callsMatch(match) {
		return nil
	}
	action := &routev3.RouteAction{RetryPolicy: grpcRetries(r.rules.RetryPolicy)}
	if d := requestTimeout(r.rules.Timeout); d > 0 {
		action.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{MaxStreamDuration: durationpb.New(d)}
	}
	out := &routev3.Route{Name: r.Name, Match: match, Action: &routev3.Route_Route{Route: action}}
	if !setClusters(action, to) { // clients refuse weights without a sum; this one they fail calls with
		out.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 503}}
	}
	return out
}

// warmRoute leads to the clusters that have no share, by a path that no call
// has; nil without any. Without it clients would let go of them, and grpc-go
// fails the calls of the moment between a new share's arrival and that of its
// cluster.
func warmRoute(clusters [][]weighted) *routev3.Route {
	action := &routev3.RouteAction{}
	var idle []weighted
	for _, w := range slices.Concat(clusters...) {
		if w.weight == 0 && !slices.Contains(idle, weighted{w.cluster, 1}) {
			idle = append(idle, weighted{w.cluster, 1})
		}
	}
	if !setClusters(action, idle) {
		return nil
	}
	return &routev3.Route{
		Name:   "warm",
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: "/"}},
		Action: &routev3.Route_Route{Route: action},
	}
}

// callsMatch takes those conditions out of a match that are the same for all
// calls of gRPC clients, and that they do not evaluate. It reports whether
// calls meet them.
func callsMatch(m *routev3.RouteMatch) bool {
	if len(m.QueryParameters) > 0 {
		return false // all of them ask for something, and a call has no query
	}
	every := newCall("", "POST", "/", map[string][]string{"content-type": {"application/grpc"}})
	met := true
	m.Headers = slices.DeleteFunc(m.Headers, func(h *routev3.HeaderMatcher) bool {
		name := strings.ToLower(h.Name)
		if name != ":method" && name != ":scheme" && name != "content-type" {
			return false
		}
		ok, err := matchesHeader(h, every)
		met = met && ok && err == nil
		return true
	})
	return met
}

// grpcRetries is the part of a retry policy that gRPC clients know: by status.
// What HTTP calls a failed connection or a bad gateway is UNAVAILABLE to them.
func grpcRetries(p *schema.RetryPolicy) *routev3.RetryPolicy {
	out := retryPolicy(p)
	if out == nil {
		return nil
	}
	var on []string
	for event := range strings.SplitSeq(out.RetryOn, ",") {
		switch event {
		case "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable":
			on = append(on, event)
		case "connect-failure":
			on = append(on, "unavailable")
		}
	}
	if slices.Contains(out.RetriableStatusCodes, 503) {
		on = append(on, "unavailable")
	}
	if len(on) == 0 {
		return nil
	}
	slices.Sort(on)
	return &routev3.RetryPolicy{RetryOn: strings.Join(slices.Compact(on), ","), NumRetries: out.NumRetries}
}

// grpcLosses tells what of a route gRPC clients do not do.
func (b *builder) grpcLosses(a answer, r route) {
	limits, retries := r.rules.Timeout, r.rules.RetryPolicy
	what := fmt.Sprintf("Virtual service %s, port %d", a.link.Service.AWSName, a.port)
	if r.Name != "" {
		what = fmt.Sprintf("Route %s of virtual service %s", r.Name, a.link.Service.AWSName)
	}
	if limits != nil && limits.Idle != nil {
		b.notice("%s: gRPC clients have no idle timeout.", what)
	}
	if retries != nil && retries.PerRetryTimeout.Duration() > 0 {
		b.notice("%s: gRPC clients have no timeout for each try; the one of the request holds for all of them.", what)
	}
	if retryPolicy(retries) != nil && grpcRetries(retries) == nil {
		b.notice("%s: gRPC clients know none of its retry events; write grpcRetryEvents.", what)
	}
	if d := r.Derived; d != nil && (len(d.Copies) > 0 || d.Affinity != nil) {
		b.notice("%s: gRPC clients neither copy calls to a canary nor keep to a side of it.", what)
	}
	for _, field := range r.rules.Written() {
		if field != "retryPolicy" && field != "timeout" {
			b.notice("%s: gRPC clients do nothing of a policy's %s; reach it through an Envoy.", what, field)
		}
	}
}

// grpcCluster adds the cluster of a target and returns its name. A server that
// is to be spoken to by TLS gets no calls, for clients take certificates from
// their bootstrap only; plain is no stand-in for it.
func (b *builder) grpcCluster(link schema.BackendLink, t target) string {
	u := upstream{node: t.node, listener: t.listener, tls: policyFor(link.Policy, t.listener.PortMapping.Port), eds: b.byEDS(t.node)}
	name := egressClusterName(t.node, t.listener, "")
	dns := dnsOf(t.node)
	if u.speaksTLS() {
		name, dns, u.eds = egressClusterName(t.node, t.listener, "tls"), nil, false
		b.leadsTo(name, t.node.Ref)
		b.notice("Virtual node %s is not reached: it is to be spoken to by TLS, for which gRPC clients get no certificates from here; reach it through an Envoy.", t.node.AWSName)
	}
	if dns != nil && dns.ResponseType == "ENDPOINTS" && !u.eds {
		b.notice("Virtual node %s: gRPC clients use one address of a DNS name at a time, not all of them (ENDPOINTS).", t.node.AWSName)
	}
	if b.balancing(t) != nil {
		b.notice("Virtual node %s: gRPC clients balance round robin, whatever a policy says.", t.node.AWSName)
	}
	if t.listener.HealthCheck != nil || t.listener.OutlierDetection != nil {
		b.notice("Virtual node %s: gRPC clients neither check its health nor eject endpoints for errors.", t.node.AWSName)
	}
	b.addDerived(xds.Cluster, name, fmt.Sprint("grpc ", t.node.Digest, " ", u.eds), func() proto.Message {
		c := &clusterv3.Cluster{Name: name, CircuitBreakers: circuitBreakers(limits{}), LrsServer: fromSelf()}
		if u.eds || dns == nil {
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
			c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS()}
			return c
		}
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
		c.LoadAssignment = loadAssignment(name, address(dns.Hostname, t.listener.PortMapping.Port), nil)
		return c
	})
	switch {
	case u.eds:
		b.addEndpoints(u)
	case dns == nil:
		b.addDerived(xds.Endpoint, name, "none", func() proto.Message { return &endpointv3.ClusterLoadAssignment{ClusterName: name} })
	}
	return name
}

// fromSelf makes a client report its load to whom it has its configuration from.
func fromSelf() *corev3.ConfigSource {
	return &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Self{Self: &corev3.SelfConfigSource{}}}
}
