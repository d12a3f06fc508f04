package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/xds"
)

// BenchmarkWebhookToLastACK is the whole way of a change: a repository of 1,000
// resources in as many files, 100 proxies that all use the router in one of
// them. The time is from the webhook that tells of a commit with other weights
// to the ACK of the hundredth proxy.
func BenchmarkWebhookToLastACK(b *testing.B) {
	const clients, resources = 100, 1000
	l, err := lab.New(lab.Config{})
	must(b, err)
	b.Cleanup(l.Close)
	d := startBench(b, l, largeMesh(clients, resources))
	d.connect(clients)
	weight := 1
	for b.Loop() {
		b.StopTimer()
		weight = weight%99 + 1
		commit := d.push(map[string]string{"router.yaml": sharedRouter(weight)})
		b.StartTimer()
		push(b, d.server)
		await(b, d.acked, clients, commit)
	}
}

// BenchmarkRollback is the way back of a canary: from a person's abort, which is
// decided as a failed judgement is, to the ACK of the last of 20 proxies.
func BenchmarkRollback(b *testing.B) {
	const clients = 20
	l, err := lab.New(lab.Config{})
	must(b, err)
	b.Cleanup(l.Close)
	d := startBench(b, l, canaryMesh(clients))
	d.connect(clients)
	d.rollBacks(func(commit string) { await(b, d.acked, clients, commit) })
}

// BenchmarkRollbackEnvoys is the same with 20 real Envoys on this machine, which
// take some 65 MB each; the daemon's clock says how long it took.
func BenchmarkRollbackEnvoys(b *testing.B) {
	const clients = 20
	l := newLab(b)
	d := startBench(b, l, canaryMesh(clients))
	d.startEnvoys(clients)
	d.rollBacks(nil)
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		var minute float64
		_, err := fmt.Sscan(string(load), &minute)
		must(b, err)
		b.ReportMetric(minute, "load")
	}
}

// canaryMesh is one in which so many clients use one router, which a Rollout
// governs.
func canaryMesh(clients int) map[string]string {
	files := largeMesh(clients, 200)
	files["rollout.yaml"] = `{apiVersion: meshwright.dev/v1alpha1, kind: Rollout, metadata: {name: shared, namespace: shop}, spec: {
  targets: [{kind: VirtualRouter, name: shared}], steps: [{weight: 5, hold: 1h}], analysis: {successRate: {min: 99}}}}`
	return files
}

// rollBacks has one canary after the other go back when all proxies have its first
// step, and reports how long this took by the daemon's clock: from the decision to
// the last ACK. acked waits for ACKs besides: of a commit, or of the way back.
func (d *bench) rollBacks(acked func(commit string)) {
	b := d.b
	if acked == nil {
		acked = func(string) {}
	}
	var took []time.Duration
	weight := 1
	for b.Loop() {
		b.StopTimer()
		weight = weight%99 + 1
		commit := d.push(map[string]string{"router.yaml": sharedRouter(weight)})
		push(b, d.server)
		acked(commit)
		d.awaitPhase(commit, canary.Watching)
		b.StartTimer()
		d.say("shop/shared", canary.Abort)
		acked("")
		b.StopTimer()
		history := d.awaitPhase(commit, canary.RolledBack).History
		i := slices.IndexFunc(history, func(e reconciler.RolloutEvent) bool { return e.Phase == canary.RollingBack })
		took = append(took, history[len(history)-1].At.Sub(history[i].At))
		b.StartTimer()
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(took[len(took)/2]), "ms/median")
	b.ReportMetric(ms(took[len(took)-1]), "ms/longest")
}

// bench is a daemon with its proxies, and who writes to its repository.
type bench struct {
	b      *testing.B
	lab    *lab.Lab
	clone  *lab.Clone
	server string
	xds    string
	acked  chan string // the commit of a client's routes

	ctx   context.Context // ends with the benchmark
	group *errgroup.Group
}

// startBench starts a daemon on a repository of these files.
func startBench(b *testing.B, l *lab.Lab, files map[string]string) *bench {
	ctx := b.Context()
	remote, err := l.BareRepo(ctx)
	must(b, err)
	d := &bench{b: b, lab: l}
	d.clone, err = l.NewClone(ctx, remote)
	must(b, err)
	d.push(files)
	secret := func(name, text string) string {
		file := filepath.Join(b.TempDir(), name)
		must(b, os.WriteFile(file, []byte(text), 0o600))
		return file
	}

	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	b.Cleanup(func() {
		stop()
		if err := group.Wait(); err != nil {
			b.Error(err)
		}
	})
	out, ready := io.Pipe()
	group.Go(func() error {
		return serve(ctx, serveCmd{
			Repo: remote, Branch: "main", Poll: "1h", StateDir: b.TempDir(), GitTimeout: time.Minute,
			WebhookSecret: secret("webhook", webhookSecret), APITokenFile: secret("api", apiToken),
			XdsAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0",
		}, ready, slog.New(slog.DiscardHandler))
	})
	line := make([]byte, 200)
	n, err := out.Read(line)
	must(b, err)
	m := readyLine.FindSubmatch(line[:n])
	if m == nil {
		b.Fatalf("%q is no ready line", line[:n])
	}
	d.xds, d.server, d.ctx, d.group = string(m[1]), string(m[2]), ctx, group
	return d
}

// connect connects so many clients, and waits until all have ACKed.
func (d *bench) connect(clients int) {
	d.acked = make(chan string, clients)
	for i := range clients {
		d.group.Go(func() error { return client(d.ctx, d.xds, fmt.Sprintf("client-%d", i), d.acked) })
	}
	await(d.b, d.acked, clients, "")
}

// startEnvoys has so many Envoys be clients, and waits until they take traffic.
func (d *bench) startEnvoys(clients int) {
	b, names, resolver := d.b, &lab.Names{}, d.lab.Net.At(1, 53535)
	for _, host := range []string{"v1.example.com", "v2.example.com"} {
		names.Set(host, d.lab.Net.Addr(2))
	}
	must(b, d.lab.ServeDNS(resolver, names))
	envoys := []*lab.Envoy{}
	for i := range clients {
		name, addr := fmt.Sprintf("client-%d", i), d.lab.Net.Addr(byte(10+i))
		admin := netip.AddrPortFrom(addr, 9901)
		bootstrap, err := d.lab.Bootstrap(b.Context(), "--proxy", "mesh/large/virtualNode/"+name+"_shop", "--node-id", name,
			"--xds-address", d.xds, "--admin-address", admin.String(), "--dns-resolver", resolver.String(), "--capture", "explicit",
			fmt.Sprintf("--listen=8080=%s:8080", addr), "--app=8080=127.0.0.1:9", fmt.Sprintf("--backend=shared=%s:9080", addr))
		must(b, err)
		e, err := d.lab.StartEnvoy(lab.EnvoyConfig{Name: name, Bootstrap: bootstrap, Admin: admin})
		must(b, err)
		envoys = append(envoys, e)
	}
	for _, e := range envoys {
		must(b, e.Live(b.Context()))
	}
	var proxies []xds.Proxy
	if must(b, list(b.Context(), d.server, "proxies", &proxies)); len(proxies) != clients {
		b.Fatalf("%d proxies are connected", len(proxies))
	}
}

// push commits and pushes files, and returns the commit.
func (d *bench) push(files map[string]string) string {
	d.b.Helper()
	must(d.b, d.clone.Write(files))
	commit, err := d.clone.Commit(d.b.Context(), "a change")
	must(d.b, err)
	must(d.b, d.clone.Push(d.b.Context()))
	return commit
}

// awaitPhase waits until the rollout of a commit is in a phase.
func (d *bench) awaitPhase(commit string, want canary.Phase) (found reconciler.RolloutView) {
	d.b.Helper()
	must(d.b, lab.Eventually(d.b.Context(), 30*time.Second, string(want), func() error {
		var all []reconciler.RolloutView
		if err := list(d.b.Context(), d.server, "rollouts", &all); err != nil {
			return err
		}
		if len(all) != 1 || all[0].Phase != want || all[0].Target != commit {
			return fmt.Errorf("%+v", all)
		}
		found = all[0]
		return nil
	}))
	return found
}

// say tells a rollout something through the API.
func (d *bench) say(rollout string, verb canary.Verb) {
	d.b.Helper()
	answer, code, err := api{Server: d.server}.do(d.b.Context(), http.MethodPost, "rollouts/"+rollout+"/"+string(verb), apiToken, nil)
	must(d.b, err)
	if code != http.StatusAccepted {
		d.b.Fatalf("%d %s", code, answer)
	}
}

// await waits for the ACKs of so many clients, of one commit.
func await(b *testing.B, acked <-chan string, clients int, commit string) {
	b.Helper()
	limit := time.After(30 * time.Second)
	for range clients {
		select {
		case got := <-acked:
			if got, _, _ = strings.Cut(got, "+"); commit != "" && got != commit {
				b.Fatalf("routes of commit %s, want %s", got, commit)
			}
		case <-limit:
			b.Fatalf("not all clients have ACKed commit %s", commit)
		}
	}
}

// push delivers a signed webhook.
func push(b *testing.B, server string) {
	b.Helper()
	body := []byte(`{"ref":"refs/heads/main"}`)
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write(body)
	req, err := http.NewRequest(http.MethodPost, server+"/webhooks/github", bytes.NewReader(body))
	must(b, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	must(b, err)
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		b.Fatalf("webhook: %s", resp.Status)
	}
}

// client is a proxy to the server: it subscribes as Envoy does, ACKs what it is
// sent at once, and tells of each ACK of routes.
func client(ctx context.Context, address, name string, acked chan<- string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	node := &corev3.Node{Id: name, Cluster: "mesh/large/virtualNode/" + name + "_shop"}
	for _, t := range []xds.Type{xds.Cluster, xds.Listener} { // all there is
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: t.URL()}); err != nil {
			return ended(ctx, err)
		}
	}
	for subscribed := map[string]bool{}; ; {
		resp, err := stream.Recv()
		if err != nil {
			return ended(ctx, err)
		}
		requests := []*discoveryv3.DeltaDiscoveryRequest{{TypeUrl: resp.TypeUrl, ResponseNonce: resp.Nonce}}
		for t, names := range references(resp) {
			names = slices.DeleteFunc(names, func(n string) bool { defer func() { subscribed[n] = true }(); return subscribed[n] })
			if len(names) > 0 {
				requests = append(requests, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: names})
			}
		}
		for _, r := range requests {
			if err := stream.Send(r); err != nil {
				return ended(ctx, err)
			}
		}
		if resp.TypeUrl == xds.Route.URL() {
			acked <- resp.GetControlPlane().GetIdentifier()
		}
	}
}

// ended is nil for an error that is only the end of the benchmark.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// references are the endpoints and routes that the response's clusters and
// listeners name.
func references(resp *discoveryv3.DeltaDiscoveryResponse) map[xds.Type][]string {
	refs := map[xds.Type][]string{}
	for _, r := range resp.Resources {
		switch resp.TypeUrl {
		case xds.Cluster.URL():
			var c clusterv3.Cluster
			if r.Resource.UnmarshalTo(&c) == nil && c.GetType() == clusterv3.Cluster_EDS {
				refs[xds.Endpoint] = append(refs[xds.Endpoint], c.Name)
			}
		case xds.Listener.URL():
			var l listenerv3.Listener
			if r.Resource.UnmarshalTo(&l) != nil {
				continue
			}
			for _, chain := range append(l.FilterChains, l.DefaultFilterChain) {
				for _, f := range chain.GetFilters() {
					var hcm hcmv3.HttpConnectionManager
					if f.GetTypedConfig().UnmarshalTo(&hcm) == nil && hcm.GetRds() != nil {
						refs[xds.Route] = append(refs[xds.Route], hcm.GetRds().RouteConfigName)
					}
				}
			}
		}
	}
	return refs
}

// largeMesh is a mesh in which so many clients use one router, and virtual
// nodes with their services make up the rest of the resources, a file each.
func largeMesh(clients, resources int) map[string]string {
	files := map[string]string{
		"mesh.yaml":    "apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: large}\nspec: {namespaceSelector: {}}\n",
		"router.yaml":  sharedRouter(1),
		"service.yaml": document("VirtualService", "shared", "{provider: {virtualRouter: {virtualRouterRef: {name: shared}}}}"),
		"v1.yaml":      node("v1", ""), "v2.yaml": node("v2", ""),
	}
	for i := range clients {
		name := fmt.Sprintf("client-%d", i)
		files[name+".yaml"] = node(name, "backends: [{virtualService: {virtualServiceRef: {name: shared}}}]")
	}
	for i := 0; len(files) < resources; i++ {
		name := fmt.Sprintf("other-%d", i)
		files[name+".yaml"] = node(name, "")
	}
	return files
}

func sharedRouter(weight int) string {
	return document("VirtualRouter", "shared", fmt.Sprintf(`
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  routes:
    - name: all
      httpRoute:
        match: {prefix: /}
        action:
          weightedTargets:
            - {virtualNodeRef: {name: v1}, weight: %d}
            - {virtualNodeRef: {name: v2}, weight: %d}`, weight, 100-weight))
}

func node(name, more string) string {
	return document("VirtualNode", name, fmt.Sprintf(`
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  serviceDiscovery: {dns: {hostname: %s.example.com}}
  %s`, name, more))
}

func document(kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: appmesh.k8s.aws/v1beta2\nkind: %s\nmetadata: {name: %s, namespace: shop}\nspec: %s\n", kind, name, spec)
}
