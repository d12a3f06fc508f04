package translate

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshwright/meshwright/schema"
)

// copies adds the clusters that get a canary's copies of a route's requests, as
// mirror does.
func (b *builder) copies(link schema.BackendLink, r route) []weighted {
	var out []weighted
	for _, c := range r.copies {
		n := b.spec.VirtualNodes[c.VirtualNodeRef.In("")]
		if n == nil {
			continue
		}
		if l := listenerFor(n, c.Port, r.Protocol()); l != nil && l.PortMapping.Protocol != schema.ProtocolTCP {
			out = append(out, weighted{b.cluster(link, target{n, l, 1}), uint32(c.Share)})
		}
	}
	return out
}

func copyPolicies(copies []weighted) []*routev3.RouteAction_RequestMirrorPolicy {
	var out []*routev3.RouteAction_RequestMirrorPolicy
	for _, c := range copies {
		out = append(out, &routev3.RouteAction_RequestMirrorPolicy{
			Cluster: c.cluster, RuntimeFraction: exactFraction(schema.Percent(c.weight)), DisableShadowHostSuffixAppend: true,
		})
	}
	return out
}

// mirror adds the cluster that gets copies of a route's requests and returns
// its name, empty without one. The copies are meant for the application as it
// is: their host stays as the requests have it.
func (b *builder) mirror(link schema.BackendLink, r route) string {
	m := r.rules.Mirror
	if m == nil {
		return ""
	}
	n := b.spec.VirtualNodes[m.VirtualNodeRef.In("")]
	if n == nil {
		return ""
	}
	l := listenerFor(n, m.Port, r.Protocol())
	if l == nil || l.PortMapping.Protocol == schema.ProtocolTCP {
		return ""
	}
	return b.cluster(link, target{n, l, 1})
}

func mirrorPolicies(m *schema.Mirror, cluster string) []*routev3.RouteAction_RequestMirrorPolicy {
	if cluster == "" {
		return nil
	}
	return []*routev3.RouteAction_RequestMirrorPolicy{{
		Cluster:                       cluster,
		RuntimeFraction:               fraction(m.Percent),
		DisableShadowHostSuffixAppend: true,
	}}
}
