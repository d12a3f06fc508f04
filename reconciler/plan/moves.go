package plan

import (
	"cmp"
	"slices"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// trials bounds how many requests are tried, so that a change of thousands of
// routes costs seconds at most. What then is not tried is told as a risk.
const trials = 20_000

// moves returns the requests that another route would win, one example for each
// pair of routes, and whether all were tried that there are to try.
//
// A request can change its route only if it matches one that differs, as it is
// on one of the sides: of two routes that stay as they are, the one that came
// first still does. So requests are made of each route that differs, alone and
// together with each other route of its table, and the proxies of both sides
// are asked.
func (c *change) moves() (_ []Move, all bool) {
	m := &mover{change: c, left: trials, found: map[[3]string]bool{}}
	for _, key := range c.reached(schema.KindVirtualService) {
		m.service(schema.Ref{Kind: schema.KindVirtualService, Key: key})
	}
	for _, key := range c.reached(schema.KindVirtualNode) {
		m.backends(key)
	}
	for _, key := range c.reached(schema.KindVirtualGateway) {
		m.gateway(key)
	}
	slices.SortFunc(m.moves, func(a, b Move) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Request, b.Request), cmp.Compare(a.Before, b.Before))
	})
	return append([]Move{}, m.moves...), m.left > 0
}

// mover tries requests.
type mover struct {
	*change
	left  int
	moves []Move
	found map[[3]string]bool // by identity and routes
}

// asked is a proxy on both sides.
type asked struct {
	id            xds.Identity
	before, after *translate.Explainer
}

// ask returns the proxy of an identity; nil if it is not on both sides.
func (m *mover) ask(id xds.Identity) *asked {
	before, err := m.from.State.Explainer(id)
	if err != nil {
		return nil
	}
	after, err := m.to.State.Explainer(id)
	if err != nil {
		return nil
	}
	return &asked{id, before, after}
}

// try asks both sides for one request, and reports whether more may be tried.
func (m *mover) try(a *asked, r request) bool {
	if m.left > 0 {
		m.left--
		m.compare(a, r)
	}
	return m.left > 0
}

// compare asks both sides for one request.
func (m *mover) compare(a *asked, r request) {
	was, err := a.before.Explain(r.asked())
	if err != nil {
		return
	}
	is, err := a.after.Explain(r.asked())
	if err != nil || m.same(was, is) {
		return
	}
	move := Move{From: a.id, Request: printable(r.String()), Before: winner(was), After: winner(is)}
	key := [3]string{a.id.String(), move.Before, move.After}
	if !m.found[key] {
		m.found[key] = true
		m.moves = append(m.moves, move)
		if move.After == "" {
			m.lost[move] = m.named(cmp.Or(was.GatewayRoute, was.Router, was.Service))
		}
	}
}

// named is the resource of a ref as an explanation writes it; of the new side,
// if it is there.
func (m *mover) named(ref string) schema.Resource {
	for r := range m.near() {
		if r.String() == ref {
			return cmp.Or(m.to.Spec.Find(r), m.from.Spec.Find(r))
		}
	}
	return nil
}

// matched reports whether a route takes the request.
func matched(e *translate.Explanation) bool {
	switch e.Outcome {
	case translate.Routed:
		return true
	case translate.Answered:
		return e.Status != 404 || e.GatewayRoute != ""
	}
	return false
}

// winner names the route that takes a request; empty: none does.
func winner(e *translate.Explanation) string {
	route := e.Service
	if e.Router != "" && e.Route != "" {
		route = "route " + e.Route + " of " + e.Router
	}
	switch {
	case !matched(e):
		return ""
	case e.GatewayRoute == "":
		return route
	case e.Router == "" || e.Route == "":
		return e.GatewayRoute
	}
	return e.GatewayRoute + ", " + route
}

// same reports whether two explanations name one route, which may have another
// name on the other side.
func (m *mover) same(was, is *translate.Explanation) bool {
	if matched(was) != matched(is) {
		return false
	}
	if !matched(was) || winner(was) == winner(is) {
		return true
	}
	if was.GatewayRoute != is.GatewayRoute && !m.sameGatewayRoute(was.GatewayRoute, is.GatewayRoute) {
		return false
	}
	v, now := m.serviceNamed(m.from.Spec, was.Service), m.serviceNamed(m.to.Spec, is.Service)
	switch {
	case was.Service != is.Service && was.GatewayRoute != "":
		return true // the gateway route leads elsewhere: its traffic says so
	case was.Service == is.Service && was.Route == "" && is.Route == "":
		return true // none behind it takes it, on either side
	case v == nil || now == nil || v.AWSName != now.AWSName && v.Ref != now.Ref:
		return false
	}
	before, _ := serviceLines(m.from.Spec, v)
	after, _ := serviceLines(m.to.Spec, now)
	for a, b := range paired(before, after) {
		if a != nil && b != nil && a.name == was.Route && b.name == is.Route {
			return true
		}
	}
	return false
}

func (m *mover) serviceNamed(s *schema.Spec, ref string) *schema.VirtualService {
	for key := range m.reach {
		if v := s.VirtualServices[key.Key]; key.Kind == schema.KindVirtualService && v != nil && key.String() == ref {
			return v
		}
	}
	return nil
}

// sameGatewayRoute reports whether a gateway route is there under another name.
func (m *mover) sameGatewayRoute(was, is string) bool {
	var gone, come *schema.GatewayRoute
	for _, key := range m.reached(schema.KindGatewayRoute) {
		before, after := m.from.Spec.GatewayRoutes[key], m.to.Spec.GatewayRoutes[key]
		switch {
		case before != nil && after == nil && before.Ref.String() == was:
			gone = before
		case before == nil && after != nil && after.Ref.String() == is:
			come = after
		}
	}
	return gone != nil && come != nil && gatewayRouteKey(gone) == gatewayRouteKey(come)
}

// service tries requests to a service whose routes differ in what they ask for.
// Its callers decide alike, so that one is asked: the one that may call least.
func (m *mover) service(ref schema.Ref) {
	was, is := m.from.Spec.VirtualServices[ref.Key], m.to.Spec.VirtualServices[ref.Key]
	if was == nil || is == nil {
		return
	}
	before, after := tableOf(m.from.Spec, was), tableOf(m.to.Spec, is)
	if before.key() == after.key() {
		return
	}
	a := m.ask(m.caller(was, is))
	if a == nil {
		return
	}
	for _, host := range slices.Compact([]string{was.AWSName, is.AWSName}) {
		both(before, after, func(r request) bool {
			r.host = host
			return m.try(a, r)
		})
	}
}

// both makes requests of the routes that two tables do not share, on each port.
// On one that is new or gone, those are all.
func both(before, after table, try func(request) (more bool)) {
	for _, p := range union(before.ports, after.ports) {
		was, is := before.routes, after.routes
		if !slices.Contains(before.ports, p) {
			was = nil
		}
		if !slices.Contains(after.ports, p) {
			is = nil
		}
		requests(was, is, func(r request) bool {
			r.port = p.Port
			return try(r)
		})
	}
}

// caller is the node that calls a service on both sides and the fewest others.
func (m *mover) caller(was, is *schema.VirtualService) (best xds.Identity) {
	least := 0
	for ref := range m.from.Spec.Dependents([]schema.Ref{was.Ref}) {
		n, now := m.from.Spec.VirtualNodes[ref.Key], m.to.Spec.VirtualNodes[ref.Key]
		if ref.Kind != schema.KindVirtualNode || n == nil || now == nil || !calls(m.to.Spec, now, is) {
			continue
		}
		id, count := identity(&n.Meta), len(m.from.Spec.BackendsOf(n))
		if least == 0 || count < least || count == least && id.Compare(best) < 0 {
			best, least = id, count
		}
	}
	return best
}

func calls(s *schema.Spec, n *schema.VirtualNode, v *schema.VirtualService) bool {
	return slices.ContainsFunc(s.BackendsOf(n), func(b schema.BackendLink) bool { return b.Service == v })
}

// backends tries the services that a node may call on one side only.
func (m *mover) backends(key schema.Key) {
	was, is := m.from.Spec.VirtualNodes[key], m.to.Spec.VirtualNodes[key]
	if was == nil || is == nil {
		return
	}
	before, after := m.from.Spec.BackendsOf(was), m.to.Spec.BackendsOf(is)
	var a *asked
	try := func(s *schema.Spec, all, others []schema.BackendLink) {
		for _, b := range all {
			if slices.ContainsFunc(others, func(o schema.BackendLink) bool { return o.Service.Ref == b.Service.Ref }) {
				continue
			}
			if a == nil {
				a = m.ask(identity(&was.Meta))
			}
			known := len(m.moves)
			both(tableOf(s, b.Service), table{}, func(r request) bool {
				r.host = b.Service.AWSName
				return a != nil && m.try(a, r)
			})
			for _, move := range m.moves[known:] {
				if move.After == "" { // it is told of the backend
					delete(m.lost, move)
					m.cut[edge{was.Ref, b.Service.Ref}] = !m.to.Spec.MeshOf(is).AllowAll()
				}
			}
		}
	}
	try(m.from.Spec, before, after)
	try(m.to.Spec, after, before)
}

// gateway tries requests that come to a gateway whose routes, or those behind
// them, differ in what they ask for.
func (m *mover) gateway(key schema.Key) {
	was, is := m.from.Spec.VirtualGateways[key], m.to.Spec.VirtualGateways[key]
	if was == nil || is == nil {
		return
	}
	before, after := gatewayTable(m.from.Spec, was), gatewayTable(m.to.Spec, is)
	if before.key() == after.key() {
		return
	}
	a := m.ask(identity(&was.Meta))
	if a == nil {
		return
	}
	any := "any host"
	if slices.ContainsFunc(slices.Concat(before.routes, after.routes), func(r asks) bool { return r.host != "" }) {
		any = "any other host"
	}
	both(before, after, func(r request) bool {
		if r.host == "" {
			r.host, r.any = "elsewhere", any
		}
		return m.try(a, r)
	})
}
