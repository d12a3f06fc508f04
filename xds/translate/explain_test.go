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

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

const shop = `
apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec: {namespaceSelector: {}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web, namespace: shop}
spec:
  listeners: [{portMapping: {port: 80, protocol: http}}]
  serviceDiscovery: {dns: {hostname: web.shop}}
  backends:
  - virtualService: {virtualServiceRef: {name: cart}}
  - virtualService: {virtualServiceRef: {name: db}}
  - virtualService: {virtualServiceRef: {name: ghost}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: cart-v1, namespace: shop}
spec: {listeners: [{portMapping: {port: 8080, protocol: http}}], serviceDiscovery: {dns: {hostname: cart-v1.shop}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: cart-v2, namespace: shop}
spec: {listeners: [{portMapping: {port: 8080, protocol: http}}], serviceDiscovery: {dns: {hostname: cart-v2.shop}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: db, namespace: shop}
spec: {listeners: [{portMapping: {port: 5432, protocol: tcp}}], serviceDiscovery: {dns: {hostname: db.shop}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: cart, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  routes:
  - name: beta
    priority: 1
    httpRoute:
      match: {prefix: /, method: POST, headers: [{name: x-beta, match: {exact: "yes"}}, {name: x-age, invert: true, match: {range: {start: 0, end: 18}}}]}
      action: {weightedTargets: [{virtualNodeRef: {name: cart-v2}, weight: 1}]}
      timeout: {perRequest: {unit: s, value: 0}}
      retryPolicy: {maxRetries: 0, perRetryTimeout: {unit: s, value: 1}, httpRetryEvents: [server-error]}
  - name: all
    priority: 2
    httpRoute:
      match: {prefix: /cart}
      action: {weightedTargets: [{virtualNodeRef: {name: cart-v1}, weight: 2}, {virtualNodeRef: {name: cart-v2}, weight: 1}]}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec: {awsName: cart.shop.svc.cluster.local, provider: {virtualRouter: {virtualRouterRef: {name: cart}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: db, namespace: shop}
spec: {awsName: db, provider: {virtualNode: {virtualNodeRef: {name: db}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: ghost, namespace: shop}
spec: {awsName: ghost}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: stock, namespace: shop}
spec: {awsName: stock, provider: {virtualNode: {virtualNodeRef: {name: cart-v1}}}}
`

func files(name, text string) fstest.MapFS { return fstest.MapFS{name: {Data: []byte(text)}} }

func TestExplain(t *testing.T) {
	web := xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "web_shop"}
	refusing := load(t, files("shop.yaml", shop))
	open := load(t, files("shop.yaml", strings.Replace(shop, "namespaceSelector: {}", "namespaceSelector: {}, egressFilter: {type: ALLOW_ALL}", 1)))
	for name, row := range map[string]struct {
		spec *schema.Spec
		req  translate.Request
		want string
	}{
		"a_split": {refusing, translate.Request{Host: "cart.shop.svc.cluster.local:8080", Path: "/cart/1?x=y"}, `
GET cart.shop.svc.cluster.local:8080/cart/1?x=y from mesh/shop/virtualNode/web_shop
→ VirtualService/shop/cart → route all of VirtualRouter/shop/cart (prefix /cart)
   66.7 %  VirtualNode/shop/cart-v1 (cart-v1_shop:8080)
   33.3 %  VirtualNode/shop/cart-v2 (cart-v2_shop:8080)
  timeout 15s, idle timeout 5m0s, up to 2 retries on connect-failure, refused-stream, reset, unavailable, 503
`},
		"headers_and_method": {refusing, translate.Request{Host: "cart", Method: "POST", Header: map[string][]string{"X-Beta": {"yes"}, "x-age": {"18"}}}, `
POST cart:8080/ from mesh/shop/virtualNode/web_shop
→ VirtualService/shop/cart → route beta of VirtualRouter/shop/cart (POST, prefix /, header x-beta is yes, not: header x-age in [0, 18))
    100 %  VirtualNode/shop/cart-v2 (cart-v2_shop:8080)
  timeout none, idle timeout 5m0s, no retries
`},
		"no_route": {refusing, translate.Request{Host: "cart:8080", Path: "/other"}, `
GET cart:8080/other from mesh/shop/virtualNode/web_shop
→ VirtualService/shop/cart → VirtualRouter/shop/cart
  The proxy answers 404. No route of VirtualRouter/shop/cart takes the request; they ask for: beta (POST, prefix /, header x-beta is yes, not: header x-age in [0, 18)); all (prefix /cart).
`},
		"tcp_by_port": {refusing, translate.Request{Host: "anything:5432"}, `
TCP anything:5432 from mesh/shop/virtualNode/web_shop
→ VirtualService/shop/db (port 5432, whatever the host)
    100 %  VirtualNode/shop/db (db_shop:5432)
  idle timeout 5m0s
`},
		"no_backend": {refusing, translate.Request{Host: "stock"}, `
GET stock:8080/ from mesh/shop/virtualNode/web_shop
  The proxy answers 404. VirtualNode/shop/web declares no backend stock; add it to spec.backends.
`},
		"no_provider": {refusing, translate.Request{Host: "ghost"}, `
GET ghost/ from mesh/shop/virtualNode/web_shop
  The proxy answers 404. VirtualService/shop/ghost has no provider that listens; give it a virtual node or a virtual router. What is not HTTP is refused.
`},
		"unknown": {refusing, translate.Request{Host: "example.com:443"}, `
GET example.com:443/ from mesh/shop/virtualNode/web_shop
  The proxy answers 404. No virtual service of mesh shop is named example.com, and the mesh's egressFilter is DROP_ALL; define one and make it a backend of VirtualNode/shop/web, or set ALLOW_ALL. What is not HTTP is refused.
`},
		"unknown_passes": {open, translate.Request{Host: "example.com:443"}, `
TCP example.com:443 from mesh/shop/virtualNode/web_shop
  The proxy passes it through. example.com is no backend of VirtualNode/shop/web; the mesh's egressFilter is ALLOW_ALL, so it is reached at the address that the application dialled, without routes, retries or limits of the mesh.
`},
		"by_the_host_header": {refusing, translate.Request{Host: "10.1.2.3:8080", Path: "/cart", Header: map[string][]string{"Host": {"cart.shop"}}}, `
GET cart.shop/cart from mesh/shop/virtualNode/web_shop
→ VirtualService/shop/cart → route all of VirtualRouter/shop/cart (prefix /cart)
   66.7 %  VirtualNode/shop/cart-v1 (cart-v1_shop:8080)
   33.3 %  VirtualNode/shop/cart-v2 (cart-v2_shop:8080)
  timeout 15s, idle timeout 5m0s, up to 2 retries on connect-failure, refused-stream, reset, unavailable, 503
`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := translate.New(translate.Inputs{Spec: row.spec}, nil).Explain(web, row.req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(row.want, "\n"), got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplainRefuses(t *testing.T) {
	state := translate.New(translate.Inputs{Spec: load(t, files("shop.yaml", shop))}, nil)
	web := xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "web_shop"}
	for name, row := range map[string]struct {
		from xds.Identity
		req  translate.Request
		want string
	}{
		"no_such_node":  {xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "nobody"}, translate.Request{Host: "a"}, "no VirtualNode"},
		"a_gateway":     {xds.Identity{Mesh: "shop", Kind: schema.KindVirtualGateway, Name: "in"}, translate.Request{Host: "a"}, "virtual nodes"},
		"no_host":       {web, translate.Request{Host: ":80"}, "no host"},
		"no_such_port":  {web, translate.Request{Host: "a:http"}, "1 to 65535"},
		"relative_path": {web, translate.Request{Host: "a", Path: "b"}, "first /"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := state.Explain(row.from, row.req); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want one with %q", err, row.want)
			}
		})
	}
}

// TestExplainAgreesWithEnvoy: of random routers and requests, a real Envoy
// with the routes that a proxy is served sends each request by the route, and
// to one of the nodes, that Explain names.
func TestExplainAgreesWithEnvoy(t *testing.T) {
	envoyPath(t)
	r := dice{rand.New(rand.NewPCG(3, 4))}
	const services = 20
	state := translate.New(translate.Inputs{Spec: load(t, r.mesh(services))}, nil)
	client := xds.Identity{Mesh: "m", Kind: schema.KindVirtualNode, Name: "client_ns"}
	res, err := state.Resources(xds.Profile{Identity: client})
	if err != nil {
		t.Fatal(err)
	}
	var clusters []string
	for _, c := range res[xds.Cluster] {
		clusters = append(clusters, c.Name)
	}
	tables := make([]*routev3.RouteConfiguration, len(meshPorts))
	for i, p := range meshPorts {
		tables[i] = &routev3.RouteConfiguration{}
		if err := res.Get(xds.Route, fmt.Sprintf("rds_egress_http_%d", p)).Body.UnmarshalTo(tables[i]); err != nil {
			t.Fatal(err)
		}
		for _, vh := range tables[i].VirtualHosts {
			for _, route := range vh.Routes {
				route.ResponseHeadersToAdd = showing(route.Name)
			}
		}
	}
	ports := serveTables(t, clusters, tables...)
	routed := 0
	for range 3000 {
		q, i := r.request(), r.IntN(len(meshPorts))
		q.host = fmt.Sprintf("svc-%d", r.IntN(services+1))
		header := q.header.Clone()
		header.Set("Host", q.host)
		e, err := state.Explain(client, translate.Request{
			Host: fmt.Sprintf("%s:%d", q.host, meshPorts[i]), Method: q.method, Path: q.target(), Header: header,
		})
		if err != nil {
			t.Fatal(err)
		}
		route, node := ask(t, ports[i], q)
		got := slices.ContainsFunc(e.Targets, func(t translate.Target) bool { return t.Weight > 0 && t.Cluster == node })
		if route != e.Route || got != (node != "") || (e.Outcome == translate.Routed) != got {
			t.Fatalf("%s: Envoy takes route %q to %q; we say\n%s", q, route, node, e)
		}
		if got {
			routed++
		}
	}
	if routed < 500 || routed > 2500 {
		t.Errorf("%d of 3000 requests were routed: the mesh is no test", routed)
	}
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
	return files("mesh.yaml", docs.String())
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
