package translate_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestVirtualHosts: in every case, what a proxy is given virtual host by virtual
// host are the routes that it would be given whole, and all else is the same.
func TestVirtualHosts(t *testing.T) {
	seen := 0
	for _, c := range fixtures.Archives(t, "specs/translate_*.txtar") {
		spec := load(t, c.Files)
		s := translate.New(translate.Inputs{Spec: spec, Certificates: specimens(t, c, spec)}, nil)
		for _, n := range spec.VirtualNodes {
			for _, capture := range []xds.Capture{{}, {Explicit: true}} {
				p := xds.Profile{Identity: xds.Identity{Mesh: n.Mesh, Kind: schema.KindVirtualNode, Name: n.AWSName}, Capture: capture}
				whole := resourcesOf(t, s, p)
				p.VirtualHosts = true
				parts := resourcesOf(t, s, p)
				check(t, parts)
				for _, r := range whole[xds.Route] {
					got, n := joined(t, parts, r.Name)
					seen += n
					if d := gocmp.Diff(sorted(t, r), got, protocmp.Transform()); d != "" {
						t.Errorf("%s, %s, %s (-whole +one by one):\n%s", c.Name, p.Identity, r.Name, d)
					}
				}
				same := *parts
				same[xds.Route], same[xds.VirtualHost] = whole[xds.Route], nil
				if d := whole.Difference(&same); d != nil {
					t.Errorf("%s, %s: %v differ beside the routes", c.Name, p.Identity, d)
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d virtual hosts were looked at", seen)
	}
}

func resourcesOf(t *testing.T, s *translate.Snapshot, p xds.Profile) *xds.Resources {
	t.Helper()
	r, err := s.Resources(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func routesOf(t *testing.T, r *xds.Resource) *routev3.RouteConfiguration {
	t.Helper()
	out := &routev3.RouteConfiguration{}
	if err := r.Body.UnmarshalTo(out); err != nil {
		t.Fatal(err)
	}
	return out
}

// sorted are routes with their virtual hosts by domain, whose names do not count.
func sorted(t *testing.T, r *xds.Resource) *routev3.RouteConfiguration {
	t.Helper()
	out := routesOf(t, r)
	byDomain(out)
	return out
}

func byDomain(r *routev3.RouteConfiguration) {
	slices.SortFunc(r.VirtualHosts, func(a, b *routev3.VirtualHost) int { return cmp.Compare(a.Domains[0], b.Domains[0]) })
	for _, h := range r.VirtualHosts {
		h.Name = ""
	}
}

// joined are routes as an Envoy puts them together, and how many of their virtual
// hosts came one by one.
func joined(t *testing.T, parts *xds.Resources, name string) (out *routev3.RouteConfiguration, n int) {
	t.Helper()
	out = routesOf(t, parts.Get(xds.Route, name))
	for _, r := range parts[xds.VirtualHost] {
		if xds.RoutesOf(r.Name) != name {
			continue
		}
		h := &routev3.VirtualHost{}
		if err := r.Body.UnmarshalTo(h); err != nil {
			t.Fatal(err)
		}
		if out.Vhds == nil || h.Name != r.Name {
			t.Errorf("%s calls itself %s, of routes with %v", r.Name, h.Name, out.Vhds)
		}
		if strings.HasSuffix(r.Name, "/invalid") && len(h.Routes) == 0 {
			continue // there is none
		}
		out.VirtualHosts = append(out.VirtualHosts, h)
		n++
	}
	out.Vhds = nil
	byDomain(out)
	return out, n
}

// TestVirtualHostsAreShared: who calls a service by the same names shares its
// virtual host, and a weight changes that one for all of them.
func TestVirtualHostsAreShared(t *testing.T) {
	files := func(weight string) fstest.MapFS {
		return fstest.MapFS{"mesh.yaml": {Data: []byte(strings.ReplaceAll(sharedMesh, "WEIGHT", weight))}}
	}
	before := translate.New(translate.Inputs{Commit: "c1", Spec: load(t, files("10"))}, nil)
	profile := func(name string) xds.Profile {
		return xds.Profile{Identity: xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: name}, VirtualHosts: true}
	}
	one, two := resourcesOf(t, before, profile("one_shop")), resourcesOf(t, before, profile("two_shop"))
	const api = "rds_egress_http_8080/api.shop"
	if len(one[xds.VirtualHost]) != 1 || len(two[xds.VirtualHost]) != 2 || one.Get(xds.VirtualHost, api) == nil || one.Get(xds.VirtualHost, api) != two.Get(xds.VirtualHost, api) {
		t.Errorf("%v and %v", one[xds.VirtualHost], two[xds.VirtualHost])
	}
	after := translate.New(translate.Inputs{Commit: "c2", Spec: load(t, files("20"))}, before)
	for name, was := range map[string]*xds.Resources{"one_shop": one, "two_shop": two} {
		is := resourcesOf(t, after, profile(name))
		d := was.Difference(is)
		if want := (&xds.Difference{xds.VirtualHost: {api}}); !gocmp.Equal(want, d) {
			t.Errorf("a weight changes %v of %s, want %v", d, name, want)
		}
		if &was[xds.Cluster][0] != &is[xds.Cluster][0] {
			t.Errorf("the clusters of %s are the same and are listed anew", name)
		}
	}
	if size := proto.Size(resourcesOf(t, after, profile("two_shop")).Get(xds.Route, "rds_egress_http_8080").Body); size > 200 {
		t.Errorf("the routes without their virtual hosts have %d bytes", size)
	}
}

const sharedMesh = `
apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec: {}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: one, namespace: shop}
spec:
  backends: [{virtualService: {virtualServiceRef: {name: api}}}]
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: two, namespace: shop}
spec:
  backends:
  - {virtualService: {virtualServiceRef: {name: api}}}
  - {virtualService: {virtualServiceRef: {name: db}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: db, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  serviceDiscovery: {dns: {hostname: db}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: api, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  serviceDiscovery: {dns: {hostname: api}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: db, namespace: shop}
spec: {provider: {virtualNode: {virtualNodeRef: {name: db}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: api, namespace: shop}
spec: {provider: {virtualRouter: {virtualRouterRef: {name: api}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: api, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  routes:
  - name: all
    httpRoute:
      match: {prefix: /}
      action:
        weightedTargets:
        - {virtualNodeRef: {name: api}, weight: WEIGHT}
        - {virtualNodeRef: {name: db}, weight: 1}
`

// Services of one content, whose names are all that differs, do not get each
// other's routes, where the address alone says which is called.
func TestServicesAlike(t *testing.T) {
	const pair = `
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: NAME, namespace: shop}
spec: {provider: {virtualNode: {virtualNodeRef: {name: api}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: calls-NAME, namespace: shop}
spec:
  backends: [{virtualService: {virtualServiceRef: {name: NAME}}}]
`
	text := sharedMesh
	for _, name := range []string{"red", "blue"} {
		text += strings.ReplaceAll(pair, "NAME", name)
	}
	s := translate.New(translate.Inputs{Spec: load(t, fstest.MapFS{"mesh.yaml": {Data: []byte(strings.ReplaceAll(text, "WEIGHT", "10"))}})}, nil)
	for _, parts := range []bool{true, false} {
		for _, name := range []string{"red", "blue"} {
			id := xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "calls-" + name + "_shop"}
			res := resourcesOf(t, s, xds.Profile{Identity: id, Capture: xds.Capture{Explicit: true}, VirtualHosts: parts})
			if routes := slices.Concat(res[xds.Route], res[xds.VirtualHost]); !slices.ContainsFunc(routes, func(r *xds.Resource) bool {
				return strings.Contains(string(r.Body.Value), name+".shop")
			}) {
				t.Errorf("of %s with virtual hosts one by one %t, %v speak of another service", id, parts, routes)
			}
		}
	}
}
