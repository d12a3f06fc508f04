package certs

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/xds"
)

func TestSettings(t *testing.T) {
	s, err := ParseSettings([]byte(`
authorities:
  mesh: {builtin: true, lifetime: 3h, trustDomain: shop.example}
  corp: {file: {chain: ca.crt, key: /etc/ca.key}}
certificates:
- arn: arn:aws:acm:eu-west-1:1:certificate/public
  certificate: {file: {chain: public.crt, key: public.key}}
  trust: {file: public-ca.crt}
- arn: arn:aws:acm:*
  certificate: {authority: mesh}
- sds: spiffe://shop/*
  certificate: {authority: corp}
trusts:
- arn: arn:aws:acm-pca:*
  trust: {authority: mesh}
`))
	if err != nil {
		t.Fatal(err)
	}
	s.within("/conf")
	for name, want := range map[string]AuthoritySettings{
		"mesh": {Builtin: true, TrustDomain: "shop.example", Lifetime: 3 * time.Hour, RenewAfter: 2 * time.Hour, RootLifetime: 87600 * time.Hour},
		"corp": {File: &CertFile{"/conf/ca.crt", "/etc/ca.key"}, TrustDomain: "corp", Lifetime: 24 * time.Hour, RenewAfter: 16 * time.Hour, RootLifetime: 87600 * time.Hour},
	} {
		if diff := cmp.Diff(want, s.Authorities[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	want := &xds.Mapping{
		Certificates: []xds.Rule{
			{Pattern: "arn:aws:acm:eu-west-1:1:certificate/public", Source: "file /conf/public.crt /conf/public.key", Issuer: "file /conf/public-ca.crt"},
			{Pattern: "arn:aws:acm:*", Source: "authority mesh", Issuer: "authority mesh"},
			{Pattern: "sds:spiffe://shop/*", Source: "authority corp", Issuer: "authority corp"},
		},
		Trusts: []xds.Rule{{Pattern: "arn:aws:acm-pca:*", Source: "authority mesh"}},
	}
	if diff := cmp.Diff(want, s.Mapping()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if (*Settings)(nil).Mapping() != nil {
		t.Error("no settings map something")
	}
}

func TestSettingsMistakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown_key":       {"authority: {}", "authority not found"},
		"no_kind":           {"authorities: {mesh: {lifetime: 1h}}", "authorities.mesh: write builtin: true, or file:"},
		"both_kinds":        {"authorities: {mesh: {builtin: true, file: {chain: a, key: b}}}", "authorities.mesh: write builtin: true, or file:"},
		"name_with_path":    {`authorities: {"../mesh": {builtin: true}}`, "authorities.../mesh: write lower case"},
		"trust_domain":      {"authorities: {mesh: {builtin: true, trustDomain: Shop/x}}", `trustDomain: "Shop/x" is no trust domain`},
		"renewed_too_late":  {"authorities: {mesh: {builtin: true, lifetime: 1h, renewAfter: 1h}}", "renewAfter 1h0m0s"},
		"root_too_short":    {"authorities: {mesh: {builtin: true, lifetime: 24h, rootLifetime: 72h}}", "rootLifetime: 72h0m0s is less than four times"},
		"key_missing":       {"authorities: {mesh: {file: {chain: a}}}", "authorities.mesh.file: write chain and key"},
		"no_names":          {"certificates: [{certificate: {file: {chain: a, key: b}}}]", "certificates[0]: write one of arn, sds"},
		"no_source":         {"certificates: [{arn: a}]", "certificates[0].certificate: write one of file, authority"},
		"no_such_authority": {"trusts: [{arn: a, trust: {authority: corp}}]", "trusts[0].trust.authority: no authority corp"},
		"trust_of_both":     {"authorities: {mesh: {builtin: true}}\ntrusts: [{sds: a, trust: {file: f, authority: mesh}}]", "trusts[0].trust: write one of file, authority"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSettings([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if _, err := ReadSettings(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("a file that is not there was read")
	}
}
