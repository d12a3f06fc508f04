package translate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// yelb is App Mesh's walkthrough with both versions of its application server.
func yelb(t testing.TB) *schema.Spec {
	t.Helper()
	return load(t, fixtures.Archives(t, "specs/translate_yelb_2_half.txtar")[0].Files)
}

// TestEnvoyTakesYelb: a real Envoy accepts, without a warning, the bootstrap
// and the static form of every Yelb proxy under both captures.
func TestEnvoyTakesYelb(t *testing.T) {
	fixtures.Envoy(t)
	spec := yelb(t)
	state := translate.New(translate.Inputs{Spec: spec}, nil)
	proxies := 0
	for ref, r := range spec.All() {
		if ref.Kind != schema.KindVirtualNode {
			continue
		}
		proxies++
		for _, explicit := range []bool{false, true} {
			profile := xds.Profile{
				Identity: xds.Identity{Mesh: "yelb", Kind: ref.Kind, Name: schema.MetaOf(r).AWSName},
				Capture:  xds.NewCapture(explicit, nil),
			}
			t.Run(fmt.Sprintf("%s_explicit_%v", ref.Name, explicit), func(t *testing.T) {
				res, err := state.Resources(profile)
				if err != nil {
					t.Fatal(err)
				}
				static, err := translate.Static(profile.Identity, res)
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(static, []byte(`"ads"`)) {
					t.Errorf("the static form refers to ADS:\n%s", static)
				}
				bootstrap, err := translate.Bootstrap(translate.BootstrapConfig{Identity: profile.Identity, Capture: profile.Capture, XDSAddress: "127.0.0.1:18000"})
				if err != nil {
					t.Fatal(err)
				}
				for name, b := range map[string][]byte{"static": static, "bootstrap": bootstrap} {
					if log := validate(t, b); log != "" {
						t.Errorf("%s: Envoy warns:\n%s", name, log)
					}
				}
			})
		}
	}
	if proxies != 5 {
		t.Errorf("%d proxies of Yelb, want 5", proxies)
	}
}

// TestStaticRuns: the static form serves traffic without a control plane.
func TestStaticRuns(t *testing.T) {
	fixtures.Envoy(t)
	port := freePort(t)
	at := netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", port))
	profile := xds.Profile{Identity: ui, Capture: xds.NewCapture(true, map[xds.Role]map[string]netip.AddrPort{
		xds.RoleListen:  {"80": netip.MustParseAddrPort("127.0.0.1:0")},
		xds.RoleBackend: {"yelb-appserver": at},
	})}
	spec := yelb(t)
	for _, n := range spec.VirtualNodes {
		n.Spec.ServiceDiscovery.DNS.Hostname = "127.0.0.1" // where nothing listens on the node's port
	}
	res, err := translate.New(translate.Inputs{Spec: spec}, nil).Resources(profile)
	if err != nil {
		t.Fatal(err)
	}
	static, err := translate.Static(profile.Identity, res)
	if err != nil {
		t.Fatal(err)
	}
	startEnvoy(t, bytes.Replace(static, []byte(`"port_value": 9901`), []byte(`"port_value": 0`), 1))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r, err := http.Get("http://" + at.String() + "/api/getvotes")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode != http.StatusServiceUnavailable { // not 404: the route is there
				t.Errorf("status %s, want 503", r.Status)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestJSON: the lists can be pasted into static_resources.
func TestJSON(t *testing.T) {
	res, err := translate.New(translate.Inputs{Spec: yelb(t)}, nil).Resources(xds.Profile{Identity: ui})
	if err != nil {
		t.Fatal(err)
	}
	b, err := translate.JSON(res)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string][]map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for key, list := range got {
		names[key] = []string{}
		for _, item := range list {
			if item["@type"] != nil {
				t.Errorf("%s: %v has a type, which static_resources does not take", key, item["name"])
			}
			names[key] = append(names[key], fmt.Sprint(item["name"]))
		}
	}
	want := map[string][]string{
		"listeners": {"lds_egress_0.0.0.0_15001", "lds_ingress_0.0.0.0_15000"},
		"routes":    {"rds_egress_http_4567", "rds_ingress_http_80"},
		"clusters": {
			"cds_egress_yelb_yelb-appserver-virtual-node-v2_http_4567", "cds_egress_yelb_yelb-appserver-virtual-node_http_4567",
			"cds_ingress_yelb_yelb-ui-virtual-node_http_80",
		},
		"endpoints": {}, "secrets": {},
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, _ := translate.JSON(res); !bytes.Equal(b, again) {
		t.Error("two prints of the same resources differ")
	}
	if t.Failed() {
		return
	}
	pasted := map[string]any{}
	bootstrap, err := translate.Bootstrap(translate.BootstrapConfig{Identity: ui, XDSAddress: "127.0.0.1:18000"})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(bootstrap, &pasted); err != nil {
		t.Fatal(err)
	}
	static := pasted["static_resources"].(map[string]any)
	static["listeners"] = got["listeners"]
	for _, c := range got["clusters"] {
		static["clusters"] = append(static["clusters"].([]any), c)
	}
	if bootstrap, err = json.Marshal(pasted); err != nil {
		t.Fatal(err)
	}
	if log := validate(t, bootstrap); log != "" {
		t.Errorf("Envoy warns of pasted lists:\n%s", log)
	}
}
