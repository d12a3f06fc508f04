package translate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/xds"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// The stat prefixes of App Mesh's filters: http.ingress.…, tcp.egress.…
const (
	ingressStats = "ingress"
	egressStats  = "egress"
)

// listener adds a listener. A second one at an address, which Envoy refuses,
// is told and left out.
func (b *builder) listener(name string, addr netip.AddrPort, direction corev3.TrafficDirection, chains []*listenerv3.FilterChain, filters ...*listenerv3.ListenerFilter) {
	if b.has(xds.Listener, name) {
		b.notice("Two listeners would share %s; only the first is served. Give one of them another address.", addr)
		return
	}
	address := socketAddress(addr)
	address.GetSocketAddress().Ipv4Compat = addr.Addr() == netip.IPv6Unspecified()
	l := &listenerv3.Listener{
		Name:             name,
		Address:          address,
		FilterChains:     chains,
		ListenerFilters:  filters,
		TrafficDirection: direction,
	}
	if slices.ContainsFunc(filters, func(f *listenerv3.ListenerFilter) bool { return f.Name == tlsInspectorName }) {
		l.ListenerFiltersTimeout, l.ContinueOnListenerFiltersTimeout = durationpb.New(inspectionLimit), true
	}
	b.add(xds.Listener, name, l)
}

// takes is what a listener takes from other proxies: ports, plain or in TLS.
func takes(m proto.Message) (of []string) {
	l, ok := m.(*listenerv3.Listener)
	if !ok || l.TrafficDirection != corev3.TrafficDirection_INBOUND {
		return nil
	}
	for _, c := range l.FilterChains {
		kind := "plain"
		if c.TransportSocket != nil {
			kind = "TLS"
		}
		of = append(of, fmt.Sprintf("%s on %d", kind, c.GetFilterChainMatch().GetDestinationPort().GetValue()))
	}
	return of
}

// captured is where the traffic arrives that iptables redirects to a port:
// also over IPv6, where the mesh uses it.
func (b *builder) captured(port uint16) netip.AddrPort {
	if p := b.mesh.Spec.MeshServiceDiscovery; p != nil && strings.HasPrefix(p.IPPreference, "IPv6") {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), port)
}

// namedAs is the address in a listener's name, which is App Mesh's whatever
// the family.
func namedAs(addr netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
}

// originalDst recovers the address that the connection was dialled to, for
// filter chains to match on.
func originalDst() *listenerv3.ListenerFilter {
	return listenerFilter("envoy.filters.listener.original_dst", &originaldstv3.OriginalDst{})
}

func socketAddress(addr netip.AddrPort) *corev3.Address {
	return address(addr.Addr().String(), uint32(addr.Port()))
}

func u32(v uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(v) }
