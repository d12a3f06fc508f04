package translate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestMetrics: a real Envoy's metrics carry App Mesh's dimensions as labels,
// also where names have dots; no name is in a metric's own name; and a backend
// adds a bounded number of series.
func TestMetrics(t *testing.T) {
	fixtures.Envoy(t)
	few := metricsOf(t, 10, false)
	for _, want := range []string{
		`envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",appmesh_mesh="my.mesh",appmesh_virtual_node="client.shop",` +
			`envoy_cluster_name="cds_egress_my_mesh_node-0_shop_internal_http_PORT",appmesh_target_virtual_node="node-0_shop_internal"} 1`,
		`envoy_vhost_upstream_rq_xx{envoy_response_code_class="5",appmesh_mesh="my.mesh",appmesh_virtual_node="client.shop",` +
			`envoy_virtual_host="my",appmesh_target_virtual_service="svc-0.example.com"} 1`,
	} {
		if !strings.Contains(few.text, strings.ReplaceAll(want, "PORT", fmt.Sprint(few.port))) {
			t.Errorf("the metrics lack\n%s", want)
		}
	}
	for _, leak := range regexp.MustCompile(`(?m)^[a-z_0-9]*(?:shop|svc|internal_http|example)[a-z_0-9]*`).FindAllString(few.text, -1) {
		t.Errorf("%s has a name in it", leak)
	}
	if t.Failed() {
		t.Logf("%s", few.text)
	}
	many := metricsOf(t, 100, false)
	all := metricsOf(t, 100, true)
	each := (many.series - few.series) / 90
	t.Logf("10 backends: %d series; 100 backends: %d, %d a backend; with all stats %d", few.series, many.series, each, all.series)
	if each > 120 || all.series <= many.series {
		t.Errorf("%d series for each backend, want 120 at most", each)
	}
}

type scrape struct {
	text   string
	series int
	port   uint32
}

// metricsOf runs an Envoy whose node has so many backends, sends a request to
// the first, and returns its metrics. No backend answers.
func metricsOf(t *testing.T, backends int, all bool) scrape {
	t.Helper()
	port, admin := freePort(t), freePort(t)
	var spec, uses strings.Builder
	spec.WriteString("{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: mesh}, spec: {awsName: my.mesh, namespaceSelector: {}}}\n")
	for i := range backends {
		fmt.Fprintf(&spec, `---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: node-%[1]d, namespace: shop}, spec: {awsName: node-%[1]d.shop.internal,
  listeners: [{portMapping: {port: %[2]d, protocol: http}}], serviceDiscovery: {dns: {hostname: 127.0.0.2}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: svc-%[1]d, namespace: shop}, spec: {awsName: svc-%[1]d.example.com,
  provider: {virtualNode: {virtualNodeRef: {name: node-%[1]d}}}}}
`, i, port)
		fmt.Fprintf(&uses, "{virtualService: {virtualServiceRef: {name: svc-%d}}},", i)
	}
	fmt.Fprintf(&spec, `---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: client, namespace: shop}, spec: {awsName: client.shop, backends: [%s]}}
`, uses.String())

	profile := xds.Profile{Identity: xds.Identity{Mesh: "my.mesh", Kind: schema.KindVirtualNode, Name: "client.shop"}, Capture: xds.Capture{Explicit: true}}
	res, err := translate.New(translate.Inputs{Spec: load(t, fstest.MapFS{"mesh.yaml": {Data: []byte(spec.String())}})}, nil).Resources(profile)
	if err != nil {
		t.Fatal(err)
	}
	static, err := translate.Static(profile.Identity, res)
	if err != nil {
		t.Fatal(err)
	}
	real, err := translate.Bootstrap(translate.BootstrapConfig{
		Identity: profile.Identity, Capture: profile.Capture, XDSAddress: "127.0.0.1:1", AllStats: all,
		AdminAddress: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(admin)),
	})
	if err != nil {
		t.Fatal(err)
	}
	var served, bootstrap map[string]json.RawMessage
	if json.Unmarshal(static, &served) != nil || json.Unmarshal(real, &bootstrap) != nil {
		t.Fatal("no JSON")
	}
	bootstrap["static_resources"] = served["static_resources"]
	delete(bootstrap, "dynamic_resources")
	delete(bootstrap, "stats_sinks") // there is no daemon
	b, err := json.Marshal(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	startEnvoy(t, b)
	var out scrape
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if out.text, err = request503(port, admin); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	out.port = port
	out.series = len(regexp.MustCompile(`(?m)^[a-z]`).FindAllString(out.text, -1))
	return out
}

// request503 sends a request to the first backend, once it is listened for, and
// returns the metrics after it.
func request503(port, admin uint32) (string, error) {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
	if err != nil {
		return "", err
	}
	req.Host = "svc-0.example.com"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		return "", fmt.Errorf("%s, want 503", resp.Status)
	}
	if resp, err = http.Get(fmt.Sprintf("http://127.0.0.1:%d/stats/prometheus", admin)); err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}
