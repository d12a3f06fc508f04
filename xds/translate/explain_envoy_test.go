package translate_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestExplainAgreesWithEnvoy: of random routers and requests, a real Envoy
// with the routes that a proxy is served sends each request by the route, and
// to one of the nodes, that Explain names.
func TestExplainAgreesWithEnvoy(t *testing.T) {
	r := dice{rand.New(rand.NewPCG(3, 4))}
	const services = 20
	state := translate.New(translate.Inputs{Spec: load(t, r.mesh(services))}, nil)
	client := xds.Identity{Mesh: "m", Kind: schema.KindVirtualNode, Name: "client_ns"}
	ports := serveProxy(t, state, client, "rds_egress_http_80", "rds_egress_http_81", "rds_egress_http_82")
	routed := 0
	for range 2000 {
		q, i := r.request(), r.IntN(len(meshPorts))
		q.host = fmt.Sprintf("svc-%d", r.IntN(services+1))
		e := explain(t, state, client, meshPorts[i], q)
		agree(t, q, ask(t, ports[i], q), e, e.Route)
		if e.Outcome == translate.Routed {
			routed++
		}
	}
	if routed < 300 || routed > 1700 {
		t.Errorf("%d of 2000 requests were routed: the mesh is no test", routed)
	}
}

// TestExplainGatewayAgreesWithEnvoy: so do requests that come to a gateway,
// which are rewritten as Explain says; and the routes behind the gateway route
// are those that the rewritten request takes inside the mesh.
func TestExplainGatewayAgreesWithEnvoy(t *testing.T) {
	t.Parallel()
	r := dice{rand.New(rand.NewPCG(5, 6))}
	state := translate.New(translate.Inputs{Spec: load(t, r.mesh(20))}, nil)
	client := xds.Identity{Mesh: "m", Kind: schema.KindVirtualNode, Name: "client_ns"}
	edge := xds.Identity{Mesh: "m", Kind: schema.KindVirtualGateway, Name: "edge_ns"}
	ports := serveProxy(t, state, edge, "rds_ingress_http_80", "rds_ingress_http_81", "rds_ingress_http_82")
	routed, rewritten := 0, 0
	for range 2000 {
		q, i := r.request(), r.IntN(len(meshPorts))
		if q.method = http.MethodGet; r.IntN(3) == 0 {
			q.host = of(r, "a.example", "b.example", "x.b.example")
		}
		e := explain(t, state, edge, meshPorts[i], q)
		got := ask(t, ports[i], q)
		name := strings.TrimPrefix(e.GatewayRoute, "GatewayRoute/ns/")
		if name != "" {
			name += "_ns"
		}
		if e.Route != "" {
			name += "/" + e.Route
		}
		agree(t, q, got, e, name)
		if e.Outcome != translate.Routed {
			continue
		}
		routed++
		path := q.target()
		if e.Rewritten != "" {
			rewritten++
			if got.target != e.Rewritten {
				t.Fatalf("%s: Envoy asks for %s; we say\n%s", q, got.target, e)
			}
			path = e.Rewritten[strings.IndexByte(e.Rewritten, '/'):]
		}
		inside := q
		inside.host = strings.TrimPrefix(e.Service, "VirtualService/ns/")
		inside.path, inside.query, _ = strings.Cut(path, "?")
		if in := explain(t, state, client, meshPorts[i], inside); in.Route != e.Route || !cmp.Equal(in.Targets, e.Targets) {
			t.Fatalf("%s: inside the mesh\n%s\nbut through the gateway\n%s", q, in, e)
		}
	}
	if routed < 200 || routed > 1700 || rewritten < 100 {
		t.Errorf("%d of 2000 requests were routed, %d rewritten: the mesh is no test", routed, rewritten)
	}
}

func explain(t *testing.T, state *translate.Snapshot, from xds.Identity, port uint32, q request) *translate.Explanation {
	t.Helper()
	header := q.header.Clone()
	header.Set("Host", q.host)
	e, err := state.Explain(from, translate.Request{Host: fmt.Sprintf("dialled:%d", port), Method: q.method, Path: q.target(), Header: header})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func agree(t *testing.T, q request, got reply, e *translate.Explanation, route string) {
	t.Helper()
	reached := slices.ContainsFunc(e.Targets, func(t translate.Target) bool { return t.Weight > 0 && t.Cluster == got.node })
	if got.route != route || reached != (got.node != "") || (e.Outcome == translate.Routed) != reached {
		t.Fatalf("%s: Envoy takes route %q to %q; we say\n%s", q, got.route, got.node, e)
	}
}

// serveProxy runs a real Envoy with the named route configurations of a proxy,
// each on the port that it returns, and an answering server for each cluster.
func serveProxy(t *testing.T, state *translate.Snapshot, id xds.Identity, names ...string) []uint32 {
	t.Helper()
	fixtures.Envoy(t)
	res, err := state.Resources(xds.Profile{Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	var clusters []string
	for _, c := range res[xds.Cluster] {
		clusters = append(clusters, c.Name)
	}
	tables := make([]*routev3.RouteConfiguration, len(names))
	for i, name := range names {
		tables[i] = &routev3.RouteConfiguration{}
		if err := res.Get(xds.Route, name).Body.UnmarshalTo(tables[i]); err != nil {
			t.Fatal(err)
		}
		for _, vh := range tables[i].VirtualHosts {
			for _, route := range vh.Routes {
				route.ResponseHeadersToAdd = showing(route.Name)
			}
		}
	}
	return serveTables(t, clusters, tables...)
}

// meshPorts are those of the services of [dice.mesh]: HTTP, HTTP/2, gRPC.
var meshPorts = []uint32{80, 81, 82}

// mesh is a repository with a client and services with random routers.
func (r dice) mesh(services int) fstest.MapFS {
	var docs strings.Builder
	write := func(kind schema.Kind, name string, spec any) {
		b, err := json.Marshal(map[string]any{
			"apiVersion": "appmesh.k8s.aws/v1beta2", "kind": kind, "metadata": map[string]string{"name": name, "namespace": "ns"}, "spec": spec,
		})
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&docs, "---\n%s\n", b)
	}
	docs.WriteString("{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: m}, spec: {namespaceSelector: {}}}\n")
	node := func(name string) *schema.VirtualNodeSpec {
		n := &schema.VirtualNodeSpec{ServiceDiscovery: &schema.ServiceDiscovery{DNS: &schema.DNSDiscovery{Hostname: name}}}
		for i, p := range []schema.Protocol{schema.ProtocolHTTP, schema.ProtocolHTTP2, schema.ProtocolGRPC} {
			n.Listeners = append(n.Listeners, schema.NodeListener{PortMapping: schema.PortMapping{Port: meshPorts[i], Protocol: p}})
		}
		return n
	}
	for i := range 3 {
		write(schema.KindVirtualNode, fmt.Sprintf("node-%d", i), node("localhost"))
	}
	client := node("localhost")
	for i := range services {
		name := fmt.Sprintf("svc-%d", i)
		router := &schema.VirtualRouterSpec{}
		for _, l := range client.Listeners {
			router.Listeners = append(router.Listeners, schema.RouterListener{PortMapping: l.PortMapping})
		}
		for j := range 5 + r.IntN(20) {
			router.Routes = append(router.Routes, r.route(fmt.Sprintf("route-%d", j)))
		}
		ref := &schema.Reference{Name: name}
		write(schema.KindVirtualRouter, name, router)
		write(schema.KindVirtualService, name, &schema.VirtualServiceSpec{
			AWSName: name, Provider: &schema.Provider{VirtualRouter: &schema.RouterProvider{VirtualRouterRef: ref}},
		})
		client.Backends = append(client.Backends, schema.Backend{VirtualService: schema.BackendService{VirtualServiceRef: ref}})
	}
	write(schema.KindVirtualNode, "client", client)
	gateway := &schema.VirtualGatewaySpec{NamespaceSelector: &schema.Selector{}}
	for _, l := range client.Listeners {
		gateway.Listeners = append(gateway.Listeners, schema.GatewayListener{PortMapping: l.PortMapping})
	}
	write(schema.KindVirtualGateway, "edge", gateway)
	for i := range 3 * services {
		write(schema.KindGatewayRoute, fmt.Sprintf("gr-%d", i), r.gatewayRoute(fmt.Sprintf("svc-%d", r.IntN(services))))
	}
	return files("mesh.yaml", docs.String())
}

// gatewayRoute leads to a service, by HTTP/1, HTTP/2 or gRPC, rewritten in any
// way.
func (r dice) gatewayRoute(service string) *schema.GatewayRouteSpec {
	g := &schema.GatewayRouteSpec{}
	if r.IntN(2) == 0 {
		p := uint32(r.IntN(3))
		g.Priority = &p
	}
	inner := r.route("")
	action := schema.GatewayAction{Target: schema.GatewayTarget{VirtualService: schema.GatewayTargetService{VirtualServiceRef: &schema.Reference{Name: service}}}}
	rewrite := &schema.GatewayRewrite{}
	if r.IntN(4) == 0 {
		rewrite.Hostname = &schema.HostnameRewrite{DefaultTargetHostname: "DISABLED"}
	}
	host := of(r, nil, nil, &schema.HostnameMatch{Exact: "a.example"}, &schema.HostnameMatch{Suffix: ".example"}, &schema.HostnameMatch{Suffix: ".b.example"})
	if inner.GRPCRoute != nil {
		inner.GRPCRoute.Match.Hostname, inner.GRPCRoute.Match.MethodName = host, ""
		if host == nil {
			inner.GRPCRoute.Match.ServiceName = "a" // App Mesh wants one of the two
		}
		action.Target.Port = meshPorts[2]
		if rewrite.Hostname != nil {
			action.Rewrite = rewrite
		}
		g.GRPCRoute = &schema.GatewayGRPCRoute{Match: inner.GRPCRoute.Match, Action: action}
		return g
	}
	http := &schema.GatewayHTTPRoute{Match: httpOf(inner).Match}
	action.Target.Port = http.Match.Port
	http.Match.Hostname, http.Match.Scheme = host, ""
	switch {
	case http.Match.Path != nil && r.IntN(3) == 0:
		rewrite.Path = &schema.PathRewrite{Exact: of(r, "/a", "/b", "/a/b")}
	case http.Match.Path == nil:
		http.Match.Prefix = of(r, "/", "/", "/a/", "/a/b/", "/b/")
		rewrite.Prefix = of(r, nil, &schema.PrefixRewrite{DefaultPrefix: "DISABLED"}, &schema.PrefixRewrite{Value: "/b/"}, &schema.PrefixRewrite{Value: "/a/"})
	}
	if *rewrite != (schema.GatewayRewrite{}) {
		action.Rewrite = rewrite
	}
	http.Action = action
	if g.HTTPRoute = http; inner.HTTP2Route != nil {
		g.HTTPRoute, g.HTTP2Route = nil, http
	}
	return g
}

func (r dice) route(name string) schema.Route {
	route := schema.Route{Name: name}
	if r.IntN(2) == 0 {
		p := uint32(r.IntN(4))
		route.Priority = &p
	}
	kind := r.IntN(3)
	action := schema.RouteAction{}
	for i := range 1 + r.IntN(2) {
		action.WeightedTargets = append(action.WeightedTargets, schema.WeightedTarget{
			VirtualNodeRef: &schema.Reference{Name: fmt.Sprintf("node-%d", (r.IntN(3)+i)%3)}, Weight: uint32(1-i) + uint32(r.IntN(3)), Port: meshPorts[kind],
		})
	}
	if kind == 2 {
		m := schema.GRPCMatch{ServiceName: of(r, "", "a", "b"), Metadata: r.headerMatches(), Port: meshPorts[kind]}
		if m.ServiceName != "" && r.IntN(2) == 0 {
			m.MethodName = of(r, "b", "c")
		}
		route.GRPCRoute = &schema.GRPCRoute{Match: m, Action: action}
		return route
	}
	m := schema.HTTPMatch{Headers: r.headerMatches(), Port: meshPorts[kind]}
	switch r.IntN(3) {
	case 0:
		m.Path = &schema.PathMatch{Exact: of(r, paths...)}
	case 1:
		m.Path = &schema.PathMatch{Regex: of(r, patterns[:7]...)}
	default:
		m.Prefix = of(r, paths...)
	}
	if r.IntN(3) == 0 {
		m.Method = of(r, http.MethodGet, http.MethodPost)
	}
	if r.IntN(6) == 0 {
		m.Scheme = of(r, "http", "https")
	}
	if r.IntN(3) == 0 {
		q := schema.QueryParameter{Name: of(r, "q", "r")}
		if r.IntN(2) == 0 {
			q.Match = &schema.QueryMatch{Exact: of(r, "1", "a", "10")}
		}
		m.QueryParameters = []schema.QueryParameter{q}
	}
	route.HTTPRoute = &schema.HTTPRoute{Match: m, Action: action}
	if kind == 1 {
		route.HTTPRoute, route.HTTP2Route = nil, route.HTTPRoute
	}
	return route
}

func (r dice) headerMatches() []schema.HeaderMatch {
	var all []schema.HeaderMatch
	for range r.IntN(2) {
		h := schema.HeaderMatch{Name: of(r, "x-a", "x-b"), Invert: r.IntN(3) == 0}
		v := of(r, values[1:]...)
		h.Match = of(r, nil, &schema.HeaderValue{Exact: v}, &schema.HeaderValue{Prefix: v}, &schema.HeaderValue{Suffix: v},
			&schema.HeaderValue{Regex: of(r, patterns...)}, &schema.HeaderValue{Range: &schema.MatchRange{Start: int64(r.IntN(9) - 5), End: int64(r.IntN(9) + 4)}})
		all = append(all, h)
	}
	return all
}

func httpOf(r schema.Route) *schema.HTTPRoute {
	if r.HTTPRoute != nil {
		return r.HTTPRoute
	}
	return r.HTTP2Route
}
