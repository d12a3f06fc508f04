package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
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
	d := startBench(b, clients, largeMesh(clients, resources))
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
	const clients, resources = 20, 200
	files := largeMesh(clients, resources)
	files["rollout.yaml"] = `{apiVersion: meshwright.dev/v1alpha1, kind: Rollout, metadata: {name: shared, namespace: shop}, spec: {
  targets: [{kind: VirtualRouter, name: shared}], steps: [{weight: 5, hold: 1h}], analysis: {successRate: {min: 99}}}}`
	d := startBench(b, clients, files)
	took := []time.Duration{}
	weight := 1
	for b.Loop() {
		b.StopTimer()
		weight = weight%99 + 1
		commit := d.push(map[string]string{"router.yaml": sharedRouter(weight)})
		push(b, d.server)
		await(b, d.acked, clients, commit)
		must(b, lab.Eventually(b.Context(), 10*time.Second, "watching", func() error { return d.phase(canary.Watching) }))
		b.StartTimer()
		began := time.Now()
		d.say("shop/shared", canary.Abort)
		await(b, d.acked, clients, "")
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/longest")
}

// bench is a daemon with its proxies, and who writes to its repository.
type bench struct {
	b      *testing.B
	clone  *lab.Clone
	server string
	acked  chan string // the commit of a client's routes
}

// startBench starts a daemon on a repository of these files, and waits until all
// clients have ACKed.
func startBench(b *testing.B, clients int, files map[string]string) *bench {
	l, err := lab.New(lab.Config{})
	must(b, err)
	b.Cleanup(l.Close)
	ctx := b.Context()
	remote, err := l.BareRepo(ctx)
	must(b, err)
	d := &bench{b: b, acked: make(chan string, clients)}
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
	d.server = string(m[2])
	for i := range clients {
		group.Go(func() error { return client(ctx, string(m[1]), fmt.Sprintf("client-%d", i), d.acked) })
	}
	await(b, d.acked, clients, "")
	return d
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

// phase says what is wrong if the only rollout is in another phase.
func (d *bench) phase(want canary.Phase) error {
	body, err := api{Server: d.server}.fetch(d.b.Context(), "rollouts", "")
	if err != nil {
		return err
	}
	var all []reconciler.RolloutView
	if err := json.Unmarshal(body, &all); err != nil {
		return err
	}
	if len(all) != 1 || all[0].Phase != want {
		return fmt.Errorf("%s", body)
	}
	return nil
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
