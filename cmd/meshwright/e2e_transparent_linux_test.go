package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
)

// proxyGroup is the group that proxies run in: what it sends is not captured.
// App Mesh's proxy-init calls it APPMESH_IGNORE_GID.
const proxyGroup = 1337

// rules redirect a node's traffic as App Mesh's proxy-init did: what comes in
// for the application's port to 15000, what goes out to 15001.
const rules = `
-A PREROUTING -p tcp --dport %d -m addrtype ! --src-type LOCAL -j REDIRECT --to-port 15000
-A OUTPUT -p tcp -m addrtype ! --dst-type LOCAL -m owner ! --gid-owner %d -j REDIRECT --to-port 15001
`

// TestE2ETransparent is Yelb on five machines, as network namespaces stand in
// for them: applications use each other's own names and ports, know nothing of
// proxies, and iptables takes their traffic to Envoy.
func TestE2ETransparent(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	l := newLab(t)
	for _, tool := range []string{"ip", "iptables-restore"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, fmt.Sprintf("no %s here (packages iproute2 and iptables)", tool))
		}
	}
	ctx := t.Context()
	remote, err := l.BareRepo(ctx)
	must(t, err)
	clone, err := l.NewClone(ctx, remote)
	must(t, err)
	w := &world{t: t, lab: l, clone: clone, yelb: &lab.Yelb{}}
	w.write(demo.Repository)
	w.serving = w.push("App Mesh's manifests as they are")
	w.daemon, err = l.StartDaemon(ctx, lab.DaemonConfig{Repo: remote, Args: []string{"--path", demo.SpecDir, "--poll", "50ms"}})
	must(t, err)

	n := newNetwork(t, l)
	n.forward(w.daemon.XDS)
	names := map[string]netip.Addr{}
	for i, node := range lab.YelbNodes {
		names[node.Host] = n.addr(i)
	}
	must(t, inNamespace(n.hub, func() error { return l.ServeDNS(n.dns(), names) }))
	for i, node := range lab.YelbNodes {
		w.yelb.Envoys = append(w.yelb.Envoys, n.start(i, node))
	}
	must(t, w.yelb.Live(ctx))
	w.yelb.Page = lab.NewClient(fmt.Sprintf("http://%s/", n.addr(0)), dialFrom(n.hub))

	w.split(map[string]float64{"v1": 1})
	w.flow = w.yelb.Page.Flow(context.WithoutCancel(ctx), 10*time.Millisecond)
	l.OnClose(func() { w.flow.Stop() })
	w.write(w.router(demo.Half))
	w.apply("half to v2")
	w.split(map[string]float64{"v1": 0.5, "v2": 0.5})
	w.write(w.router(demo.All))
	w.apply("all to v2")
	w.split(map[string]float64{"v2": 1})
	if flow := w.flow.Stop(); flow.Failed > 0 || flow.Requests == 0 {
		t.Errorf("steady traffic: %v; %s", flow, flow.FirstFailure)
	}

	// The database is no backend of the ui: its proxy lets nothing through.
	if answer, err := n.ask(0, netip.AddrPortFrom(n.addr(4), 5432)); err == nil {
		t.Errorf("the ui reached the database, which is no backend of it: %q", answer)
	}
	if answer, err := n.ask(1, netip.AddrPortFrom(n.addr(4), 5432)); err != nil || !strings.Contains(answer, "ihop") {
		t.Errorf("the appserver did not reach the database: %q, %v", answer, err)
	}
}

// network is a bridge in a namespace of its own, the hub, and a namespace
// behind it for each node; nothing of it is in the machine's own.
type network struct {
	t    *testing.T
	lab  *lab.Lab
	hub  string
	name string // prefix of the namespaces' names
}

func newNetwork(t *testing.T, l *lab.Lab) *network {
	name := fmt.Sprintf("meshwright-%d-", os.Getpid())
	n := &network{t, l, name + "hub", name}
	n.namespace(n.hub)
	n.run("ip", "-n", n.hub, "link", "add", "bridge", "type", "bridge")
	n.run("ip", "-n", n.hub, "addr", "add", "10.99.0.1/24", "dev", "bridge")
	n.run("ip", "-n", n.hub, "link", "set", "bridge", "up")
	for i, node := range lab.YelbNodes {
		ns, port := n.node(i), fmt.Sprintf("port%d", i)
		n.namespace(ns)
		n.run("ip", "-n", n.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", ns)
		n.run("ip", "-n", n.hub, "link", "set", port, "master", "bridge", "up")
		n.run("ip", "-n", ns, "addr", "add", n.addr(i).String()+"/24", "dev", "eth0")
		n.run("ip", "-n", ns, "link", "set", "eth0", "up")
		restore := exec.Command("ip", "netns", "exec", ns, "iptables-restore")
		restore.Stdin = strings.NewReader("*nat" + fmt.Sprintf(rules, node.Port, proxyGroup) + "COMMIT\n")
		if out, err := restore.CombinedOutput(); err != nil {
			t.Skipf("iptables does not work here: %v: %s", err, out)
		}
	}
	return n
}

func (n *network) node(i int) string      { return fmt.Sprintf("%s%d", n.name, i) }
func (n *network) addr(i int) netip.Addr  { return netip.AddrFrom4([4]byte{10, 99, 0, byte(10 + i)}) }
func (n *network) dns() netip.AddrPort    { return netip.MustParseAddrPort("10.99.0.1:53") }
func (n *network) xds() netip.AddrPort    { return netip.MustParseAddrPort("10.99.0.1:18000") }
func (n *network) admin() netip.AddrPort  { return netip.MustParseAddrPort("127.0.0.1:9901") }
func (n *network) app(port uint16) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// namespace makes a network namespace that goes with the lab.
func (n *network) namespace(name string) {
	n.t.Helper()
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		n.t.Skipf("this machine allows no network namespaces: %v: %s", err, out)
	}
	n.lab.OnClose(func() { n.run("ip", "netns", "del", name) })
	n.run("ip", "-n", name, "link", "set", "lo", "up")
}

func (n *network) run(name string, args ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		n.t.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// start starts a node's application and its proxy in its namespace.
func (n *network) start(i int, node lab.Node) *lab.Envoy {
	n.t.Helper()
	ns := n.node(i)
	dial := dialFrom(ns)
	must(n.t, inNamespace(ns, func() error {
		app, err := net.Listen("tcp4", n.app(node.Port))
		if err != nil {
			return err
		}
		return n.lab.ServeApp(node.Name, app, func(ctx context.Context, service string) (net.Conn, error) {
			return dial(ctx, "tcp4", netip.AddrPortFrom(n.service(service), node.Backends[service]).String())
		})
	}))
	bootstrap, err := n.lab.Bootstrap(n.t.Context(), "--proxy", node.Identity, "--node-id", node.Name, "--xds-address", n.xds().String(),
		"--admin-address", n.admin().String(), "--dns-resolver", n.dns().String())
	must(n.t, err)
	envoy, err := n.lab.StartEnvoy(lab.EnvoyConfig{
		Name: node.Name, Bootstrap: bootstrap, Admin: n.admin(),
		Client: &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 10 * time.Second},
		Command: func(name string, args ...string) *exec.Cmd {
			cmd := exec.Command("ip", append([]string{"netns", "exec", ns, name}, args...)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Gid: proxyGroup}}
			return cmd
		},
	})
	must(n.t, err)
	return envoy
}

// service is the address that an application finds for a service's name: the
// cluster's DNS gave it that of the pods of that name.
func (n *network) service(name string) netip.Addr {
	for i, node := range lab.YelbNodes {
		if node.Name == name {
			return n.addr(i)
		}
	}
	return netip.Addr{}
}

// forward makes the daemon, which listens on loopback, reachable at xds().
func (n *network) forward(to string) {
	n.t.Helper()
	must(n.t, inNamespace(n.hub, func() error {
		l, err := net.Listen("tcp4", n.xds().String())
		if err != nil {
			return err
		}
		n.lab.OnClose(func() { _ = l.Close() })
		go func() {
			for {
				from, err := l.Accept()
				if err != nil {
					return // closed
				}
				go pipe(from, to)
			}
		}()
		return nil
	}))
}

// pipe carries bytes both ways until one side ends.
func pipe(from net.Conn, to string) {
	defer from.Close()
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer conn.Close()
	go func() {
		defer from.Close()
		_, _ = io.Copy(from, conn)
	}()
	_, _ = io.Copy(conn, from)
}

// ask sends the database's question from a node to an address.
func (n *network) ask(i int, to netip.AddrPort) (string, error) {
	conn, err := dialFrom(n.node(i))(n.t.Context(), "tcp4", to.String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, "SELECT name, count FROM restaurants\n"); err != nil {
		return "", err
	}
	answer := make([]byte, 200)
	got, err := conn.Read(answer)
	return string(answer[:got]), err
}

// dialFrom connects from inside a network namespace.
func dialFrom(ns string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = inNamespace(ns, func() (err error) {
			var d net.Dialer
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// inNamespace calls f in a network namespace: sockets that it opens belong there for
// good. Other goroutines are not moved.
func inNamespace(ns string, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + ns)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return back // the thread stays locked, and so ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}
