package schema

import (
	"cmp"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
)

// PoliciesOf returns the policies that target a resource, sorted by ref. The
// slice is the spec's own: do not change it.
func (s *Spec) PoliciesOf(r Resource) []Resource { return s.policies[r.meta().Ref] }

// RulesOf returns what holds on a route of a virtual service: field by field
// what the route itself says, else the policy that names the route, else its
// router's, else its service's. The route of a service that a node provides
// has no router. References in it have their namespace.
func (s *Spec) RulesOf(v *VirtualService, router *VirtualRouter, route *Route) RouteRules {
	rules := RouteRules{RetryPolicy: route.RetryPolicy(), Timeout: route.Timeout()}
	if router != nil {
		rules = rules.Or(s.routeRules(router, route.Name)).Or(s.routeRules(router, ""))
	}
	return rules.Or(s.routeRules(v, ""))
}

// GatewayRulesOf returns what holds on a gateway route, before what holds on the
// route behind it.
func (s *Spec) GatewayRulesOf(g *GatewayRoute) RouteRules { return s.routeRules(g, "") }

// routeRules are those of the policies of a target, or of one of its routes.
func (s *Spec) routeRules(target Resource, route string) (rules RouteRules) {
	for _, r := range s.PoliciesOf(target) {
		p, ok := r.(*RoutePolicy)
		if !ok {
			continue
		}
		for i := range p.Spec.Targets {
			t := &p.Spec.Targets[i]
			if t.In(p.Ref.Namespace) == target.meta().Ref && (route == "" && len(t.Routes) == 0 || route != "" && slices.Contains(t.Routes, route)) {
				rules = rules.Or(p.Spec.RouteRules.from(p.Ref.Namespace))
			}
		}
	}
	return rules
}

// ListenerRulesOf returns what holds at a listener of a virtual node or gateway:
// field by field what is said of its port, else of all listeners. References in
// it have their namespace.
func (s *Spec) ListenerRulesOf(r Resource, port uint32) (rules ListenerRules) {
	var wide ListenerRules
	for _, p := range s.PoliciesOf(r) {
		p, ok := p.(*ListenerPolicy)
		if !ok {
			continue
		}
		for i := range p.Spec.Targets {
			t := &p.Spec.Targets[i]
			switch {
			case t.In(p.Ref.Namespace) != r.meta().Ref:
			case t.Port == port:
				rules = rules.Or(p.Spec.ListenerRules.from(p.Ref.Namespace))
			case t.Port == 0:
				wide = wide.Or(p.Spec.ListenerRules.from(p.Ref.Namespace))
			}
		}
	}
	return rules.Or(wide)
}

// asked is a virtual service that a proxy itself asks because of a policy.
type asked struct {
	ref  *Reference
	port uint32
	path string // of the field that has the reference
}

func (r *ListenerRules) asked() []asked {
	var all []asked
	if r.JWT != nil {
		for i := range r.JWT.Issuers {
			if s := r.JWT.Issuers[i].JWKS.Service; s != nil {
				all = append(all, asked{&s.VirtualServiceRef, s.Port, fmt.Sprintf("spec.jwt.issuers[%d].jwks.service", i)})
			}
		}
	}
	if a := r.ExternalAuthorization; a != nil {
		all = append(all, asked{&a.VirtualServiceRef, a.Port, "spec.externalAuthorization"})
	}
	return all
}

// Asked yields the virtual services that proxies themselves ask, by the path of
// the field that has the reference.
func (r *ListenerRules) Asked() iter.Seq2[string, *Reference] {
	return func(yield func(string, *Reference) bool) {
		for _, a := range r.asked() {
			if !yield(a.path, a.ref) {
				return
			}
		}
	}
}

// from returns the rules of a policy of a namespace as they read elsewhere.
func (r ListenerRules) from(namespace string) ListenerRules {
	if r.JWT != nil {
		j := *r.JWT
		j.Issuers = slices.Clone(j.Issuers)
		for i := range j.Issuers {
			if s := j.Issuers[i].JWKS.Service; s != nil {
				absolute := *s
				absolute.VirtualServiceRef.Namespace = cmp.Or(s.VirtualServiceRef.Namespace, namespace)
				j.Issuers[i].JWKS.Service = &absolute
			}
		}
		r.JWT = &j
	}
	if r.ExternalAuthorization != nil {
		a := *r.ExternalAuthorization
		a.VirtualServiceRef.Namespace = cmp.Or(a.VirtualServiceRef.Namespace, namespace)
		r.ExternalAuthorization = &a
	}
	return r
}

// from returns the rules of a policy of a namespace as they read elsewhere.
func (r RouteRules) from(namespace string) RouteRules {
	if r.Mirror != nil {
		m := *r.Mirror
		m.VirtualNodeRef.Namespace = cmp.Or(m.VirtualNodeRef.Namespace, namespace)
		r.Mirror = &m
	}
	return r
}

// Written returns the names of the fields that the rules say something in.
func (r *RouteRules) Written() []string { return written(reflect.ValueOf(r).Elem()) }

// Written returns the names of the fields that the rules say something in.
func (r *ListenerRules) Written() []string { return written(reflect.ValueOf(r).Elem()) }

func written(rules reflect.Value) []string {
	var names []string
	for i := range rules.NumField() {
		if !rules.Field(i).IsNil() {
			name, _, _ := strings.Cut(rules.Type().Field(i).Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	return names
}
