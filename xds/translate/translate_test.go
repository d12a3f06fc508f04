package translate_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/certs"
	"github.com/meshwright/meshwright/xds/translate"
)

// load loads a repository that must be good.
func load(t testing.TB, files fs.FS) *schema.Spec {
	t.Helper()
	r, err := schema.NewLoader(schema.Config{}).Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	if r.Spec == nil {
		t.Fatalf("the repository has mistakes:\n%s", r.Diagnostics.Errors())
	}
	return r.Spec
}

// The cases of fixtures/specs: a section want/xds/NAME.json (or
// NAME.explicit.json, NAME.hosts.json) is all that the proxy of a virtual node or gateway of
// that App Mesh name has, with the notices about it before. A real Envoy
// checks it too.
func TestCases(t *testing.T) {
	for _, c := range fixtures.Archives(t, "specs/translate_*.txtar") {
		t.Run(c.Name, func(t *testing.T) {
			spec := load(t, c.Files)
			own := specimens(t, c, spec)
			c.Golden(t, "want/unsupported.txt", translate.Unsupported(spec, own.Rules()).String())
			snapshot := translate.New(translate.Inputs{Spec: spec, Certificates: own}, nil)
			for _, section := range c.Wants("want/xds/") {
				t.Run(path.Base(section), func(t *testing.T) {
					name, explicit := strings.CutSuffix(strings.TrimSuffix(path.Base(section), ".json"), ".explicit")
					name, grpc := strings.CutSuffix(name, ".grpc")
					name, byHost := strings.CutSuffix(name, ".hosts")
					profile := xds.Profile{Identity: identity(t, spec, name), Capture: xds.Capture{Explicit: explicit, Proxyless: grpc}, VirtualHosts: byHost}
					res, err := snapshot.Resources(profile)
					if err != nil {
						t.Fatal(err)
					}
					body, err := translate.JSON(res)
					if err != nil {
						t.Fatal(err)
					}
					var notices strings.Builder
					for _, n := range snapshot.Notices(profile) {
						notices.WriteString("// " + n + "\n")
					}
					c.Golden(t, section, notices.String()+string(body))
					check(t, res)
					if grpc || byHost || c.Options["envoy"] == "no" {
						return // it is for no Envoy, not to be had without a server, or needs what the case cannot give it
					}
					static, err := translate.Static(profile.Identity, res)
					if err != nil {
						t.Fatal(err)
					}
					if dir := c.Options["certificates"]; dir != "" {
						static = bytes.ReplaceAll(static, []byte(`"`+dir), []byte(`"`+certificates(t)))
					}
					if log := validate(t, static); log != "" {
						t.Errorf("Envoy warns:\n%s", log)
					}
				})
			}
		})
	}
}

// specimens stand for the certificates that a case's settings give a source.
func specimens(t testing.TB, c *fixtures.Case, spec *schema.Spec) *xds.Certificates {
	t.Helper()
	text, err := fs.ReadFile(c.Files, "certificates.settings")
	if err != nil {
		return nil // it has none
	}
	settings, err := certs.ParseSettings(text)
	if err != nil {
		t.Fatal(err)
	}
	own, err := certs.Specimens(settings, spec)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// certificates makes a folder with a certificate, its key and its authority.
func certificates(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, DNSNames: []string{"shop"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"chain.pem": {Type: "CERTIFICATE", Bytes: chain},
		"ca.pem":    {Type: "CERTIFICATE", Bytes: chain},
		"key.pem":   {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// identity finds the virtual node or gateway of an App Mesh name.
func identity(t testing.TB, spec *schema.Spec, name string) xds.Identity {
	t.Helper()
	for _, id := range identities(spec) {
		if id.Name == name {
			return id
		}
	}
	t.Fatalf("no virtual node or gateway %s", name)
	return xds.Identity{}
}

// identities returns every identity of a spec.
func identities(spec *schema.Spec) []xds.Identity {
	var ids []xds.Identity
	for ref, r := range spec.All() {
		if ref.Kind == schema.KindVirtualNode || ref.Kind == schema.KindVirtualGateway {
			m := schema.MetaOf(r)
			ids = append(ids, xds.Identity{Mesh: m.Mesh, Kind: ref.Kind, Name: m.AWSName})
		}
	}
	return ids
}
