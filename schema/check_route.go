package schema

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// routerListeners: a route takes requests of its own protocol, on one port or
// on every port of that protocol.
func routerListeners(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*VirtualRouter)
	if !ok || len(r.Spec.Listeners) == 0 {
		return
	}
	for i := range r.Spec.Routes {
		route := &r.Spec.Routes[i]
		heard(listenersOf(r), routePath(r, i), route.Protocol(), matchOf(route).port, report)
	}
}

// gatewayListeners: so does a gateway's route.
func gatewayListeners(t *linker, res Resource, report func(path, what, fix string)) {
	g, ok := res.(*GatewayRoute)
	if !ok {
		return
	}
	if gateway := t.spec.VirtualGateways[g.Gateway]; gateway != nil && len(gateway.Spec.Listeners) > 0 {
		heard(listenersOf(gateway), "spec."+g.Field(), Protocol(strings.TrimSuffix(g.Field(), "Route")), gatewayMatchOf(g).port, report)
	}
}

// heard holds a route to the listeners: one has its protocol, and the port that
// it matches.
func heard(listeners []PortMapping, path string, protocol Protocol, port uint32, report func(path, what, fix string)) {
	at := slices.IndexFunc(listeners, func(l PortMapping) bool { return l.Port == port })
	switch {
	case port == 0 && !slices.ContainsFunc(listeners, func(l PortMapping) bool { return l.Protocol == protocol }):
		report(path, fmt.Sprintf("no listener has the protocol %s; there is %s", protocol, spellPorts(listeners)), "write a route of the listener's protocol, or change the listener")
	case port != 0 && at < 0:
		report(path+".match.port", fmt.Sprintf("no listener has port %d; there is %s", port, spellPorts(listeners)), "match the port of a listener, or leave port out")
	case port != 0 && listeners[at].Protocol != protocol:
		report(path, fmt.Sprintf("the listener of port %d has the protocol %s, and the route is for %s", port, listeners[at].Protocol, protocol), "write a route of the listener's protocol, or change the listener")
	}
}

// targetPorts: what requests are sent to listens there.
func targetPorts(t *linker, res Resource, report func(path, what, fix string)) {
	switch r := res.(type) {
	case *VirtualRouter:
		for i := range r.Spec.Routes {
			for j, target := range r.Spec.Routes[i].Targets() {
				if n := t.spec.TargetNode(r, target); n != nil {
					reached(n, target.Port, func(what, fix string) { report(targetPath(r, i, j)+".port", what, fix) })
				}
			}
		}
	case *GatewayRoute:
		for _, target := range r.Targets() {
			v := t.spec.TargetService(r, target)
			if v == nil {
				continue
			}
			if at := t.spec.answering(v); at != nil {
				reached(at, target.Port, func(what, fix string) { report("spec."+r.Field()+".action.target.port", what, fix) })
			}
		}
	case *RoutePolicy:
		if m := r.Spec.Mirror; m != nil {
			if n := t.spec.VirtualNodes[m.VirtualNodeRef.In(r.Ref.Namespace)]; n != nil {
				reached(n, m.Port, func(what, fix string) { report("spec.mirror.port", what, fix) })
			}
		}
	case *VirtualService:
		if n, _ := t.spec.ProviderOf(r); n != nil && len(n.Spec.Listeners) == 0 {
			report("spec.provider.virtualNode", n.Ref.String()+" has no listener, so that nobody answers", "add one there")
		}
	}
}

// reached holds the port of a target to the target's listeners.
func reached(at Resource, port uint32, report func(what, fix string)) {
	listeners := listenersOf(at)
	switch ref := at.meta().Ref; {
	case len(listeners) == 0:
		report(ref.String()+" has no listener", "add one there")
	case port == 0 && len(listeners) > 1:
		report("port is missing, and "+ref.String()+" has several listeners: "+spellPorts(listeners), "set it to one of them")
	case port != 0 && !slices.ContainsFunc(listeners, func(l PortMapping) bool { return l.Port == port }):
		report(fmt.Sprintf("%s does not listen on port %d; there is %s", ref, port, spellPorts(listeners)), "write the port of a listener")
	}
}

// answering returns the node or router that answers for a service, nil if that
// is none or a router that has no listeners (which is told).
func (s *Spec) answering(v *VirtualService) Resource {
	switch node, router := s.ProviderOf(v); {
	case node != nil && len(node.Spec.Listeners) > 0:
		return node
	case router != nil && len(router.Spec.Listeners) > 0:
		return router
	}
	return nil
}

// longTimeouts: the target's own proxy ends what takes longer than its
// listener's timeout (App Mesh: 15 s a request and 300 s idle by default).
func longTimeouts(t *linker, res Resource, report func(path, what, fix string)) {
	switch r := res.(type) {
	case *VirtualRouter:
		for i := range r.Spec.Routes {
			route := &r.Spec.Routes[i]
			if route.Timeout() == nil {
				continue
			}
			for _, target := range route.Targets() {
				if n := t.spec.TargetNode(r, target); n != nil {
					outlives(n, target.Port, route.Timeout(), func(field, what, fix string) { report(routePath(r, i)+".timeout."+field, what, fix) })
				}
			}
		}
	case *RoutePolicy:
		if r.Spec.Timeout == nil {
			return
		}
		for _, target := range r.Spec.Targets {
			nodes, ports := t.spec.routedNodes(target.In(r.Ref.Namespace), target.Routes)
			for i, n := range nodes {
				outlives(n, ports[i], r.Spec.Timeout, func(field, what, fix string) { report("spec.timeout."+field, what, fix) })
			}
		}
	}
}

// outlives reports which of a route's timeouts are longer than those of a
// target's listener.
func outlives(n *VirtualNode, port uint32, wants *Timeout, report func(field, what, fix string)) {
	l := n.ListenerAt(port)
	if l == nil {
		return
	}
	allows := l.Timeout.For(l.PortMapping.Protocol)
	if allows == nil {
		allows = &Timeout{}
	}
	try := func(field string, want, allowed *Duration, byDefault time.Duration) {
		if want == nil {
			return
		}
		limit, most := "by default", byDefault
		if allowed != nil {
			limit, most = "there", allowed.Duration()
		}
		if most == 0 || want.Value != 0 && want.Duration() <= most {
			return
		}
		report(field, fmt.Sprintf("it is longer than the listener of %s allows, which is %s %s", n.Ref, most, limit),
			fmt.Sprintf("raise timeout.%s.%s of that listener too", l.PortMapping.Protocol, field))
	}
	try("idle", wants.Idle, allows.Idle, 300*time.Second)
	if l.PortMapping.Protocol != ProtocolTCP {
		try("perRequest", wants.PerRequest, allows.PerRequest, 15*time.Second)
	}
}

// shadowedRoutes: of equal matches the first in order takes all requests, and
// of two priorities the first takes all that its match covers.
func shadowedRoutes(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*VirtualRouter)
	if !ok || len(r.Spec.Routes) > maxCompared {
		return
	}
	matches := make([]match, len(r.Spec.Routes))
	for i := range r.Spec.Routes {
		matches[i] = matchOf(&r.Spec.Routes[i])
	}
	for i := range matches {
		for j := range matches {
			if i != j && matches[j].takesAll(&matches[i]) {
				report(routePath(r, i)+".match", fmt.Sprintf("spec.routes[%d] (%s) comes first and takes all of its requests", j, matches[j].name), "change the match or the priority of one, or drop one")
				break
			}
		}
	}
}

// maxCompared is how many routes of a router are compared with each other. App
// Mesh had at most 50.
const maxCompared = 1000

// shadowedGatewayRoutes: so it is among the routes of a gateway. Only equal
// matches are looked for, since there may be thousands of routes.
func shadowedGatewayRoutes(t *linker, report func(res Resource, path, what, fix string)) {
	type place struct {
		gateway Key
		match   string
	}
	alike := map[place][]*GatewayRoute{}
	for _, g := range t.spec.GatewayRoutes {
		if m := gatewayMatchOf(g); g.Gateway != (Key{}) {
			at := place{g.Gateway, m.key()}
			alike[at] = append(alike[at], g)
		}
	}
	for _, routes := range alike {
		slices.SortFunc(routes, func(a, b *GatewayRoute) int {
			am, bm := gatewayMatchOf(a), gatewayMatchOf(b)
			return am.compare(&bm)
		})
		for _, g := range routes[1:] {
			report(g, "spec."+g.Field()+".match", routes[0].Ref.String()+" comes first and takes all of its requests", "change the match or the priority of one, or drop one")
		}
	}
}
