package schema

import (
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
		target      Ref
		part, field string // of the target, of the rules
	}
	first := map[place]string{}
	for _, d := range t.docs {
		p, ok := d.res.(*RoutePolicy)
		if !ok {
			continue
		}
		for i := range p.Spec.Targets {
			target := &p.Spec.Targets[i]
			to := target.In(p.Ref.Namespace)
			parts := target.Routes
			if len(parts) == 0 {
				parts = []string{""}
			}
			for _, part := range parts {
				for _, field := range p.Spec.Written() {
					at, who := place{to, part, field}, p.Ref.String()
					if other, taken := first[at]; taken && other != who {
						report(p, "spec."+field, fmt.Sprintf("%s says it of %s too", other, spellPart(to, part)), "say it in one of them, or of something narrower")
					} else if taken {
						report(p, fmt.Sprintf("spec.targets[%d]", i), spellPart(to, part)+" is a target already", "keep one")
						break
					}
					first[at] = who
				}
			}
		}
	}
}

func spellPart(target Ref, part string) string {
	if part == "" {
		return target.String()
	}
	return "route " + part + " of " + target.String()
}

// policyRoutes are routes of the router that is targeted, and say nothing of
// what the policy says.
func policyRoutes(t *linker, report func(res Resource, path, what, fix string)) {
	for _, p := range t.spec.RoutePolicies {
		for i := range p.Spec.Targets {
			target := &p.Spec.Targets[i]
			to := target.In(p.Ref.Namespace)
			router := t.spec.VirtualRouters[to.Key]
			for j, name := range target.Routes {
				path := fmt.Sprintf("spec.targets[%d].routes[%d]", i, j)
				if to.Kind != KindVirtualRouter {
					report(p, path, fmt.Sprintf("a %s has no routes", to.Kind), "leave routes out, or target the VirtualRouter")
					break
				}
				if router == nil {
					break // that is told
				}
				at := slices.IndexFunc(router.Spec.Routes, func(r Route) bool { return r.Name == name })
				if at < 0 {
					report(p, path, fmt.Sprintf("%s has no route %s", to, quote(name)), routeHint(router, name))
					continue
				}
				for field, said := range map[string]bool{
					"retryPolicy": p.Spec.RetryPolicy != nil && router.Spec.Routes[at].RetryPolicy() != nil,
					"timeout":     p.Spec.Timeout != nil && router.Spec.Routes[at].Timeout() != nil,
				} {
					if said {
						report(p, "spec."+field, fmt.Sprintf("%s says it itself", spellPart(to, name)), "change it there, or remove it there")
					}
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
	if near := nearest(name, names); near != "" {
		return "did you mean " + near + "?"
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
