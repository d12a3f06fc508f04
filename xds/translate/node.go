package translate

import (
	"fmt"
	"net/netip"
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// node builds the proxy of a virtual node: what comes in for its application,
// and what the application may call.
func (b *builder) node(n *schema.VirtualNode, called []*callee) {
	if b.self == nil {
		b.self = b.apart(func(b *builder) { b.inbound(n) })
		b.self.have, b.self.acting = nil, nil // it is kept, and no base
	}
	b.join(b.self, true)
	switch {
	case b.Capture.Proxyless:
		b.proxyless(n, called)
	case b.Capture.Explicit:
		b.explicitOutbound(n, called)
	default:
		b.transparentOutbound(n, called)
	}
}

// inbound takes what comes in; for a client without a proxy nothing does.
func (b *builder) inbound(n *schema.VirtualNode) {
	switch {
	case b.Capture.Proxyless:
	case b.Capture.Explicit:
		b.explicitInbound(n)
	default:
		b.transparentInbound(n)
	}
}

// transparentInbound takes what iptables redirects: one listener, with filter
// chains for each port that a connection was dialled to.
func (b *builder) transparentInbound(n *schema.VirtualNode) {
	var chains []*listenerv3.FilterChain
	var others []uint32 // ports that are not permissive
	inspect := false
	for i := range n.Spec.Listeners {
		l := &n.Spec.Listeners[i]
		if permissive(l.TLS) {
			inspect = true
		} else {
			others = append(others, l.PortMapping.Port)
		}
		for _, c := range b.ingressChains(n, l) {
			if c.FilterChainMatch == nil {
				c.FilterChainMatch = &listenerv3.FilterChainMatch{}
			}
			c.FilterChainMatch.DestinationPort = u32(l.PortMapping.Port)
			c.Name = fmt.Sprintf("%s_%d", l.PortMapping.Protocol, l.PortMapping.Port)
			if c.TransportSocket != nil {
				c.Name += "_tls"
			}
			chains = append(chains, c)
		}
	}
	if len(chains) == 0 {
		return
	}
	filters := []*listenerv3.ListenerFilter{originalDst()}
	if inspect {
		filters = append(filters, tlsInspector(others))
	}
	addr := b.captured(ingressPort)
	b.listener(ingressListenerName(namedAs(addr)), addr, corev3.TrafficDirection_INBOUND, chains, filters...)
}

// explicitInbound listens for each of the node's ports on an address of its
// own.
func (b *builder) explicitInbound(n *schema.VirtualNode) {
	for i := range n.Spec.Listeners {
		l := &n.Spec.Listeners[i]
		addr := b.listenAddress(l.PortMapping)
		if app := b.appAddress(l.PortMapping); app.Port() == addr.Port() && (addr.Addr().IsUnspecified() || addr == app) {
			b.notice("Port %d: the proxy listens on %s and expects the application on %s; give one of them another address (listen or app).", l.PortMapping.Port, addr, app)
		}
		b.inboundListener(addr, l.TLS, b.ingressChains(n, l))
	}
}

// inboundListener listens on an address; not at all without a filter chain.
func (b *builder) inboundListener(addr netip.AddrPort, tls *schema.ListenerTLS, chains []*listenerv3.FilterChain) {
	if len(chains) == 0 {
		return
	}
	var filters []*listenerv3.ListenerFilter
	if permissive(tls) {
		filters = append(filters, tlsInspector(nil))
	}
	b.listener(ingressListenerName(addr), addr, corev3.TrafficDirection_INBOUND, chains, filters...)
}

// ingressChains hand a port's traffic to the application.
func (b *builder) ingressChains(n *schema.VirtualNode, l *schema.NodeListener) []*listenerv3.FilterChain {
	p := l.PortMapping
	cluster := b.ingressCluster(n, l)
	limits := l.Timeout.For(p.Protocol)
	if p.Protocol == schema.ProtocolTCP {
		return b.secured(p, l.TLS, tcpProxy(ingressStats, n.Spec.Logging, limits, straight(cluster)))
	}
	name := ingressRouteName(p)
	action := &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}
	setTimeouts(action, limits)
	b.add(xds.Route, name, routeConfiguration(name, &routev3.VirtualHost{
		Name:    "ingress",
		Domains: []string{"*"},
		Routes:  []*routev3.Route{{Match: everything(), Action: &routev3.Route_Route{Route: action}}},
	}))
	return b.secured(p, l.TLS, httpFilters(httpListener{
		stats: ingressStats, routes: name, codec: hcmv3.HttpConnectionManager_AUTO, guards: b.guards(n, p), logging: n.Spec.Logging, spans: b.spans(&n.Meta),
	}))
}

// ingressCluster adds the application itself and returns its cluster's name.
func (b *builder) ingressCluster(n *schema.VirtualNode, l *schema.NodeListener) string {
	name := ingressClusterName(n, l)
	c := &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       connectTimeout(),
		LoadAssignment:       loadAssignment(name, socketAddress(b.appAddress(l.PortMapping)), nil),
		CircuitBreakers:      circuitBreakers(poolLimits(l.ConnectionPool, l.PortMapping.Protocol)),
	}
	nameStats(c)
	speak(c, l.PortMapping.Protocol)
	b.add(xds.Cluster, name, c)
	return name
}

// listenAddress is where explicit capture, or a gateway, takes traffic for a
// port.
func (b *builder) listenAddress(p schema.PortMapping) netip.AddrPort {
	return b.Capture.Address(xds.RoleListen, portName(p), netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(p.Port)))
}

// appAddress is where the application listens for a port.
func (b *builder) appAddress(p schema.PortMapping) netip.AddrPort {
	return b.Capture.Address(xds.RoleApp, portName(p), netip.AddrPortFrom(loopback, uint16(p.Port)))
}

// portName is a port as the key of an address of a capture.
func portName(p schema.PortMapping) string { return strconv.Itoa(int(p.Port)) }
