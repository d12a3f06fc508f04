package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
)

// TestE2ETransparent is Yelb on five machines, as network namespaces stand in
// for them: applications use each other's own names and ports, know nothing of
// proxies, and iptables takes their traffic to Envoy.
func TestE2ETransparent(t *testing.T) {
	needNetworks(t)
	l := newLab(t)
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

	n, err := newNetwork(l)
	must(t, err)
	must(t, n.forward(w.daemon.XDS))
	names := &lab.Names{}
	for i, node := range lab.YelbNodes {
		names.Set(node.Host, n.addr(i))
	}
	must(t, inNamespace(n.hub, func() error { return l.ServeDNS(n.dns(), names) }))
	for i, node := range lab.YelbNodes {
		must(t, n.add(i))
		must(t, n.capture(i, node.Port))
		w.yelb.Envoys = append(w.yelb.Envoys, startYelbNode(t, n, i, node))
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
	if answer, err := ask(ctx, n.machine(0), netip.AddrPortFrom(n.addr(4), 5432)); err == nil {
		t.Errorf("the ui reached the database, which is no backend of it: %q", answer)
	}
	if answer, err := ask(ctx, n.machine(1), netip.AddrPortFrom(n.addr(4), 5432)); err != nil || !strings.Contains(answer, "ihop") {
		t.Errorf("the appserver did not reach the database: %q, %v", answer, err)
	}
}

// startYelbNode starts a node's application and its proxy on its machine.
func startYelbNode(t *testing.T, n *network, i int, node lab.Node) *lab.Envoy {
	t.Helper()
	app, err := listenIn(n.machine(i), "tcp4", fmt.Sprintf("127.0.0.1:%d", node.Port))
	must(t, err)
	dial := dialFrom(n.machine(i))
	must(t, n.lab.ServeApp(node.Name, app, func(ctx context.Context, service string) (net.Conn, error) {
		return dial(ctx, "tcp4", netip.AddrPortFrom(yelbService(n, service), node.Backends[service]).String())
	}))
	bootstrap, err := n.lab.Bootstrap(t.Context(), "--proxy", node.Identity, "--node-id", node.Name, "--xds-address", n.xds().String(),
		"--admin-address", n.admin().String(), "--dns-resolver", n.dns().String())
	must(t, err)
	envoy, err := n.lab.StartEnvoy(n.envoy(i, node.Name, bootstrap))
	must(t, err)
	return envoy
}

// yelbService is the address that an application finds for a service's name:
// the cluster's DNS gave it that of the pods of that name.
func yelbService(n *network, name string) netip.Addr {
	for i, node := range lab.YelbNodes {
		if node.Name == name {
			return n.addr(i)
		}
	}
	return netip.Addr{}
}

// ask sends the database's question from a machine to an address.
func ask(ctx context.Context, machine string, to netip.AddrPort) (string, error) {
	conn, err := dialFrom(machine)(ctx, "tcp4", to.String())
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
