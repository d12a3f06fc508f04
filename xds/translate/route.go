package translate

import (
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// routes adds a RouteConfiguration. Its clusters are sent before it, so Envoy
// need not check them; it may not, for a cluster may come and go while routes
// stay.
//
// Envoy refuses the whole if two virtual hosts have one domain: the first keeps
// it.
func (b *builder) routes(name string, hosts ...*routev3.VirtualHost) {
	taken := map[string]bool{}
	for _, h := range hosts {
		h.Domains = slices.DeleteFunc(h.Domains, func(d string) bool {
			again := taken[d]
			taken[d] = true
			return again
		})
	}
	hosts = slices.DeleteFunc(hosts, func(h *routev3.VirtualHost) bool {
		if len(h.Domains) == 0 {
			b.notice("Virtual host %s has no name that is not another's, and gets no requests.", h.Name)
		}
		return len(h.Domains) == 0
	})
	b.add(xds.Route, name, &routev3.RouteConfiguration{
		Name:             name,
		VirtualHosts:     hosts,
		ValidateClusters: wrapperspb.Bool(false),
	})
}

// virtualHosts makes a virtual host for each backend, with the routes of its
// provider.
func (b *builder) virtualHosts(backends []answer, domains func(*schema.VirtualService) []string) []*routev3.VirtualHost {
	var hosts []*routev3.VirtualHost
	for _, a := range backends {
		host := &routev3.VirtualHost{Name: virtualHostName(a.link.Service), Domains: domains(a.link.Service)}
		for _, r := range a.routes {
			host.Routes = append(host.Routes, b.httpRoute(a.link, r)...)
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// httpRoute makes Envoy's route of one of an HTTP router's; none if its match
// can never hold.
func (b *builder) httpRoute(link schema.BackendLink, r route) []*routev3.Route {
	match, err := matchOf(r.Route)
	if err != nil {
		b.notice("Route %s of %s never matches: %v.", r.Name, link.Service.AWSName, err)
		return nil
	}
	out := &routev3.Route{Name: r.Name, Match: match}
	limits, retries := policiesOf(r.Route)
	action := &routev3.RouteAction{RetryPolicy: retryPolicy(retries)}
	setTimeouts(action, limits)
	if setClusters(action, b.clusters(link, r.targets)) {
		out.Action = &routev3.Route_Route{Route: action}
	} else {
		out.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 503}}
	}
	return []*routev3.Route{out}
}

// policiesOf returns the timeouts and retries of an HTTP route of any type.
func policiesOf(r *schema.Route) (*schema.Timeout, *schema.RetryPolicy) {
	switch {
	case r.HTTPRoute != nil:
		return r.HTTPRoute.Timeout, r.HTTPRoute.RetryPolicy
	case r.HTTP2Route != nil:
		return r.HTTP2Route.Timeout, r.HTTP2Route.RetryPolicy
	case r.GRPCRoute != nil:
		return r.GRPCRoute.Timeout, r.GRPCRoute.RetryPolicy
	}
	return nil, nil
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
func (b *builder) anyHost() *routev3.VirtualHost {
	return &routev3.VirtualHost{
		Name:    "passthrough",
		Domains: []string{"*"},
		Routes: []*routev3.Route{{Match: everything(), Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: passthroughName(b.mesh.AWSName)},
			Timeout:          durationpb.New(0),
		}}}},
	}
}

func everything() *routev3.RouteMatch {
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
}
