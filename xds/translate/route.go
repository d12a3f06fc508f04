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

// host is a backend as a virtual host: the names it is called by, and where
// each of its routes leads.
type host struct {
	answer
	names []string
	ways  []way
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
// routes of its provider; passing adds one for all other names. Envoy refuses
// the whole if two virtual hosts have one domain: the first keeps it.
//
// The messages are made once for all proxies with equal backends, and all in a
// group named * are.
func (b *builder) egressRoutes(name string, passing bool, backends []answer, called authorities) {
	hosts := make([]host, 0, len(backends))
	inputs := fmt.Appendln(nil, b.mesh.AWSName, passing, called.ports)
	taken := map[*schema.VirtualService]bool{}
	for _, a := range backends {
		names := called.namesOf(a.link.Service)
		if len(names) == 0 || taken[a.link.Service] {
			b.notice("Virtual service %s gets no requests: other backends have its names.", a.link.Service.AWSName)
			continue
		}
		taken[a.link.Service] = true
		leads := b.lead(a)
		b.acting[name] |= leads.acting
		inputs = append(inputs, leads.digest...)
		for _, n := range names {
			inputs = append(append(inputs, ' '), n...)
		}
		inputs = append(inputs, '\n')
		hosts = append(hosts, host{a, names, leads.ways})
	}
	digest := sha256.Sum256(inputs)
	b.addDerived(xds.Route, name, string(digest[:]), func() proto.Message {
		out := routeConfiguration(name)
		taken := map[string]bool{"*": passing}
		for _, h := range hosts {
			made := &routev3.VirtualHost{Name: virtualHostName(h.link.Service)}
			for _, d := range called.domains(h.names) {
				if !taken[d] {
					taken[d] = true
					made.Domains = append(made.Domains, d)
				}
			}
			if len(made.Domains) == 0 {
				continue // an IPv6 address that is another's with a port
			}
			for i, r := range h.routes {
				for _, route := range sides(httpRoute(r, h.ways[i]), r.Derived) {
					route.StatPrefix = h.link.Service.AWSName
					made.Routes = append(made.Routes, route)
				}
			}
			out.VirtualHosts = append(out.VirtualHosts, made)
		}
		if passing {
			out.VirtualHosts = append(out.VirtualHosts, anyHost(b.mesh))
		}
		return out
	})
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
