package xds_test

import (
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshwright/meshwright/xds"
)

var web = xds.Identity{Mesh: "shop", Kind: "VirtualNode", Name: "web_shop"}

// TestProfileOf: what a bootstrap says of a proxy is read as it was meant, and
// anything else is refused.
func TestProfileOf(t *testing.T) {
	explicit := xds.NewCapture(true, map[xds.Role]map[string]netip.AddrPort{xds.RoleListen: {"80": netip.MustParseAddrPort("127.0.0.2:80")}})
	for _, p := range []xds.Profile{
		{}, {VirtualHosts: true}, {Capture: explicit}, {Capture: explicit, VirtualHosts: true}, {Capture: xds.Capture{Proxyless: true}},
	} {
		p.Identity = web
		if got, err := xds.ProfileOf(web, p.Metadata()); err != nil || got != p {
			t.Errorf("%+v is read as %+v, %v", p, got, err)
		}
	}
	if m := (xds.Profile{Identity: web}).Metadata(); m != nil {
		t.Errorf("the plain profile has metadata: %v", m)
	}
	for want, says := range map[string]map[string]any{
		"unknown key":                  {"routing": "virtualHosts"},
		"none of routes, virtualHosts": {"routes": "some"},
		"none of transparent":          {"capture": "all"},
		"not IP:PORT":                  {"listen": map[string]any{"80": "here"}},
	} {
		m, err := structpb.NewStruct(map[string]any{"meshwright": says})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := xds.ProfileOf(web, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want it to say %q", says, err, want)
		}
	}
	// A gRPC client has whole routes, whatever it says.
	m, _ := structpb.NewStruct(map[string]any{"meshwright": map[string]any{"capture": "grpc", "routes": "virtualHosts"}})
	if p, err := xds.ProfileOf(web, m); err != nil || p.VirtualHosts {
		t.Errorf("%+v, %v", p, err)
	}
}
