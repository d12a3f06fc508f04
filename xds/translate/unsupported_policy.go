package translate

import (
	"fmt"
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// routePolicy reports what a policy says of routes on which it does nothing.
func (u *unsupported) routePolicy(spec *schema.Spec, p *schema.RoutePolicy) {
	if m := p.Spec.Mirror; m != nil {
		if n := spec.VirtualNodes[m.VirtualNodeRef.In(p.Ref.Namespace)]; n != nil {
			if l := n.ListenerAt(m.Port); l != nil && l.PortMapping.Protocol == schema.ProtocolTCP {
				u.warn("spec.mirror.port", fmt.Sprintf("%s takes connections there and no requests, so that nothing is mirrored", n.Ref), "mirror to a listener of http, http2 or grpc")
			}
		}
	}
	for i := range p.Spec.Targets {
		t := &p.Spec.Targets[i]
		path := fmt.Sprintf("spec.targets[%d]", i)
		routes := governed(spec, p, t)
		tcp := func(r *schema.Route) bool { return r.Protocol() == schema.ProtocolTCP }
		asks := func(r *schema.Route) bool { // an OPTIONS request does not match
			h := r.HTTP()
			return h != nil && h.Match.Method != "" && h.Match.Method != "OPTIONS"
		}
		if slices.ContainsFunc(routes, tcp) && (p.Spec.Timeout == nil || len(p.Spec.Written()) > 1) {
			u.warn(path, fmt.Sprintf("routes of %s are for TCP, of which a policy rules no more than the idle timeout", t.In(p.Ref.Namespace)), "target routes of http, http2 or grpc")
		}
		if p.Spec.CORS != nil && slices.ContainsFunc(routes, asks) {
			u.warn(path, fmt.Sprintf("routes of %s match a method, so that they never get the OPTIONS request by which browsers ask", t.In(p.Ref.Namespace)), "match without a method")
		}
	}
}

// governed returns the routes that a policy's target has.
func governed(spec *schema.Spec, p *schema.RoutePolicy, t *schema.RouteTarget) []*schema.Route {
	ref := t.In(p.Ref.Namespace)
	service := spec.VirtualServices[ref.Key]
	router := spec.VirtualRouters[ref.Key]
	switch {
	case ref.Kind == schema.KindGatewayRoute:
		return nil // of HTTP, all of them
	case ref.Kind == schema.KindVirtualService && service == nil:
		return nil
	case ref.Kind == schema.KindVirtualService:
		node, provider := spec.ProviderOf(service)
		router = provider
		if node != nil {
			var routes []*schema.Route
			for i := range node.Spec.Listeners {
				routes = append(routes, implicitRoute(node.Spec.Listeners[i].PortMapping.Protocol))
			}
			return routes
		}
	}
	if router == nil {
		return nil
	}
	var routes []*schema.Route
	for i := range router.Spec.Routes {
		if r := &router.Spec.Routes[i]; len(t.Routes) == 0 || slices.Contains(t.Routes, r.Name) {
			routes = append(routes, r)
		}
	}
	return routes
}

// listenerPolicy reports what a policy says of listeners at which it does
// nothing.
func (u *unsupported) listenerPolicy(spec *schema.Spec, p *schema.ListenerPolicy) {
	for i := range p.Spec.Targets {
		t := &p.Spec.Targets[i]
		path, ref := fmt.Sprintf("spec.targets[%d]", i), t.In(p.Ref.Namespace)
		lb := p.Spec.LoadBalancing
		if ref.Kind == schema.KindVirtualGateway {
			if lb != nil {
				u.warn(path, "nobody in the mesh chooses among the endpoints of "+ref.String()+", so that loadBalancing does nothing", "target a virtual node")
			}
			continue
		}
		n := spec.VirtualNodes[ref.Key]
		if n == nil {
			continue
		}
		for j := range n.Spec.Listeners {
			l := n.Spec.Listeners[j].PortMapping
			if l.Protocol != schema.ProtocolTCP || t.Port != 0 && t.Port != l.Port {
				continue
			}
			if p.Spec.RateLimit != nil {
				u.warn(path, fmt.Sprintf("what comes to port %d of %s is TCP, and no requests are limited there", l.Port, ref), "target ports of http, http2 or grpc")
			}
			if lb != nil && lb.Algorithm.Hashes() && connectionHash(lb.HashOn) == nil {
				u.warn(path, fmt.Sprintf("what comes to port %d of %s is TCP, of which nothing is hashed but sourceAddress", l.Port, ref), "add sourceAddress: true, or target other ports")
			}
		}
		if dns := dnsOf(n); lb != nil && dns != nil && dns.ResponseType != "ENDPOINTS" && spec.EndpointsOf(n) == nil {
			u.warn(path, ref.String()+" has one endpoint at a time, so that there is nothing to choose", "set responseType: ENDPOINTS in its serviceDiscovery.dns")
		}
	}
	for path, service := range p.Spec.Asked() {
		v := spec.VirtualServices[service.In(p.Ref.Namespace)]
		if v == nil {
			continue
		}
		if _, router := spec.ProviderOf(v); router != nil {
			to := map[*schema.VirtualNode]bool{}
			for i := range router.Spec.Routes {
				for _, t := range router.Spec.Routes[i].Targets() {
					if n := spec.TargetNode(router, t); n != nil && t.Weight > 0 {
						to[n] = true
					}
				}
			}
			if len(to) > 1 {
				u.warn(path+".virtualServiceRef", fmt.Sprintf("questions of proxies are not routed: of the nodes behind %s, only the one with the most weight of its last route is asked", v.Ref), "name a virtual service that one node provides")
			}
		}
	}
}
