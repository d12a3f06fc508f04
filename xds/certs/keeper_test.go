package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

const shop = `
apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec: {namespaceSelector: {}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web, namespace: shop}
spec:
  listeners:
  - portMapping: {port: 8443, protocol: http}
    tls: {mode: STRICT, certificate: {acm: {certificateARN: "arn:aws:acm:eu-west-1:111122223333:certificate/a"}}}
  serviceDiscovery: {dns: {hostname: web.shop.internal}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: front, namespace: shop}
spec: {awsName: front.example, provider: {virtualNode: {virtualNodeRef: {name: web}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: odd, namespace: shop}
spec: {awsName: "-no-name-of-dns-", provider: {virtualRouter: {virtualRouterRef: {name: split}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: all, namespace: shop}
spec: {provider: {virtualRouter: {virtualRouterRef: {name: split}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: split, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8443, protocol: http}}]
  routes:
  - name: all
    httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: client, namespace: shop}
spec:
  listeners:
  - portMapping: {port: 8080, protocol: http}
    tls: {mode: DISABLED, certificate: {acm: {certificateARN: "arn:aws:acm:eu-west-1:111122223333:certificate/a"}}}
  serviceDiscovery: {dns: {hostname: 127.0.0.1}}
  backendDefaults:
    clientPolicy:
      tls:
        certificate: {sds: {secretName: mine}}
        validation: {trust: {sds: {secretName: all}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualGateway
metadata: {name: gate, namespace: shop}
spec:
  namespaceSelector: {}
  gatewayRouteSelector: {}
  listeners:
  - portMapping: {port: 8443, protocol: http}
    tls: {mode: STRICT, certificate: {acm: {certificateARN: "arn:aws:acm:eu-west-1:111122223333:certificate/b"}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: GatewayRoute
metadata: {name: exact, namespace: shop}
spec:
  httpRoute: {match: {prefix: /, hostname: {exact: shop.example}}, action: {target: {virtualService: {virtualServiceRef: {name: front}}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: GatewayRoute
metadata: {name: suffix, namespace: shop}
spec:
  httpRoute: {match: {prefix: /, hostname: {suffix: ".shops.example"}}, action: {target: {virtualService: {virtualServiceRef: {name: front}}}}}
`

const settings = `
authorities:
  mesh: {builtin: true, lifetime: 3h, rootLifetime: 36h, trustDomain: shop.example}
certificates:
- {arn: "arn:aws:acm:*", certificate: {authority: mesh}}
- {sds: mine, certificate: {authority: mesh}}
trusts:
- {sds: all, trust: {authority: mesh}}
`

var (
	web    = xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "web_shop"}
	client = xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "client_shop"}
	gate   = xds.Identity{Mesh: "shop", Kind: schema.KindVirtualGateway, Name: "gate_shop"}
	acm    = xds.ARN("arn:aws:acm:eu-west-1:111122223333:certificate/a")
)

func load(t testing.TB, text string) *schema.Spec {
	t.Helper()
	r, err := schema.NewLoader(schema.Config{}).Load(context.Background(), fstest.MapFS{"shop.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Spec == nil {
		t.Fatalf("mistakes:\n%s", r.Diagnostics)
	}
	return r.Spec
}

func parse(t testing.TB, text string) *Settings {
	t.Helper()
	s, err := ParseSettings([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// opened is a keeper, its log, and a channel that tells of news.
type opened struct {
	*Keeper
	log  *locked
	news chan struct{}
}

// locked is a log that may be read while it is written.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func open(t testing.TB, dir, text string) opened {
	t.Helper()
	o := opened{log: &locked{}, news: make(chan struct{}, 1)}
	var err error
	o.Keeper, err = Open(Config{
		Settings: parse(t, text), Dir: dir, Metrics: prometheus.NewRegistry(),
		Logger: slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Moved: func() {
			select {
			case o.news <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// run runs a keeper for the length of a bubble.
func (o opened) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// verify checks a certificate as a peer does that trusts some authorities.
func verify(t testing.TB, c *xds.Certificate, trust string, now time.Time) *x509.Certificate {
	t.Helper()
	if c == nil {
		t.Fatal("there is no certificate")
	}
	if _, err := tls.X509KeyPair([]byte(c.Chain), []byte(c.Key.PEM())); err != nil {
		t.Fatal(err)
	}
	chain, err := parseChain([]byte(c.Chain))
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(trust))
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		t.Fatal(err)
	}
	return chain[0]
}

// Each holder gets a certificate that names what others know it by.
func TestIssued(t *testing.T) {
	k := open(t, t.TempDir(), settings)
	spec := load(t, shop)
	c := k.For(spec)
	if again := k.For(spec); again != c {
		t.Error("nothing changed, and there is another value")
	}
	trust := c.Trust(xds.SDS("all"))
	for _, holder := range []struct {
		id   xds.Identity
		name xds.SecretName
		want []string
	}{
		{web, acm, []string{"all.shop", "front.example", "web.shop.internal", "spiffe://shop.example/mesh/shop/virtualNode/web_shop"}},
		{client, xds.SDS("mine"), []string{"127.0.0.1", "spiffe://shop.example/mesh/shop/virtualNode/client_shop"}},
		{gate, "arn:aws:acm:eu-west-1:111122223333:certificate/b", []string{"*.shops.example", "shop.example", "spiffe://shop.example/mesh/shop/virtualGateway/gate_shop"}},
	} {
		cert := verify(t, c.Certificate(holder.id, holder.name), trust, time.Now())
		got := slices.Clone(cert.DNSNames)
		for _, ip := range cert.IPAddresses {
			got = append(got, ip.String())
		}
		for _, u := range cert.URIs {
			got = append(got, u.String())
		}
		if diff := cmp.Diff(holder.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", holder.id, diff)
		}
	}
	if n := len(c.Issued); n != 3 {
		t.Errorf("%d certificates, want 3", n)
	}
	// The next spec: a node less, another name, and nothing else is made anew.
	next := strings.Replace(strings.Replace(shop, "front.example", "store.example", 1), "secretName: mine", "secretName: other", 1)
	d := k.For(load(t, next))
	if got := d.Certificate(gate, "arn:aws:acm:eu-west-1:111122223333:certificate/b"); got != c.Certificate(gate, "arn:aws:acm:eu-west-1:111122223333:certificate/b") {
		t.Error("the gateway's certificate was made anew")
	}
	if d.Certificate(web, acm) == c.Certificate(web, acm) || d.Certificate(client, xds.SDS("mine")) != nil {
		t.Error("certificates do not follow the spec")
	}
	if strings.Contains(k.log.String(), "PRIVATE") {
		t.Error("a key is in the log")
	}
}

// A certificate is renewed at two thirds of its life, while the authority stays.
func TestRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := open(t, t.TempDir(), settings)
		spec := load(t, shop)
		c := k.For(spec)
		defer k.run(t)()
		began, old := time.Now(), c.Certificate(web, acm)
		<-k.news
		if at := time.Since(began); at != 2*time.Hour {
			t.Errorf("renewed after %v, want 2h", at)
		}
		d := k.For(spec)
		if d.Certificate(web, acm) == old {
			t.Error("it is the old one")
		}
		verify(t, d.Certificate(web, acm), c.Trust(xds.SDS("all")), time.Now())
		if ends := verify(t, d.Certificate(web, acm), d.Trust(xds.SDS("all")), time.Now()).NotAfter; !ends.Equal(began.Add(5 * time.Hour)) {
			t.Errorf("it ends %v after the beginning, want 5h", ends.Sub(began))
		}
		if got := testutil.ToFloat64(k.metrics.expiry.WithLabelValues(ofIssued)); got != float64(began.Add(5*time.Hour).Unix()) {
			t.Errorf("the metric says %v", time.Unix(int64(got), 0))
		}
		if got := testutil.ToFloat64(k.metrics.renewals.WithLabelValues(ofIssued)); got != 6 {
			t.Errorf("%v renewals, want 3 and 3", got)
		}
	})
}

// An authority's root is followed by the next without a moment at which a proxy
// that is one step behind, or ahead, refuses another.
func TestRootsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := open(t, t.TempDir(), settings)
		spec := load(t, shop)
		before := k.For(spec)
		defer k.run(t)()
		trusts := map[string]bool{}
		for began := time.Now(); time.Since(began) < 10*24*time.Hour; {
			<-k.news
			now := k.For(spec)
			for _, pair := range [][2]*xds.Certificates{{before, now}, {now, before}, {now, now}} {
				verify(t, pair[0].Certificate(web, acm), pair[1].Trust(xds.SDS("all")), time.Now())
			}
			trusts[now.Trust(xds.SDS("all"))] = true
			before = now
		}
		if len(trusts) < 10 {
			t.Errorf("only %d bundles in ten days of roots that live 36 hours", len(trusts))
		}
		if roots, err := readRoots(k.rootFile(k.authorities["authority mesh"])); err != nil || len(roots) > 3 {
			t.Errorf("%d roots are kept (%v)", len(roots), err)
		}
	})
}

// A built-in authority is the same after a restart, and its key is its owner's.
func TestRootIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "authorities")
	spec := load(t, shop)
	c := open(t, dir, settings).For(spec)
	d := open(t, dir, settings).For(spec)
	if c.Trust(xds.SDS("all")) != d.Trust(xds.SDS("all")) {
		t.Error("another authority after a restart")
	}
	verify(t, c.Certificate(web, acm), d.Trust(xds.SDS("all")), time.Now())
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.Name() != "mesh.pem" || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v (%v)", e.Name(), info.Mode(), err)
		}
	}
	// What is broken is never begun anew in silence: nobody would trust it.
	if err := os.WriteFile(filepath.Join(dir, "mesh.pem"), []byte("-----BEGIN CERT"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Settings: parse(t, settings), Dir: dir}); err == nil || !strings.Contains(err.Error(), "mesh.pem") {
		t.Errorf("got %v", err)
	}
}

// onDisk writes a certificate of a new authority into a folder.
func onDisk(t testing.TB, dir string) (chain, key, ca string) {
	t.Helper()
	root, err := newRoot("corp", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a := authority{AuthoritySettings: AuthoritySettings{Lifetime: time.Hour, RenewAfter: time.Minute, TrustDomain: "corp"}, signers: []*signer{root}}
	l, err := a.issue(web, []string{"web"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chain, key, ca = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "ca.crt")
	write(t, map[string]string{chain: l.Chain, key: l.Key.PEM(), ca: encode(root.cert())})
	return chain, key, ca
}

func write(t testing.TB, files map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(name, []byte(files[name]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func content(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Files are taken up when they are whole; until then the last good pair stays,
// and that is said once.
func TestFiles(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		chain, key, ca := onDisk(t, dir)
		k := open(t, t.TempDir(), fmt.Sprintf(`
certificates: [{arn: "arn:aws:acm:*", certificate: {file: {chain: %s, key: %s}}, trust: {file: %s}}]
trusts: [{sds: all, trust: {file: %[3]s}}]
`, chain, key, ca))
		defer k.run(t)()
		spec := load(t, shop)
		c := k.For(spec)
		old, trust := c.Certificate(web, acm), c.Trust(xds.SDS("all"))
		verify(t, old, c.Issuer(acm), time.Now())
		newChain, newKey, newCA := onDisk(t, other)

		time.Sleep(interval / 2) // from here on it is between two looks that files change
		stays := func(why, says string) {
			t.Helper()
			time.Sleep(5 * interval)
			if d := k.For(spec); d.Certificate(web, acm) != old || d.Trust(xds.SDS("all")) != trust {
				t.Errorf("%s: the last good one is gone", why)
			}
			if n := strings.Count(k.log.String(), says); n != 1 {
				t.Errorf("%s: said %d times:\n%s", why, n, k.log)
			}
		}
		write(t, map[string]string{chain: content(t, newChain)})
		stays("the chain only", "private key does not match public key")
		write(t, map[string]string{key: content(t, newKey)[:100]})
		stays("half of the key", "failed to find any PEM data in key input")
		if got := testutil.ToFloat64(k.metrics.failures.WithLabelValues(ofFile)); got != 2 {
			t.Errorf("%v failures, want 2", got)
		}
		select {
		case <-k.news:
			t.Error("there is news of nothing")
		default:
		}
		write(t, map[string]string{key: content(t, newKey), ca: content(t, newCA)})
		<-k.news
		d := k.For(spec)
		verify(t, d.Certificate(web, acm), d.Issuer(acm), time.Now())
		if d.Certificate(web, acm).Chain != content(t, newChain) {
			t.Error("it is not the new one")
		}
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * interval)
		if k.For(spec) != d {
			t.Error("a removed file took the certificate away")
		}
		if strings.Contains(k.log.String(), "BEGIN") {
			t.Errorf("PEM is in the log:\n%s", k.log)
		}
	})
}

// A file that is cut off within its last certificate is not whole.
func TestCutOff(t *testing.T) {
	_, _, ca := onDisk(t, t.TempDir())
	text := content(t, ca) + content(t, ca)
	if _, err := parseTrust([][]byte{[]byte(text)}); err != nil {
		t.Error(err)
	}
	for _, n := range []int{0, 10, len(text)/2 + 40, len(text) - 30} {
		if _, err := parseTrust([][]byte{[]byte(text[:n])}); err == nil {
			t.Errorf("the first %d of %d bytes were taken", n, len(text))
		}
	}
}

// An authority of one's own signs with what its files hold, and what it signed
// before stays trusted.
func TestAuthorityFromFiles(t *testing.T) {
	dir := t.TempDir()
	chain, key := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	synctest.Test(t, func(t *testing.T) {
		renew := func() {
			root, err := newRoot("corp", 24*time.Hour, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			private, err := encodeKey(root.key)
			if err != nil {
				t.Fatal(err)
			}
			write(t, map[string]string{chain: encode(root.cert()), key: private.PEM()})
		}
		text := strings.Replace(settings, "builtin: true, lifetime: 3h, rootLifetime: 36h", fmt.Sprintf("file: {chain: %s, key: %s}, lifetime: 3h", chain, key), 1)
		k := open(t, dir, text)
		defer k.run(t)()
		spec := load(t, shop)
		if c := k.For(spec); c.Certificate(web, acm) != nil {
			t.Error("signed with nothing")
		}
		renew() // the authority's files come late
		<-k.news
		c := k.For(spec)
		verify(t, c.Certificate(web, acm), c.Trust(xds.SDS("all")), time.Now())
		renew()
		<-k.news
		d := k.For(spec)
		if d.Certificate(web, acm) != c.Certificate(web, acm) {
			t.Error("a certificate of an authority that others do not know yet is shown at once")
		}
		verify(t, d.Certificate(web, acm), d.Trust(xds.SDS("all")), time.Now())
		<-k.news // the certificate's own renewal
		e := k.For(spec)
		verify(t, e.Certificate(web, acm), strings.TrimPrefix(e.Trust(xds.SDS("all")), c.Trust(xds.SDS("all"))), time.Now())
		verify(t, e.Certificate(web, acm), d.Trust(xds.SDS("all")), time.Now())
	})
}

// BenchmarkFor issues certificates for all nodes of a mesh.
func BenchmarkFor(b *testing.B) {
	var text strings.Builder
	text.WriteString("apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: shop}\nspec: {namespaceSelector: {}}\n")
	for i := range 1000 {
		fmt.Fprintf(&text, `---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web%d, namespace: shop}
spec:
  listeners:
  - portMapping: {port: 8443, protocol: http}
    tls: {mode: STRICT, certificate: {acm: {certificateARN: "arn:aws:acm:eu-west-1:111122223333:certificate/a"}}}
  serviceDiscovery: {dns: {hostname: web%[1]d.shop.internal}}
`, i)
	}
	spec := load(b, text.String())
	dir := b.TempDir()
	for b.Loop() {
		k := open(b, dir, settings)
		if n := len(k.For(spec).Issued); n != 1000 {
			b.Fatal(n)
		}
	}
}
