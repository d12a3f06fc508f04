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

// YelbV3 is a version of the appserver that App Mesh's Yelb does not have:
// [Yelb.Deploy] starts it.
var YelbV3 = yelbNode("yelb-appserver-v3", "yelb-appserver-virtual-node-v3", 4567, YelbNodes[1].Backends)

func yelbNode(name, awsName string, port uint16, backends map[string]uint16) Node {
	return Node{name, "mesh/yelb/virtualNode/" + awsName, name + ".yelb.svc.cluster.local", port, backends}
}

// Yelb is a running Yelb: a real Envoy and a stand-in application for each
// virtual node, captured explicitly.
type Yelb struct {
	Envoys []*Envoy // in the order of [YelbNodes]
	Page   *Client  // asks for the page through the ui's proxy

	lab      *Lab
	xds      string
	args     []string
	resolver netip.AddrPort
	names    *Names
}

// adminPort of every proxy, on its own address.
const adminPort = 9901

// StartYelb starts Yelb's applications and their proxies, which get their
// configuration from xds (IP:PORT). They may not have it yet on return.
//
// Each node has a loopback address of its own, so that its proxy listens on the
// port of its manifest, and every host name resolves to its address. Only the
// ui's port 80, which needs privileges and which no other proxy asks for, is
// 8080 here. More arguments are those of `meshwright bootstrap`.
func (l *Lab) StartYelb(ctx context.Context, xds string, args ...string) (*Yelb, error) {
	y := &Yelb{lab: l, xds: xds, args: args, resolver: l.Net.At(1, 53535), names: &Names{}}
	for i, n := range YelbNodes {
		y.names.Set(n.Host, l.nodeAddr(i))
	}
	if err := l.ServeDNS(y.resolver, y.names); err != nil {
		return nil, err
	}
	for _, n := range YelbNodes {
		if err := y.Deploy(ctx, n); err != nil {
			return nil, err
		}
	}
	y.Page = NewClient(fmt.Sprintf("http://%s:%d/", l.nodeAddr(0), unprivileged(YelbNodes[0].Port)), nil)
	return y, nil
}

// Deploy starts the application of one more node, and its proxy, which takes
// traffic as soon as the mesh knows it.
func (y *Yelb) Deploy(ctx context.Context, n Node) error {
	i := len(y.Envoys)
	y.names.Set(n.Host, y.lab.nodeAddr(i))
	e, err := y.lab.startNode(ctx, i, n, y.xds, y.resolver, y.args)
	if err != nil {
		return err
	}
	y.Envoys = append(y.Envoys, e)
	return nil
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

func (l *Lab) startNode(ctx context.Context, i int, n Node, xds string, resolver netip.AddrPort, more []string) (*Envoy, error) {
	addr := l.nodeAddr(i)
	app, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	admin := netip.AddrPortFrom(addr, adminPort)
	args := append([]string{
		"--proxy", n.Identity, "--node-id", n.Name, "--xds-address", xds,
		"--admin-address", admin.String(), "--dns-resolver", resolver.String(), "--capture", "explicit",
		fmt.Sprintf("--listen=%d=%s:%d", n.Port, addr, unprivileged(n.Port)),
		fmt.Sprintf("--app=%d=%s", n.Port, app.Addr()),
	}, more...)
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
