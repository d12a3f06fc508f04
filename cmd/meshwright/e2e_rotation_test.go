package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
)

const rotatingSpecs = `
apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec: {namespaceSelector: {}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: api, namespace: shop}
spec:
  listeners:
  - portMapping: {port: 8080, protocol: http}
    tls: &tls
      mode: STRICT
      certificate: {acm: {certificateARN: "arn:aws:acm:eu-west-1:111122223333:certificate/api"}}
      validation: {trust: {sds: {secretName: mesh}}}
  - portMapping: {port: 9090, protocol: tcp}
    tls: *tls
  serviceDiscovery: {dns: {hostname: %s}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: api, namespace: shop}
spec: {awsName: api, provider: {virtualNode: {virtualNodeRef: {name: api}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8000, protocol: http}}]
  serviceDiscovery: {dns: {hostname: %s}}
  backends: [{virtualService: {virtualServiceRef: {name: api}}}]
  backendDefaults:
    clientPolicy:
      tls:
        certificate: {sds: {secretName: mine}}
        validation: {trust: {acm: {certificateAuthorityARNs: ["arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/mesh"]}}}
`

const rotatingSettings = `
authorities:
  mesh: {builtin: true, lifetime: 30s, renewAfter: 1s}
certificates:
- {arn: "arn:aws:acm:*", certificate: {authority: mesh}}
- {sds: mine, certificate: {authority: mesh}}
trusts:
- {arn: "arn:aws:acm-pca:*", trust: {authority: mesh}}
- {sds: mesh, trust: {authority: mesh}}
`

// rotating is how long certificates rotate each second: ROTATE=30s is the whole
// proof, which takes too long for every day.
func rotating(t *testing.T) time.Duration {
	if text := os.Getenv("ROTATE"); text != "" {
		d, err := time.ParseDuration(text)
		must(t, err)
		return d
	}
	return 5 * time.Second
}

// TestE2ERotation: both ends of mutual TLS get a new certificate each second,
// under load over kept connections and over one connection a request, and the
// daemon is killed and started again: no request fails, and no private key is
// anywhere but where it is used.
func TestE2ERotation(t *testing.T) {
	duration := rotating(t)
	l := newLab(t)
	ctx := t.Context()
	web, api := l.Net.Addr(10), l.Net.Addr(11)
	remote, err := l.BareRepo(ctx)
	must(t, err)
	clone, err := l.NewClone(ctx, remote)
	must(t, err)
	must(t, clone.Write(map[string]string{"shop.yaml": fmt.Sprintf(rotatingSpecs, api, web)}))
	_, err = clone.Commit(ctx, "shop opens")
	must(t, err)
	must(t, clone.Push(ctx))
	settings := filepath.Join(l.Dir, "certificates.yaml")
	must(t, os.WriteFile(settings, []byte(rotatingSettings), 0o600))
	config := lab.DaemonConfig{Repo: remote, Args: []string{"--certificates", settings, "--log-level", "debug", "--poll", "1h"}}
	daemon, err := l.StartDaemon(ctx, config)
	must(t, err)

	app, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(app) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })

	proxy := func(name, addr string, args ...string) *lab.Envoy {
		t.Helper()
		admin := addr + ":9901"
		bootstrap, err := l.Bootstrap(ctx, append([]string{"--proxy", "mesh/shop/virtualNode/" + name + "_shop", "--node-id", name,
			"--xds-address", daemon.XDS, "--admin-address", admin, "--capture", "explicit"}, args...)...)
		must(t, err)
		e, err := l.StartEnvoy(lab.EnvoyConfig{Name: name, Bootstrap: bootstrap, Admin: netip.MustParseAddrPort(admin)})
		must(t, err)
		return e
	}
	apiProxy := proxy("api", api.String(), fmt.Sprintf("--listen=8080=%s:8080", api), fmt.Sprintf("--listen=9090=%s:9090", api),
		"--app=8080="+app.Addr().String(), "--app=9090="+app.Addr().String())
	webProxy := proxy("web", web.String(), fmt.Sprintf("--listen=8000=%s:8000", web), "--app=8000="+app.Addr().String(),
		fmt.Sprintf("--backend=api:8080=%s:8080", web), fmt.Sprintf("--backend=api:9090=%s:9090", web))
	must(t, apiProxy.Live(ctx))
	must(t, webProxy.Live(ctx))

	flow := newFlow(t, "http://"+web.String()+":8080/", "http://"+web.String()+":9090/")
	serials := map[string]bool{}
	watch := func(d time.Duration) {
		t.Helper()
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			for _, e := range []*lab.Envoy{webProxy, apiProxy} {
				serials[e.Name+" "+serial(t, e)] = true
			}
		}
	}
	watch(duration)
	rotated := len(serials)
	daemon.Kill()
	watch(500 * time.Millisecond) // traffic without a control plane
	config.XDS, config.HTTP = daemon.XDS, strings.TrimPrefix(daemon.HTTP, "http://")
	daemon, err = l.StartDaemon(ctx, config)
	must(t, err)
	before := len(serials)
	must(t, lab.Eventually(ctx, 20*time.Second, "certificates rotate after a restart", func() error {
		watch(200 * time.Millisecond)
		if len(serials) < before+4 {
			return fmt.Errorf("%d new certificates", len(serials)-before)
		}
		return nil
	}))
	requests, failures := flow.stop()
	t.Logf("%d certificates in %v and a restart of the daemon; %d requests, %d failed", len(serials), duration, requests, len(failures))
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed, the first with: %v", len(failures), requests, failures[0])
	}
	if want := 2 * (int(duration.Seconds()) - 1); rotated < want {
		t.Errorf("%d certificates in %v, want %d", rotated, duration, want)
	}
	for name, e := range map[string]*lab.Envoy{"api": apiProxy, "web": webProxy} {
		stats, err := e.Stats(ctx, "ssl.(handshake|fail_verify|connection_error)|update_rejected")
		must(t, err)
		for stat, n := range stats {
			if n > 0 && !strings.HasSuffix(stat, "handshake") {
				t.Errorf("%s: %s is %d", name, stat, n)
			}
		}
	}
	noKeys(t, l, daemon, settings, apiProxy, webProxy)
}

// flow is requests that do not stop for anything.
type flow struct {
	end      atomic.Bool
	working  sync.WaitGroup
	mu       sync.Mutex
	requests int
	failures []error
}

// newFlow sends requests: to the first address over kept connections, to the
// second each over one of its own.
func newFlow(t testing.TB, kept, fresh string) *flow {
	f := &flow{}
	for _, c := range []struct {
		url       string
		transport *http.Transport
	}{{kept, &http.Transport{MaxIdleConnsPerHost: 16}}, {fresh, &http.Transport{DisableKeepAlives: true}}} {
		client := &http.Client{Transport: c.transport, Timeout: 10 * time.Second}
		t.Cleanup(client.CloseIdleConnections)
		for range 4 {
			f.working.Go(func() {
				for !f.end.Load() {
					err := here(client, c.url)
					f.mu.Lock()
					f.requests++
					if err != nil {
						f.failures = append(f.failures, err)
					}
					f.mu.Unlock()
					time.Sleep(2 * time.Millisecond)
				}
			})
		}
	}
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *flow) stop() (int, []error) {
	f.end.Store(true)
	f.working.Wait()
	return f.requests, f.failures
}

func here(c *http.Client, url string) error {
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(body) != "here") {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return err
}

// serial is that of the certificate that a proxy has of its own now.
func serial(t *testing.T, e *lab.Envoy) string {
	t.Helper()
	body, err := e.Admin(t.Context(), "/certs")
	must(t, err)
	var certs struct {
		Certificates []struct {
			Chain []struct {
				Serial string `json:"serial_number"`
			} `json:"cert_chain"`
		}
	}
	must(t, json.Unmarshal([]byte(body), &certs))
	for _, c := range certs.Certificates {
		if len(c.Chain) > 0 {
			return c.Chain[0].Serial
		}
	}
	t.Fatalf("%s has no certificate:\n%s", e.Name, body)
	return ""
}

// key finds private keys of the kind that authorities make: by the words around
// it, and by the bytes that they all begin with, which stay in escaped forms.
var key = regexp.MustCompile(`PRIVATE KEY|MIGHAgEAMBMGByqGSM49AgEG`)

// noKeys looks for private keys in all that anybody can see.
func noKeys(t *testing.T, l *lab.Lab, daemon *lab.Daemon, settings string, apiProxy, webProxy *lab.Envoy) {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(l.Dir, "state", "authorities", "mesh.pem"))
	must(t, err)
	if !key.Match(root) {
		t.Error("the search does not find the key that is there")
	}
	state, err := os.ReadFile(filepath.Join(l.Dir, "state", "state.db"))
	must(t, err)
	outputs := map[string]string{"the daemon's log": daemon.Log(), "the state": string(state)}
	for _, path := range []string{"/", "/metrics", "/api/v1/proxies", "/api/v1/commits", "/api/v1/resources"} {
		resp, err := http.Get(daemon.HTTP + path)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		must(t, err)
		outputs[path] = string(body)
	}
	for _, args := range [][]string{{"get", "proxies", "-o", "json", "--server", daemon.HTTP}, {"xds", "--certificates", settings, "--proxy", "mesh/shop/virtualNode/api_shop", filepath.Join(l.Dir, "clone")}} {
		out, err := exec.CommandContext(t.Context(), l.Meshwright, args...).CombinedOutput()
		must(t, err)
		outputs[args[0]] = string(out)
	}
	if !strings.Contains(outputs["xds"], "[redacted]") {
		t.Error("xds shows no secret that could have a key")
	}
	for _, p := range []struct {
		proxy *lab.Envoy
		want  []string
	}{
		{apiProxy, []string{"certificate:arn:aws:acm:eu-west-1:111122223333:certificate/api", "trust:sds:mesh"}},
		{webProxy, []string{"certificate:sds:mine", "trust:arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/mesh"}},
	} {
		dump, err := p.proxy.Admin(t.Context(), "/config_dump")
		must(t, err)
		outputs["the configuration of "+p.proxy.Name] = dump
		outputs["the log of "+p.proxy.Name] = p.proxy.Log()
		var names []string
		for _, m := range regexp.MustCompile(`"name": "((?:certificate|trust|issuer):[^"]*)",\s+"version_info"`).FindAllStringSubmatch(dump, -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		if diff := cmp.Diff(p.want, slices.Compact(names)); diff != "" {
			t.Errorf("secrets of %s (-want +got):\n%s", p.proxy.Name, diff)
		}
	}
	for where, text := range outputs {
		if at := key.FindStringIndex(text); at != nil {
			t.Errorf("a private key is in %s: …%.60s", where, text[max(0, at[0]-30):])
		}
		if text == "" && !strings.HasPrefix(where, "the log") {
			t.Errorf("%s is empty", where)
		}
	}
}
