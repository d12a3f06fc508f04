package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
)

// Node is a virtual node of Yelb, as its manifests say.
type Node struct {
	Name     string            // of its VirtualNode document
	Identity string            // of its proxy
	Host     string            // under which other proxies look it up
	Port     uint16            // of its listener
	Backends map[string]uint16 // its virtual services → their ports
}

// YelbNodes are the virtual nodes of App Mesh's Yelb.
var YelbNodes = []Node{
	yelbNode("yelb-ui", "yelb-ui-virtual-node", 80, map[string]uint16{"yelb-appserver": 4567}),
	yelbNode("yelb-appserver", "yelb-appserver-virtual-node", 4567, map[string]uint16{"redis-server": 6379, "yelb-db": 5432}),
	yelbNode("yelb-appserver-v2", "yelb-appserver-virtual-node-v2", 4567, map[string]uint16{"redis-server": 6379, "yelb-db": 5432}),
	yelbNode("redis-server", "redis-server-virtual-node", 6379, nil),
	yelbNode("yelb-db", "yelb-db-virtual-node", 5432, nil),
}

func yelbNode(name, awsName string, port uint16, backends map[string]uint16) Node {
	return Node{name, "mesh/yelb/virtualNode/" + awsName, name + ".yelb.svc.cluster.local", port, backends}
}

// Yelb is a running Yelb: a real Envoy and a stand-in application for each
// virtual node, captured explicitly.
type Yelb struct {
	Envoys []*Envoy // in the order of [YelbNodes]
	Page   *Client  // asks for the page through the ui's proxy
}

// adminPort of every proxy, on its own address.
const adminPort = 9901

// StartYelb starts Yelb's applications and their proxies, which get their
// configuration from xds (IP:PORT). They may not have it yet on return.
//
// Each node has a loopback address of its own, so that its proxy listens on the
// port of its manifest, and every host name resolves to its address. Only the
// ui's port 80, which needs privileges and which no other proxy asks for, is
// 8080 here.
func (l *Lab) StartYelb(ctx context.Context, xds string) (*Yelb, error) {
	resolver := l.Net.At(1, 53535)
	names := &Names{}
	for i, n := range YelbNodes {
		names.Set(n.Host, l.nodeAddr(i))
	}
	if err := l.ServeDNS(resolver, names); err != nil {
		return nil, err
	}
	y := &Yelb{}
	for i, n := range YelbNodes {
		e, err := l.startNode(ctx, i, n, xds, resolver)
		if err != nil {
			return nil, err
		}
		y.Envoys = append(y.Envoys, e)
	}
	y.Page = NewClient(fmt.Sprintf("http://%s:%d/", l.nodeAddr(0), unprivileged(YelbNodes[0].Port)), nil)
	return y, nil
}

// Live waits until every proxy takes traffic.
func (y *Yelb) Live(ctx context.Context) error {
	for _, e := range y.Envoys {
		if err := e.Live(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) nodeAddr(i int) netip.Addr { return l.Net.Addr(byte(10 + i)) }

// unprivileged is a port that anybody may listen on.
func unprivileged(port uint16) uint16 {
	if port < 1024 {
		return port + 8000
	}
	return port
}

func (l *Lab) startNode(ctx context.Context, i int, n Node, xds string, resolver netip.AddrPort) (*Envoy, error) {
	addr := l.nodeAddr(i)
	app, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	admin := netip.AddrPortFrom(addr, adminPort)
	args := []string{
		"--proxy", n.Identity, "--node-id", n.Name, "--xds-address", xds,
		"--admin-address", admin.String(), "--dns-resolver", resolver.String(), "--capture", "explicit",
		fmt.Sprintf("--listen=%d=%s:%d", n.Port, addr, unprivileged(n.Port)),
		fmt.Sprintf("--app=%d=%s", n.Port, app.Addr()),
	}
	for service, port := range n.Backends {
		args = append(args, fmt.Sprintf("--backend=%s=%s:%d", service, addr, port))
	}
	var d net.Dialer
	err = l.ServeApp(n.Name, app, func(ctx context.Context, service string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp4", net.JoinHostPort(addr.String(), strconv.Itoa(int(n.Backends[service]))))
	})
	if err != nil {
		return nil, err
	}
	bootstrap, err := l.Bootstrap(ctx, args...)
	if err != nil {
		return nil, err
	}
	return l.StartEnvoy(EnvoyConfig{Name: n.Name, Bootstrap: bootstrap, Admin: admin})
}

// Bootstrap is what `meshwright bootstrap` prints.
func (l *Lab) Bootstrap(ctx context.Context, args ...string) ([]byte, error) {
	return output(exec.CommandContext(ctx, l.Meshwright, append([]string{"bootstrap"}, args...)...))
}
