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
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/fixtures"
)

// proxyGroup is the group that proxies run in: what it sends is not captured.
// App Mesh's proxy-init calls it APPMESH_IGNORE_GID.
const proxyGroup = 1337

// Redirections of a node's traffic as App Mesh's proxy-init made them: what
// comes in for the application's port to 15000, what goes out to 15001.
const (
	redirectIn  = "-A PREROUTING -p tcp --dport %d -m addrtype ! --src-type LOCAL -j REDIRECT --to-port 15000\n"
	redirectOut = "-A OUTPUT -p tcp -m addrtype ! --dst-type LOCAL -m owner ! --gid-owner %d -j REDIRECT --to-port 15001\n"
)

// network is a bridge in a network namespace of its own, the hub, and behind
// it a namespace for each machine; nothing of it is in the real machine's own.
// All networks have the same addresses, and do not see each other.
type network struct {
	lab  *lab.Lab
	name string // prefix of the namespaces' names
	hub  string
}

// networks numbers those of this process.
var networks atomic.Int64

// needNetworks skips a test where there can be no networks. With REQUIRE_REAL=1
// missing tools are a failure, a missing permission is not.
func needNetworks(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "iptables-restore"} {
		if _, err := exec.LookPath(tool); err != nil {
			fixtures.Missing(t, fmt.Sprintf("no %s here (packages iproute2 and iptables)", tool))
		}
	}
	l, err := lab.New(lab.Config{})
	must(t, err)
	defer l.Close()
	n, err := newNetwork(l)
	if err == nil {
		err = n.add(0)
	}
	if err == nil {
		err = n.capture(0, 80)
	}
	if err != nil {
		t.Skipf("this machine allows no network namespaces or iptables: %v", err) // no installation helps
	}
}

// newNetwork makes a network without machines, which goes with the lab.
func newNetwork(l *lab.Lab) (*network, error) {
	name := fmt.Sprintf("meshwright-%d-%d-", os.Getpid(), networks.Add(1))
	n := &network{l, name, name + "hub"}
	return n, steps(
		func() error { return n.namespace(n.hub) },
		func() error {
			return batch(n.hub, "link add bridge type bridge", "addr add 10.99.0.1/24 dev bridge", "addr add fd99::1/64 dev bridge nodad", "link set bridge up")
		},
	)
}

// add adds the ith machine.
func (n *network) add(i int) error {
	ns, port := n.machine(i), fmt.Sprintf("port%d", i)
	return steps(
		func() error { return n.namespace(ns) },
		func() error {
			return batch(n.hub, fmt.Sprintf("link add %s type veth peer name eth0 netns %s", port, ns), fmt.Sprintf("link set %s master bridge up", port))
		},
		func() error {
			return batch(ns, fmt.Sprintf("addr add %s/24 dev eth0", n.addr(i)), fmt.Sprintf("addr add %s/64 dev eth0 nodad", n.addr6(i)), "link set eth0 up")
		},
	)
}

// capture sends a machine's traffic through its proxy: all that goes out, and
// what comes in for the ports.
func (n *network) capture(i int, ports ...uint16) error {
	rules := fmt.Sprintf(redirectOut, proxyGroup)
	for _, p := range ports {
		rules += fmt.Sprintf(redirectIn, p)
	}
	for _, restore := range []string{"iptables-restore", "ip6tables-restore"} {
		if err := command("*nat\n"+rules+"COMMIT\n", "ip", "netns", "exec", n.machine(i), restore); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) machine(i int) string   { return fmt.Sprintf("%s%d", n.name, i) }
func (n *network) addr(i int) netip.Addr  { return netip.AddrFrom4([4]byte{10, 99, 0, byte(10 + i)}) }
func (n *network) addr6(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd99::%d", 10+i)) }
func (n *network) outside() netip.Addr    { return netip.MustParseAddr("10.99.0.1") }
func (n *network) dns() netip.AddrPort    { return netip.AddrPortFrom(n.outside(), 53) }
func (n *network) xds() netip.AddrPort    { return netip.AddrPortFrom(n.outside(), 18000) }
func (n *network) admin() netip.AddrPort  { return netip.MustParseAddrPort("127.0.0.1:9901") }

// namespace makes a network namespace that goes with the lab.
func (n *network) namespace(name string) error {
	if err := command("", "ip", "netns", "add", name); err != nil {
		return err
	}
	n.lab.OnClose(func() { _ = command("", "ip", "netns", "del", name) }) // one that stays is in the way of nobody
	return batch(name, "link set lo up")
}

// envoy is how a machine's proxy is run and its admin interface reached.
func (n *network) envoy(i int, name string, bootstrap []byte) lab.EnvoyConfig {
	return lab.EnvoyConfig{
		Name: name, Bootstrap: bootstrap, Admin: n.admin(),
		Client: &http.Client{Transport: &http.Transport{DialContext: dialFrom(n.machine(i))}, Timeout: 10 * time.Second},
		Command: func(name string, args ...string) *exec.Cmd {
			cmd := exec.Command("ip", append([]string{"netns", "exec", n.machine(i), name}, args...)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Gid: proxyGroup}}
			return cmd
		},
	}
}

// forward makes a daemon that listens on loopback reachable at xds().
func (n *network) forward(to string) error {
	return inNamespace(n.hub, func() error {
		l, err := net.Listen("tcp4", n.xds().String())
		if err != nil {
			return err
		}
		var carrying sync.WaitGroup
		carrying.Go(func() {
			for {
				from, err := l.Accept()
				if err != nil {
					return // closed
				}
				carrying.Go(func() { pipe(from, to) })
			}
		})
		n.lab.OnClose(func() { _ = l.Close(); carrying.Wait() })
		return nil
	})
}

// pipe carries bytes both ways until one side ends.
func pipe(from net.Conn, to string) {
	defer from.Close()
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer conn.Close()
	var back sync.WaitGroup
	back.Go(func() {
		defer from.Close()
		_, _ = io.Copy(from, conn)
	})
	_, _ = io.Copy(conn, from)
	_ = conn.Close()
	back.Wait()
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

// listenIn listens inside a network namespace.
func listenIn(ns, network, address string) (l net.Listener, err error) {
	err = inNamespace(ns, func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
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

// batch runs commands of ip in a namespace, in one process.
func batch(ns string, lines ...string) error {
	return command(strings.Join(lines, "\n")+"\n", "ip", "-n", ns, "-batch", "-")
}

// command runs a command with an input; what it said of a failure is in the
// error.
func command(input, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// steps does one after the other until one fails.
func steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
