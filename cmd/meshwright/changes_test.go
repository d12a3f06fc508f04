package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/ads"
	"github.com/meshwright/meshwright/xds/translate"
)

// changeable is the mesh that changes: web calls a page (http), a call (http2)
// and a line (tcp), which v1 and v2 serve. Nothing is retried, so that what
// breaks is seen.
var changeable = `
apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec: {namespaceSelector: {}, egressFilter: {type: DROP_ALL}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web, namespace: shop}
spec:
  backends:
  - virtualService: {virtualServiceRef: {name: page}}
  - virtualService: {virtualServiceRef: {name: call}}
  - virtualService: {virtualServiceRef: {name: line}}
` + serviceDocs("page", "http", pagePort, "httpRoute", "httpRetryEvents: [server-error]") +
	serviceDocs("call", "http2", callPort, "http2Route", "httpRetryEvents: [server-error]") + serviceDocs("line", "tcp", linePort, "tcpRoute", "") +
	nodeDoc("v1") + nodeDoc("v2")

func serviceDocs(name, protocol string, port int, route, events string) string {
	policy := ""
	if events != "" {
		policy = fmt.Sprintf(`
      match: {prefix: /} # %[1]s
      timeout: {perRequest: {unit: s, value: 0}, idle: {unit: s, value: 0}} # %[1]s
      retryPolicy: {maxRetries: 0, perRetryTimeout: {unit: s, value: 1}, %[2]s}`, name, events)
	}
	return fmt.Sprintf(`---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: %[1]s, namespace: shop}
spec: {provider: {virtualRouter: {virtualRouterRef: {name: %[1]s}}}} # %[1]s
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: %[1]s, namespace: shop}
spec:
  listeners: [{portMapping: {port: %[2]d, protocol: %[3]s}}]
  routes:
  - name: %[1]s
    %[4]s:%[5]s
      action:
        weightedTargets:
        - {virtualNodeRef: {name: v1}, weight: 1, port: %[2]d}
        - {virtualNodeRef: {name: v2}, weight: 1, port: %[2]d} # %[1]s
`, name, port, protocol, route, policy)
}

func nodeDoc(name string) string {
	return fmt.Sprintf(`---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: %[1]s, namespace: shop}
spec:
  serviceDiscovery: {dns: {hostname: %[1]s.shop.internal}} # %[1]s
  listeners:
  - portMapping: {port: %[2]d, protocol: http} # %[1]s page
  - portMapping: {port: %[3]d, protocol: http2} # %[1]s call
    timeout: {http2: {perRequest: {unit: s, value: 0}, idle: {unit: s, value: 0}}}
  - portMapping: {port: %[4]d, protocol: tcp} # %[1]s line
# end of %[1]s
`, name, pagePort, callPort, linePort)
}

// otherRoute is a route that meets all pages, and goes to v2.
func otherRoute(priority int) string {
	return fmt.Sprintf("  - name: other\n    priority: %d\n    httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: v2}, weight: 1, port: %d}]}}\n", priority, pagePort)
}

// permissive follows a listener.
func permissive(of string) string {
	return "# " + of + "\n    tls: {mode: PERMISSIVE, certificate: {file: {certificateChain: DIR/tls.crt, privateKey: DIR/tls.key}}}"
}

// edit is text of the mesh and what it becomes: pairs, as [strings.NewReplacer]
// takes them.
type edit []string

// targets returns the edits of a route's targets, of every sort.
func targets(from, to string) edit {
	var e edit
	for name, port := range map[string]int{"page": pagePort, "call": callPort, "line": linePort} {
		line := func(s string) string {
			if s == "" {
				return ""
			}
			node, weight, _ := strings.Cut(s, " ")
			return fmt.Sprintf("- {virtualNodeRef: {name: %s}, weight: %s, port: %d} # %s", node, weight, port, name)
		}
		e = append(e, line(from), line(to))
	}
	return e
}

func with(edits ...edit) edit { return slices.Concat(edits...) }

// changes are what people commit. Every one is made, and then taken back.
var changes = []struct {
	name    string
	edits   []edit // a commit each, one after the other
	touches string // whom the last edit is a change for
	answers string // who answers when it is applied
}{
	{name: "weights", edits: []edit{targets("v2 1", "v2 9")}, touches: "web1 web2", answers: "v1 v2"},
	{name: "a_weight_of_zero", edits: []edit{targets("v2 1", "v2 0")}, touches: "web1 web2", answers: "v1"},
	{name: "a_node_and_the_route_to_it", edits: []edit{with(targets("v2 1", "v3 1"), edit{"# end of v2", nodeDoc("v3")})}, touches: "v3 web1 web2", answers: "v1 v3"},
	{name: "a_node_renamed", edits: []edit{{"name: v2}", "name: v2b}", "name: v2,", "name: v2b,", "v2.shop", "v2b.shop"}}, touches: "v2b web1 web2", answers: "v1 v2b"},
	{name: "from_router_to_node", edits: []edit{{"{virtualRouter: {virtualRouterRef: {name: page}}}", "{virtualNode: {virtualNodeRef: {name: v2}}}"}}, touches: "web1 web2", answers: "v2"},
	{name: "match", edits: []edit{{"match: {prefix: /} # page", "match: {prefix: /, method: GET}"}}, touches: "web1 web2", answers: "v1 v2"},
	{name: "timeout", edits: []edit{{"timeout: {perRequest: {unit: s, value: 0}, idle: {unit: s, value: 0}} # page", "timeout: {perRequest: {unit: s, value: 9}}"}}, touches: "web1 web2", answers: "v1 v2"},
	{name: "a_backend", edits: []edit{{"  backends:", "  backends:\n  - virtualService: {virtualServiceRef: {name: more}}", "# end of v2", `---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: more, namespace: shop}
spec: {provider: {virtualNode: {virtualNodeRef: {name: v2}}}}
`}}, touches: "web1 web2", answers: "v1 v2"},
	{name: "priorities", edits: []edit{{"  - name: page\n", otherRoute(1) + "  - name: page\n    priority: 2\n"}, {"priority: 1", "priority: 3"}}, touches: "web1 web2", answers: "v1 v2"},
	{name: "health_check", edits: []edit{{"# v1 page", "\n    healthCheck: {protocol: http, path: /, intervalMillis: 5000, timeoutMillis: 2000, healthyThreshold: 2, unhealthyThreshold: 2}"}}, touches: "web1 web2", answers: "v1 v2"},
	{name: "outlier_detection", edits: []edit{{"# v1 page", "\n    outlierDetection: {maxServerErrors: 5, interval: {unit: s, value: 10}, baseEjectionDuration: {unit: s, value: 10}, maxEjectionPercent: 50}"}}, touches: "web1 web2", answers: "v1 v2"},
	{name: "connection_pool", edits: []edit{{"# v1 page", "\n    connectionPool: {http: {maxConnections: 100, maxPendingRequests: 100}}"}}, touches: "v1", answers: "v1 v2"},
	{name: "node_timeout", edits: []edit{{"# v1 page", "\n    timeout: {http: {perRequest: {unit: s, value: 9}}}"}}, touches: "v1", answers: "v1 v2"},
	{name: "access_log", edits: []edit{{"{dns: {hostname: v1.shop.internal}}", "{dns: {hostname: v1.shop.internal}}\n  logging: {accessLog: {file: {path: /dev/null}}}"}}, touches: "v1", answers: "v1 v2"},
	{name: "access_log_of_the_caller", edits: []edit{{"  backends:", "  logging: {accessLog: {file: {path: /dev/null}}}\n  backends:"}}, touches: "web1 web2", answers: "v1 v2"},
	{name: "egress_filter", edits: []edit{{"DROP_ALL", "ALLOW_ALL"}}, answers: "v1 v2"},
	{name: "a_second_port", edits: []edit{{"# v1 page", fmt.Sprintf("\n  - portMapping: {port: %d, protocol: http}", sparePort)}}, touches: "v1", answers: "v1 v2"},
	{name: "http_to_http2_on_both_sides", edits: []edit{{"port: 8080, protocol: http}", "port: 8080, protocol: http2}", "httpRoute:", "http2Route:"}}, touches: "v1 v2 web1 web2", answers: "v1 v2"},
	{name: "two_ports_swapped", edits: []edit{{"port: 8080", "port: 8090", "port: 8090", "port: 8080"}}, touches: "v1 v2 web1 web2", answers: "v1 v2"},
	{name: "tls", edits: []edit{{"# v1 page", permissive("v1 page"), "# v1 call", permissive("v1 call"), "# v1 line", permissive("v1 line"), "# v2 page", permissive("v2 page")}, {"PERMISSIVE", "STRICT"}}, touches: "v1 v2", answers: "v1 v2"},
	{name: "everything_deleted", edits: []edit{{changeable[strings.Index(changeable, "---"):], ""}}, answers: "v1 v2"},
	{name: "a_host_that_does_not_exist", edits: []edit{{"# end of v2", nodeDoc("nowhere")}, targets("v2 1", "nowhere 0")}, touches: "web1 web2", answers: "v1"},
	{name: "a_host_that_nobody_answers_for", edits: []edit{{"# end of v2", nodeDoc("silent")}, targets("v2 1", "silent 0")}, touches: "web1 web2", answers: "v1"},
	{name: "hostname", edits: []edit{{"v1.shop.internal", "v1b.shop.internal"}}, touches: "web1 web2", answers: "v1 v2"},
}

// TestE2EChanges makes every change that a commit may bring under traffic of
// every sort: nothing may fail, every proxy is told what changes for it and
// nothing else, and what the server says of them is true.
func TestE2EChanges(t *testing.T) {
	m := newChanging(t)
	m.publish(changeable)
	m.start()
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			m.enter(t)
			texts := []string{changeable}
			for _, e := range c.edits {
				text := texts[len(texts)-1]
				for i := 0; i < len(e); i += 2 {
					if !strings.Contains(text, e[i]) {
						t.Fatalf("the mesh does not hold %q", e[i])
					}
				}
				text = strings.NewReplacer(e...).Replace(text)
				texts = append(texts, text)
				m.apply(text)
			}
			if c.touches != "" && c.touches != m.last {
				t.Errorf("touches %s, want %s", m.last, c.touches)
			}
			if c.answers != "" {
				m.answer(c.answers)
			}
			for _, text := range slices.Backward(texts[:len(texts)-1]) {
				m.apply(text)
			}
			m.answer("v1 v2")
		})
	}
	t.Run("a_burst", m.burst)
	t.Run("a_refused_state", m.refuse)
	t.Run("a_restart", m.restart)
}

// refused is a state in which callers get a listener that Envoy refuses.
type refused struct{ *translate.Snapshot }

func (refused) Commit() string { return "refused" }

func (s refused) Resources(p xds.Profile) (*xds.Resources, error) {
	r, err := s.Snapshot.Resources(p)
	if err != nil || p.Identity.Name != "web_shop" {
		return r, err
	}
	bad, err := xds.NewResource(xds.Listener, "refused", &listenerv3.Listener{Name: "refused"})
	if err != nil {
		return nil, err
	}
	with := *r
	with[xds.Listener] = append(slices.Clone(r[xds.Listener]), bad)
	with.Sort()
	return &with, nil
}

// refuse publishes what Envoy refuses, and then what it does not.
func (m *changing) refuse(t *testing.T) {
	m.t = t
	m.server.Publish(refused{m.state})
	must(t, lab.Eventually(t.Context(), 30*time.Second, "refused", func() error {
		p := m.server.Progress()
		if len(p.Rejected) != 2 || p.Touched != 2 || p.Applied != 0 || p.Done() || p.Rejected[0].Commit != "refused" {
			return fmt.Errorf("%+v", p)
		}
		return nil
	}))
	m.unharmed()
	m.apply(changed(targets("v2 1", "v2 0")))
	m.answer("v1")
	m.apply(changeable)
}

// burst publishes fifty commits in two seconds.
func (m *changing) burst(t *testing.T) {
	m.t = t
	for i := range 50 {
		m.publish(changed([]edit{targets("v2 1", "v2 0"), targets("v2 1", "v3 1"), targets("v2 1", "v2 7")}[i%3], edit{"# end of v2", nodeDoc("v3")}))
		time.Sleep(40 * time.Millisecond)
	}
	m.apply(changeable)
	m.answer("v1 v2")
}

// restart puts another server in the place of this one: the proxies have what
// they should, and are sent nothing.
func (m *changing) restart(t *testing.T) {
	m.t = t
	m.stop()
	time.Sleep(200 * time.Millisecond)
	m.serve()
	m.server.Publish(m.state)
	must(t, lab.Eventually(t.Context(), 30*time.Second, "the proxies are back", func() error {
		back := 0
		for _, p := range m.server.Proxies() {
			if p.Applied == m.state.Commit() || p.Note != "" {
				back++
			}
		}
		if back != 6 {
			return fmt.Errorf("%d of 6", back)
		}
		return nil
	}))
	// Listeners that drain may still ask for routes and secrets that are gone,
	// and hear that they are.
	for _, p := range m.server.Proxies() {
		if n := p.Types[xds.Cluster].Sent + p.Types[xds.Listener].Sent; n > 0 {
			t.Errorf("%d responses to %s, which has everything", n, p.ID)
		}
	}
	m.unharmed()
	m.apply(changed(targets("v2 1", "v2 0")))
	m.answer("v1")
	m.apply(changeable)
}

// changed is the mesh with edits.
func changed(edits ...edit) string {
	return strings.NewReplacer(with(edits...)...).Replace(changeable)
}

// changing is the running mesh.
type changing struct {
	t       *testing.T
	lab     *lab.Lab
	at      netip.AddrPort // of the server
	server  *ads.Server
	stop    func()
	loader  *schema.Loader
	state   *translate.Snapshot
	commits int
	loads   map[string]*load
	last    string // whom the last change touched
}

func newChanging(t *testing.T) *changing {
	m := &changing{t: t, lab: newLab(t), loader: newLoader(), loads: map[string]*load{}}
	m.at = m.lab.Net.At(1, 18000)
	m.serve()
	t.Cleanup(func() { m.stop() })
	return m
}

// serve starts a server, in the place of the last one.
func (m *changing) serve() {
	l, err := net.Listen("tcp4", m.at.String())
	must(m.t, err)
	m.server, err = ads.New(ads.Config{Listener: l, Logger: slog.New(slog.DiscardHandler)})
	must(m.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func(s *ads.Server) { ended <- s.Run(ctx) }(m.server)
	m.stop = func() { cancel(); must(m.t, <-ended) }
}

// start starts the proxies, the applications and the traffic.
func (m *changing) start() {
	t := m.t
	must(t, writeCertificate(m.lab.Dir))
	resolver := m.lab.Net.At(1, 53535)
	names := &lab.Names{}
	config := func(identity string, sotw bool) translate.BootstrapConfig {
		return translate.BootstrapConfig{
			Identity: xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: identity + "_shop"}, XDSAddress: m.at.String(), SOTW: sotw,
			DNSResolvers: []netip.AddrPort{resolver},
		}
	}
	for i, name := range []string{"v1", "v2", "v3", "v2b"} {
		at := m.lab.Net.Addr(byte(20 + i))
		names.Set(name+".shop.internal", at)
		c := config(name, i%2 == 1)
		startServing(t, m.lab, name, at, c)
	}
	names.Set("silent.shop.internal", netip.Addr{})
	names.Set("v1b.shop.internal", m.lab.Net.Addr(20))
	must(t, m.lab.ServeDNS(resolver, names))
	for i, name := range []string{"web1", "web2"} {
		at := m.lab.Net.Addr(byte(10 + i))
		c := config("web", i == 1)
		backends := map[string]netip.AddrPort{"page.shop": netip.AddrPortFrom(at, pagePort), "call.shop": netip.AddrPortFrom(at, callPort), "line.shop": netip.AddrPortFrom(at, linePort), "more.shop:8080": netip.AddrPortFrom(at, sparePort), "more.shop:8090": netip.AddrPortFrom(at, sparePort+1), "more.shop:6379": netip.AddrPortFrom(at, sparePort+2)}
		c.Capture = xds.NewCapture(true, map[xds.Role]map[string]netip.AddrPort{xds.RoleBackend: backends})
		startProxy(t, m.lab, name, at, c)
		m.loads[name] = nil
	}
	must(t, lab.Eventually(t.Context(), 30*time.Second, "the proxies are up", func() error {
		up := 0
		for _, p := range m.server.Proxies() {
			if p.Applied != "" || p.Note != "" {
				up++
			}
		}
		if up != 6 {
			return fmt.Errorf("%d of 6: %+v", up, m.server.Proxies())
		}
		return nil
	}))
	for i, name := range []string{"web1", "web2"} {
		m.loads[name] = startLoad(context.WithoutCancel(t.Context()), m.lab.Net.Addr(byte(10+i)))
		m.lab.OnClose(func() { m.loads[name].stop(); m.loads[name].working.Wait() })
	}
	must(t, lab.Eventually(t.Context(), 30*time.Second, "traffic flows", func() error {
		time.Sleep(100 * time.Millisecond)
		for _, l := range m.loads {
			got := l.take()
			for _, s := range sorts {
				if c := got[s]; c == nil || c.failed > 0 {
					return fmt.Errorf("%s: %+v", s, c)
				}
			}
		}
		return nil
	}))
}

func (m *changing) enter(t *testing.T) { m.t = t }

// publish loads a commit's text and makes it the desired state.
func (m *changing) publish(text string) string {
	m.t.Helper()
	r, err := m.loader.Load(m.t.Context(), fstest.MapFS{"mesh.yaml": {Data: []byte(strings.ReplaceAll(text, "DIR", m.lab.Dir))}})
	must(m.t, err)
	if r.Spec == nil {
		m.t.Fatalf("%v\n%s", r.Diagnostics, text)
	}
	m.commits++
	m.state = translate.New(translate.Inputs{Commit: fmt.Sprintf("c%d", m.commits), Spec: r.Spec}, m.state)
	m.server.Publish(m.state)
	return m.state.Commit()
}

// apply makes a change and fails the test where a request fails, a proxy gets
// what is not for it, or the server does not tell the truth.
func (m *changing) apply(text string) {
	t := m.t
	t.Helper()
	sent := m.sent()
	began := time.Now()
	commit := m.publish(text)
	must(t, lab.Eventually(t.Context(), 30*time.Second, "applied", func() error {
		if p := m.server.Progress(); p.Commit != commit || !p.Done() {
			return fmt.Errorf("%+v", p)
		}
		return nil
	}))
	took := time.Since(began)
	p := m.server.Progress()
	time.Sleep(150 * time.Millisecond)
	var touched []string
	now := m.sent()
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if now[name] != sent[name] {
			touched = append(touched, name)
		}
	}
	m.last = strings.Join(touched, " ")
	if p.Touched != len(touched) {
		t.Errorf("%d proxies touched, and responses sent to %v", p.Touched, touched)
	}
	for _, x := range m.server.Proxies() {
		if x.Note == "" && x.Applied != commit {
			t.Errorf("%s has applied %s, not %s", x.ID, x.Applied, commit)
		}
	}
	t.Logf("%s: %s in %v (%v)", commit, m.last, p.Took.Round(time.Millisecond), took.Round(time.Millisecond))
	m.unharmed()
}

// unharmed fails if anything has failed since the last look.
func (m *changing) unharmed() {
	t := m.t
	t.Helper()
	for _, web := range slices.Sorted(maps.Keys(m.loads)) {
		got := m.loads[web].take()
		for _, s := range sorts {
			c := got[s]
			if c != nil && c.failed > 0 {
				t.Errorf("%s: %d of %d %ss failed: %s", web, c.failed, c.n, s, c.first)
			}
		}
	}
}

// sent is how many responses each proxy was sent.
func (m *changing) sent() map[string]int {
	n := map[string]int{}
	for _, p := range m.server.Proxies() {
		for _, s := range p.Types {
			n[p.ID] += s.Sent
		}
	}
	return n
}

// answer fails unless it is these, and all of them, who answer for pages.
func (m *changing) answer(want string) {
	m.t.Helper()
	for web, l := range m.loads {
		seen := map[string]bool{}
		err := lab.Eventually(m.t.Context(), 10*time.Second, web+" is answered", func() error {
			time.Sleep(100 * time.Millisecond) // a hundred requests, on a quiet machine
			c := l.take()["page"]
			if c == nil {
				return errors.New("nobody answers")
			}
			for name := range c.by {
				seen[name] = true
			}
			if c.failed > 0 {
				m.t.Errorf("%s: %d of %d pages failed: %s", web, c.failed, c.n, c.first)
			}
			if got := strings.Join(slices.Sorted(maps.Keys(seen)), " "); got != want || c.n < 10 {
				return fmt.Errorf("%s answer, want %s", got, want)
			}
			return nil
		})
		if err != nil {
			m.t.Error(err)
		}
	}
}
