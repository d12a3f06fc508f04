package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds/translate"
)

// line is a route as it stands on one side: of a router, the implicit one of a
// node that provides a service (without a name), or a gateway route.
type line struct {
	name   string
	words  string // what it asks for
	match  string // the same to the letter, with its type: what makes a request take it
	prio   *uint32
	shares []Share
	rules  []schema.RouteRules // that hold on it: one for each service of its router
	extra  map[string]string   // of gateway routes: what else there is to it
}

// routes are those whose traffic or behaviour differs.
func (c *change) routes() []Route {
	var out []Route
	for _, key := range c.reached(schema.KindVirtualRouter) {
		out = append(out, c.routerRoutes(schema.Ref{Kind: schema.KindVirtualRouter, Key: key})...)
	}
	for _, key := range c.reached(schema.KindVirtualService) {
		out = append(out, c.serviceRoutes(schema.Ref{Kind: schema.KindVirtualService, Key: key})...)
	}
	out = append(out, c.gatewayRoutes()...)
	slices.SortStableFunc(out, func(a, b Route) int { return cmp.Or(a.Owner.Compare(b.Owner), cmp.Compare(a.Name, b.Name)) })
	return slices.Clip(append([]Route{}, out...))
}

// routerRoutes compares the routes of a router. One that comes or goes with its
// services still there is told at the services: their requests change hands.
func (c *change) routerRoutes(ref schema.Ref) []Route {
	was, is := c.from.Spec.VirtualRouters[ref.Key], c.to.Spec.VirtualRouters[ref.Key]
	switch {
	case was == nil && is == nil:
		return nil
	case was == nil && c.moved(servicesOf(c.to.Spec, is)) || is == nil && c.moved(servicesOf(c.from.Spec, was)):
		return nil
	}
	return compare(ref, c.lines(c.from.Spec, was), c.lines(c.to.Spec, is))
}

// moved reports whether there is a service among these, and each is on both
// sides.
func (c *change) moved(services []*schema.VirtualService) bool {
	return len(services) > 0 && !slices.ContainsFunc(services, func(v *schema.VirtualService) bool {
		return c.from.Spec.VirtualServices[v.Ref.Key] == nil || c.to.Spec.VirtualServices[v.Ref.Key] == nil
	})
}

// serviceRoutes compares what provides a service, as far as that is not a router
// on both sides, the same.
func (c *change) serviceRoutes(ref schema.Ref) []Route {
	was, is := c.from.Spec.VirtualServices[ref.Key], c.to.Spec.VirtualServices[ref.Key]
	before, routerBefore := serviceLines(c.from.Spec, was)
	after, routerAfter := serviceLines(c.to.Spec, is)
	switch {
	case routerBefore != nil && routerAfter != nil && routerBefore.Ref == routerAfter.Ref:
		return nil // told at the router
	case was == nil && routerAfter != nil || is == nil && routerBefore != nil:
		return nil // so are the routes of a new or a removed service
	}
	return compare(ref, before, after)
}

// gatewayRoutes compares gateway routes; those of one gateway that differ in
// nothing but their names are one.
func (c *change) gatewayRoutes() []Route {
	var out []Route
	var gone, come []*schema.GatewayRoute
	row := func(was, is *schema.GatewayRoute) {
		r := compare(is.Ref, gatewayLines(c.from.Spec, was), gatewayLines(c.to.Spec, is))
		if was.Ref != is.Ref && len(r) == 0 {
			r = []Route{{Owner: is.Ref, Match: translate.GatewayMatchWords(is), Op: schema.Changed, Before: gatewayLines(c.from.Spec, was)[0].shares, After: gatewayLines(c.to.Spec, is)[0].shares}}
		}
		for i := range r {
			if was.Ref != is.Ref {
				r[i].Other = append(r[i].Other, "was "+was.Ref.String())
			}
		}
		out = append(out, r...)
	}
	for _, key := range c.reached(schema.KindGatewayRoute) {
		was, is := c.from.Spec.GatewayRoutes[key], c.to.Spec.GatewayRoutes[key]
		switch {
		case was != nil && is != nil:
			row(was, is)
		case was != nil:
			gone = append(gone, was)
		case is != nil:
			come = append(come, is)
		}
	}
	for was, is := range renamed(gone, come, gatewayRouteKey) {
		if is == nil {
			out = append(out, compare(was.Ref, gatewayLines(c.from.Spec, was), nil)...)
		} else if was == nil {
			out = append(out, compare(is.Ref, nil, gatewayLines(c.to.Spec, is))...)
		} else {
			row(was, is)
		}
	}
	return out
}

// gatewayRouteKey is equal for gateway routes that requests take for the same
// reason.
func gatewayRouteKey(g *schema.GatewayRoute) string {
	return fmt.Sprint(g.Gateway, matchOfGateway(g), spellPriority(g.Spec.Priority))
}

// servicesOf returns the virtual services that a router provides, sorted.
func servicesOf(s *schema.Spec, r *schema.VirtualRouter) []*schema.VirtualService {
	var services []*schema.VirtualService
	for ref := range s.Dependents([]schema.Ref{r.Ref}) {
		if v := s.VirtualServices[ref.Key]; ref.Kind == schema.KindVirtualService && v != nil {
			services = append(services, v)
		}
	}
	slices.SortFunc(services, func(a, b *schema.VirtualService) int { return a.Ref.Compare(b.Ref) })
	return services
}

// serviceLines are the routes of what provides a service, and its router if
// that is one.
func serviceLines(s *schema.Spec, v *schema.VirtualService) ([]line, *schema.VirtualRouter) {
	if v == nil {
		return nil, nil
	}
	node, router := s.ProviderOf(v)
	switch {
	case router != nil:
		return linesOf(s, router, []*schema.VirtualService{v}), router
	case node != nil:
		return []line{{
			words: "every request", shares: []Share{{Target: node.Ref, Percent: 100}},
			rules: []schema.RouteRules{s.RulesOf(v, nil, &schema.Route{})},
		}}, nil
	}
	return nil, nil
}

func routerLines(s *schema.Spec, r *schema.VirtualRouter) []line {
	services := servicesOf(s, r)
	if len(services) == 0 {
		services = []*schema.VirtualService{{}} // then no service's policies hold
	}
	return linesOf(s, r, services)
}

func linesOf(s *schema.Spec, r *schema.VirtualRouter, services []*schema.VirtualService) []line {
	lines := make([]line, len(r.Spec.Routes))
	for i := range r.Spec.Routes {
		route := &r.Spec.Routes[i]
		l := line{name: route.Name, words: translate.MatchWords(route), match: matchOf(route), prio: route.Priority, shares: sharesOf(s, r, route)}
		for _, v := range services {
			l.rules = append(l.rules, s.RulesOf(v, r, route))
		}
		lines[i] = l
	}
	return lines
}

func gatewayLines(s *schema.Spec, g *schema.GatewayRoute) []line {
	l := line{
		words: translate.GatewayMatchWords(g), match: matchOfGateway(g), prio: g.Spec.Priority, shares: []Share{},
		rules: []schema.RouteRules{s.GatewayRulesOf(g)}, extra: map[string]string{"gateway": gatewayOf(g).String(), "rewrite": rewriteOf(g)},
	}
	for _, t := range g.Targets() {
		if v := s.TargetService(g, t); v != nil {
			l.shares = append(l.shares, Share{Target: v.Ref, Port: t.Port, Percent: 100})
		}
	}
	return []line{l}
}

// sharesOf spreads a route's requests over its targets; those that get none are
// left out.
func sharesOf(s *schema.Spec, r *schema.VirtualRouter, route *schema.Route) []Share {
	total := 0.0
	for _, t := range route.Targets() {
		total += float64(t.Weight)
	}
	shares := []Share{}
	for _, t := range route.Targets() {
		n := s.TargetNode(r, t)
		if n == nil || t.Weight == 0 {
			continue
		}
		percent := 100 * float64(t.Weight) / total
		if i := slices.IndexFunc(shares, func(o Share) bool { return o.Target == n.Ref && o.Port == t.Port }); i >= 0 {
			shares[i].Percent += percent
		} else {
			shares = append(shares, Share{Target: n.Ref, Port: t.Port, Percent: percent})
		}
	}
	for i := range shares {
		shares[i].Percent = math.Round(100*shares[i].Percent) / 100
	}
	slices.SortFunc(shares, func(a, b Share) int { return cmp.Or(a.Target.Compare(b.Target), cmp.Compare(a.Port, b.Port)) })
	return shares
}

// matchOf is equal for routes of one type that ask for the same.
func matchOf(r *schema.Route) string {
	return string(r.Protocol()) + " " + spell(r.Match())
}

// matchOfGateway is equal for gateway routes of one type that ask for the same.
func matchOfGateway(g *schema.GatewayRoute) string {
	return g.Field() + " " + spell(g.Match())
}

// spell writes a value of a spec as JSON.
func spell(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("plan: " + err.Error()) // plain structs: cannot happen
	}
	return string(data)
}
