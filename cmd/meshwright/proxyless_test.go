package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/xds"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/reconciler/report"
)

// TestE2EProxyless: gRPC clients of two makes, without any Envoy, get the
// routes, weights, retries and endpoints of the backends that their node
// declares, and a change of weights fails no call.
func TestE2EProxyless(t *testing.T) {
	l, err := lab.New(lab.Config{Meshwright: program(t)})
	must(t, err)
	t.Cleanup(l.Close)
	p := &proxyless{lab: l, v1: grpcServer(t, "v1"), v2: grpcServer(t, "v2")}
	p.begin(t)

	for _, client := range []struct {
		name  string
		start func(testing.TB, []byte) caller
	}{{"go", goCaller}, {"python", pythonCaller}} {
		t.Run(client.name, func(t *testing.T) {
			p.commit(t, 75)
			bootstrap, err := l.Bootstrap(t.Context(), "--grpc", "--proxy", "mesh/shop/virtualNode/client_shop", "--node-id", client.name, "--xds-address", p.daemon.XDS)
			must(t, err)
			call := client.start(t, bootstrap)

			t.Run("weights", func(t *testing.T) {
				for _, target := range []string{"xds:///orders.example.com", "xds:///orders.example.com:9090"} {
					must(t, measure(call, target, 400).Check("v1", 0.75))
				}
			})
			t.Run("routes", func(t *testing.T) {
				for want, request := range map[string]request{
					"by method":   {method: "/shop.Orders/V2Only", want: "v2"},
					"by metadata": {method: "/shop.Orders/Get", metadata: "tenant=two", want: "v2"},
				} {
					for range 20 { // v2 has a quarter of the rest
						request.target = "xds:///orders.example.com"
						if got, err := call(request); err != nil || got != request.want {
							t.Errorf("%s: got %q, %v; want %s", want, got, err, request.want)
						}
					}
				}
			})
			t.Run("an http2 router", func(t *testing.T) {
				if got, err := call(request{target: "xds:///stock.example.com", method: "/shop.Stock/Get"}); err != nil || got != "v2" {
					t.Errorf("got %q, %v; want v2, by the only route that a call can match", got, err)
				}
			})
			t.Run("retries", func(t *testing.T) {
				for range 10 {
					if _, err := call(request{target: "xds:///orders.example.com", method: "/shop.Orders/ThirdTry"}); err != nil {
						t.Error(err)
					}
				}
				before := p.v1.tries.Load() + p.v2.tries.Load()
				_, err := call(request{target: "xds:///orders.example.com", method: "/shop.Orders/Internal"})
				if tries := p.v1.tries.Load() + p.v2.tries.Load() - before; err == nil || tries != 1 {
					t.Errorf("%v after %d tries; INTERNAL is not to be retried", err, tries)
				}
			})
			t.Run("load reports", func(t *testing.T) {
				must(t, lab.Eventually(t.Context(), 30*time.Second, client.name+" reports", func() error {
					body := scraped(t, p.daemon.HTTP+"/api/v1/proxies?name="+client.name)
					if !strings.Contains(body, `"reported"`) {
						return fmt.Errorf("%s", body)
					}
					return nil
				}))
			})
			t.Run("what it may not have", func(t *testing.T) {
				if _, err := call(request{target: "xds:///vault.example.com", method: "/shop.Vault/Get"}); err == nil || strings.Contains(err.Error(), "deadline") {
					t.Errorf("a backend that wants TLS: %v; it should be unavailable at once", err)
				}
				if got, err := call(request{target: "xds:///hidden.example.com", method: "/shop.Hidden/Get", timeout: time.Second}); err == nil {
					t.Errorf("%q from a virtual service that is no backend", got)
				}
			})
			t.Run("a change of weights under traffic", func(t *testing.T) {
				var flow lab.Split
				stop := make(chan struct{})
				var flowing sync.WaitGroup
				flowing.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							one := measure(call, "xds:///orders.example.com", 10)
							flow.Requests += one.Requests
							flow.Failed += one.Failed
							flow.FirstFailure += one.FirstFailure
						}
					}
				})
				for _, share := range []int{20, 0, 50, 0, 100, 50} {
					p.commit(t, share)
				}
				close(stop)
				flowing.Wait()
				t.Logf("%d calls over six changes, %d failed", flow.Requests, flow.Failed)
				if flow.Failed > 0 || flow.Requests == 0 {
					t.Errorf("%d of %d calls failed: %s", flow.Failed, flow.Requests, flow.FirstFailure)
				}
				must(t, measure(call, "xds:///orders.example.com", 400).Check("v1", 0.5))
				p.content(t, client.name)
			})
		})
	}
}

// content checks that the daemon knows the client for what it is, and that it
// took all that it was sent. It has a stream for each target.
func (p *proxyless) content(t *testing.T, id string) {
	proxies, err := p.daemon.Proxies(t.Context())
	must(t, err)
	if len(proxies) == 0 {
		t.Error("no client is connected")
	}
	for _, p := range proxies {
		if p.ID != id || !p.Proxyless {
			t.Errorf("%+v is connected; want %s, a gRPC client", p, id)
		}
		for name, typ := range p.Types {
			if typ.NACK != nil {
				t.Errorf("%s refuses %s: %s", p.ID, name, typ.NACK.Message)
			}
		}
	}
}

// proxyless is the daemon and the servers of the test.
type proxyless struct {
	lab    *lab.Lab
	clone  *lab.Clone
	daemon *lab.Daemon
	v1, v2 *orders
}

func (p *proxyless) begin(t *testing.T) {
	ctx := t.Context()
	remote, err := p.lab.BareRepo(ctx)
	must(t, err)
	p.clone, err = p.lab.NewClone(ctx, remote)
	must(t, err)
	p.push(t, 100)
	p.daemon, err = p.lab.StartDaemon(ctx, lab.DaemonConfig{Repo: remote, Args: []string{"--poll", "50ms"}})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", p.daemon.Log())
		}
	})
}

// push makes v1's share of the calls so many percent.
func (p *proxyless) push(t testing.TB, percent int) string {
	must(t, p.clone.Write(map[string]string{"shop.yaml": fmt.Sprintf(proxylessSpec, p.v1.port, p.v2.port, percent, 100-percent)}))
	commit, err := p.clone.Commit(t.Context(), fmt.Sprintf("%d %% on v1", percent))
	must(t, err)
	must(t, p.clone.Push(t.Context()))
	return commit
}

// commit is push, and waits until every connected client has ACKed it.
func (p *proxyless) commit(t testing.TB, percent int) {
	t.Helper()
	commit := p.push(t, percent)
	must(t, lab.Eventually(t.Context(), 20*time.Second, "commit "+report.Short(commit)+" is applied", func() error {
		c, err := p.daemon.Commit(t.Context(), commit)
		if err == nil && (!c.Serving || c.Applied == nil || c.Applied.State != "success") {
			err = fmt.Errorf("%+v", c)
		}
		return err
	}))
}

const proxylessSpec = `
apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec: {namespaceSelector: {}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: v1, namespace: shop}
spec:
  listeners: [{portMapping: {port: %[1]d, protocol: grpc}}]
  serviceDiscovery: {dns: {hostname: localhost}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: v2, namespace: shop}
spec:
  listeners: [{portMapping: {port: %[2]d, protocol: grpc}}]
  serviceDiscovery: {dns: {hostname: is-not-asked.example.com}}
---
apiVersion: meshwright.dev/v1alpha1
kind: Endpoints
metadata: {name: v2, namespace: shop}
spec: {virtualNodeRef: {name: v2}, endpoints: [{address: 127.0.0.1}]}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: orders, namespace: shop}
spec:
  listeners: [{portMapping: {port: 9090, protocol: grpc}}]
  routes:
  - name: v2-only
    grpcRoute:
      match: {serviceName: shop.Orders, methodName: V2Only}
      action: {weightedTargets: [{virtualNodeRef: {name: v2}, weight: 1}]}
  - name: tenant
    grpcRoute:
      match: {metadata: [{name: tenant, match: {exact: two}}]}
      action: {weightedTargets: [{virtualNodeRef: {name: v2}, weight: 1}]}
  - name: all
    grpcRoute:
      match: {}
      action: {weightedTargets: [{virtualNodeRef: {name: v1}, weight: %[3]d}, {virtualNodeRef: {name: v2}, weight: %[4]d}]}
      retryPolicy: {maxRetries: 3, perRetryTimeout: {unit: s, value: 1}, grpcRetryEvents: [unavailable]}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec: {awsName: orders.example.com, provider: {virtualRouter: {virtualRouterRef: {name: orders}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: stock, namespace: shop}
spec:
  listeners: [{portMapping: {port: 9091, protocol: http2}}]
  routes:
  - name: query
    priority: 1
    http2Route:
      match: {prefix: /, queryParameters: [{name: page}]}
      action: {weightedTargets: [{virtualNodeRef: {name: v1}, weight: 1}]}
  - name: get
    priority: 2
    http2Route:
      match: {prefix: /, method: GET}
      action: {weightedTargets: [{virtualNodeRef: {name: v1}, weight: 1}]}
  - name: post
    priority: 3
    http2Route:
      match: {path: {regex: "/shop[.].*"}, method: POST, scheme: http, headers: [{name: content-type, match: {prefix: application/}}, {name: absent, invert: true}]}
      action: {weightedTargets: [{virtualNodeRef: {name: v2}, weight: 1}]}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: stock, namespace: shop}
spec: {awsName: stock.example.com, provider: {virtualRouter: {virtualRouterRef: {name: stock}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: vault, namespace: shop}
spec:
  listeners:
  - portMapping: {port: 9443, protocol: grpc}
    tls: {mode: STRICT, certificate: {file: {certificateChain: /keys/chain.pem, privateKey: /keys/key.pem}}}
  serviceDiscovery: {dns: {hostname: vault.example.com}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: vault, namespace: shop}
spec: {awsName: vault.example.com, provider: {virtualNode: {virtualNodeRef: {name: vault}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: hidden, namespace: shop}
spec: {awsName: hidden.example.com, provider: {virtualNode: {virtualNodeRef: {name: v1}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: client, namespace: shop}
spec:
  backends:
  - virtualService: {virtualServiceRef: {name: orders}}
  - virtualService: {virtualServiceRef: {name: stock}}
  - virtualService: {virtualServiceRef: {name: vault}}
`

// orders is a gRPC server that answers any method with its version; ThirdTry
// is unavailable twice before, Internal always fails.
type orders struct {
	version string
	port    int
	tries   atomic.Int64
	third   *atomic.Int64
}

// thirdTries is counted over both servers: a retry may go to the other.
var thirdTries atomic.Int64

func grpcServer(t testing.TB, version string) *orders {
	at, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	o := &orders{version: version, port: at.Addr().(*net.TCPAddr).Port, third: &thirdTries}
	s := grpc.NewServer(grpc.UnknownServiceHandler(o.answer))
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(at) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
	return o
}

func (o *orders) answer(_ any, s grpc.ServerStream) error {
	o.tries.Add(1)
	if err := s.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	switch method, _ := grpc.MethodFromServerStream(s); {
	case strings.HasSuffix(method, "/Internal"):
		return status.Error(codes.Internal, "as asked")
	case strings.HasSuffix(method, "/ThirdTry") && o.third.Add(1)%3 != 0:
		return status.Error(codes.Unavailable, "try again")
	}
	return s.SendMsg(wrapperspb.String(o.version))
}

type request struct {
	target, method, metadata string // metadata: KEY=VALUE or empty
	timeout                  time.Duration
	want                     string
}

func (r request) limit() time.Duration { return cmp.Or(r.timeout, 5*time.Second) }

// caller makes a call and returns the version that answered.
type caller func(request) (version string, err error)

func measure(call caller, target string, n int) (s lab.Split) {
	s.Versions = map[string]int{}
	for range n {
		version, err := call(request{target: target, method: "/shop.Orders/Get"})
		if s.Requests++; err != nil {
			s.Failed++
			s.FirstFailure = err.Error()
			continue
		}
		s.Versions[version]++
	}
	return s
}

// goCaller is grpc-go.
func goCaller(t testing.TB, bootstrap []byte) caller {
	resolver, err := xds.NewXDSResolverWithConfigForTesting(bootstrap)
	must(t, err)
	conns := map[string]*grpc.ClientConn{}
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return func(r request) (string, error) {
		conn := conns[r.target]
		if conn == nil {
			var err error
			if conn, err = grpc.NewClient(r.target, grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
				return "", err
			}
			conns[r.target] = conn
		}
		ctx, cancel := context.WithTimeout(context.Background(), r.limit())
		defer cancel()
		if key, value, ok := strings.Cut(r.metadata, "="); ok {
			ctx = metadata.AppendToOutgoingContext(ctx, key, value)
		}
		var answer wrapperspb.StringValue
		err := conn.Invoke(ctx, r.method, &emptypb.Empty{}, &answer)
		return answer.Value, err
	}
}

// pythonCaller is gRPC's C core, by way of Python.
func pythonCaller(t testing.TB, bootstrap []byte) caller {
	python := realPart(t, "grpcio")
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	must(t, os.WriteFile(file, bootstrap, 0o600))
	cmd := exec.Command(python, filepath.Join("testdata", "proxyless.py"))
	cmd.Env = append(os.Environ(), "GRPC_XDS_BOOTSTRAP="+file, "GRPC_VERBOSITY=NONE")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	var said strings.Builder
	cmd.Stderr = &said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // its end
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("python: %v\n%s", err, said.String())
		}
	})
	lines := bufio.NewReader(out)
	return func(r request) (string, error) {
		if _, err := fmt.Fprintln(in, r.target, r.method, r.limit().Seconds(), r.metadata); err != nil {
			return "", err
		}
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return "", errors.New("python has ended")
		}
		if err != nil {
			return "", err
		}
		answer, ok := strings.CutPrefix(strings.TrimSpace(line), "ok ")
		if !ok {
			return "", errors.New(answer)
		}
		return answer, nil
	}
}
