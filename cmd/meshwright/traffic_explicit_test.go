package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// loopbacks are machines on one: each has an address for others and one on
// which its proxy offers backends to its application. HTTP backends share it,
// each TCP backend has one of its own.
type loopbacks struct {
	lab  *lab.Lab
	apps map[*machine]map[uint16]netip.AddrPort // port of a listener → the application's
	tcp  map[*machine]map[string]netip.AddrPort // HOST:PORT of a TCP backend → its own
	own  byte                                   // how many addresses TCP backends have
}

func newLoopbacks(l *lab.Lab) *loopbacks {
	return &loopbacks{l, map[*machine]map[uint16]netip.AddrPort{}, map[*machine]map[string]netip.AddrPort{}, 0}
}

func (g *loopbacks) add(m *machine) error {
	g.apps[m], g.tcp[m] = map[uint16]netip.AddrPort{}, map[string]netip.AddrPort{}
	for _, b := range m.backends {
		if b.Protocol == schema.ProtocolTCP {
			addr := g.lab.Net.At(150+g.own, uint16(b.Port))
			g.own++
			for _, name := range []string{b.service.AWSName, b.service.Ref.Name} {
				g.tcp[m][net.JoinHostPort(name, strconv.Itoa(int(b.Port)))] = addr
			}
		}
	}
	return nil
}

func (g *loopbacks) capture(m *machine) xds.Capture {
	listen, app, offered := map[string]netip.AddrPort{}, map[string]netip.AddrPort{}, map[string]netip.AddrPort{}
	for _, p := range m.ports {
		port := strconv.Itoa(int(p.Port))
		listen[port] = netip.AddrPortFrom(g.addr(m), uint16(p.Port))
		if m.node != nil {
			app[port] = g.apps[m][uint16(p.Port)]
		}
	}
	for _, b := range m.backends {
		addr, ok := g.tcp[m][net.JoinHostPort(b.service.AWSName, strconv.Itoa(int(b.Port)))]
		if !ok {
			addr = netip.AddrPortFrom(g.inner(m), uint16(b.Port))
		}
		offered[fmt.Sprintf("%s:%d", b.service.AWSName, b.Port)] = addr
	}
	return xds.NewCapture(true, map[xds.Role]map[string]netip.AddrPort{xds.RoleListen: listen, xds.RoleApp: app, xds.RoleBackend: offered})
}

func (g *loopbacks) listen(m *machine, port uint16) (net.Listener, error) {
	at := g.apps[m][port] // the same after a stop
	switch {
	case m.bare:
		at = netip.AddrPortFrom(g.addr(m), port)
	case !at.IsValid():
		at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 0)
	}
	l, err := net.Listen("tcp4", at.String())
	if err == nil {
		g.apps[m][port] = l.Addr().(*net.TCPAddr).AddrPort()
	}
	return l, err
}

func (g *loopbacks) dial(ctx context.Context, m *machine, host, port string) (net.Conn, error) {
	to, ok := g.tcp[m][net.JoinHostPort(host, port)]
	switch {
	case m.node == nil:
		return dialer.DialContext(ctx, "tcp4", net.JoinHostPort(g.addr(m).String(), port))
	case !ok:
		return dialer.DialContext(ctx, "tcp4", net.JoinHostPort(g.inner(m).String(), port))
	}
	return dialer.DialContext(ctx, "tcp4", to.String())
}

var dialer net.Dialer

func (g *loopbacks) addr(m *machine) netip.Addr  { return g.lab.Net.Addr(byte(10 + m.index)) }
func (g *loopbacks) inner(m *machine) netip.Addr { return g.lab.Net.Addr(byte(80 + m.index)) }
func (g *loopbacks) addr6(*machine) netip.Addr   { return netip.IPv6Loopback() }
func (g *loopbacks) outside() netip.Addr         { return g.lab.Net.Addr(2) }

func (g *loopbacks) listenOutside(port uint16) (net.Listener, error) {
	return net.Listen("tcp4", g.lab.Net.At(2, port).String())
}

func (g *loopbacks) serveDNS(names *lab.Names) (netip.AddrPort, error) {
	at := g.lab.Net.At(1, 53535)
	return at, g.lab.ServeDNS(at, names)
}

func (g *loopbacks) xds(address string) (netip.AddrPort, error) { return netip.ParseAddrPort(address) }
func (g *loopbacks) admin(m *machine) netip.AddrPort            { return netip.AddrPortFrom(g.addr(m), 9901) }

func (g *loopbacks) envoy(m *machine, bootstrap []byte) lab.EnvoyConfig {
	return lab.EnvoyConfig{Name: fileName(m), Bootstrap: bootstrap, Admin: g.admin(m), Command: func(name string, args ...string) *exec.Cmd {
		return inFolder(g.lab, m, exec.Command(name, args...))
	}}
}

// inFolder makes a proxy run in a folder of its own, where access logs with a
// relative path go.
func inFolder(l *lab.Lab, m *machine, cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = proxyFolder(l, m)
	_ = os.MkdirAll(cmd.Dir, 0o700) // or the proxy does not start
	return cmd
}

func proxyFolder(l *lab.Lab, m *machine) string { return filepath.Join(l.Dir, fileName(m)+".d") }
