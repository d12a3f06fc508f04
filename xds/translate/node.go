package translate

import (
	"fmt"
	"net/netip"
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// node builds the proxy of a virtual node: what comes in for its application,
// and what the application may call.
func (b *builder) node(n *schema.VirtualNode) {
	b.inbound(n)
	if b.capture.Explicit {
		b.explicitOutbound(n)
	} else {
		b.transparentOutbound(n)
	}
}

// inbound takes traffic for the application's ports: one listener with a
// filter chain for each port that iptables redirected from, or a listener for
// each port.
func (b *builder) inbound(n *schema.VirtualNode) {
	var redirected []*listenerv3.FilterChain
	var plainly []uint32 // ports where no inspector is to wait
	seen := map[uint32]bool{}
	inspect := false
	for i := range n.Spec.Listeners {
		l := &n.Spec.Listeners[i]
		b.ingressCluster(n, l)
		chains := b.secured(l.PortMapping, l.TLS, b.ingressFilters(n, l))
		if seen[l.PortMapping.Port] || len(chains) == 0 {
			continue
		}
		seen[l.PortMapping.Port] = true
		if b.capture.Explicit {
			addr := b.capture.Address(xds.RoleListen, port(l), netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(l.PortMapping.Port)))
			if app := b.appAddress(l); app.Port() == addr.Port() && (addr.Addr().IsUnspecified() || addr == app) {
				b.notice("Port %d: the proxy listens on %s and expects the application on %s; give one of them another address (listen or app).", l.PortMapping.Port, addr, app)
			}
			var filters []*listenerv3.ListenerFilter
			if permissive(l.TLS) {
				filters = append(filters, tlsInspector(nil))
			}
			b.listener(ingressListenerName(addr), addr, corev3.TrafficDirection_INBOUND, chains, filters...)
			continue
		}
		for _, c := range chains {
			if c.FilterChainMatch == nil {
				c.FilterChainMatch = &listenerv3.FilterChainMatch{}
			}
			c.Name = fmt.Sprintf("%s_%d", l.PortMapping.Protocol, l.PortMapping.Port)
			if c.TransportSocket != nil {
				c.Name += "_tls"
			}
			c.FilterChainMatch.DestinationPort = u32(l.PortMapping.Port)
		}
		redirected = append(redirected, chains...)
		if permissive(l.TLS) {
			inspect = true
		} else {
			plainly = append(plainly, l.PortMapping.Port)
		}
	}
	if len(redirected) == 0 {
		return
	}
	filters := []*listenerv3.ListenerFilter{originalDst()}
	if inspect {
		filters = append(filters, tlsInspector(plainly))
	}
	addr := b.captured(ingressPort)
	b.listener(ingressListenerName(namedAs(addr)), addr, corev3.TrafficDirection_INBOUND, redirected, filters...)
}

// ingressFilters hand a port's traffic to the application.
func (b *builder) ingressFilters(n *schema.VirtualNode, l *schema.NodeListener) []*listenerv3.Filter {
	cluster := ingressClusterName(n, l)
	limits := l.Timeout.For(l.PortMapping.Protocol)
	if l.PortMapping.Protocol == schema.ProtocolTCP {
		return tcpProxy(ingressStats, n.Spec.Logging, limits, []weighted{{cluster, 1}})
	}
	name := ingressRouteName(l.PortMapping)
	action := &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}
	setTimeouts(action, limits)
	b.routes(name, &routev3.VirtualHost{
		Name:    "ingress",
		Domains: []string{"*"},
		Routes:  []*routev3.Route{{Match: everything(), Action: &routev3.Route_Route{Route: action}}},
	})
	return httpFilters(httpListener{stats: ingressStats, routes: name, codec: codecOf(l.PortMapping.Protocol), logging: n.Spec.Logging})
}

// ingressCluster is the application itself.
func (b *builder) ingressCluster(n *schema.VirtualNode, l *schema.NodeListener) {
	name := ingressClusterName(n, l)
	c := &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       connectTimeout(),
		LoadAssignment:       loadAssignment(name, socketAddress(b.appAddress(l)), nil),
		CircuitBreakers:      circuitBreakers(poolLimits(l.ConnectionPool, l.PortMapping.Protocol)),
	}
	speak(c, l.PortMapping.Protocol)
	b.add(xds.Cluster, name, c)
}

// appAddress is where the application listens for a port.
func (b *builder) appAddress(l *schema.NodeListener) netip.AddrPort {
	return b.capture.Address(xds.RoleApp, port(l), netip.AddrPortFrom(loopback, uint16(l.PortMapping.Port)))
}

func port(l *schema.NodeListener) string { return strconv.Itoa(int(l.PortMapping.Port)) }
