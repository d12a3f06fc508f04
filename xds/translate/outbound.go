package translate

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// place is where an application reaches some of its backends: a port, or an
// address of explicit capture. TCP has room for one backend only.
type place struct {
	http []answer
	tcp  *answer
}

// put adds what answers at the place. A connection carries no name before the
// client has spoken, and often the server speaks first, so that a TCP backend
// cannot share; the first one stays, in the order of the services' names.
func (p *place) put(b *builder, where, wayOut string, a answer) {
	first := p.tcp
	if first == nil && len(p.http) > 0 {
		first = &p.http[0]
	}
	switch {
	case first == nil && a.protocol == schema.ProtocolTCP:
		p.tcp = &a
	case first == nil || first.protocol != schema.ProtocolTCP && a.protocol != schema.ProtocolTCP:
		p.http = append(p.http, a)
	default:
		b.notice("%s: TCP connections can be told apart by nothing else, so that only %s is reached there and %s is not; %s.",
			where, first.link.Service.AWSName, a.link.Service.AWSName, wayOut)
	}
}

// transparentOutbound takes whatever the application dials, by port: HTTP to
// virtual hosts by authority, TCP to the backend that answers on the port.
func (b *builder) transparentOutbound(n *schema.VirtualNode) {
	links := b.spec.BackendsOf(n)
	ports := map[uint32]*place{}
	var all []answer
	for _, link := range links {
		for _, a := range b.answers(link) {
			if ports[a.port] == nil {
				ports[a.port] = &place{}
			}
			ports[a.port].put(b, fmt.Sprintf("Port %d", a.port), "give it another port, or capture explicitly", a)
			if a.protocol != schema.ProtocolTCP {
				all = append(all, a)
			}
		}
	}
	names := hostnames(links, n.Ref.Namespace)
	known := slices.Sorted(maps.Keys(ports))
	web := slices.DeleteFunc(slices.Clone(known), func(p uint32) bool { return len(ports[p].http) == 0 })
	var chains []*listenerv3.FilterChain
	for _, p := range known {
		filters := b.outboundTCP(n, ports[p].tcp)
		name := fmt.Sprintf("tcp_%d", p)
		if http := ports[p].http; len(http) > 0 {
			name = fmt.Sprintf("http_%d", p)
			filters = b.outboundHTTP(n, egressRouteName(p), http, func(v *schema.VirtualService) []string {
				domains := withPort(names[v], fmt.Sprint(p))
				if len(web) == 1 {
					domains = append(domains, suffixed(names[v], ":*")...)
				}
				return domains
			})
		}
		if len(filters) > 0 {
			chains = append(chains, &listenerv3.FilterChain{
				Name: name, FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: u32(p)}, Filters: filters,
			})
		}
	}
	listenerFilters := []*listenerv3.ListenerFilter{originalDst()}
	if b.mesh.AllowAll() {
		b.addPassthrough()
		chains = append(chains, &listenerv3.FilterChain{
			Name:    "passthrough",
			Filters: tcpProxy(egressStats, n.Spec.Logging, nil, straight(passthroughName(b.mesh.AWSName))),
		})
	} else {
		// On other ports nothing but HTTP to a backend's name can be meant;
		// App Mesh knew backends by name on any port. The routes are those of
		// the only port, if there is just one: a change is sent once.
		routes := anyPortRouteName
		if len(web) == 1 {
			routes = egressRouteName(web[0])
		} else {
			b.egressRoutes(routes, false, oneEach(all), func(v *schema.VirtualService) []string { return withPort(names[v], "*") })
		}
		chains = append(chains, &listenerv3.FilterChain{
			Name:             "http_any",
			FilterChainMatch: &listenerv3.FilterChainMatch{ApplicationProtocols: []string{"http/1.0", "http/1.1", "h2c"}},
			Filters:          b.outboundHTTPFilters(n, routes),
		})
		listenerFilters = append(listenerFilters, httpInspector(known))
	}
	addr := b.captured(egressPort)
	b.listener(egressListenerName(namedAs(addr)), addr, corev3.TrafficDirection_OUTBOUND, chains, listenerFilters...)
}

// explicitOutbound listens for each backend on an address of its own. HTTP
// backends that share an address are told apart by authority, as ever.
func (b *builder) explicitOutbound(n *schema.VirtualNode) {
	links := b.spec.BackendsOf(n)
	places := map[netip.AddrPort]*place{}
	for _, link := range links {
		for i, a := range b.answers(link) {
			addr := netip.AddrPortFrom(loopback, uint16(a.port))
			if i == 0 {
				addr = b.capture.Address(xds.RoleBackend, link.Service.AWSName, addr)
			}
			addr = b.capture.Address(xds.RoleBackend, fmt.Sprintf("%s:%d", link.Service.AWSName, a.port), addr)
			if places[addr] == nil {
				places[addr] = &place{}
			}
			places[addr].put(b, addr.String(), "give it another address (backend)", a)
		}
	}
	names := hostnames(links, n.Ref.Namespace)
	for _, addr := range slices.SortedFunc(maps.Keys(places), netip.AddrPort.Compare) {
		p := places[addr]
		for i := range n.Spec.Listeners {
			if own := n.Spec.Listeners[i].PortMapping; b.appAddress(own) == addr {
				b.notice("%s: a backend is offered where the application is expected for port %d; give one of them another address (backend or app).", addr, own.Port)
			}
		}
		filters := b.outboundTCP(n, p.tcp)
		if len(p.http) > 0 {
			filters = b.outboundHTTP(n, addressRouteName(addr), p.http, func(v *schema.VirtualService) []string {
				if len(p.http) == 1 {
					return []string{"*"} // the address says it all
				}
				return withPort(names[v], "*")
			})
		}
		if len(filters) > 0 {
			b.listener(egressListenerName(addr), addr, corev3.TrafficDirection_OUTBOUND, []*listenerv3.FilterChain{{Filters: filters}})
		}
	}
}

// outboundHTTP routes requests to backends by authority.
func (b *builder) outboundHTTP(n *schema.VirtualNode, routes string, backends []answer, domains func(*schema.VirtualService) []string) []*listenerv3.Filter {
	b.egressRoutes(routes, b.mesh.AllowAll() && !b.capture.Explicit, backends, domains)
	return b.outboundHTTPFilters(n, routes)
}

// outboundHTTPFilters take requests of the application, which may speak HTTP/1
// or HTTP/2 to its proxy, whatever the backend does.
func (b *builder) outboundHTTPFilters(n *schema.VirtualNode, routes string) []*listenerv3.Filter {
	return httpFilters(httpListener{
		stats: egressStats, routes: routes, acting: b.acting[routes], codec: hcmv3.HttpConnectionManager_AUTO, logging: n.Spec.Logging, spans: b.spans(&n.Meta),
	})
}

// outboundTCP forwards connections by the first route of a backend.
func (b *builder) outboundTCP(n *schema.VirtualNode, a *answer) []*listenerv3.Filter {
	if a == nil || len(a.routes) == 0 {
		return nil
	}
	r := a.routes[0]
	return tcpProxy(egressStats, n.Spec.Logging, r.rules.Timeout, b.way(a.link, r))
}

// httpInspector tells HTTP on ports that no backend answers on. The known
// ports do not wait for it: there, a server may be the first to speak.
func httpInspector(known []uint32) *listenerv3.ListenerFilter {
	f := listenerFilter("envoy.filters.listener.http_inspector", &httpinspectorv3.HttpInspector{})
	f.FilterDisabled = onPorts(known)
	return f
}

// onPorts matches connections to any of the ports; nil, which matches none,
// without ports.
func onPorts(ports []uint32) *listenerv3.ListenerFilterChainMatchPredicate {
	var rules []*listenerv3.ListenerFilterChainMatchPredicate
	for _, p := range ports {
		rules = append(rules, &listenerv3.ListenerFilterChainMatchPredicate{
			Rule: &listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange{
				DestinationPortRange: &typev3.Int32Range{Start: int32(p), End: int32(p) + 1},
			},
		})
	}
	switch len(rules) {
	case 0:
		return nil
	case 1:
		return rules[0]
	}
	return &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_OrMatch{
		OrMatch: &listenerv3.ListenerFilterChainMatchPredicate_MatchSet{Rules: rules},
	}}
}

// oneEach keeps the first answer of each service.
func oneEach(all []answer) []answer {
	seen := map[*schema.VirtualService]bool{}
	return slices.DeleteFunc(slices.Clone(all), func(a answer) bool {
		again := seen[a.link.Service]
		seen[a.link.Service] = true
		return again
	})
}
