package translate_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// caller is a mesh of one node, found as discovery says, and a client of it.
func caller(preference, discovery string) fstest.MapFS {
	if preference != "" {
		preference = ", meshServiceDiscovery: {ipPreference: " + preference + "}"
	}
	return fstest.MapFS{"shop.yaml": {Data: []byte(`apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec: {namespaceSelector: {}` + preference + `}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web, namespace: shop}
spec: {listeners: [{portMapping: {port: 8080, protocol: http}}], serviceDiscovery: ` + discovery + `}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {provider: {virtualNode: {virtualNodeRef: {name: web}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: client, namespace: shop}
spec: {backends: [{virtualService: {virtualServiceRef: {name: web}}}]}
`)}}
}

// client returns what caller's client has, and the notices about it.
func client(t testing.TB, s *translate.Snapshot) (*xds.Resources, []string) {
	t.Helper()
	profile := xds.Profile{Identity: xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "client_shop"}}
	res, err := s.Resources(profile)
	if err != nil {
		t.Fatal(err)
	}
	check(t, res)
	return res, s.Notices(profile)
}

const webCluster = "cds_egress_shop_web_shop_http_8080"

// DNS by response type and preference: Envoy's AUTO asks for IPv6 first.
func TestDNS(t *testing.T) {
	for response, kind := range map[string]clusterv3.Cluster_DiscoveryType{
		"": clusterv3.Cluster_LOGICAL_DNS, "LOADBALANCER": clusterv3.Cluster_LOGICAL_DNS, "ENDPOINTS": clusterv3.Cluster_STRICT_DNS,
	} {
		for preference, family := range map[string]clusterv3.Cluster_DnsLookupFamily{
			"": clusterv3.Cluster_V4_PREFERRED, "IPv4_ONLY": clusterv3.Cluster_V4_ONLY, "IPv6_ONLY": clusterv3.Cluster_V6_ONLY,
		} {
			discovery := "{dns: {hostname: web.shop}}"
			if response != "" {
				discovery = "{dns: {hostname: web.shop, responseType: " + response + "}}"
			}
			res, notices := client(t, translate.New(translate.Inputs{Spec: load(t, caller(preference, discovery))}, nil))
			var c clusterv3.Cluster
			if err := res.Get(xds.Cluster, webCluster).Body.UnmarshalTo(&c); err != nil {
				t.Fatal(err)
			}
			if c.GetType() != kind || c.DnsLookupFamily != family || len(notices) > 0 {
				t.Errorf("%q %q: got %v %v, want %v %v; notices %q", response, preference, c.GetType(), c.DnsLookupFamily, kind, family, notices)
			}
			if at := c.LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress(); at.Address != "web.shop" || at.GetPortValue() != 8080 {
				t.Errorf("the address is %v", at)
			}
		}
	}
}

// instances of a registry: an address alone, or IPv4+IPv6, with @ZONE.
func instances(list ...string) *schema.Found {
	var out []schema.Instance
	for _, text := range list {
		addrs, zone, _ := strings.Cut(text, "@")
		i := schema.Instance{Zone: zone}
		for a := range strings.SplitSeq(addrs, "+") {
			if addr := netip.MustParseAddr(a); addr.Is4() {
				i.IPv4 = addr
			} else {
				i.IPv6 = addr
			}
		}
		out = append(out, i)
	}
	return schema.NewFound(out)
}

// addresses are the endpoints of an assignment, as zone/address:port.
func addresses(t testing.TB, r *xds.Resource) []string {
	t.Helper()
	var m endpointv3.ClusterLoadAssignment
	if err := r.Body.UnmarshalTo(&m); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, zone := range m.Endpoints {
		for _, e := range zone.LbEndpoints {
			at := e.GetEndpoint().Address.GetSocketAddress()
			out = append(out, fmt.Sprintf("%s/%s:%d", zone.Locality.Zone, at.Address, at.GetPortValue()))
		}
	}
	return out
}

const cloudMap = "{awsCloudMap: {namespaceName: local, serviceName: web}}"

// What a registry has, as the mesh prefers it: one address of each instance, on
// the listener's port.
func TestFound(t *testing.T) {
	found := instances("10.0.0.2+2001:db8::2@b", "10.0.0.1@a", "2001:db8::3@a", "10.0.0.1@b")
	for preference, want := range map[string]string{
		"":          "a/10.0.0.1:8080 a/2001:db8::3:8080 b/10.0.0.2:8080",
		"IPv4_ONLY": "a/10.0.0.1:8080 b/10.0.0.2:8080",
		"IPv6_ONLY": "a/2001:db8::3:8080 b/2001:db8::2:8080",
	} {
		spec := load(t, caller(preference, cloudMap))
		in := translate.Inputs{Spec: spec, Endpoints: map[schema.Query]*schema.Found{spec.Queries()[0]: found}}
		res, notices := client(t, translate.New(in, nil))
		got := addresses(t, res.Get(xds.Endpoint, webCluster))
		if slices.Sort(got); strings.Join(got, " ") != want || len(notices) > 0 {
			t.Errorf("%q: got %v, want %s; notices %q", preference, got, want, notices)
		}
	}
}

// Nothing known, and nothing that can be used, are two notices; the cluster is
// there either way.
func TestNothingFound(t *testing.T) {
	spec := load(t, caller("IPv4_ONLY", cloudMap))
	first := translate.New(translate.Inputs{Spec: spec}, nil)
	for want, s := range map[string]*translate.Snapshot{
		"has no endpoints yet": first,
		"has no endpoints:": translate.New(translate.Inputs{Spec: spec, Endpoints: map[schema.Query]*schema.Found{
			spec.Queries()[0]: instances("2001:db8::1"),
		}}, first),
	} {
		res, notices := client(t, s)
		if got := addresses(t, res.Get(xds.Endpoint, webCluster)); len(got) > 0 || len(notices) != 1 || !strings.Contains(notices[0], want) {
			t.Errorf("got %v, notices %q, want %q", got, notices, want)
		}
	}
}

// found answers the queries of a spec of clouds: each its own instances.
func found(spec *schema.Spec, instance func(i int) string) map[schema.Query]*schema.Found {
	out := map[schema.Query]*schema.Found{}
	for _, q := range spec.Queries() {
		var i int
		if _, err := fmt.Sscanf(q.Service, "n%d", &i); err != nil {
			panic(err)
		}
		out[q] = instances(instance(i))
	}
	return out
}

// clouds is ring, with every node in a registry.
func clouds(n int) fstest.MapFS {
	files := ring(n)
	for i := range n {
		toCloud(files, i)
	}
	return files
}

func toCloud(files fstest.MapFS, i int) {
	name := fmt.Sprintf("node%d.yaml", i)
	old, now := fmt.Sprintf("{dns: {hostname: n%d.example.com}}", i), fmt.Sprintf("{awsCloudMap: {namespaceName: local, serviceName: n%d}}", i)
	files[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(files[name].Data), old, now, 1))}
}

// A changed instance makes anew the one assignment of its node, which all
// clients share, and nothing else: everything that is the same is the same
// pointer.
func TestChangeOfOneInstance(t *testing.T) {
	const n = 200
	spec := load(t, clouds(n))
	at := func(moved string) func(int) string {
		return func(i int) string {
			if i == 100 && moved != "" {
				return moved
			}
			return fmt.Sprintf("10.0.%d.%d", i/100, i%100)
		}
	}
	first := translate.New(translate.Inputs{Spec: spec, Endpoints: found(spec, at(""))}, nil)
	before := resources(t, first, spec)
	second := translate.New(translate.Inputs{Spec: spec, Endpoints: found(spec, at("10.9.9.9"))}, first)
	after := resources(t, second, spec)

	const name = "cds_egress_shop_n100_shop_http_8080"
	var shared *xds.Resource
	changed := 0
	for id, res := range after {
		calls := res.Get(xds.Endpoint, name) != nil
		if (res != before[id]) != calls {
			t.Errorf("%s calls n100: %v, was made anew: %v", id, calls, res != before[id])
		}
		if !calls {
			continue
		}
		changed++
		for typ := range res {
			for _, r := range res[typ] {
				if anew := r != before[id].Get(r.Type, r.Name); anew != (r.Name == name && r.Type == xds.Endpoint) {
					t.Errorf("%s: %s %s was made anew: %v", id, r.Type, r.Name, anew)
				}
			}
		}
		if r := res.Get(xds.Endpoint, name); shared == nil {
			shared = r
		} else if r != shared {
			t.Errorf("%s has an assignment of its own", id)
		}
	}
	if changed != 11 { // who calls s99 or s100, and n99 which both
		t.Errorf("%d proxies changed", changed)
	}
	if got := addresses(t, shared); !slices.Equal(got, []string{"/10.9.9.9:8080"}) {
		t.Errorf("the endpoints are %v", got)
	}
	third := resources(t, translate.New(translate.Inputs{Spec: spec, Endpoints: found(spec, at("10.9.9.9"))}, second), spec)
	for id, res := range third {
		if res != after[id] {
			t.Errorf("%s was made anew by an equal answer", id)
		}
	}
}
