package translate

import (
	"fmt"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Unsupported returns a warning for each field that is set and has no effect
// here: which, why, and the way out. Where a field is about security, what it
// asks for and cannot have is refused rather than done without. The mapping says
// which certificates this control plane has a source for.
func Unsupported(spec *schema.Spec, mapping *xds.Mapping) schema.Diagnostics {
	u := unsupported{mapping: mapping}
	for _, m := range spec.Meshes {
		if u.meta = &m.Meta; m.Spec.MeshOwner != "" {
			u.warn("spec.meshOwner", "no other account is asked for the mesh: all of it is in this repository", "define here what the owner had, and leave meshOwner out")
		}
	}
	for _, n := range spec.VirtualNodes {
		u.meta = &n.Meta
		u.node(n)
	}
	for _, g := range spec.VirtualGateways {
		u.meta = &g.Meta
		u.gateway(spec, g)
	}
	for _, p := range spec.RoutePolicies {
		u.meta = &p.Meta
		u.routePolicy(spec, p)
	}
	for _, p := range spec.ListenerPolicies {
		u.meta = &p.Meta
		u.listenerPolicy(spec, p)
	}
	return u.found.Sorted()
}

type unsupported struct {
	mapping *xds.Mapping

	meta  *schema.Meta // of the resource that is looked at
	found schema.Diagnostics
}

func (u *unsupported) warn(path, what, fix string) {
	u.found = append(u.found, schema.Diagnostic{
		Code: schema.CodeUnsupported, Severity: schema.Warning, Pos: u.meta.At(path), Resource: u.meta.Ref, Path: path, What: what, Fix: fix,
	})
}

func (u *unsupported) node(n *schema.VirtualNode) {
	for i := range n.Spec.Listeners {
		l := &n.Spec.Listeners[i]
		if l.TLS != nil {
			u.listener(fmt.Sprintf("spec.listeners[%d].tls", i), l.TLS)
		}
		if deafToGRPC(l) {
			u.warn(fmt.Sprintf("spec.listeners[%d].healthCheck.protocol", i), fmt.Sprintf("a listener on %s cannot be checked by gRPC, so that it is checked by TCP", l.PortMapping.Protocol), "use the listener's protocol")
		}
	}
	for i := range n.Spec.Backends {
		if p := n.Spec.Backends[i].VirtualService.ClientPolicy; p != nil {
			u.policy(fmt.Sprintf("spec.backends[%d].virtualService.clientPolicy", i), p)
		}
	}
	if d := n.Spec.BackendDefaults; d != nil {
		u.policy("spec.backendDefaults.clientPolicy", d.ClientPolicy)
	}
}

func (u *unsupported) gateway(spec *schema.Spec, g *schema.VirtualGateway) {
	for i := range g.Spec.Listeners {
		l, path := &g.Spec.Listeners[i], fmt.Sprintf("spec.listeners[%d]", i)
		u.listener(path+".tls", l.TLS)
		if h := l.HealthCheck; h != nil && h.Protocol == schema.ProtocolGRPC {
			u.warn(path+".healthCheck.protocol", "a gateway answers health checks over HTTP only", "use http or http2 with a path")
		} else if h != nil {
			u.warn(path+".healthCheck", "the gateway answers its path on its listener's port, and nobody here asks: port, interval, timeout and thresholds do nothing", "set those at the load balancer that asks")
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
	if acm := t.Certificate.ACM; acm != nil && u.mapping.Certificate(xds.ARN(acm.CertificateARN)) == nil {
		u.warn(path+".certificate.acm", "nothing stands in for "+acm.CertificateARN+", so that no TLS is taken at this listener", mapIt)
	}
	if t.Validation != nil {
		u.trust(path+".validation.trust", t.Validation.Trust, "no TLS is taken at this listener")
	}
}

func (u *unsupported) policy(path string, p *schema.ClientPolicy) {
	if p != nil && p.TLS != nil {
		u.trust(path+".tls.validation.trust", p.TLS.Validation.Trust, "servers cannot be trusted and get no requests")
	}
}

// mapIt is the way out for what was in AWS Certificate Manager.
const mapIt = "give it a source in the certificate settings (--certificates), or use file or sds"

func (u *unsupported) trust(path string, t schema.Trust, effect string) {
	if t.ACM == nil {
		return
	}
	var missing []string
	for _, arn := range t.ACM.CertificateAuthorityARNs {
		if u.mapping.Trust(xds.ARN(arn)) == nil {
			missing = append(missing, arn)
		}
	}
	switch names := strings.Join(missing, ", "); len(missing) {
	case 0:
	case len(t.ACM.CertificateAuthorityARNs):
		u.warn(path+".acm", "nothing stands in for "+names+", so that "+effect, mapIt)
	default:
		u.warn(path+".acm.certificateAuthorityARNs", "nothing stands in for "+names+", so that it is not trusted", mapIt)
	}
}
