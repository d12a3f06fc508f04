package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// keptHeaders: Envoy refuses all routes beside one that changes these.
func keptHeaders(res Resource, report func(path, what, fix string)) {
	p, ok := res.(*RoutePolicy)
	if !ok {
		return
	}
	try := func(name, path string, args ...any) {
		if strings.EqualFold(name, "host") {
			report(fmt.Sprintf(path, args...), "host is what requests are routed by", "rewrite the hostname at a GatewayRoute")
		}
	}
	for field, c := range map[string]*HeaderChanges{"requestHeaders": p.Spec.RequestHeaders, "responseHeaders": p.Spec.ResponseHeaders} {
		if c == nil {
			continue
		}
		for i, h := range c.Set {
			try(h.Name, "spec.%s.set[%d].name", field, i)
		}
		for i, h := range c.Add {
			try(h.Name, "spec.%s.add[%d].name", field, i)
		}
		for i, name := range c.Remove {
			try(name, "spec.%s.remove[%d]", field, i)
		}
	}
}

// sharedRules: of two policies for one thing, which would hold? A policy for
// something narrower goes before one for something wider, but not two of equals.
func sharedRules(t *linker, report func(res Resource, path, what, fix string)) {
	type place struct {
		part
		field string // of the rules
	}
	first := map[place]Ref{}
	for _, d := range t.docs {
		targets, fields := ruled(d.res)
		for i, parts := range targets {
			for _, p := range parts {
				for _, field := range fields {
					other, taken := first[place{p, field}]
					if taken && other != d.ref {
						report(d.res, "spec."+field, fmt.Sprintf("%s says it of %s too", other, p), "say it in one of them, or of something narrower")
					} else if taken {
						report(d.res, fmt.Sprintf("spec.targets[%d]", i), p.String()+" is a target already", "keep one")
						break
					}
					first[place{p, field}] = d.ref
				}
			}
		}
	}
}

func onlyPolicies(res Resource) any {
	return cmp.Or(only[*RoutePolicy](res), only[*ListenerPolicy](res))
}

// part is what a policy targets: a resource, or a route or listener of it.
type part struct {
	of   Ref
	what string
}

func (p part) String() string {
	if p.what == "" {
		return p.of.String()
	}
	return p.what + " of " + p.of.String()
}

// ruled returns the parts of each of a policy's targets, and the fields in
// which it says something of them; none of what is no policy.
func ruled(res Resource) (targets [][]part, fields []string) {
	switch p := res.(type) {
	case *RoutePolicy:
		for i := range p.Spec.Targets {
			of := p.Spec.Targets[i].In(p.Ref.Namespace)
			parts := []part{{of, ""}}
			if routes := p.Spec.Targets[i].Routes; len(routes) > 0 {
				parts = nil
				for _, name := range routes {
					parts = append(parts, part{of, "route " + name})
				}
			}
			targets = append(targets, parts)
		}
		return targets, p.Spec.RouteRules.Written()
	case *ListenerPolicy:
		for i := range p.Spec.Targets {
			one := part{of: p.Spec.Targets[i].In(p.Ref.Namespace)}
			if port := p.Spec.Targets[i].Port; port != 0 {
				one.what = fmt.Sprintf("port %d", port)
			}
			targets = append(targets, []part{one})
		}
		return targets, p.Spec.ListenerRules.Written()
	}
	return nil, nil
}

// policyRoutes are routes of the router that is targeted, and say nothing of
// what the policy says.
func policyRoutes(t *linker, res Resource, report func(path, what, fix string)) {
	p, ok := res.(*RoutePolicy)
	if !ok {
		return
	}
	for i := range p.Spec.Targets {
		target := &p.Spec.Targets[i]
		to := target.In(p.Ref.Namespace)
		router := t.spec.VirtualRouters[to.Key]
		for j, name := range target.Routes {
			path := fmt.Sprintf("spec.targets[%d].routes[%d]", i, j)
			if to.Kind != KindVirtualRouter {
				report(path, fmt.Sprintf("a %s has no routes", to.Kind), "leave routes out, or target the VirtualRouter")
				break
			}
			if router == nil {
				break // that is told
			}
			at := slices.IndexFunc(router.Spec.Routes, func(r Route) bool { return r.Name == name })
			if at < 0 {
				report(path, fmt.Sprintf("%s has no route %s", to, quote(name)), routeHint(router, name))
				continue
			}
			for field, said := range map[string]bool{
				"retryPolicy": p.Spec.RetryPolicy != nil && router.Spec.Routes[at].RetryPolicy() != nil,
				"timeout":     p.Spec.Timeout != nil && router.Spec.Routes[at].Timeout() != nil,
			} {
				if said {
					report("spec."+field, fmt.Sprintf("%s says it itself", part{to, "route " + name}), "change it there, or remove it there")
				}
			}
		}
	}
}

func routeHint(r *VirtualRouter, name string) string {
	var names []string
	for i := range r.Spec.Routes {
		names = append(names, r.Spec.Routes[i].Name)
	}
	if asked := meant(name, names); asked != "" {
		return asked
	}
	return "it has " + strings.Join(names[:min(len(names), 10)], ", ")
}

// routedNodes returns the nodes, and their listeners, that requests to what a
// policy targets go to.
func (s *Spec) routedNodes(target Ref, routes []string) (nodes []*VirtualNode, ports []uint32) {
	switch target.Kind {
	case KindVirtualRouter:
		r := s.VirtualRouters[target.Key]
		if r == nil {
			break
		}
		for i := range r.Spec.Routes {
			if len(routes) > 0 && !slices.Contains(routes, r.Spec.Routes[i].Name) {
				continue
			}
			for _, t := range r.Spec.Routes[i].Targets() {
				if n := s.TargetNode(r, t); n != nil {
					nodes, ports = append(nodes, n), append(ports, t.Port)
				}
			}
		}
	case KindVirtualService:
		v := s.VirtualServices[target.Key]
		if v == nil {
			break
		}
		node, router := s.ProviderOf(v)
		if router != nil {
			return s.routedNodes(router.Ref, nil)
		}
		if node != nil {
			for _, l := range listenersOf(node) {
				nodes, ports = append(nodes, node), append(ports, l.Port)
			}
		}
	case KindGatewayRoute:
		if g := s.GatewayRoutes[target.Key]; g != nil {
			for _, t := range g.Targets() {
				if v := s.TargetService(g, t); v != nil {
					return s.routedNodes(v.Ref, nil)
				}
			}
		}
	}
	return nodes, ports
}

// policyListeners: a policy is for listeners that are there, and what it asks
// for on behalf of security holds at all of them.
func policyListeners(t *linker, res Resource, report func(path, what, fix string)) {
	p, ok := res.(*ListenerPolicy)
	if !ok {
		return
	}
	for i := range p.Spec.Targets {
		target := &p.Spec.Targets[i]
		to := t.spec.Find(target.In(p.Ref.Namespace))
		if to == nil {
			continue // that is told
		}
		path, there := fmt.Sprintf("spec.targets[%d]", i), listenersOf(to)
		if target.Port != 0 {
			at := slices.IndexFunc(there, func(l PortMapping) bool { return l.Port == target.Port })
			if at < 0 {
				report(path+".port", fmt.Sprintf("%s has no listener on port %d; there is %s", to.meta().Ref, target.Port, spellPorts(there)), "write the port of a listener, or leave port out for all")
				continue
			}
			there = there[at : at+1]
		}
		for _, l := range there {
			if l.Protocol == ProtocolTCP && (p.Spec.JWT != nil || p.Spec.ExternalAuthorization != nil) {
				report(path, fmt.Sprintf("what comes to port %d of %s is TCP, of which no request can be checked", l.Port, to.meta().Ref), "target the ports of http, http2 and grpc")
			}
		}
	}
	for _, s := range p.Spec.asked() {
		v := t.spec.VirtualServices[s.ref.In(p.Ref.Namespace)]
		if v == nil {
			continue // that is told
		}
		at := t.spec.answering(v)
		if at == nil {
			report(s.path+".virtualServiceRef", v.Ref.String()+" answers on no port", "give it a provider that listens")
			continue
		}
		reached(at, s.port, func(what, fix string) { report(s.path+".port", what, fix) })
		for _, l := range listenersOf(at) {
			if l.Protocol == ProtocolTCP && (l.Port == s.port || s.port == 0) {
				report(s.path+".port", fmt.Sprintf("port %d of %s is TCP", l.Port, at.meta().Ref), "write a port of http, http2 or grpc")
			}
		}
	}
}

// tokenlessChecks: clients that check the health of a node have no token.
func tokenlessChecks(t *linker, res Resource, report func(path, what, fix string)) {
	p, ok := res.(*ListenerPolicy)
	if !ok {
		return
	}
	if p.Spec.JWT == nil || p.Spec.JWT.Optional {
		return
	}
	for i := range p.Spec.Targets {
		n := t.spec.VirtualNodes[p.Spec.Targets[i].In(p.Ref.Namespace).Key]
		if n == nil || p.Spec.Targets[i].Kind != KindVirtualNode {
			continue
		}
		for _, l := range n.Spec.Listeners {
			h := l.HealthCheck
			if h == nil || h.Protocol == ProtocolTCP || p.Spec.Targets[i].Port != 0 && p.Spec.Targets[i].Port != l.PortMapping.Port {
				continue
			}
			path := cmp.Or(h.Path, "/")
			if h.Protocol == ProtocolGRPC {
				path = "/grpc.health.v1.Health"
			}
			if !slices.ContainsFunc(p.Spec.JWT.Except, func(e string) bool {
				e = strings.TrimRight(e, "/")
				return path == e || strings.HasPrefix(path, e+"/")
			}) {
				report(fmt.Sprintf("spec.targets[%d]", i), fmt.Sprintf("clients check the health of %s at %s, and have no token there", n.Ref, path), "add the path to jwt.except, or check by TCP")
			}
		}
	}
}

// hashes: an algorithm that hashes needs something to hash, and no other does.
func hashes(res Resource, report func(path, what, fix string)) {
	p, ok := res.(*ListenerPolicy)
	if !ok || p.Spec.LoadBalancing == nil {
		return
	}
	switch lb := p.Spec.LoadBalancing; {
	case lb.Algorithm.Hashes() && len(lb.HashOn) == 0:
		report("spec.loadBalancing.hashOn", string(lb.Algorithm)+" needs something of the request to hash", "write a header, cookie or queryParameter, or sourceAddress: true")
	case !lb.Algorithm.Hashes() && len(lb.HashOn) > 0:
		report("spec.loadBalancing.hashOn", string(lb.Algorithm)+" does not hash", "use RING_HASH or MAGLEV, or remove it")
	}
	for i, k := range p.Spec.LoadBalancing.HashOn {
		if k.CookieTTL.Value > 0 && k.Cookie == "" {
			report(fmt.Sprintf("spec.loadBalancing.hashOn[%d].cookieTTL", i), "there is no cookie", "name the cookie")
		}
	}
}
