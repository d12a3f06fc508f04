package translate

import (
	"fmt"

	"github.com/meshwright/meshwright/schema"
)

// Unsupported returns a warning for each field that is set and has no effect
// here: which, why, and the way out. Where a field is about security, what it
// asks for and cannot have is refused rather than done without.
func Unsupported(spec *schema.Spec) schema.Diagnostics {
	var u unsupported
	for _, r := range spec.All() {
		u.meta = schema.MetaOf(r)
		switch r := r.(type) {
		case *schema.VirtualNode:
			u.node(r)
		case *schema.VirtualGateway:
			u.gateway(spec, r)
		case *schema.RoutePolicy:
			u.routePolicy(spec, r)
		}
	}
	return u.found.Sorted()
}

type unsupported struct {
	meta  *schema.Meta // of the resource that is looked at
	found schema.Diagnostics
}

func (u *unsupported) warn(path, what, fix string) {
	u.found = append(u.found, schema.Diagnostic{
		Code: schema.CodeUnsupported, Severity: schema.Warning, Pos: u.meta.Pos, Resource: u.meta.Ref, Path: path, What: what, Fix: fix,
	})
}

func (u *unsupported) node(n *schema.VirtualNode) {
	for i := range n.Spec.Listeners {
		l, path := &n.Spec.Listeners[i], fmt.Sprintf("spec.listeners[%d]", i)
		u.listener(path+".tls", l.TLS)
		if deafToGRPC(l) {
			u.warn(path+".healthCheck.protocol", fmt.Sprintf("a listener on %s cannot be checked by gRPC, so that it is checked by TCP", l.PortMapping.Protocol), "use the listener's protocol")
		}
	}
	for i, b := range n.Spec.Backends {
		u.policy(fmt.Sprintf("spec.backends[%d].virtualService.clientPolicy", i), b.VirtualService.ClientPolicy)
	}
	if d := n.Spec.BackendDefaults; d != nil {
		u.policy("spec.backendDefaults.clientPolicy", d.ClientPolicy)
	}
}

func (u *unsupported) gateway(spec *schema.Spec, g *schema.VirtualGateway) {
	for i := range g.Spec.Listeners {
		l, path := &g.Spec.Listeners[i], fmt.Sprintf("spec.listeners[%d]", i)
		u.listener(path+".tls", l.TLS)
		if l.ConnectionPool != nil {
			u.warn(path+".connectionPool", "a gateway's own connections and requests are not limited", "limit the virtual nodes behind it")
		}
		if h := l.HealthCheck; h != nil && h.Protocol == schema.ProtocolGRPC {
			u.warn(path+".healthCheck.protocol", "a gateway answers health checks over HTTP only", "use http or http2 with a path")
		}
	}
	if d := g.Spec.BackendDefaults; d != nil {
		u.policy("spec.backendDefaults.clientPolicy", d.ClientPolicy)
	}
	for _, r := range spec.GatewayRoutesOf(g) {
		u.rewrites(spec, g, r)
	}
}

// rewrites reports routes of a gateway route's target that cannot be combined
// with what the gateway does to the path.
func (u *unsupported) rewrites(spec *schema.Spec, g *schema.VirtualGateway, r *schema.GatewayRoute) {
	meta := u.meta
	defer func() { u.meta = meta }()
	u.meta = &r.Meta
	for i := range g.Spec.Listeners {
		e := entranceOf(r, g.Spec.Listeners[i].PortMapping)
		if e == nil {
			continue
		}
		v := spec.TargetService(r, e.action.Target)
		if v == nil {
			continue
		}
		_, router := spec.ProviderOf(v)
		if router == nil {
			continue
		}
		for j := range router.Spec.Routes {
			if router.Spec.Routes[j].TCPRoute != nil {
				continue
			}
			for _, rw := range rewritesOf(*e) {
				if _, _, err := combine(rw.match, matchOf(&router.Spec.Routes[j]), rw); err != nil {
					u.warn("spec", fmt.Sprintf("route %s of %s gets no requests from here: %v", router.Spec.Routes[j].Name, router.Ref, err), "match it by prefix, or keep the prefix at the gateway")
				}
			}
		}
	}
}

func (u *unsupported) listener(path string, t *schema.ListenerTLS) {
	if t == nil || t.Mode == "DISABLED" {
		return
	}
	if t.Certificate.ACM != nil {
		u.warn(path+".certificate.acm", "nothing stands in for AWS Certificate Manager yet, so that no TLS is taken at this listener", "use file or sds")
	}
}

func (u *unsupported) policy(path string, p *schema.ClientPolicy) {
	if p != nil && p.TLS != nil && p.TLS.Validation.Trust.ACM != nil {
		u.warn(path+".tls.validation.trust.acm", "nothing stands in for AWS Certificate Manager yet, so that servers cannot be trusted and get no requests", "use file or sds")
	}
}
