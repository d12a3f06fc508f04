package main

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"strconv"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// namespaces are machines with a network namespace each, whose applications
// know nothing of proxies.
type namespaces struct{ *network }

func newNamespaces(l *lab.Lab) (ground, error) {
	n, err := newNetwork(l)
	return namespaces{n}, err
}

func (g namespaces) add(m *machine) error {
	if err := g.network.add(m.index); err != nil {
		return err
	}
	if m.bare || m.identity.Kind == schema.KindVirtualGateway {
		return nil
	}
	var ports []uint16
	for _, p := range m.ports {
		ports = append(ports, uint16(p.Port))
	}
	return g.network.capture(m.index, ports...)
}

func (g namespaces) capture(*machine) xds.Capture { return xds.Capture{} }

func (g namespaces) listen(m *machine, port uint16) (net.Listener, error) {
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	if m.bare {
		at = netip.AddrPortFrom(g.addr(m), port)
	}
	return listenIn(g.machine(m.index), "tcp4", at.String())
}

// nowhere is what names of virtual services resolve to: an address that no
// machine has, as that of a Kubernetes service is, on the network of all.
var nowhere = netip.MustParseAddr("10.99.0.250")

func (g namespaces) dial(ctx context.Context, m *machine, host, port string) (net.Conn, error) {
	from, to := g.machine(m.index), nowhere
	switch {
	case m.node == nil:
		from, to = g.hub, g.addr(m)
	case host == "outside":
		to = g.outside()
	}
	return dialFrom(from)(ctx, "tcp4", net.JoinHostPort(to.String(), port))
}

func (g namespaces) addr(m *machine) netip.Addr  { return g.network.addr(m.index) }
func (g namespaces) addr6(m *machine) netip.Addr { return g.network.addr6(m.index) }

func (g namespaces) listenOutside(port uint16) (net.Listener, error) {
	return listenIn(g.hub, "tcp4", net.JoinHostPort(g.outside().String(), strconv.Itoa(int(port))))
}

func (g namespaces) serveDNS(names *lab.Names) (netip.AddrPort, error) {
	return g.dns(), inNamespace(g.hub, func() error { return g.lab.ServeDNS(g.dns(), names) })
}

func (g namespaces) xds(address string) (netip.AddrPort, error) {
	return g.network.xds(), g.forward(address)
}

func (g namespaces) admin(*machine) netip.AddrPort { return g.network.admin() }

func (g namespaces) envoy(m *machine, bootstrap []byte) lab.EnvoyConfig {
	c := g.network.envoy(m.index, fileName(m), bootstrap)
	make := c.Command
	c.Command = func(name string, args ...string) *exec.Cmd { return inFolder(g.lab, m, make(name, args...)) }
	return c
}
