package canary_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/fixtures"
	. "github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/ads"
	"github.com/meshwright/meshwright/xds/translate"
)

// realMesh has a client and a gateway, who call by the router api and by the
// gateway route public. At the base all goes to v1, at the target to v2; and
// what comes in from outside half to v3.
const realMesh = `
{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: client, namespace: shop}, spec: {awsName: client, backends: [{virtualService: {virtualServiceRef: {name: api}}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: api, namespace: shop}, spec: {listeners: [{portMapping: {port: PORT, protocol: http}}], routes: [
  {name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: NODE}, weight: 1}]}}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: api, namespace: shop}, spec: {awsName: api, provider: {virtualRouter: {virtualRouterRef: {name: api}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: old, namespace: shop}, spec: {awsName: old, provider: {virtualNode: {virtualNodeRef: {name: v1}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualGateway, metadata: {name: edge, namespace: shop}, spec: {awsName: edge, namespaceSelector: {}, listeners: [{portMapping: {port: EDGE, protocol: http}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: GatewayRoute, metadata: {name: public, namespace: shop}, spec: {httpRoute: {match: {prefix: /}, action: {target: {virtualService: {virtualServiceRef: {name: SERVICE}}}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: halves, namespace: shop}, spec: {listeners: [{portMapping: {port: PORT, protocol: http}}], routes: [
  {name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: v2}, weight: 50}, {virtualNodeRef: {name: v3}, weight: 50}]}}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: new, namespace: shop}, spec: {awsName: new, provider: {virtualRouter: {virtualRouterRef: {name: halves}}}}}
`

// stage is a real Envoy of the client and of the gateway, served by a real
// control plane, and applications that say who they are.
type stage struct {
	t            *testing.T
	base, target *schema.Spec
	server       *ads.Server
	state        *translate.Snapshot
	steps        int
	inside, edge string // URLs
	copied       map[string]*atomic.Int64
}

func newStage(t *testing.T) *stage {
	fixtures.Envoy(t)
	port, edge := freePort(t), freePort(t)
	s := &stage{t: t, copied: map[string]*atomic.Int64{}}
	mesh := strings.NewReplacer("PORT", port, "EDGE", edge).Replace(realMesh)
	for i, name := range []string{"v1", "v2", "v3"} {
		host := fmt.Sprintf("127.0.0.%d", 11+i)
		mesh += fmt.Sprintf(`---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: %s, namespace: shop}, spec: {awsName: %[1]s, serviceDiscovery: {dns: {hostname: %s}}, listeners: [{portMapping: {port: %s, protocol: http}}]}}
---
{apiVersion: meshwright.dev/v1alpha1, kind: Endpoints, metadata: {name: %[1]s, namespace: shop}, spec: {virtualNodeRef: {name: %[1]s}, endpoints: [{address: %[2]s}]}}
`, name, host, port)
		count := &atomic.Int64{}
		s.copied[name] = count
		l, err := net.Listen("tcp", host+":"+port)
		if err != nil {
			t.Fatal(err)
		}
		app := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			count.Add(1)
			_, _ = io.WriteString(w, name)
		})}}
		app.Start()
		t.Cleanup(app.Close)
	}
	s.base = load(t, fstest.MapFS{"mesh.yaml": {Data: []byte(strings.NewReplacer("NODE", "v1", "SERVICE", "old").Replace(mesh))}})
	s.target = load(t, fstest.MapFS{"mesh.yaml": {Data: []byte(strings.NewReplacer("NODE", "v2", "SERVICE", "new").Replace(mesh))}})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.server, err = ads.New(ads.Config{Listener: l, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	at := netip.MustParseAddrPort("127.0.0.1:" + freePort(t))
	s.inside, s.edge = "http://"+at.String(), "http://127.0.0.1:"+edge
	s.envoy(l.Addr().String(), schema.KindVirtualNode, "client", xds.NewCapture(true, map[xds.Role]map[string]netip.AddrPort{xds.RoleBackend: {"api": at}}))
	s.envoy(l.Addr().String(), schema.KindVirtualGateway, "edge", xds.Capture{})
	s.serve(s.base)
	return s
}

func (s *stage) envoy(address string, kind schema.Kind, name string, capture xds.Capture) {
	s.t.Helper()
	b, err := translate.Bootstrap(translate.BootstrapConfig{
		Identity: xds.Identity{Mesh: "shop", Kind: kind, Name: name}, XDSAddress: address, Capture: capture, AdminAddress: netip.MustParseAddrPort("127.0.0.1:0"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(fixtures.Envoy(s.t), "-c", file, "--concurrency", "1", "-l", "warning", "--use-dynamic-base-id")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// serve publishes a spec and waits for the ACKs of both proxies.
func (s *stage) serve(spec *schema.Spec) {
	s.t.Helper()
	s.steps++
	in := translate.Inputs{Commit: fmt.Sprint("step-", s.steps), Spec: spec}
	s.state = translate.New(in, s.state)
	s.server.Publish(s.state)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		p, all := s.server.Progress(), s.server.Proxies()
		if len(all) == 2 && all[0].Applied == in.Commit && all[1].Applied == in.Commit {
			return
		}
		if len(p.Rejected) > 0 || time.Now().After(deadline) {
			s.t.Fatalf("step %d: %+v", s.steps, p)
		}
	}
}

// blend serves a mix of the governed route of a kind.
func (s *stage) blend(kind schema.Kind, m Mix) {
	s.t.Helper()
	name := map[schema.Kind]string{schema.KindVirtualRouter: "api", schema.KindGatewayRoute: "public"}[kind]
	m.Governed = []schema.Ref{{Kind: kind, Key: schema.Key{Namespace: "shop", Name: name}}}
	m.Side, m.Start = Between, schema.StartPullRequest
	s.serve(Blend(s.base, s.target, []Mix{m}))
}

// ask asks once and returns who answered; a header is NAME=VALUE.
func (s *stage) ask(c *http.Client, url string, header ...string) string {
	s.t.Helper()
	q, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, "=")
		q.Header.Set(name, value)
	}
	r, err := c.Do(q)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		s.t.Fatal(r.Status, err)
	}
	return string(body)
}

// split asks n times and holds the shares to five standard deviations.
func (s *stage) split(n int, url string, want map[string]float64, header ...string) {
	s.t.Helper()
	got := map[string]int{}
	for range n {
		got[s.ask(http.DefaultClient, url, header...)]++
	}
	for node, p := range want {
		if off := math.Abs(float64(got[node]) - p*float64(n)); off > 5*math.Sqrt(p*(1-p)*float64(n)) {
			s.t.Errorf("%s of %d: got %v, want %v", url, n, got, want)
		}
	}
}

// TestEnvoySplits: what a real Envoy makes of blended specs.
func TestEnvoySplits(t *testing.T) {
	s := newStage(t)
	router, gateway := schema.KindVirtualRouter, schema.KindGatewayRoute
	preview := &schema.HeaderMatch{Name: "x-preview"}
	s.split(50, s.inside, map[string]float64{"v1": 1})

	s.blend(router, Mix{Weight: 25_00})
	s.split(3000, s.inside, map[string]float64{"v1": .75, "v2": .25})
	s.blend(router, Mix{Header: preview})
	s.split(50, s.inside, map[string]float64{"v1": 1})
	s.split(50, s.inside, map[string]float64{"v2": 1}, "x-preview=1")
	s.blend(router, Mix{Weight: 10_00, Header: preview})
	s.split(1000, s.inside, map[string]float64{"v1": .9, "v2": .1})
	s.split(50, s.inside, map[string]float64{"v2": 1}, "x-preview=1")

	s.blend(router, Mix{Mirror: 30_00})
	before := s.copied["v2"].Load()
	s.split(1000, s.inside, map[string]float64{"v1": 1})
	time.Sleep(500 * time.Millisecond) // copies come later than answers
	if n := float64(s.copied["v2"].Load() - before); math.Abs(n-300) > 5*math.Sqrt(1000*.3*.7) {
		t.Errorf("%v of 1000 requests were copied, want 30 %%", n)
	}

	s.blend(gateway, Mix{Weight: 50})
	s.split(10000, s.edge, map[string]float64{"v1": .995, "v2": .0025, "v3": .0025})
	s.blend(gateway, Mix{Weight: 40_00})
	s.split(3000, s.edge, map[string]float64{"v1": .6, "v2": .2, "v3": .2})
	s.blend(gateway, Mix{Header: preview, Mirror: 40_00})
	s.split(50, s.edge, map[string]float64{"v1": 1})
	s.split(200, s.edge, map[string]float64{"v1": 0, "v2": .5, "v3": .5}, "x-preview=1")
	before = s.copied["v3"].Load()
	s.split(1000, s.edge, map[string]float64{"v1": 1})
	time.Sleep(500 * time.Millisecond)
	if n := float64(s.copied["v3"].Load() - before); math.Abs(n-200) > 5*math.Sqrt(1000*.2*.8) {
		t.Errorf("%v of 1000 requests were copied, want 20 %%", n)
	}
	s.serve(s.target)
	s.split(200, s.edge, map[string]float64{"v2": .5, "v3": .5})
	s.split(50, s.inside, map[string]float64{"v2": 1})
}

// TestEnvoyKeepsSides: who has come to the canary stays there as it grows, by a
// cookie or by a header, and the shares are those of the weights.
func TestEnvoyKeepsSides(t *testing.T) {
	s := newStage(t)
	const clients = 400
	jars := make([]*http.Client, clients)
	for i := range jars {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{} // a connection of its own
		t.Cleanup(transport.CloseIdleConnections)
		jars[i] = &http.Client{Jar: jar, Transport: transport}
	}
	by := map[string]*schema.Affinity{
		"cookie": {Cookie: &schema.AffinityCookie{Name: "side", TTL: time.Hour}},
		"header": {Header: "x-user"},
	}
	ask := map[string]func(i int) string{
		"cookie": func(i int) string { return s.ask(jars[i], s.inside) },
		"header": func(i int) string { return s.ask(http.DefaultClient, s.inside, fmt.Sprint("x-user=", i)) },
	}
	at, _ := url.Parse(s.inside)
	for name, affinity := range by {
		canary := map[int]bool{}
		for _, weight := range []schema.Percent{5_00, 25_00, 50_00} {
			s.blend(schema.KindVirtualRouter, Mix{Weight: weight, Affinity: affinity})
			for i := range clients {
				first := ask[name](i)
				if name == "cookie" && len(jars[i].Jar.Cookies(at)) != 1 {
					t.Fatalf("client %d has cookies %v", i, jars[i].Jar.Cookies(at))
				}
				if again := ask[name](i); again != first {
					t.Errorf("%s: client %d: %s, then %s", name, i, first, again)
				}
				if canary[i] && first != "v2" {
					t.Errorf("%s: at %s %%, client %d left the canary", name, weight, i)
				}
				canary[i] = first == "v2"
			}
			n := 0
			for _, there := range canary {
				if there {
					n++
				}
			}
			if p := weight.Fraction(); math.Abs(float64(n)-p*clients) > 5*math.Sqrt(p*(1-p)*clients) {
				t.Errorf("%s: at %s %%, %d of %d clients are at the canary", name, weight, n, clients)
			}
		}
	}
}

// TestEnvoyLosesNothing: not one request fails because of a change of weights.
func TestEnvoyLosesNothing(t *testing.T) {
	s := newStage(t)
	stop, failed := make(chan struct{}), make(chan error, 1)
	var asked atomic.Int64
	done := make(chan struct{}, 4)
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := c.Get(s.inside)
				if err == nil {
					_, err = io.Copy(io.Discard, r.Body)
					_ = r.Body.Close()
					if r.StatusCode != http.StatusOK {
						err = fmt.Errorf("%s", r.Status)
					}
				}
				if asked.Add(1); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		}()
	}
	preview := &schema.HeaderMatch{Name: "x-preview"}
	for round := range 5 {
		for _, m := range []Mix{{Header: preview}, {Weight: 10}, {Weight: 25_00, Mirror: 1_00}, {Weight: 99_99}, {Weight: schema.Whole}} {
			s.blend(schema.KindVirtualRouter, m)
		}
		s.serve([]*schema.Spec{s.base, s.target}[round%2])
		s.serve(s.base)
	}
	close(stop)
	for range 4 {
		<-done
	}
	select {
	case err := <-failed:
		t.Error(err)
	default:
	}
	if asked.Load() < 500 {
		t.Errorf("only %d requests", asked.Load())
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func load(t testing.TB, files fs.FS) *schema.Spec {
	t.Helper()
	r, err := schema.NewLoader(schema.Config{}).Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	if r.Spec == nil {
		t.Fatalf("the repository has mistakes:\n%s", r.Diagnostics.Errors())
	}
	return r.Spec
}
