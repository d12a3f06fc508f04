package translate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	grpcxds "google.golang.org/grpc/xds"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/ads"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestBootstrapBuckets: what proxies are told to divide latencies by is what
// the daemon adds them up by.
func TestBootstrapBuckets(t *testing.T) {
	b, err := translate.Bootstrap(translate.BootstrapConfig{Identity: ui, XDSAddress: "control:1234"})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Interval string `json:"stats_flush_interval"`
		Stats    struct {
			Buckets []struct{ Buckets []float64 } `json:"histogram_bucket_settings"`
		} `json:"stats_config"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]struct{ Buckets []float64 }{{xds.LatencyBounds}}, got.Stats.Buckets); diff != "" || got.Interval != fmt.Sprintf("%.0fs", xds.ReportInterval.Seconds()) {
		t.Errorf("flushed each %s; (-want +got):\n%s", got.Interval, diff)
	}
}

// reportMesh has a client of services on one port: web by two endpoints whose
// health is checked, by a service of routes; dead, where nobody listens; none,
// without endpoints.
const reportMesh = `
{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: client, namespace: shop}, spec: {awsName: client.shop, backends: [
  {virtualService: {virtualServiceRef: {name: web}}}, {virtualService: {virtualServiceRef: {name: dead}}}, {virtualService: {virtualServiceRef: {name: none}}},
  {virtualService: {virtualServiceRef: {name: rpc}}}, {virtualService: {virtualServiceRef: {name: deadrpc}}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: web, namespace: shop}, spec: {awsName: web.shop, serviceDiscovery: {dns: {hostname: web.shop}}, listeners: [
  {portMapping: {port: PORT, protocol: http}, healthCheck: {protocol: http, path: /health, port: PORT, healthyThreshold: 2, unhealthyThreshold: 2, intervalMillis: 5000, timeoutMillis: 2000}}]}}
---
{apiVersion: meshwright.dev/v1alpha1, kind: Endpoints, metadata: {name: web, namespace: shop}, spec: {virtualNodeRef: {name: web}, endpoints: [{address: 127.0.0.2}, {address: 127.0.0.3}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: dead, namespace: shop}, spec: {serviceDiscovery: {dns: {hostname: 127.0.0.4}}, listeners: [{portMapping: {port: PORT, protocol: http}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: none, namespace: shop}, spec: {serviceDiscovery: {dns: {hostname: 127.0.0.4}}, listeners: [{portMapping: {port: PORT, protocol: http}}]}}
---
{apiVersion: meshwright.dev/v1alpha1, kind: Endpoints, metadata: {name: none, namespace: shop}, spec: {virtualNodeRef: {name: none}, endpoints: []}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: web, namespace: shop}, spec: {awsName: web.example, provider: {virtualRouter: {virtualRouterRef: {name: web}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: dead, namespace: shop}, spec: {awsName: dead.example, provider: {virtualNode: {virtualNodeRef: {name: dead}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: none, namespace: shop}, spec: {awsName: none.example, provider: {virtualNode: {virtualNodeRef: {name: none}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: web, namespace: shop}, spec: {listeners: [{portMapping: {port: PORT, protocol: http}}], routes: [
  {name: retried, priority: 1, httpRoute: {match: {prefix: /retried}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]},
    retryPolicy: {httpRetryEvents: [server-error, client-error], tcpRetryEvents: [connection-error], maxRetries: 2, perRetryTimeout: {unit: ms, value: 5000}}}},
  {name: limited, priority: 2, httpRoute: {match: {prefix: /limited}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]}, timeout: {perRequest: {unit: ms, value: 300}}}},
  {name: rest, priority: 3, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]},
    retryPolicy: {httpRetryEvents: [client-error], maxRetries: 0, perRetryTimeout: {unit: s, value: 15}}}}]}}
`

// rpcMesh are its services of gRPC: one that answers, one that does not.
const rpcMesh = `---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: rpc, namespace: shop}, spec: {serviceDiscovery: {dns: {hostname: 127.0.0.5}}, listeners: [{portMapping: {port: PORT, protocol: grpc}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: deadrpc, namespace: shop}, spec: {serviceDiscovery: {dns: {hostname: 127.0.0.4}}, listeners: [{portMapping: {port: PORT, protocol: grpc}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: rpc, namespace: shop}, spec: {awsName: rpc.example, provider: {virtualRouter: {virtualRouterRef: {name: rpc}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: deadrpc, namespace: shop}, spec: {awsName: deadrpc.example, provider: {virtualNode: {virtualNodeRef: {name: deadrpc}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: rpc, namespace: shop}, spec: {listeners: [{portMapping: {port: PORT, protocol: grpc}}], routes: [
  {name: all, grpcRoute: {match: {}, action: {weightedTargets: [{virtualNodeRef: {name: rpc}, weight: 1}]},
    retryPolicy: {grpcRetryEvents: [unavailable], maxRetries: 1, perRetryTimeout: {unit: s, value: 5}}}}]}}
`

// rpcServer ends calls with the status that the method's name is, late after an
// answer where it ends with -late.
func rpcServer(t *testing.T, address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, g grpc.ServerStream) error {
		name, _ := grpc.MethodFromServerStream(g)
		name, late := strings.CutSuffix(name, "-late")
		if err := g.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		code, _ := strconv.Atoi(name[strings.LastIndexByte(name, '/')+1:])
		if late || code == 0 {
			if err := g.SendMsg(&emptypb.Empty{}); err != nil {
				return err
			}
		}
		return status.Error(codes.Code(code), "as told")
	}))
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
}

// application answers as the end of a request's path says; "once" is for the
// first attempt of a request only, which its query names.
type application struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	again := a.seen[r.URL.String()]
	a.seen[r.URL.String()] = true
	a.mu.Unlock()
	act := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if before, ok := strings.CutSuffix(act, "-once"); ok {
		if act = before; again {
			act = "200"
		}
	}
	switch act {
	case "reset":
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = c.Close()
		}
	case "wait":
		time.Sleep(120 * time.Millisecond)
	case "hang":
		<-r.Context().Done()
	case "404", "409", "500":
		var code int
		_, _ = fmt.Sscan(act, &code)
		w.WriteHeader(code)
	}
}

// TestEnvoyReports: two real Envoys with our bootstrap tell the daemon of each
// attempt of their requests once, whatever becomes of it, how long those that
// were answered took, and of an endpoint that dies.
func TestEnvoyReports(t *testing.T) {
	fixtures.Envoy(t)
	port := freePort(t)
	app := &application{seen: map[string]bool{}}
	serve := func(host string) *httptest.Server {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
		if err != nil {
			t.Fatal(err)
		}
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: app}}
		s.Start()
		t.Cleanup(s.Close)
		return s
	}
	serve("127.0.0.2")
	mortal := serve("127.0.0.3")
	rpcServer(t, fmt.Sprintf("127.0.0.5:%d", port))

	s, address, snapshot := reportServer(t, port)
	began := time.Now().Add(-2 * xds.ReportInterval)
	ask := [2]func(host, path string){reportingClient(t, address, "client-1", 0), reportingClient(t, address, "client-2", 500*time.Millisecond)}
	eventually(t, "the Envoys' configuration", func() error {
		if p := s.Progress(); len(s.Proxies()) != 2 || s.Proxies()[0].Applied != "c1" || s.Proxies()[1].Applied != "c1" {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})

	meter := s.Meter(time.Now().Add(-xds.ReportInterval), []xds.Identity{{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "client.shop"}})
	defer meter.Stop()
	want := map[string][2]uint64{} // requests and errors by virtual node
	for _, row := range []struct {
		host, path, node string
		times            int
		attempts, errors uint64 // of each request
	}{
		{"web.example", "/200", "web", 180, 1, 0},
		{"web.example", "/wait", "web", 20, 1, 0},
		{"web.example", "/404", "web", 2, 1, 0},
		{"web.example", "/500", "web", 4, 1, 1},
		{"web.example", "/reset", "web", 2, 1, 1},
		{"web.example", "/limited/hang", "web", 2, 1, 1},
		{"web.example", "/retried/500", "web", 2, 3, 3},
		{"web.example", "/retried/500-once", "web", 2, 2, 1},
		{"web.example", "/retried/409-once", "web", 2, 2, 0},
		{"web.example", "/retried/reset-once", "web", 2, 2, 1},
		{"web.example", "/retried/reset", "web", 2, 3, 3},
		{"dead.example", "/", "dead", 2, 3, 3}, // tried again, as App Mesh does by default
		{"none.example", "/", "none", 2, 1, 1},
		{"rpc.example", "/shop.Rpc/0", "rpc", 10, 1, 0},
		{"rpc.example", "/shop.Rpc/5", "rpc", 2, 1, 0}, // not found: the caller's
		{"rpc.example", "/shop.Rpc/13", "rpc", 2, 1, 1},
		{"rpc.example", "/shop.Rpc/13-late", "rpc", 2, 1, 1},
		{"rpc.example", "/shop.Rpc/14", "rpc", 2, 2, 2},
		{"deadrpc.example", "/shop.Rpc/0", "deadrpc", 2, 3, 3},
	} {
		for i := range row.times {
			ask[i%2](row.host, fmt.Sprintf("%s?%d", row.path, i))
		}
		w := want[row.node]
		n := uint64(row.times)
		want[row.node] = [2]uint64{w[0] + n*row.attempts, w[1] + n*row.errors}
	}
	var web xds.Traffic
	eventually(t, "reports", func() error {
		got, targets := map[string][2]uint64{}, snapshot.Targets()
		for cluster, traffic := range s.Traffic(began, time.Now()) {
			name := targets[cluster].Name
			got[name] = [2]uint64{traffic.Requests, traffic.Errors}
			if name == "web" {
				web = traffic
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("requests and errors (-want +got):\n%s", diff)
		}
		return nil
	})
	for cluster, traffic := range meter.Traffic() {
		if got, want := [2]uint64{traffic.Requests, traffic.Errors}, want[snapshot.Targets()[cluster].Name]; got != want {
			t.Errorf("the meter has %v of %s, want %v", got, cluster, want)
		}
	}
	half, _ := web.Latency.Quantile(.5)
	most, ok := web.Latency.Quantile(.99)
	if !ok || half > 100*time.Millisecond || most < 100*time.Millisecond {
		t.Errorf("the median is %v, p99 is %v, with a tenth of the requests at 120 ms", half, most)
	}
	if connected, reporting := s.Reporting(); connected != 2 || reporting != 2 {
		t.Errorf("%d connected, %d report", connected, reporting)
	}

	endpoints := func(healthy int) func() error {
		want := []xds.Endpoints{
			{Cluster: fmt.Sprintf("cds_egress_shop_web.shop_http_%d", port), Healthy: healthy, Total: 2},
		}
		return func() error {
			for _, p := range s.Proxies() {
				if diff := cmp.Diff(want, p.Endpoints); diff != "" {
					return fmt.Errorf("%s (-want +got):\n%s", p.ID, diff)
				}
			}
			return nil
		}
	}
	eventually(t, "healthy endpoints", endpoints(2))
	mortal.Close()
	eventually(t, "a dead endpoint", endpoints(1))
}

// reportingClient runs an Envoy of the node client, and returns what sends a request
// through it.
func reportingClient(t *testing.T, xdsAddress, id string, interval time.Duration) (ask func(host, path string)) {
	t.Helper()
	at := map[string]netip.AddrPort{}
	for _, service := range []string{"web.example", "dead.example", "none.example", "rpc.example", "deadrpc.example"} {
		at[service] = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(freePort(t)))
	}
	b, err := translate.Bootstrap(translate.BootstrapConfig{
		Identity: xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "client.shop"}, NodeID: id, XDSAddress: xdsAddress,
		Capture:      xds.NewCapture(true, map[xds.Role]map[string]netip.AddrPort{xds.RoleBackend: at}),
		AdminAddress: netip.MustParseAddrPort("127.0.0.1:0"), ReportInterval: interval,
	})
	if err != nil {
		t.Fatal(err)
	}
	startEnvoy(t, b)
	c := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	t.Cleanup(c.CloseIdleConnections)
	return func(host, path string) {
		t.Helper()
		if strings.Contains(host, "rpc") {
			conn, err := grpc.NewClient(at[host].String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			method, _, _ := strings.Cut(path, "?")
			_ = conn.Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{}) // what became of it, the Envoy tells
			return
		}
		r, err := c.Get("http://" + at[host].String() + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
}

// eventually tries until there is no error, for a minute.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// reportServer serves the mesh whose nodes listen on a port.
func reportServer(t *testing.T, port uint32) (s *ads.Server, address string, snapshot *translate.Snapshot) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s, err = ads.New(ads.Config{Listener: l, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()}); err != nil {
		t.Fatal(err)
	}
	runServer(t, s)
	snapshot = translate.New(translate.Inputs{Commit: "c1", Spec: load(t, fstest.MapFS{"mesh.yaml": {Data: []byte(strings.ReplaceAll(reportMesh+rpcMesh, "PORT", fmt.Sprint(port)))}})}, nil)
	s.Publish(snapshot)
	return s, l.Addr().String(), snapshot
}

// TestGRPCClientReports: a gRPC client without a proxy tells of each of its
// attempts by load reports, which have no latency.
func TestGRPCClientReports(t *testing.T) {
	port := freePort(t)
	rpcServer(t, fmt.Sprintf("127.0.0.5:%d", port))
	s, address, snapshot := reportServer(t, port)
	began := time.Now().Add(-2 * xds.ReportInterval)
	b, err := translate.GRPCBootstrap(translate.BootstrapConfig{
		Identity: xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "client.shop"}, NodeID: "caller", XDSAddress: address,
	})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := grpcxds.NewXDSResolverWithConfigForTesting(b)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///rpc.example", grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for method, times := range map[string]int{"0": 10, "5": 1, "13": 2, "14": 1} { // 14 is tried again once
		for range times {
			_ = conn.Invoke(t.Context(), "/shop.Rpc/"+method, &emptypb.Empty{}, &emptypb.Empty{})
		}
	}
	eventually(t, "load reports", func() error {
		for cluster, traffic := range s.Traffic(began, time.Now()) {
			if snapshot.Targets()[cluster].Name == "rpc" && traffic.Requests == 15 && traffic.Errors == 5 && traffic.Latency.Counts == nil {
				return nil
			}
		}
		return fmt.Errorf("%+v", s.Traffic(began, time.Now()))
	})
}
