package translate

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

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
// cannot share; the first one stays, in the order of the services' names. It is
// returned where it left no room.
func (p *place) put(a answer) (inTheWay *answer) {
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
		return first
	}
	return nil
}

// crowded tells of a backend for which there was no room.
func (b *builder) crowded(where, wayOut string, first, a *answer) {
	b.notice("%s: TCP connections can be told apart by nothing else, so that only %s is reached there and %s is not; %s.",
		where, first.link.Service.AWSName, a.link.Service.AWSName, wayOut)
}

// transparentOutbound takes whatever the application dials, by port: HTTP to
// virtual hosts by authority, TCP to the backend that answers on the port.
func (b *builder) transparentOutbound(n *schema.VirtualNode, called []*callee) {
	r := b.reached(called, n.Ref.Namespace)
	var chains []*listenerv3.FilterChain
	var known []uint32
	for _, p := range r.ports {
		known = append(known, p.number)
		filters, name := b.outboundTCP(n, p.tcp), fmt.Sprintf("tcp_%d", p.number)
		if len(p.http) > 0 {
			filters, name = b.outboundHTTPFilters(n, egressRouteName(p.number)), fmt.Sprintf("http_%d", p.number)
		}
		if len(filters) > 0 {
			chains = append(chains, &listenerv3.FilterChain{
				Name: name, FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: u32(p.number)}, Filters: filters,
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
		chains = append(chains, &listenerv3.FilterChain{
			Name:             "http_any",
			FilterChainMatch: &listenerv3.FilterChainMatch{ApplicationProtocols: []string{"http/1.0", "http/1.1", "h2c"}},
			Filters:          b.outboundHTTPFilters(n, r.routes),
		})
		listenerFilters = append(listenerFilters, httpInspector(known))
	}
	addr := b.captured(egressPort)
	b.listener(egressListenerName(namedAs(addr)), addr, corev3.TrafficDirection_OUTBOUND, chains, listenerFilters...)
}

// explicitOutbound listens for each backend on an address of its own. HTTP
// backends that share an address are told apart by authority, as ever.
func (b *builder) explicitOutbound(n *schema.VirtualNode, called []*callee) {
	places := map[netip.AddrPort]*place{}
	for _, c := range called {
		for i, a := range c.answers {
			addr := netip.AddrPortFrom(loopback, uint16(a.port))
			if i == 0 {
				addr = b.Capture.Address(xds.RoleBackend, c.Service.AWSName, addr)
			}
			addr = b.Capture.Address(xds.RoleBackend, c.Service.AWSName+":"+strconv.Itoa(int(a.port)), addr)
			if places[addr] == nil {
				places[addr] = &place{}
			}
			if first := places[addr].put(a); first != nil {
				b.crowded(addr.String(), "give it another address (backend)", first, &a)
			}
		}
	}
	names := hostnames(called, n.Ref.Namespace)
	for _, addr := range slices.SortedFunc(maps.Keys(places), netip.AddrPort.Compare) {
		p := places[addr]
		for i := range n.Spec.Listeners {
			if own := n.Spec.Listeners[i].PortMapping; b.appAddress(own) == addr {
				b.notice("%s: a backend is offered where the application is expected for port %d; give one of them another address (backend or app).", addr, own.Port)
			}
		}
		filters := b.outboundTCP(n, p.tcp)
		if len(p.http) > 0 {
			called := names.on("*")
			if len(p.http) == 1 {
				called = anyName // the address says it all
			}
			filters = b.outboundHTTP(n, addressRouteName(addr), p.http, called)
		}
		if len(filters) > 0 {
			b.listener(egressListenerName(addr), addr, corev3.TrafficDirection_OUTBOUND, []*listenerv3.FilterChain{{Filters: filters}})
		}
	}
}

// outboundHTTP routes requests to backends by authority.
func (b *builder) outboundHTTP(n *schema.VirtualNode, routes string, backends []answer, called authorities) []*listenerv3.Filter {
	b.egressRoutes(routes, b.mesh.AllowAll() && !b.Capture.Explicit, backends, called)
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
	return tcpProxy(egressStats, n.Spec.Logging, r.rules.Timeout, b.lead(*a).ways[0])
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
