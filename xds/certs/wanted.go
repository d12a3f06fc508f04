package certs

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// issued reports whether a rule's certificates come from an authority.
func issued(r xds.Rule) bool { return strings.HasPrefix(r.Source, authoritySource("")) }

// wanted returns which certificates a spec asks of authorities, and the names
// that each is to hold beside the identity of its holder: those under which
// others know it.
func wanted(spec *schema.Spec, m *xds.Mapping) map[xds.Holder][]string {
	want := map[xds.Holder][]string{}
	if m == nil || !slices.ContainsFunc(m.Certificates, issued) {
		return want // no walk over a mesh that asks for nothing
	}
	services := sync.OnceValue(func() map[*schema.VirtualNode][]string { return servicesOf(spec) }) // most specs ask for nothing
	add := func(id xds.Identity, used []xds.SecretName, names func() []string) {
		for _, name := range used {
			rule := m.Certificate(name)
			if rule == nil || !issued(*rule) {
				continue
			}
			if h := (xds.Holder{Source: rule.Source, Identity: id}); want[h] == nil {
				want[h] = sound(names())
			}
		}
	}
	for _, n := range spec.VirtualNodes {
		var used []xds.SecretName
		for i := range n.Spec.Listeners {
			used = append(used, ofListener(n.Spec.Listeners[i].TLS)...)
		}
		for i := range n.Spec.Backends {
			used = append(used, ofPolicy(n.Spec.Backends[i].VirtualService.ClientPolicy)...)
		}
		if d := n.Spec.BackendDefaults; d != nil {
			used = append(used, ofPolicy(d.ClientPolicy)...)
		}
		id := xds.Identity{Mesh: n.Mesh, Kind: schema.KindVirtualNode, Name: n.AWSName}
		add(id, used, func() []string { return append(slices.Clone(services()[n]), n.DiscoveryName()) })
	}
	for _, g := range spec.VirtualGateways {
		var used []xds.SecretName
		for i := range g.Spec.Listeners {
			used = append(used, ofListener(g.Spec.Listeners[i].TLS)...)
		}
		if d := g.Spec.BackendDefaults; d != nil {
			used = append(used, ofPolicy(d.ClientPolicy)...)
		}
		id := xds.Identity{Mesh: g.Mesh, Kind: schema.KindVirtualGateway, Name: g.AWSName}
		add(id, used, func() []string { return hostnames(spec, g) })
	}
	return want
}

// servicesOf returns, for each node, the virtual services that lead to it.
func servicesOf(spec *schema.Spec) map[*schema.VirtualNode][]string {
	of := map[*schema.VirtualNode][]string{}
	for _, v := range spec.VirtualServices {
		node, router := spec.ProviderOf(v)
		if node != nil {
			of[node] = append(of[node], v.AWSName)
		}
		if router == nil {
			continue
		}
		for i := range router.Spec.Routes {
			for _, t := range router.Spec.Routes[i].Targets() {
				if n := spec.TargetNode(router, t); n != nil {
					of[n] = append(of[n], v.AWSName)
				}
			}
		}
	}
	return of
}

// hostnames are those that a gateway's routes take.
func hostnames(spec *schema.Spec, g *schema.VirtualGateway) []string {
	var names []string
	for _, r := range spec.GatewayRoutesOf(g) {
		if h := r.Hostname(); h != nil && h.Exact != "" {
			names = append(names, h.Exact)
		} else if h != nil && h.Suffix != "" {
			names = append(names, "*."+strings.TrimLeft(h.Suffix, "*."))
		}
	}
	return names
}

func ofListener(t *schema.ListenerTLS) []xds.SecretName {
	switch {
	case t == nil || t.Mode == "DISABLED":
	case t.Certificate.ACM != nil:
		return []xds.SecretName{xds.ARN(t.Certificate.ACM.CertificateARN)}
	case t.Certificate.SDS != nil:
		return []xds.SecretName{xds.SDS(t.Certificate.SDS.SecretName)}
	}
	return nil
}

func ofPolicy(p *schema.ClientPolicy) []xds.SecretName {
	if p == nil || p.TLS == nil || p.TLS.Certificate == nil || p.TLS.Certificate.SDS == nil {
		return nil
	}
	return []xds.SecretName{xds.SDS(p.TLS.Certificate.SDS.SecretName)}
}

var dnsName = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

// sound returns the names that a certificate can hold, sorted, each once. A
// virtual service may be called what is no name of DNS.
func sound(names []string) []string {
	names = slices.DeleteFunc(names, func(n string) bool {
		_, err := netip.ParseAddr(n)
		return err != nil && (len(n) > 253 || !dnsName.MatchString(n))
	})
	slices.Sort(names)
	return slices.Compact(names)
}
