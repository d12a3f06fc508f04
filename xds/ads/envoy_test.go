package ads

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/xds"
)

// envoy starts an Envoy with a dynamic configuration from xdsAddress; resolver
// is its DNS server, if not empty.
func envoy(t testing.TB, api, xdsAddress, resolver string) {
	t.Helper()
	bin := fixtures.Envoy(t)
	host, port, _ := net.SplitHostPort(xdsAddress)
	dns := ""
	if resolver != "" {
		h, p, _ := net.SplitHostPort(resolver)
		dns = fmt.Sprintf(`
typed_dns_resolver_config:
  name: envoy.network.dns_resolver.cares
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
    resolvers: [{socket_address: {address: %s, port_value: %s}}]
    dns_resolver_options: {no_default_search_domain: true}
    filter_unroutable_families: true
`, h, p)
	}
	config := fmt.Sprintf(`
node: {id: envoy-1, cluster: mesh/shop/virtualNode/web_shop}
dynamic_resources:
  ads_config:
    api_type: %s
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services: [{envoy_grpc: {cluster_name: xds}}]
  cds_config: {resource_api_version: V3, ads: {}}
  lds_config: {resource_api_version: V3, ads: {}}
static_resources:
  clusters:
  - name: xds
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment: {cluster_name: xds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}
%s`, api, host, port, dns)
	dir := t.TempDir()
	file := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "envoy.log"))
	if err != nil {
		t.Fatal(err)
	}
	level := "warning"
	if l := os.Getenv("ENVOY_LOG"); l != "" {
		level = l
	}
	cmd := exec.Command(bin, "-c", file, "--concurrency", "1", "-l", level, "--use-dynamic-base-id")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		_ = log.Close()
		if b, _ := os.ReadFile(log.Name()); t.Failed() || level != "warning" {
			t.Logf("envoy:\n%s", b)
		}
	})
}

// upstream answers every request with its name; it returns its port.
func upstream(t testing.TB, name string) int {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

func freePort(t testing.TB) int {
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// client makes requests without keeping connections beyond the test.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func get(c *http.Client, port int) (string, error) {
	r, err := c.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d: %s", r.StatusCode, b)
	}
	return string(b), err
}

// traffic sends requests without a pause until the returned function is
// called, which returns how many there were and which errors they met.
func traffic(t testing.TB, port int) (stop func() (int, []error)) {
	c := client(t)
	var end atomic.Bool
	ended := make(chan struct{})
	var n int
	var errs []error
	go func() {
		defer close(ended)
		for !end.Load() {
			n++
			if _, err := get(c, port); err != nil {
				errs = append(errs, err)
			}
		}
	}()
	return func() (int, []error) { end.Store(true); <-ended; return n, errs }
}

func TestEnvoy(t *testing.T) {
	for protocol, api := range map[string]string{delta: "DELTA_GRPC", sotw: "GRPC"} {
		t.Run(protocol, func(t *testing.T) {
			fixtures.Envoy(t)
			l := listen(t, "127.0.0.1:0")
			at := l.Addr().String()
			s, stop := start(t, Config{Listener: l})
			port, one1, two2 := freePort(t), upstream(t, "one"), upstream(t, "two")

			s.Publish(one("c1", resources(eds("one", time.Second), cla("one", one1), listener("in", port, "r"), route("r", "one"))))
			envoy(t, api, at, "")
			c := client(t)
			eventually(t, "first request", func() error { _, err := get(c, port); return err })
			done(t, s, "c1", 1)

			// Other clusters under traffic, back and forth: the cluster of before
			// goes each time, and no request may notice.
			end := traffic(t, port)
			last := ""
			for i := range 20 {
				name, upstream := fmt.Sprintf("two-%d", i), two2
				last = fmt.Sprintf("switch-%d", i)
				s.Publish(one(last, resources(eds(name, time.Second), cla(name, upstream), listener("in", port, "r"), route("r", name))))
				p := done(t, s, last, 1)
				if p.Touched != 1 || p.Applied != 1 {
					t.Errorf("progress: %+v", p)
				}
				if got, err := get(c, port); err != nil || got != "two" {
					t.Fatalf("after %s: %q, %v", last, got, err)
				}
			}
			// The same cluster changed: it must warm again although its endpoints
			// stay as they are, and Envoy must not sit out its fetch timeout.
			began := time.Now()
			base := resources(eds("two-19", 2*time.Second), cla("two-19", two2), listener("in", port, "r"), route("r", "two-19"))
			s.Publish(one("changed", base))
			done(t, s, "changed", 1)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("a changed cluster took %v to warm", took)
			}
			if n, errs := end(); len(errs) > 0 {
				t.Errorf("%d of %d requests failed: %v", len(errs), n, errs[0])
			} else {
				t.Logf("%d requests during the changes, none failed; a changed cluster took %v", n, time.Since(began))
			}

			// A listener that Envoy refuses, with the words of Envoy.
			bad := *base
			bad[xds.Listener] = []*xds.Resource{listener("in", port, "r"), listener("twin", port, "r")}
			s.Publish(one("bad", &bad))
			eventually(t, "NACK", func() error {
				p := s.Progress()
				if len(p.Rejected) != 1 || p.Applied != 0 || p.Touched != 1 {
					return fmt.Errorf("%+v", p)
				}
				r := p.Rejected[0]
				if r.Commit != "bad" || r.Proxy != "envoy-1" || r.Type != xds.Listener || !strings.Contains(r.Message, "twin") || !strings.Contains(fmt.Sprint(r.Resources), "twin") {
					t.Fatalf("%+v", r)
				}
				return nil
			})
			if p := s.Proxies()[0]; p.Applied != "changed" || p.Desired != "bad" {
				t.Errorf("%+v", p)
			}
			if got, err := get(c, port); err != nil || got != "two" {
				t.Fatalf("after a NACK: %q, %v", got, err)
			}
			s.Publish(one("good", base))
			done(t, s, "good", 1)
			if n := s.Proxies()[0].Types[xds.Listener].NACK; n != nil {
				t.Logf("the NACK stands: %+v", n)
			}

			// A new server in its place sends nothing that the proxy has.
			stop()
			reg := prometheus.NewRegistry()
			s2, _ := start(t, Config{Listener: listen(t, at), Metrics: reg})
			end = traffic(t, port)
			s2.Publish(one("good", base))
			done(t, s2, "good", 1)
			if n := testutil.ToFloat64(s2.metrics.bytes.WithLabelValues("clusters")) + testutil.ToFloat64(s2.metrics.bytes.WithLabelValues("listeners")) +
				testutil.ToFloat64(s2.metrics.bytes.WithLabelValues("endpoints")) + testutil.ToFloat64(s2.metrics.bytes.WithLabelValues("routes")); n != 0 {
				t.Errorf("%v bytes sent again after a restart", n)
			}
			s2.Publish(one("after", resources(eds("one", time.Second), cla("one", one1), listener("in", port, "r"), route("r", "one"))))
			done(t, s2, "after", 1)
			if got, err := get(c, port); err != nil || got != "one" {
				t.Fatalf("after the restart: %q, %v", got, err)
			}
			if n, errs := end(); len(errs) > 0 {
				t.Errorf("%d of %d requests failed over the restart: %v", len(errs), n, errs[0])
			}
		})
	}
}

// nameserver answers every A question with 127.0.0.1, once answer is closed.
func nameserver(t testing.TB, answer <-chan struct{}) (address string, asked <-chan struct{}) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	questions := make(chan struct{}, 100)
	var serving sync.WaitGroup
	serving.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(buf[:n]); err != nil || len(m.Questions) != 1 {
				continue
			}
			select {
			case questions <- struct{}{}:
			default:
			}
			serving.Go(func() {
				<-answer
				m.Response = true
				m.Additionals = nil
				if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
					m.Answers = []dnsmessage.Resource{{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
						Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
				}
				if b, err := m.Pack(); err == nil {
					_, _ = conn.WriteTo(b, from)
				}
			})
		}
	})
	t.Cleanup(func() { _ = conn.Close(); serving.Wait() })
	return conn.LocalAddr().String(), questions
}

// Envoy ACKs clusters when they are warm, DNS included: that is the signal that
// routes wait for, and what makes a timer needless.
func TestEnvoyWaitsForDNS(t *testing.T) {
	for protocol, api := range map[string]string{delta: "DELTA_GRPC", sotw: "GRPC"} {
		t.Run(protocol, func(t *testing.T) {
			fixtures.Envoy(t)
			l := listen(t, "127.0.0.1:0")
			s, _ := start(t, Config{Listener: l})
			answer := make(chan struct{})
			resolver, asked := nameserver(t, answer)
			port, one1, two2 := freePort(t), upstream(t, "one"), upstream(t, "two")
			s.Publish(one("c1", resources(dns("one", "127.0.0.1", one1), listener("in", port, "r"), route("r", "one"))))
			envoy(t, api, l.Addr().String(), resolver)
			c := client(t)
			eventually(t, "first request", func() error { _, err := get(c, port); return err })
			done(t, s, "c1", 1)

			end := traffic(t, port)
			s.Publish(one("c2", resources(dns("two", "two.example", two2), listener("in", port, "r"), route("r", "two"))))
			select {
			case <-asked:
			case <-time.After(10 * time.Second):
				t.Fatal("Envoy did not ask for the new cluster's name")
			}
			for range 50 { // requests while the new cluster is cold
				if got, err := get(c, port); err != nil || got != "one" {
					t.Fatalf("while the new cluster is cold: %q, %v", got, err)
				}
			}
			if p := s.Progress(); p.Applied != 0 || p.Touched != 1 {
				t.Errorf("applied before DNS has answered: %+v", p)
			}
			close(answer)
			done(t, s, "c2", 1)
			if got, err := get(c, port); err != nil || got != "two" {
				t.Fatalf("%q, %v", got, err)
			}
			if n, errs := end(); len(errs) > 0 {
				t.Errorf("%d of %d requests failed: %v", len(errs), n, errs[0])
			}
		})
	}
}
