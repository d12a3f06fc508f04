package translate

import (
	"cmp"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// gateway builds the proxy of a virtual gateway. It listens on its own ports
// under either capture: nothing is captured.
func (b *builder) gateway(g *schema.VirtualGateway) {
	for i := range g.Spec.Listeners {
		l := &g.Spec.Listeners[i]
		p := l.PortMapping
		b.door = door{port: p.Port, limits: poolLimits(l.ConnectionPool, p.Protocol)}
		routes := gatewayRouteName(p)
		b.gatewayRoutes(routes, g, p)
		b.inboundListener(b.listenAddress(p), l.TLS, b.secured(p, l.TLS, httpFilters(httpListener{
			stats: ingressStats, routes: routes, acting: b.acting[routes], codec: codecOf(p.Protocol), edge: true, health: l.HealthCheck, logging: g.Spec.Logging,
			guards: b.guards(g, p), spans: b.spans(&g.Meta),
		})))
	}
}

// door is a gateway's listener as the clusters behind it know it: its
// connection pool limits each of them, as App Mesh's limited the upstream
// cluster.
type door struct {
	port   uint32
	limits limits
}

// entrance is a gateway route with its match in Envoy's form.
type entrance struct {
	*schema.GatewayRoute
	host   *schema.HostnameMatch
	match  *routev3.RouteMatch
	rank   rank
	action *schema.GatewayAction
	prefix string // that is matched; empty if the path is matched otherwise
	copied []schema.Copy
}

// gatewayRoutes adds the routes of one of a gateway's listeners. App Mesh sent
// requests through the gateway's Envoy twice, first by the gateway route and
// then by the routes of its target; here the two are combined, so that a
// request passes once and every cluster has its own numbers.
func (b *builder) gatewayRoutes(name string, g *schema.VirtualGateway, p schema.PortMapping) {
	var entrances []entrance
	for _, r := range b.spec.GatewayRoutesOf(g) {
		if e := entranceOf(r, p); e != nil {
			entrances = append(entrances, *e)
		}
	}
	slices.SortStableFunc(entrances, func(x, y entrance) int {
		return cmp.Or(
			cmp.Compare(priority(x.Spec.Priority), priority(y.Spec.Priority)),
			compareHosts(x.host, y.host),
			x.rank.compare(y.rank),
			x.Ref.Compare(y.Ref),
		)
	})
	var defaults *schema.ClientPolicy
	if g.Spec.BackendDefaults != nil {
		defaults = g.Spec.BackendDefaults.ClientPolicy
	}
	made := make([][]*routev3.Route, len(entrances))
	domains := []string{}
	for i, e := range entrances {
		for _, branch := range branchesOf(e) {
			made[i] = append(made[i], b.through(name, branch, defaults, p)...)
		}
		domains = append(domains, domainOf(e.host))
	}
	slices.Sort(domains)
	var hosts []*routev3.VirtualHost
	for _, domain := range slices.Compact(domains) {
		host := &routev3.VirtualHost{Name: domain, Domains: []string{domain}}
		for i, e := range entrances {
			if covers(e.host, domain) {
				host.Routes = append(host.Routes, made[i]...)
			}
		}
		hosts = append(hosts, host)
	}
	b.add(xds.Route, name, &routev3.RouteConfiguration{
		Name:                     name,
		VirtualHosts:             hosts,
		ValidateClusters:         wrapperspb.Bool(false),
		IgnorePortInHostMatching: true, // a load balancer may be in front
	})
}

// entranceOf reads a gateway route; nil if it does not hold on the port.
func entranceOf(r *schema.GatewayRoute, p schema.PortMapping) *entrance {
	e := &entrance{GatewayRoute: r}
	var port uint32
	http := func(h *schema.GatewayHTTPRoute) {
		e.host, e.rank, e.action, port = h.Match.Hostname, httpRank(&h.Match), &h.Action, h.Match.Port
		e.match = httpMatch(&h.Match)
		e.prefix = e.match.GetPrefix()
	}
	switch {
	case p.Protocol == schema.ProtocolHTTP && r.Spec.HTTPRoute != nil:
		http(r.Spec.HTTPRoute)
	case p.Protocol == schema.ProtocolHTTP2 && r.Spec.HTTP2Route != nil:
		http(r.Spec.HTTP2Route)
	case p.Protocol == schema.ProtocolGRPC && r.Spec.GRPCRoute != nil:
		g := r.Spec.GRPCRoute
		e.host, e.rank, e.action, port = g.Match.Hostname, grpcRank(&g.Match), &g.Action, g.Match.Port
		e.match = grpcMatch(&g.Match)
	default:
		return nil
	}
	if port != 0 && port != p.Port {
		return nil
	}
	return e
}

// through makes the routes of what comes in at an entrance: those of the
// target's provider, for the request as it is rewritten, and a 404 for what
// none of them matches. What holds on the gateway route goes before what holds
// on those.
func (b *builder) through(table string, e entrance, policy *schema.ClientPolicy, p schema.PortMapping) []*routev3.Route {
	name := e.AWSName
	missing := &routev3.Route{
		Name:   name,
		Match:  e.match,
		Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 404}},
	}
	service := b.spec.TargetService(e.GatewayRoute, e.action.Target)
	if service == nil {
		return []*routev3.Route{missing}
	}
	a := chooseAnswer(b.answers(schema.BackendLink{Service: service, Policy: policy}), cmp.Or(e.action.Target.Port, p.Port), e.action.Target.Port != 0)
	if a == nil {
		return []*routev3.Route{missing}
	}
	var out []*routev3.Route
	rules := b.spec.GatewayRulesOf(e.GatewayRoute)
	for _, r := range a.routes {
		r.copies = slices.Concat(r.copies, e.copied)
		r.rules = rules.Or(r.rules)
		b.acting[table] |= actingOn(&r)
		inner := httpRoute(r, b.way(a.link, r))
		for _, rw := range rewritesOf(e) {
			match, set, err := combine(rw.match, inner.Match, rw)
			if err != nil {
				b.notice("Gateway route %s and route %s of %s cannot be combined: %v.", name, r.Name, service.AWSName, err)
				continue
			}
			if match == nil {
				continue
			}
			made := proto.CloneOf(inner)
			made.Name, made.Match, made.StatPrefix = throughName(e.GatewayRoute, inner.Name), match, service.AWSName
			if action := made.GetRoute(); action != nil {
				set(action)
				if h := e.action.Rewrite; h == nil || h.Hostname == nil || h.Hostname.DefaultTargetHostname != "DISABLED" {
					action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: service.AWSName}
				}
			}
			if e.Spec.Derived != nil {
				unrelated(made.GetRoute().GetWeightedClusters())
			}
			out = append(out, sides(made, r.Derived)...)
		}
	}
	if slices.ContainsFunc(out, func(r *routev3.Route) bool { return proto.Equal(r.Match, missing.Match) }) {
		return out // nothing is left to miss
	}
	return append(out, missing)
}

// chooseAnswer returns where a target's requests go: the port, when it is
// demanded, or else preferred; never TCP.
func chooseAnswer(answers []answer, port uint32, demanded bool) *answer {
	answers = slices.DeleteFunc(answers, func(a answer) bool { return a.protocol == schema.ProtocolTCP })
	i := slices.IndexFunc(answers, func(a answer) bool { return a.port == port })
	switch {
	case i >= 0:
		return &answers[i]
	case demanded || len(answers) == 0:
		return nil
	}
	return &answers[0]
}

// compareHosts puts an exact hostname before longer before shorter suffixes
// before none.
func compareHosts(a, b *schema.HostnameMatch) int {
	weight := func(h *schema.HostnameMatch) int {
		switch {
		case h == nil || h.Exact == "" && h.Suffix == "":
			return 0
		case h.Exact != "":
			return 1 << 20
		}
		return len(h.Suffix)
	}
	return cmp.Compare(weight(b), weight(a))
}

// domainOf is the Envoy domain of a hostname match.
func domainOf(h *schema.HostnameMatch) string {
	switch {
	case h != nil && h.Exact != "":
		return strings.ToLower(h.Exact)
	case h != nil && h.Suffix != "":
		return "*" + strings.ToLower(strings.TrimPrefix(h.Suffix, "*"))
	}
	return "*"
}

// covers reports whether a hostname match holds for all names of a domain.
func covers(h *schema.HostnameMatch, domain string) bool {
	own := domainOf(h)
	suffix, wildcard := strings.CutPrefix(own, "*")
	return own == domain || wildcard && strings.HasSuffix(domain, suffix)
}
