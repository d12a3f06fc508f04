package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/ads"
	"github.com/meshwright/meshwright/xds/translate"
)

// machine is where one endpoint of a virtual node, or a gateway, runs: its
// stand-in application and its proxy.
type machine struct {
	index    int
	name     string // as scripts call it: NODE, or NODE/1, NODE/2 where it has several
	resource string // the virtual node's or gateway's name
	identity xds.Identity
	node     *schema.VirtualNode // nil for a gateway
	ports    []schema.PortMapping
	backends []backend // that its application may call
	bare     bool      // without a proxy

	app   *standIn
	proxy *lab.Envoy
}

// backend is a port of a virtual service that a node may call.
type backend struct {
	service *schema.VirtualService
	schema.PortMapping
}

// ground is what machines stand on: loopback addresses, with explicit
// capture, or network namespaces, with transparent capture.
type ground interface {
	add(m *machine) error
	capture(m *machine) xds.Capture                                            // as its bootstrap says it
	listen(m *machine, port uint16) (net.Listener, error)                      // for its application
	dial(ctx context.Context, m *machine, host, port string) (net.Conn, error) // as its application does, or towards a gateway
	addr(m *machine) netip.Addr                                                // where others find it
	addr6(m *machine) netip.Addr
	outside() netip.Addr // a machine without a proxy that is not in the mesh
	listenOutside(port uint16) (net.Listener, error)
	serveDNS(*lab.Names) (at netip.AddrPort, err error)
	xds(address string) (netip.AddrPort, error) // where proxies reach a server on loopback
	admin(m *machine) netip.AddrPort
	envoy(m *machine, bootstrap []byte) lab.EnvoyConfig
}

// mesh is the mesh of a case, for real.
type mesh struct {
	lab    *lab.Lab
	ground ground
	dir    string // of the manifests
	copies map[string]int
	bare   map[string]bool

	secrets secrets
	agents  map[string]string // node → the socket of its own SDS server

	built    bool
	up       bool
	spec     *schema.Spec
	found    map[schema.Query]*schema.Found // replaced, never changed
	state    *translate.Snapshot
	names    *lab.Names
	machines []*machine
	server   *ads.Server
	outside  *standIn
}

// build makes the machines and runs their applications, and lets nothing else
// be known yet: lines of a script before its first question may change names
// and make applications fail.
func (w *mesh) build(ctx context.Context) error {
	if w.built {
		return nil
	}
	w.built = true
	if err := w.load(ctx); err != nil {
		return err
	}
	w.people()
	for _, m := range w.machines {
		if err := w.ground.add(m); err != nil {
			return err
		}
		if err := w.startApp(m); err != nil {
			return err
		}
		if m.node != nil && m.node.Spec.ServiceDiscovery != nil && m.node.Spec.ServiceDiscovery.DNS != nil {
			host := m.node.Spec.ServiceDiscovery.DNS.Hostname
			addrs, _ := w.names.Addrs(host)
			w.names.Set(host, append(slices.Clone(addrs), w.ground.addr(m))...)
		}
	}
	w.outside = &standIn{name: "outside", serving: []*serving{
		{listen: func() (net.Listener, error) { return w.ground.listenOutside(8000) }},
		{listen: func() (net.Listener, error) { return w.ground.listenOutside(9000) }, protocol: schema.ProtocolTCP},
	}}
	w.lab.OnClose(w.outside.stop)
	return w.outside.start()
}

// start makes everything run. It is put off until a script's first question.
func (w *mesh) start(ctx context.Context) error {
	if w.up {
		return nil
	}
	w.up = true
	if err := w.build(ctx); err != nil {
		return err
	}
	return w.serve(ctx)
}

// load reads the manifests, which must have no mistake.
func (w *mesh) load(ctx context.Context) error {
	mapping, err := w.secrets.mapping(w.dir)
	if err != nil {
		return err
	}
	r, err := newLoad(mapping)(ctx, os.DirFS(w.dir))
	if err != nil {
		return err
	}
	if r.Spec == nil {
		return fmt.Errorf("the specs do not load:\n%s", r.Diagnostics)
	}
	w.spec = r.Spec
	w.state = translate.New(translate.Inputs{Commit: fmt.Sprint(time.Now().UnixNano()), Spec: r.Spec, Endpoints: w.found, Certificates: w.secrets.of(r.Spec)}, w.state)
	return nil
}

// people makes a machine for each gateway and each endpoint of each node.
func (w *mesh) people() {
	for _, r := range w.spec.All() {
		switch r := r.(type) {
		case *schema.VirtualNode:
			var backends []backend
			for _, link := range w.spec.BackendsOf(r) {
				for _, p := range w.portsOf(link.Service) {
					backends = append(backends, backend{link.Service, p})
				}
			}
			var ports []schema.PortMapping
			for _, l := range r.Spec.Listeners {
				ports = append(ports, l.PortMapping)
			}
			for i := range max(1, w.copies[r.Ref.Name]) {
				name := r.Ref.Name
				if w.copies[name] > 1 {
					name = fmt.Sprintf("%s/%d", name, i+1)
				}
				w.machines = append(w.machines, &machine{
					index: len(w.machines), name: name, resource: r.Ref.Name, node: r, ports: ports, backends: backends, bare: w.bare[r.Ref.Name],
					identity: xds.Identity{Mesh: r.Mesh, Kind: schema.KindVirtualNode, Name: r.AWSName},
				})
			}
		case *schema.VirtualGateway:
			var ports []schema.PortMapping
			for _, l := range r.Spec.Listeners {
				ports = append(ports, l.PortMapping)
			}
			w.machines = append(w.machines, &machine{
				index: len(w.machines), name: r.Ref.Name, resource: r.Ref.Name, ports: ports,
				identity: xds.Identity{Mesh: r.Mesh, Kind: schema.KindVirtualGateway, Name: r.AWSName},
			})
		}
	}
}

func (w *mesh) portsOf(v *schema.VirtualService) (ports []schema.PortMapping) {
	node, router := w.spec.ProviderOf(v)
	switch {
	case node != nil:
		for _, l := range node.Spec.Listeners {
			ports = append(ports, l.PortMapping)
		}
	case router != nil:
		for _, l := range router.Spec.Listeners {
			ports = append(ports, l.PortMapping)
		}
	}
	return ports
}

// startApp starts the stand-in of a machine.
func (w *mesh) startApp(m *machine) error {
	m.app = &standIn{name: m.name}
	if m.node == nil {
		return nil
	}
	for _, p := range m.ports {
		m.app.serving = append(m.app.serving, &serving{
			listen:   func() (net.Listener, error) { return w.ground.listen(m, uint16(p.Port)) },
			protocol: p.Protocol,
			frames:   m.bare && p.Protocol == schema.ProtocolHTTP2,
		})
	}
	w.lab.OnClose(m.app.stop)
	return m.app.start()
}

// serve starts the control plane and the proxies, and waits until they have
// taken what they are served.
func (w *mesh) serve(ctx context.Context) error {
	resolver, err := w.ground.serveDNS(w.names)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if w.server, err = ads.New(ads.Config{Listener: l, Drain: time.Millisecond}); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var serving errgroup.Group
	serving.Go(func() error { return w.server.Run(running) })
	w.lab.OnClose(func() { stop(); _ = serving.Wait() }) // what goes wrong at the end is not the case's
	w.server.Publish(w.state)
	at, err := w.ground.xds(l.Addr().String())
	if err != nil {
		return err
	}
	// Who is called is there before who calls, so that the first health check of
	// a good endpoint is good.
	calls := func(m *machine) bool { return m.node == nil || len(m.backends) > 0 }
	for _, calling := range []bool{false, true} {
		var starting errgroup.Group
		for _, m := range w.machines {
			if !m.bare && calls(m) == calling {
				starting.Go(func() error { return w.startProxy(ctx, m, at, resolver) })
			}
		}
		if err := starting.Wait(); err != nil {
			return fmt.Errorf("%w\n%v", err, w.server.Progress().Rejected)
		}
	}
	return w.applied(ctx)
}

// startProxy starts a machine's proxy and waits until it takes traffic.
func (w *mesh) startProxy(ctx context.Context, m *machine, control, resolver netip.AddrPort) error {
	bootstrap, err := translate.Bootstrap(translate.BootstrapConfig{
		Identity: m.identity, NodeID: m.name, Capture: w.ground.capture(m), XDSAddress: control.String(),
		AdminAddress: w.ground.admin(m), DNSResolvers: []netip.AddrPort{resolver}, SDSSocket: w.agents[m.resource],
	})
	if err != nil {
		return err
	}
	if m.proxy, err = w.lab.StartEnvoy(w.ground.envoy(m, bootstrap)); err != nil {
		return err
	}
	return m.proxy.Live(ctx)
}

// apply serves the manifests as they are now.
func (w *mesh) apply(ctx context.Context) error {
	if err := w.load(ctx); err != nil {
		return err
	}
	w.server.Publish(w.state)
	return w.applied(ctx)
}

// applied waits until every proxy has taken the newest state.
func (w *mesh) applied(ctx context.Context) error {
	return lab.Eventually(ctx, 20*time.Second, "the proxies have their configuration", func() error {
		proxies := w.server.Proxies()
		running := 0
		for _, m := range w.machines {
			if m.proxy != nil && m.proxy.Exited() == nil {
				running++
			}
		}
		if len(proxies) != running {
			return fmt.Errorf("%d of %d proxies are connected", len(proxies), running)
		}
		for _, p := range proxies {
			for _, t := range p.Types {
				if t.NACK != nil {
					return fmt.Errorf("%s refuses its configuration: %s", p.ID, t.NACK.Message)
				}
			}
			if p.Applied != w.state.Commit() {
				return fmt.Errorf("%s has not taken its configuration", p.ID)
			}
		}
		return nil
	})
}

// called are the machines of a name: of a node, all of its endpoints.
func (w *mesh) called(name string) []*machine {
	var found []*machine
	for _, m := range w.machines {
		if m.name == name || m.resource == name {
			found = append(found, m)
		}
	}
	if name == "outside" && w.outside != nil {
		found = append(found, &machine{name: name, app: w.outside})
	}
	return found
}

// overlay writes the base's files that a case has not.
func overlay(base, dir string) error {
	return fs.WalkDir(os.DirFS(base), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		target := dir + string(os.PathSeparator) + name
		if _, err := os.Stat(target); err == nil || !strings.HasSuffix(name, ".yaml") {
			return nil
		}
		text, err := os.ReadFile(base + string(os.PathSeparator) + name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
}
