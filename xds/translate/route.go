package translate

import (
	"crypto/sha256"
	"fmt"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// routeConfiguration is a RouteConfiguration. Its clusters are sent before it,
// so Envoy need not check them; it may not, for a cluster may come and go while
// routes stay.
func routeConfiguration(name string, hosts ...*routev3.VirtualHost) *routev3.RouteConfiguration {
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: hosts, ValidateClusters: wrapperspb.Bool(false)}
}

// way is where a route leads: to clusters by weight, with a copy to another,
// and what they hash to choose their endpoints.
type way struct {
	to     []weighted
	mirror string // empty: no copies
	hash   []schema.HashKey
	copies []weighted // a canary's, in hundredths of a percent of the requests
}

// straight is the way to one cluster.
func straight(cluster string) way { return way{to: []weighted{{cluster, 1}}} }

// way adds the clusters of a route.
func (b *builder) way(link schema.BackendLink, r route) way {
	return way{b.clusters(link, r.targets), b.mirror(link, r), b.hashKeys(r.targets), b.copies(link, r)}
}

// egressRoutes adds the routes to backends, a virtual host each, with the
// routes of its provider; passing adds one for all other names.
//
// The messages are made once for all proxies with equal backends, and all in a
// group named * are. Where the proxy takes virtual hosts one by one, each is made
// once for all who call the backend by the same names.
func (b *builder) egressRoutes(name string, passing bool, backends []answer, called authorities) {
	hosts := b.hosts(backends, called)
	for _, h := range hosts {
		b.acting[name] |= h.leads.acting
	}
	routes := func(hosts ...*routev3.VirtualHost) *routev3.RouteConfiguration {
		if passing {
			hosts = append(hosts, anyHost(b.mesh))
		}
		return routeConfiguration(name, hosts...)
	}
	if b.VirtualHosts {
		b.addDerived(xds.Route, name, fmt.Sprint("vhds ", b.mesh.AWSName, " ", passing), func() proto.Message {
			r := routes()
			r.Vhds = &routev3.Vhds{ConfigSource: fromADS()}
			return r
		})
		b.virtualHosts(name, hosts)
		return
	}
	inputs := fmt.Appendln(nil, b.mesh.AWSName, passing)
	for _, h := range hosts {
		inputs = h.inputs(inputs)
	}
	b.addDerived(xds.Route, name, digestOf(inputs), func() proto.Message {
		made := make([]*routev3.VirtualHost, len(hosts))
		for i, h := range hosts {
			made[i] = h.message(virtualHostName(h.link.Service))
		}
		return routes(made...)
	})
}

func digestOf(inputs []byte) string {
	digest := sha256.Sum256(inputs)
	return string(digest[:])
}

// httpRoute makes Envoy's route of one of an HTTP router's.
func httpRoute(r route, w way) *routev3.Route {
	out := &routev3.Route{Name: r.Name, Match: matchOf(r.Route)}
	action := &routev3.RouteAction{
		RetryPolicy:           retryPolicy(r.rules.RetryPolicy),
		RequestMirrorPolicies: append(mirrorPolicies(r.rules.Mirror, w.mirror), copyPolicies(w.copies)...),
		HashPolicy:            hashPolicies(w.hash),
	}
	setTimeouts(action, r.rules.Timeout)
	if setClusters(action, w.to) {
		out.Action = &routev3.Route_Route{Route: action}
	} else {
		out.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 503}}
	}
	setHeaders(out, &r.rules)
	actOn(out, &r.rules)
	return out
}

func setTimeouts(a *routev3.RouteAction, limits *schema.Timeout) {
	a.Timeout = durationpb.New(requestTimeout(limits))
	a.IdleTimeout = durationpb.New(idleTimeout(limits))
}

// setClusters spreads requests over clusters by relative weight. It reports
// whether any of them gets a share.
func setClusters(a *routev3.RouteAction, to []weighted) bool {
	total := uint64(0)
	split := &routev3.WeightedCluster{}
	for _, w := range to {
		total += uint64(w.weight)
		split.Clusters = append(split.Clusters, &routev3.WeightedCluster_ClusterWeight{Name: w.cluster, Weight: u32(w.weight)})
	}
	if len(to) == 1 {
		a.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: to[0].cluster}
	} else {
		a.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: split}
	}
	return total > 0
}

// anyHost sends requests to no backend where the application dialled them to,
// without a limit of ours.
func anyHost(m *schema.Mesh) *routev3.VirtualHost {
	return &routev3.VirtualHost{
		Name:    "passthrough",
		Domains: []string{"*"},
		Routes: []*routev3.Route{{Match: everything(), Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: passthroughName(m.AWSName)},
			Timeout:          durationpb.New(0),
		}}}},
	}
}

func everything() *routev3.RouteMatch {
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
}
