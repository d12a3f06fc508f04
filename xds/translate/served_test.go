package translate_test

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// acmCase is the spec of the case of ACM, its certificates, and a way to ask a
// snapshot for a proxy.
func acmCase(t testing.TB) (*schema.Spec, *xds.Certificates, func(*translate.Snapshot, string) *xds.Resources) {
	t.Helper()
	c := fixtures.Archives(t, "specs/translate_tls_acm.txtar")[0]
	spec := load(t, c.Files)
	ask := func(s *translate.Snapshot, name string) *xds.Resources {
		t.Helper()
		res, err := s.Resources(xds.Profile{Identity: identity(t, spec, name)})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	return spec, specimens(t, c, spec), ask
}

// with returns the certificates with those of one holder replaced; nil: gone.
func with(c *xds.Certificates, name string, own *xds.Certificate) *xds.Certificates {
	next := *c
	next.Issued = maps.Clone(c.Issued)
	for h := range c.Issued {
		if h.Identity.Name == name || h.Identity == (xds.Identity{}) {
			delete(next.Issued, h)
		}
		if h.Identity.Name == name && own != nil {
			next.Issued[h] = own
		}
	}
	return &next
}

// changes are the resources that differ between two proxies', by name.
func changes(a, b *xds.Resources) []string {
	names := []string{}
	for t := range a {
		for _, r := range b[t] {
			if old := a.Get(r.Type, r.Name); old != r {
				names = append(names, r.String()[:strings.IndexByte(r.String(), '@')])
			}
		}
		for _, r := range a[t] {
			if b.Get(r.Type, r.Name) == nil {
				names = append(names, "no "+r.Type.String()+" "+r.Name)
			}
		}
	}
	return names
}

// TestRenewedCertificate: a renewed certificate makes its secret anew, for the
// one proxy that has it, and nothing else.
func TestRenewedCertificate(t *testing.T) {
	spec, own, ask := acmCase(t)
	first := translate.New(translate.Inputs{Commit: "1", Spec: spec, Certificates: own}, nil)
	names := []string{"web_shop", "public_shop", "careful_shop", "careless_shop"}
	before := map[string]*xds.Resources{}
	for _, n := range names {
		before[n] = ask(first, n)
	}
	renewed := with(own, "web_shop", &xds.Certificate{Chain: "new chain", Key: xds.NewPrivateKey("new key")})
	next := translate.New(translate.Inputs{Commit: "1", Spec: spec, Certificates: renewed}, first)
	const secret = "certificate:arn:aws:acm:eu-west-1:111122223333:certificate/a"
	for _, n := range names[2:] {
		if ask(next, n) != before[n] {
			t.Errorf("%s was made anew", n)
		}
	}
	after := ask(next, "web_shop")
	if diff := cmp.Diff([]string{"secrets " + secret}, changes(before["web_shop"], after)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if old, now := before["web_shop"].Get(xds.Secret, secret), after.Get(xds.Secret, secret); old.Version == now.Version || !strings.Contains(string(now.Body.Value), "new chain") {
		t.Errorf("%s became %s", old, now)
	}
	// What a snapshot takes over is what it would build.
	if built := ask(translate.New(translate.Inputs{Commit: "1", Spec: spec, Certificates: renewed}, nil), "web_shop"); built.Difference(after) != nil {
		t.Errorf("built from nothing it differs: %s", changes(after, built))
	}
}

// TestRenewedBeforeBackend: what is taken over when a backend changes has the
// certificates of now.
func TestRenewedBeforeBackend(t *testing.T) {
	c := fixtures.Archives(t, "specs/translate_tls_acm.txtar")[0]
	text, err := fs.ReadFile(c.Files, "shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const discovery = "serviceDiscovery: {dns: {hostname: web.shop.internal}}"
	calling := strings.Replace(string(text), discovery, discovery+"\n  backends: [{virtualService: {virtualServiceRef: {name: public}}}]", 1)
	before := load(t, fstest.MapFS{"shop.yaml": {Data: []byte(calling)}})
	after := load(t, fstest.MapFS{"shop.yaml": {Data: []byte(strings.Replace(calling, "public.shop.internal", "other.shop.internal", 1))}})
	own := specimens(t, c, before)
	renewed := with(own, "web_shop", &xds.Certificate{Chain: "new chain", Key: xds.NewPrivateKey("new key")})
	var s *translate.Snapshot
	var web *xds.Resources
	for _, in := range []translate.Inputs{{Spec: before, Certificates: own}, {Spec: before, Certificates: renewed}, {Spec: after, Certificates: renewed}} {
		s = translate.New(in, s)
		if web, err = s.Resources(xds.Profile{Identity: identity(t, in.Spec, "web_shop")}); err != nil {
			t.Fatal(err)
		}
		fresh, err := translate.New(in, nil).Resources(xds.Profile{Identity: identity(t, in.Spec, "web_shop")})
		if err != nil || fresh.Difference(web) != nil {
			t.Errorf("built from nothing it differs (%v): %s", err, changes(web, fresh))
		}
	}
}

// TestLostCertificate: a certificate that is there no more closes the listener,
// and one that comes opens it; plain is never in its place.
func TestLostCertificate(t *testing.T) {
	spec, own, ask := acmCase(t)
	snapshot := translate.New(translate.Inputs{Commit: "1", Spec: spec, Certificates: own}, nil)
	open := ask(snapshot, "web_shop")
	const ingress = "lds_ingress_0.0.0.0_15000"
	if open.Get(xds.Listener, ingress) == nil {
		t.Fatalf("%s has no %s", open[xds.Listener], ingress)
	}
	for range 2 {
		snapshot = translate.New(translate.Inputs{Commit: "1", Spec: spec, Certificates: with(own, "web_shop", nil)}, snapshot)
		if got := ask(snapshot, "web_shop").Get(xds.Listener, ingress); got != nil {
			t.Errorf("without a certificate there is %s", got)
		}
		snapshot = translate.New(translate.Inputs{Commit: "1", Spec: spec, Certificates: own}, snapshot)
		if got := ask(snapshot, "web_shop"); got.Difference(open) != nil {
			t.Errorf("with it back, it is not as it was: %s", changes(open, got))
		}
	}
	// Clients that cannot check a server, or show what they should, do not connect.
	untrusting := *own
	untrusting.Trusted = nil
	for name, c := range map[string]*xds.Certificates{"trust": &untrusting, "certificate": with(own, "careful_shop", nil)} {
		s := translate.New(translate.Inputs{Commit: "1", Spec: spec, Certificates: c}, nil)
		cluster := &clusterv3.Cluster{}
		if err := ask(s, "careful_shop").Get(xds.Cluster, "cds_egress_shop_web_shop_http_8443").Body.UnmarshalTo(cluster); err != nil {
			t.Fatal(err)
		}
		if len(cluster.LoadAssignment.Endpoints) > 0 || cluster.TransportSocket == nil {
			t.Errorf("without its %s the cluster is %v", name, cluster)
		}
	}
}
