package translate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/ads"
	"github.com/meshwright/meshwright/xds/translate"
)

var ui = xds.Identity{Mesh: "yelb", Kind: schema.KindVirtualNode, Name: "yelb-ui-virtual-node"}

func TestBootstrap(t *testing.T) {
	capture := xds.NewCapture(true, map[xds.Role]map[string]netip.AddrPort{xds.RoleListen: {"80": netip.MustParseAddrPort("127.0.0.2:80")}})
	b, err := translate.Bootstrap(translate.BootstrapConfig{Identity: ui, NodeID: "ui-1", Capture: capture, XDSAddress: "control:1234"})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Node struct {
			ID, Cluster string
			Metadata    map[string]any
		}
		Dynamic struct {
			ADS struct {
				API  string `json:"api_type"`
				Once bool   `json:"set_node_on_first_message_only"`
			} `json:"ads_config"`
		} `json:"dynamic_resources"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if n := got.Node; n.ID != "ui-1" || n.Cluster != "mesh/yelb/virtualNode/yelb-ui-virtual-node" {
		t.Errorf("node: %+v", n)
	}
	wantMeta := map[string]any{"meshwright": map[string]any{"capture": "explicit", "routes": "virtualHosts", "listen": map[string]any{"80": "127.0.0.2:80"}}}
	if diff := cmp.Diff(wantMeta, got.Node.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if a := got.Dynamic.ADS; a.API != "DELTA_GRPC" || !a.Once {
		t.Errorf("ads_config: %+v", a)
	}
	again, _ := translate.Bootstrap(translate.BootstrapConfig{Identity: ui, NodeID: "ui-1", Capture: capture, XDSAddress: "control:1234"})
	if !bytes.Equal(b, again) {
		t.Error("two bootstraps of one configuration differ")
	}
}

func TestBootstrapRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		config translate.BootstrapConfig
		grpc   bool
		want   string
	}{
		"no_port":         {translate.BootstrapConfig{XDSAddress: "control"}, false, "HOST:PORT"},
		"no_host":         {translate.BootstrapConfig{XDSAddress: ":80"}, false, "HOST:PORT"},
		"port_too_high":   {translate.BootstrapConfig{XDSAddress: "control:65536"}, false, "HOST:PORT"},
		"bare_ipv6":       {translate.BootstrapConfig{XDSAddress: "::1"}, false, "HOST:PORT"},
		"cert_alone":      {translate.BootstrapConfig{XDSAddress: "control:1", CAFile: "ca", CertFile: "c"}, false, "belong together"},
		"cert_without_ca": {translate.BootstrapConfig{XDSAddress: "control:1", CertFile: "c", KeyFile: "k"}, false, "xds-ca"},
		"sds_alone":       {translate.BootstrapConfig{XDSAddress: "control:1", CAFile: "ca", SDSFile: "f"}, false, "xds-cert"},
		"grpc_with_token": {translate.BootstrapConfig{XDSAddress: "control:1", TokenFile: "f"}, true, "no tokens"},
		"grpc_captured":   {translate.BootstrapConfig{Identity: ui, XDSAddress: "control:1", Capture: xds.Capture{Explicit: true}}, true, "no proxy"},
		"grpc_gateway":    {translate.BootstrapConfig{Identity: xds.Identity{Mesh: "shop", Kind: schema.KindVirtualGateway, Name: "edge"}, XDSAddress: "control:1"}, true, "virtual node"},
	} {
		t.Run(name, func(t *testing.T) {
			print := translate.Bootstrap
			if row.grpc {
				print = translate.GRPCBootstrap
			}
			if _, err := print(row.config); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want one with %q", err, row.want)
			}
		})
	}
}

func TestGRPCBootstrap(t *testing.T) {
	got, err := translate.GRPCBootstrap(translate.BootstrapConfig{Identity: ui, XDSAddress: "control:18000", CAFile: "/ca.crt", CertFile: "/tls.crt", KeyFile: "/tls.key"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "xds_servers": [
    {
      "server_uri": "control:18000",
      "channel_creds": [
        {
          "type": "tls",
          "config": {
            "ca_certificate_file": "/ca.crt",
            "certificate_file": "/tls.crt",
            "private_key_file": "/tls.key",
            "refresh_interval": "600s"
          }
        }
      ],
      "server_features": [
        "xds_v3"
      ]
    }
  ],
  "node": {
    "id": "mesh/yelb/virtualNode/yelb-ui-virtual-node",
    "cluster": "mesh/yelb/virtualNode/yelb-ui-virtual-node",
    "metadata": {
      "meshwright": {
        "capture": "grpc"
      }
    }
  }
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEnvoyTakesBootstraps: a real Envoy accepts each form without a warning.
func TestEnvoyTakesBootstraps(t *testing.T) {
	files := authority(t)
	for name, c := range map[string]translate.BootstrapConfig{
		"plain":      {XDSAddress: "127.0.0.1:18000"},
		"sotw":       {XDSAddress: "127.0.0.1:18000", SOTW: true},
		"ipv6":       {XDSAddress: "[::1]:18000"},
		"name":       {XDSAddress: "localhost:18000", DNSResolvers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}},
		"mutual_tls": {XDSAddress: "localhost:18000", CAFile: files.ca, CertFile: files.cert, KeyFile: files.key},
		"token":      {XDSAddress: "127.0.0.1:18000", CAFile: files.ca, TokenFile: files.token},
		"local_sds":  {XDSAddress: "127.0.0.1:18000", SDSSocket: "/run/sds.sock"},
		"explicit":   {XDSAddress: "127.0.0.1:18000", Capture: xds.NewCapture(true, nil)},
		"no_reports": {XDSAddress: "127.0.0.1:18000", NoReports: true},
		"reports":    {XDSAddress: "127.0.0.1:18000", ReportInterval: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			c.Identity = ui
			b, err := translate.Bootstrap(c)
			if err != nil {
				t.Fatal(err)
			}
			if log := validate(t, b); log != "" {
				t.Errorf("Envoy's log:\n%s", log)
			}
		})
	}
}

// TestEnvoyConnects: the daemon's server takes an Envoy with each kind of
// credential for the identity of its bootstrap.
func TestEnvoyConnects(t *testing.T) {
	fixtures.Envoy(t)
	files := authority(t)
	for name, row := range map[string]struct {
		server ads.Config
		proxy  translate.BootstrapConfig
	}{
		"plain":      {},
		"sotw":       {proxy: translate.BootstrapConfig{SOTW: true}},
		"mutual_tls": {ads.Config{CertFile: files.cert, KeyFile: files.key, ClientCAFile: files.ca}, translate.BootstrapConfig{CAFile: files.ca, CertFile: files.cert, KeyFile: files.key}},
		"token":      {ads.Config{CertFile: files.cert, KeyFile: files.key, TokenFile: files.tokens}, translate.BootstrapConfig{CAFile: files.ca, TokenFile: files.token}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			row.server.Listener, row.server.Logger, row.server.Metrics = l, slog.New(slog.DiscardHandler), prometheus.NewRegistry()
			s, err := ads.New(row.server)
			if err != nil {
				t.Fatal(err)
			}
			runServer(t, s)
			s.Publish(nothing{})
			row.proxy.Identity, row.proxy.XDSAddress, row.proxy.AdminAddress = ui, l.Addr().String(), netip.MustParseAddrPort("127.0.0.1:0")
			b, err := translate.Bootstrap(row.proxy)
			if err != nil {
				t.Fatal(err)
			}
			log := startEnvoy(t, b)
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if p := s.Proxies(); len(p) == 1 && p[0].Identity == ui && p[0].Applied == "c1" {
					if warnings := log(); warnings != "" {
						t.Errorf("Envoy warns:\n%s", warnings)
					}
					return
				} else if time.Now().After(deadline) {
					t.Fatalf("no proxy has taken the state: %+v", p)
				}
			}
		})
	}
}

// TestEnvoyTakesRenewedCertificate: with an SDS file, an Envoy shows its new
// certificate after it was moved into the place of the old one.
func TestEnvoyTakesRenewedCertificate(t *testing.T) {
	fixtures.Envoy(t)
	server, old, renewed := authority(t), authority(t), authority(t)
	serve := func(address, clientCA string) (*ads.Server, string, func()) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ads.New(ads.Config{
			Listener: l, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
			CertFile: server.cert, KeyFile: server.key, ClientCAFile: clientCA,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Publish(nothing{})
		return s, l.Addr().String(), runServer(t, s)
	}
	connected := func(s *ads.Server) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); len(s.Proxies()) == 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("Envoy does not connect")
			}
		}
	}
	first, address, stop := serve("127.0.0.1:0", old.ca)
	c := translate.BootstrapConfig{
		Identity: ui, XDSAddress: address, AdminAddress: netip.MustParseAddrPort("127.0.0.1:0"),
		CAFile: server.ca, CertFile: old.cert, KeyFile: old.key, SDSFile: filepath.Join(t.TempDir(), "sds.json"),
	}
	sds, err := translate.CertificateSDS(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.SDSFile, sds, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := translate.Bootstrap(c)
	if err != nil {
		t.Fatal(err)
	}
	startEnvoy(t, b)
	connected(first)
	stop()
	trusted := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.Link(renewed.ca, trusted); err != nil {
		t.Fatal(err)
	}
	for _, move := range [][2]string{{renewed.key, old.key}, {renewed.cert, old.cert}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	second, _, _ := serve(address, trusted)
	connected(second)
}

// nothing is a state in which every proxy has no resources.
type nothing struct{}

func (nothing) Commit() string                                { return "c1" }
func (nothing) Resources(xds.Profile) (*xds.Resources, error) { return &xds.Resources{}, nil }

type authorityFiles struct{ ca, cert, key, token, tokens string }

// authority writes a certificate that is its own authority, for this machine's
// names and the identity of ui, and tokens for it.
func authority(t *testing.T) authorityFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost", ui.Name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert := write("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return authorityFiles{
		ca: cert, cert: cert, key: write("tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		token: write("token", []byte("sesame\n")), tokens: write("tokens", []byte("sesame "+ui.String()+"\n")),
	}
}
