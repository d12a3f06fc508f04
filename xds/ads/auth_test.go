package ads

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// authority signs certificates of tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, n: 1}
	a.key = a.newKey()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return k
}

// issue makes a certificate for names: with :// a URI, else a DNS name.
func (a *authority) issue(names ...string) (cert, key []byte) {
	a.n++
	template := &x509.Certificate{SerialNumber: big.NewInt(a.n), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	for _, n := range names {
		if u, err := url.Parse(n); err == nil && u.Scheme != "" {
			template.URIs = append(template.URIs, u)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	k := a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder})
}

// client is a dial option with a certificate for names, or none.
func (a *authority) client(names ...string) grpc.DialOption {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	c := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if len(names) > 0 {
		cert, key := a.issue(names...)
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			a.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return grpc.WithTransportCredentials(credentials.NewTLS(c))
}

func write(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// bearer is a token in the metadata of every call.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}
func (bearer) RequireTransportSecurity() bool { return false }

// secured is the configuration of a server with certificates in dir.
func secured(t *testing.T, a *authority, dir string) Config {
	cert, key := a.issue("xds.example")
	return Config{
		CertFile: write(t, dir, "cert.pem", cert), KeyFile: write(t, dir, "key.pem", key),
		ClientCAFile: write(t, dir, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})),
		Names:        map[string]xds.Identity{"db.example": db, "web_shop": db, "spiffe://corp/db": db},
	}
}

func TestCertificatesNameIdentities(t *testing.T) {
	a := newAuthority(t)
	s, address, _ := local(t, secured(t, a, t.TempDir()))
	s.Publish(one("c1", resources(a1)))
	for _, row := range []struct {
		name  string
		names []string
		code  codes.Code
		text  string
	}{
		{"a_spiffe_id", []string{"spiffe://corp/mesh/shop/virtualNode/web_shop"}, codes.OK, ""},
		{"another_spiffe_id", []string{"spiffe://corp/mesh/shop/virtualNode/db_shop"}, codes.PermissionDenied,
			"the proxy claims mesh/shop/virtualNode/web_shop, but its credential names mesh/shop/virtualNode/db_shop"},
		{"a_gateway_of_that_name", []string{"spiffe://corp/mesh/shop/virtualGateway/web_shop"}, codes.PermissionDenied, "virtualGateway"},
		{"a_spiffe_id_of_another_form", []string{"spiffe://corp/ns/x/sa/y"}, codes.PermissionDenied, "names spiffe://corp/ns/x/sa/y"},
		{"a_mapped_spiffe_id", []string{"spiffe://corp/db"}, codes.PermissionDenied, "db_shop"},
		{"a_uri_that_is_no_spiffe_id", []string{"https://corp/mesh/shop/virtualNode/web_shop"}, codes.Unauthenticated, "needs a credential"},
		{"a_mapped_DNS_name_of_another", []string{"db.example"}, codes.PermissionDenied, "db.example"},
		{"a_DNS_name_that_is_mapped_away", []string{"web_shop"}, codes.PermissionDenied, "web_shop"},
		{"one_of_several", []string{"db.example", "spiffe://corp/mesh/shop/virtualNode/web_shop"}, codes.OK, ""},
		{"none", nil, codes.Unavailable, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := connect(t, dial(t, address, a.client(row.names...)), "web", nil, false)
			p.ask(xds.Cluster)
			if row.code == codes.OK {
				p.receive("+a", "")
			} else {
				p.ends(row.code, row.text)
			}
		})
	}
	t.Run("of_another_authority", func(t *testing.T) {
		other := newAuthority(t)
		cert, key := other.issue("spiffe://corp/mesh/shop/virtualNode/web_shop")
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(a.cert)
		c := credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &pair, nil // although the server did not ask for one of this authority
		}})
		p := connect(t, dial(t, address, grpc.WithTransportCredentials(c)), "web", nil, false)
		p.ask(xds.Cluster)
		p.ends(codes.Unavailable, "")
	})
}

func TestDNSNameEqualToTheNode(t *testing.T) {
	a := newAuthority(t)
	c := secured(t, a, t.TempDir())
	c.Names = nil
	s, address, _ := local(t, c)
	s.Publish(one("c1", resources(a1)))
	p := connect(t, dial(t, address, a.client("web_shop")), "web", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "")
}

func TestCertificatesAreReloaded(t *testing.T) {
	old, dir := newAuthority(t), t.TempDir()
	c := secured(t, old, dir)
	s, address, _ := local(t, c)
	s.Publish(one("c1", resources(a1)))
	id := "spiffe://corp/mesh/shop/virtualNode/web_shop"
	p := connect(t, dial(t, address, old.client(id)), "web", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "")

	write(t, dir, "cert.pem", []byte("half written")) // the last good ones stay
	p = connect(t, dial(t, address, old.client(id)), "web", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "")

	next := newAuthority(t)
	secured(t, next, dir)
	p = connect(t, dial(t, address, next.client(id)), "web", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "")
	p = connect(t, dial(t, address, old.client(id)), "web", nil, false)
	p.ask(xds.Cluster)
	p.ends(codes.Unavailable, "certificate")
}

func TestTokens(t *testing.T) {
	file := write(t, t.TempDir(), "tokens", []byte("# tokens\n\ns3cret-web "+web.String()+"\ns3cret-db\t"+db.String()+"\ns3cret-any *\n"))
	s, address, _ := local(t, Config{TokenFile: file})
	s.Publish(one("c1", resources(a1)))
	for _, row := range []struct {
		token string
		code  codes.Code
		text  string
	}{
		{"s3cret-web", codes.OK, ""},
		{"s3cret-any", codes.OK, ""},
		{"s3cret-db", codes.PermissionDenied, "names mesh/shop/virtualNode/db_shop"},
		{"guess", codes.Unauthenticated, "the token is not known"},
		{"", codes.Unauthenticated, "needs a credential"},
	} {
		t.Run("token_"+row.token, func(t *testing.T) {
			options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
			if row.token != "" {
				options = append(options, grpc.WithPerRPCCredentials(bearer(row.token)))
			}
			p := connect(t, dial(t, address, options...), "web", nil, false)
			p.ask(xds.Cluster)
			if row.code == codes.OK {
				p.receive("+a", "")
			} else {
				p.ends(row.code, row.text)
			}
		})
	}
}

func TestTokenOrCertificate(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	c := secured(t, a, dir)
	c.TokenFile = write(t, dir, "tokens", []byte("s3cret *\n"))
	s, address, _ := local(t, c)
	s.Publish(one("c1", resources(a1)))
	for _, options := range [][]grpc.DialOption{
		{a.client(), grpc.WithPerRPCCredentials(bearer("s3cret"))},
		{a.client("spiffe://corp/mesh/shop/virtualNode/web_shop")},
	} {
		p := connect(t, dial(t, address, options...), "web", nil, false)
		p.ask(xds.Cluster)
		p.receive("+a", "")
	}
	p := connect(t, dial(t, address, a.client()), "web", nil, false)
	p.ask(xds.Cluster)
	p.ends(codes.Unauthenticated, "needs a credential")
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct {
		name string
		c    Config
		want string // empty: good
	}{
		{"loopback", Config{Address: "127.0.0.1:0"}, ""},
		{"default", Config{}, ""},
		{"localhost", Config{Address: "localhost:18000"}, ""},
		{"loopback_of_IPv6", Config{Address: "[::1]:0"}, ""},
		{"every_address", Config{Address: ":18000"}, ":18000 can be reached from other machines; set CertFile, KeyFile and ClientCAFile (mutual TLS) or TokenFile"},
		{"TLS_alone_off_loopback", Config{Address: "10.0.0.1:1", CertFile: "a", KeyFile: "b"}, "can be reached"},
		{"half_a_pair", Config{CertFile: "a"}, "CertFile and KeyFile: set both or none"},
		{"authority_without_TLS", Config{ClientCAFile: "a"}, "needs CertFile and KeyFile"},
		{"no_port", Config{Address: "127.0.0.1"}, "write HOST:PORT"},
		{"negative", Config{Linger: -1}, "negative"},
		{"missing_files", Config{CertFile: "no-such-file", KeyFile: "b"}, "no-such-file"},
		{"missing_token_file", Config{TokenFile: "no-such-file"}, "no-such-file"},
		{"empty_token_file", Config{TokenFile: write(t, dir, "empty", nil)}, "no token in it"},
		{"token_without_identity", Config{TokenFile: write(t, dir, "half", []byte("\ns3cret\n"))}, "half:2: want a token and an identity"},
		{"token_with_a_wrong_identity", Config{TokenFile: write(t, dir, "wrong", []byte("s3cret s3cret\n"))}, "wrong:1: the identity of the token is none"},
		{"tokens_off_loopback", Config{Address: "0.0.0.0:0", TokenFile: write(t, dir, "good", []byte("s3cret *\n"))}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := New(row.c)
			switch {
			case row.want == "" && err != nil:
				t.Errorf("%v", err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("got %v, want %q", err, row.want)
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

// A gRPC client is known by its library's name too, unless its bootstrap says
// how traffic is captured.
func TestGRPCClientsAreKnown(t *testing.T) {
	explicit := xds.Capture{Explicit: true}
	for name, row := range map[string]struct {
		agent   string
		capture xds.Capture
		want    xds.Capture
	}{
		"go":             {"gRPC Go", xds.Capture{}, xds.Capture{Proxyless: true}},
		"by_bootstrap":   {"of our own", xds.Capture{Proxyless: true}, xds.Capture{Proxyless: true}},
		"envoy":          {"envoy", xds.Capture{}, xds.Capture{}},
		"envoy_explicit": {"envoy", explicit, explicit},
		"stated":         {"gRPC Go", explicit, explicit},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&auth{}).identify(t.Context(), &corev3.Node{Cluster: web.String(), UserAgentName: row.agent, Metadata: xds.Profile{Capture: row.capture}.Metadata()})
			if err != nil || got.Capture != row.want {
				t.Errorf("%+v, %v; want %+v", got.Capture, err, row.want)
			}
		})
	}
}

// TestDNSNamesBesideASPIFFEID: who has an ID is that; a DNS name of the same
// certificate, as of a service it stands behind, makes it nobody else.
func TestDNSNamesBesideASPIFFEID(t *testing.T) {
	id, err := url.Parse("spiffe://shop/mesh/shop/virtualNode/web")
	if err != nil {
		t.Fatal(err)
	}
	a := &auth{mtls: true}
	for _, uris := range [][]*url.URL{{id}, nil} {
		cert := &x509.Certificate{URIs: uris, DNSNames: []string{"backend"}}
		ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}}})
		err := a.allow(ctx, xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "backend"})
		if refused := err != nil; refused != (uris != nil) {
			t.Errorf("with IDs %v: %v", uris, err)
		}
	}
}
