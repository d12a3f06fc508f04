package translate_test

import (
	"strings"
	"testing"
	"testing/fstest"

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
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualGateway
metadata: {name: edge, namespace: shop}
spec: {namespaceSelector: {}, listeners: [{portMapping: {port: 8088, protocol: http}, healthCheck: {protocol: http, path: /ping, healthyThreshold: 2, unhealthyThreshold: 2, intervalMillis: 5000, timeoutMillis: 2000}}]}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: GatewayRoute
metadata: {name: carts, namespace: shop}
spec: {httpRoute: {match: {prefix: /c/, hostname: {suffix: .example}}, action: {target: {virtualService: {virtualServiceRef: {name: cart}}}}}}
`

func files(name, text string) fstest.MapFS { return fstest.MapFS{name: {Data: []byte(text)}} }

func TestExplain(t *testing.T) {
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
		"through_a_gateway": {refusing, translate.Request{Host: "shop.example", Path: "/c/cart/1?x"}, `
GET shop.example:8088/c/cart/1?x from mesh/shop/virtualGateway/edge_shop
→ GatewayRoute/shop/carts → VirtualService/shop/cart → route all of VirtualRouter/shop/cart (prefix /c/cart)
  rewritten to cart.shop.svc.cluster.local/cart/1?x
   66.7 %  VirtualNode/shop/cart-v1 (cart-v1_shop:8080)
   33.3 %  VirtualNode/shop/cart-v2 (cart-v2_shop:8080)
  timeout 15s, idle timeout 5m0s, up to 2 retries on connect-failure, refused-stream, reset, unavailable, 503
`},
		"gateway_health": {refusing, translate.Request{Host: "10.0.0.1:8088", Path: "/ping"}, `
GET 10.0.0.1:8088/ping from mesh/shop/virtualGateway/edge_shop
  The proxy answers 200. It is the health check of the gateway itself, which fails while the gateway drains.
`},
		"gateway_without_the_host": {refusing, translate.Request{Host: "shop.test"}, `
GET shop.test:8088/ from mesh/shop/virtualGateway/edge_shop
  The proxy answers 404. No gateway route of VirtualGateway/shop/edge is for the host shop.test; add one, or one without a hostname.
`},
		"gateway_without_the_route": {refusing, translate.Request{Host: "shop.example"}, `
GET shop.example:8088/ from mesh/shop/virtualGateway/edge_shop
  The proxy answers 404. No gateway route of VirtualGateway/shop/edge takes the request; for this host they ask for: carts_shop/beta (POST, prefix /c/, header x-beta is yes, not: header x-age in [0, 18)); carts_shop/all (prefix /c/cart); carts_shop (prefix /c/).
`},
		"gateway_behind_the_route": {refusing, translate.Request{Host: "shop.example", Path: "/c/other"}, `
GET shop.example:8088/c/other from mesh/shop/virtualGateway/edge_shop
→ GatewayRoute/shop/carts → VirtualService/shop/cart → VirtualRouter/shop/cart (prefix /c/)
  The proxy answers 404. The gateway route takes the request, but no route behind VirtualService/shop/cart does, once it is rewritten.
`},
		"gateway_without_the_port": {refusing, translate.Request{Host: "shop.example:80"}, `
GET shop.example/ from mesh/shop/virtualGateway/edge_shop
  The proxy closes the connection. VirtualGateway/shop/edge does not listen on port 80; add it to spec.listeners.
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
			from := identity(t, row.spec, "web_shop")
			if strings.Contains(row.want, "virtualGateway") {
				from = identity(t, row.spec, "edge_shop")
			}
			got, err := translate.New(translate.Inputs{Spec: row.spec}, nil).Explain(from, row.req)
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
		"no_such_node":    {xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "nobody"}, translate.Request{Host: "a"}, "no VirtualNode"},
		"no_such_gateway": {xds.Identity{Mesh: "shop", Kind: schema.KindVirtualGateway, Name: "in"}, translate.Request{Host: "a"}, "no VirtualGateway"},
		"no_host":         {web, translate.Request{Host: ":80"}, "no host"},
		"no_such_port":    {web, translate.Request{Host: "a:http"}, "1 to 65535"},
		"relative_path":   {web, translate.Request{Host: "a", Path: "b"}, "first /"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := state.Explain(row.from, row.req); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want one with %q", err, row.want)
			}
		})
	}
}
