package translate

import (
	"fmt"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// host is a backend as a virtual host: what it is called by, and where its
// routes lead.
type host struct {
	answer
	called authorities
	names  []string // at least one
	others []string // domains that are not its own, though they are made of its names
}

// hosts adds what the routes of backends lead to, and returns the backends that
// have a name; of a service that answers on several ports, the first.
func (b *builder) hosts(backends []answer, called authorities) []host {
	hosts := make([]host, 0, len(backends))
	seen := map[*schema.VirtualService]bool{}
	for _, a := range backends {
		names := called.namesOf(a.link.Service)
		if len(names) == 0 || seen[a.link.Service] {
			b.notice("Virtual service %s gets no requests: other backends have its names.", a.link.Service.AWSName)
			continue
		}
		seen[a.link.Service] = true
		a.leads = b.lead(a)
		hosts = append(hosts, host{answer: a, called: called, names: names})
	}
	return distinct(hosts)
}

// virtualHosts adds the virtual hosts of a RouteConfiguration that takes them one
// by one. Envoy waits for the first, so that where there is none it gets one that
// nobody calls.
func (b *builder) virtualHosts(routes string, hosts []host) {
	for _, h := range hosts {
		// Envoy removes a host by the name in its message, which has to be the resource's.
		name := xds.VirtualHostName(routes, h.names[0])
		b.addDerived(xds.VirtualHost, name, digestOf(h.inputs(nil)), func() proto.Message { return h.message(name) })
	}
	if len(hosts) == 0 {
		name := xds.VirtualHostName(routes, "invalid")
		b.addDerived(xds.VirtualHost, name, "", func() proto.Message { return &routev3.VirtualHost{Name: name, Domains: []string{"invalid"}} })
	}
}

// distinct sees to it that no two hosts have one domain, for which Envoy refuses
// all of them: the first keeps it. A name with a port can only be another's name
// where that is an IPv6 address.
func distinct(hosts []host) []host {
	address := func(name string) bool { return strings.Contains(name, ":") }
	if !slices.ContainsFunc(hosts, func(h host) bool { return slices.ContainsFunc(h.names, address) }) {
		return hosts
	}
	taken := map[string]bool{}
	for i := range hosts {
		h := &hosts[i]
		for _, d := range h.domains() {
			if taken[d] {
				h.others = append(h.others, d)
			}
			taken[d] = true
		}
	}
	return slices.DeleteFunc(hosts, func(h host) bool { return len(h.domains()) == 0 })
}

// inputs appends all that the host's message is made from, but for its name. What
// a service is called is not in the digest of its content.
func (h *host) inputs(to []byte) []byte {
	to = append(to, h.leads.digest...)
	return fmt.Appendf(to, " %q %q %q %q\n", h.link.Service.AWSName, h.names, h.called.ports, h.others)
}

// domains are those that it answers to.
func (h *host) domains() []string {
	return slices.DeleteFunc(h.called.domains(h.names), func(d string) bool { return slices.Contains(h.others, d) })
}

// message makes the virtual host.
func (h *host) message(name string) *routev3.VirtualHost {
	out := &routev3.VirtualHost{Name: name, Domains: h.domains()}
	for i, r := range h.routes {
		for _, route := range sides(httpRoute(r, h.leads.ways[i]), r.Derived) {
			route.StatPrefix = h.link.Service.AWSName
			out.Routes = append(out.Routes, route)
		}
	}
	return out
}
