package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
)

// TestE2EObservability: what five real Envoys tell of Yelb's traffic, by access
// log, by trace and by metric, and of its endpoints' health.
func TestE2EObservability(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	remote, err := l.BareRepo(ctx)
	must(t, err)
	clone, err := l.NewClone(ctx, remote)
	must(t, err)
	files, err := demo.Repository()
	must(t, err)
	logs := t.TempDir()
	for name, text := range files {
		format := `json: [{key: who, value: "%REQ(:AUTHORITY)%"}, {key: code, value: "%RESPONSE_CODE%"}]`
		if strings.Contains(name, "appserver") {
			format = `text: "%REQ(:PATH)% %RESPONSE_CODE%"`
		}
		check := ""
		if strings.Contains(name, "appserver") {
			check = "      healthCheck: {protocol: tcp, port: 4567, intervalMillis: 5000, timeoutMillis: 2000, healthyThreshold: 2, unhealthyThreshold: 2}\n"
		}
		log := check + fmt.Sprintf("  logging: {accessLog: {file: {path: %s/%s.log, format: {%s}}}}\n", logs, filepath.Base(name), format)
		files[name] = strings.Replace(text, "  serviceDiscovery:\n", log+"  serviceDiscovery:\n", 1)
	}
	must(t, clone.Write(files))
	_, err = clone.Commit(ctx, "with access logs")
	must(t, err)
	must(t, clone.Push(ctx))
	spans := startCollector(t)
	config := lab.DaemonConfig{Repo: remote, Args: []string{"--path", demo.SpecDir, "--tracing-endpoint", spans.address, "--tracing-sampling", "100"}}
	d, err := l.StartDaemon(ctx, config)
	must(t, err)
	yelb, err := l.StartYelb(ctx, d.XDS)
	must(t, err)
	must(t, yelb.Live(ctx))
	const pages = 50
	if s := yelb.Page.Measure(ctx, pages); s.Failed > 0 {
		t.Fatal(s.FirstFailure)
	}

	t.Run("access logs", func(t *testing.T) {
		for file, check := range map[string]func(line string) bool{
			"appmesh-yelb-ui.yaml.log": func(line string) bool {
				var m map[string]any
				err := json.Unmarshal([]byte(line), &m)
				return err == nil && m["code"] == 200.0 && m["who"] != nil && len(m) == 2
			},
			"appmesh-yelb-appserver.yaml.log": func(line string) bool { return line == "/api/getvotes 200" || line == "- 0" },
		} {
			must(t, lab.Eventually(ctx, 20*time.Second, file, func() error { // Envoy flushes each 10 s
				b, err := os.ReadFile(filepath.Join(logs, file))
				if err != nil {
					return err
				}
				lines := strings.Split(strings.TrimSpace(string(b)), "\n")
				if i := slices.IndexFunc(lines, func(l string) bool { return !check(l) }); i >= 0 {
					t.Fatalf("%s: %q", file, lines[i])
				}
				if len(lines) < pages {
					return fmt.Errorf("%d lines", len(lines))
				}
				return nil
			}))
		}
	})
	t.Run("traces", func(t *testing.T) {
		must(t, lab.Eventually(ctx, 20*time.Second, "spans of all pages", func() error {
			for _, service := range []string{"yelb/yelb-ui-virtual-node", "yelb/yelb-appserver-virtual-node"} {
				if n := spans.traces(service); n != pages {
					return fmt.Errorf("%d traces through %s, want %d", n, service, pages)
				}
			}
			return nil
		}))
	})
	t.Run("metrics", func(t *testing.T) {
		rules := read(t, "deploy", "prometheus", "appmesh.yaml")
		shown := map[string]bool{} // by name, and by label
		var all strings.Builder
		for i := range lab.YelbNodes {
			all.WriteString(scraped(t, "http://"+l.Net.At(byte(10+i), 9901).String()+"/stats/prometheus"))
		}
		series := regexp.MustCompile(`(?m)^([a-z][a-z0-9_]*)\{(.*)\} `).FindAllStringSubmatch(all.String(), -1)
		for _, m := range series {
			shown[m[1]] = true
			for _, label := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
				shown[label[1]] = true
			}
		}
		t.Logf("%d series of Yelb's five proxies", len(series))
		shown["appmesh_virtual_gateway"] = true // Yelb has no gateway
		names := regexp.MustCompile(`\b(?:envoy|appmesh)_[a-z0-9_]+`).FindAllString(rules, -1)
		if len(names) < 50 {
			t.Errorf("only %d names in the recording rules", len(names))
		}
		for _, name := range names {
			if !shown[name] {
				t.Errorf("appmesh.yaml speaks of %s, which no Envoy shows", name)
			}
		}
	})
	t.Run("sampling", func(t *testing.T) {
		const appserver = "yelb/yelb-appserver-virtual-node"
		// Connections that are there keep the listener of their beginning.
		ask := func(n int) (traces int) {
			before := spans.traces(appserver)
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for range n {
				resp, err := client.Get("http://" + l.Net.At(11, 4567).String() + "/api/getvotes")
				must(t, err)
				must(t, resp.Body.Close())
			}
			time.Sleep(6 * time.Second) // Envoy sends what it has each 5 s
			return spans.traces(appserver) - before
		}
		if n := ask(20); n != 20 {
			t.Errorf("%d traces of 20 requests at 100 %%", n)
		}
		d.Kill()
		config.Args[len(config.Args)-1] = "0"
		config.XDS, config.HTTP = d.XDS, strings.TrimPrefix(d.HTTP, "http://")
		d, err = l.StartDaemon(ctx, config)
		must(t, err)
		must(t, lab.Eventually(ctx, 30*time.Second, "the proxies have it", func() error {
			proxies, err := d.Proxies(ctx)
			if err == nil && (len(proxies) != len(lab.YelbNodes) || slices.ContainsFunc(proxies, func(p lab.Proxy) bool { return p.Applied == "" })) {
				err = fmt.Errorf("%+v", proxies)
			}
			return err
		}))
		if n := ask(20); n != 0 {
			t.Errorf("%d traces of 20 requests at 0 %%", n)
		}
	})
	t.Run("health", func(t *testing.T) {
		table := func(want string) func() error {
			return func() error {
				var out, errs bytes.Buffer
				if code := run([]string{"get", "proxies", "yelb-ui", "--server", d.HTTP}, console{out: &out, err: &errs}); code != 0 {
					return fmt.Errorf("exit code %d: %s", code, &errs)
				}
				if !regexp.MustCompile(want).MatchString(out.String()) {
					return fmt.Errorf("%s", &out)
				}
				return nil
			}
		}
		must(t, lab.Eventually(ctx, 30*time.Second, "the appserver is healthy", table(`(?m) 1/1 *$`)))
		must(t, lab.Eventually(ctx, 30*time.Second, "all proxies report", func() error {
			if m := scraped(t, d.HTTP+"/metrics"); !strings.Contains(m, "\nmeshwright_ads_reporting 5\n") {
				return fmt.Errorf("%s", regexp.MustCompile(`(?m)^meshwright_ads_reporting .*`).FindString(m))
			}
			return nil
		}))
		yelb.Envoys[1].Kill()
		must(t, lab.Eventually(ctx, time.Minute, "the appserver is dead", table(` 0/1 +0 of 1 endpoints of cds_egress_yelb_yelb-appserver-virtual-node_http_4567 healthy`)))
	})
}

// scraped is what is at a URL.
func scraped(t testing.TB, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(b)
}

// collector takes spans, as an OpenTelemetry collector does.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	address string

	mu    sync.Mutex
	spans map[string][]*tracev1.Span // by service.name
}

func startCollector(t testing.TB) *collector {
	at, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	c := &collector{address: at.Addr().String(), spans: map[string][]*tracev1.Span{}}
	s := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(s, c)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(at) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
	return c
}

func (c *collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range r.ResourceSpans {
		name := ""
		for _, a := range resource.Resource.GetAttributes() {
			if a.Key == "service.name" {
				name = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			c.spans[name] = append(c.spans[name], scope.Spans...)
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// traces is how many traces went through a service.
func (c *collector) traces(service string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := map[string]bool{}
	for _, s := range c.spans[service] {
		ids[string(s.TraceId)] = true
	}
	return len(ids)
}
