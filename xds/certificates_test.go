package xds_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/meshwright/meshwright/xds"
)

func TestMapping(t *testing.T) {
	const arn = "arn:aws:acm:eu-west-1:111122223333:certificate/a-1"
	m := &xds.Mapping{Certificates: []xds.Rule{
		{Pattern: arn, Source: "exact"},
		{Pattern: "arn:aws:acm:*:111122223333:*/b-*", Source: "two stars"},
		{Pattern: "arn:aws:acm:*", Source: "all"},
		{Pattern: string(xds.SDS("web*")), Source: "sds"},
	}}
	for name, want := range map[xds.SecretName]string{
		xds.ARN(arn): "exact",
		xds.ARN(strings.Replace(arn, "a-1", "b-2", 1)):                "two stars",
		xds.ARN(strings.Replace(arn, "111122223333:", "0:", 1)):       "all",
		xds.ARN("arn:aws:acm-pca:eu-west-1:1:certificate-authority/"): "",
		xds.SDS("web"):     "sds",
		xds.SDS("web-1"):   "sds",
		xds.SDS("the-web"): "",
		xds.ARN("web"):     "",
	} {
		got := ""
		if r := m.Certificate(name); r != nil {
			got = r.Source
		}
		if got != want {
			t.Errorf("%s has source %q, want %q", name, got, want)
		}
	}
	if (*xds.Mapping)(nil).Certificate(xds.ARN(arn)) != nil || m.Trust(xds.ARN(arn)) != nil {
		t.Error("a source came from nowhere")
	}
}

func TestCertificates(t *testing.T) {
	web, api := xds.Identity{Mesh: "shop", Kind: "VirtualNode", Name: "web"}, xds.Identity{Mesh: "shop", Kind: "VirtualNode", Name: "api"}
	own, shared := &xds.Certificate{Chain: "own"}, &xds.Certificate{Chain: "shared"}
	c := &xds.Certificates{
		Mapping: &xds.Mapping{
			Certificates: []xds.Rule{{Pattern: "arn:own", Source: "authority", Issuer: "authority"}, {Pattern: "arn:file", Source: "file"}},
			Trusts:       []xds.Rule{{Pattern: "arn:ca*", Source: "authority"}, {Pattern: "arn:new", Source: "later"}},
		},
		Issued:  map[xds.Holder]*xds.Certificate{{Source: "authority", Identity: web}: own, {Source: "file"}: shared},
		Trusted: map[string]string{"authority": "CA\n"},
	}
	if got := c.Certificate(web, "arn:own"); got != own {
		t.Errorf("web has %v", got)
	}
	if got := c.Certificate(api, "arn:own"); got != nil {
		t.Errorf("api has web's: %v", got)
	}
	if got := c.Certificate(api, "arn:file"); got != shared {
		t.Errorf("api has %v of the file", got)
	}
	if got := c.Trust("arn:ca1", "arn:new", "arn:other", "arn:ca2"); got != "CA\nCA\n" {
		t.Errorf("trust: %q", got)
	}
	if got := c.Issuer("arn:own") + c.Issuer("arn:file") + c.Issuer("arn:other"); got != "CA\n" {
		t.Errorf("issuers: %q", got)
	}
	var none *xds.Certificates
	if none.Certificate(web, "arn:own") != nil || none.Trust("arn:ca1") != "" || none.Issuer("arn:own") != "" {
		t.Error("nothing has something")
	}
}

// TestPrivateKey: no way of printing a value shows the key that is in it.
func TestPrivateKey(t *testing.T) {
	const secret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"
	type within struct{ own, Other xds.Certificate }
	c := xds.Certificate{Chain: "chain", Key: xds.NewPrivateKey(secret)}
	if c.Key.PEM() != secret {
		t.Error("the key is lost")
	}
	var out strings.Builder
	for _, v := range []any{c.Key, &c.Key, c, &c, within{c, c}, []any{c}, map[string]xds.PrivateKey{"k": c.Key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("message", "value", v)
		}
	}
	for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), strings.Trim(fmt.Sprint([]byte(secret)), "[]")} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the key is in it:\n%s", out.String())
		}
	}
}

// FuzzMapping: a pattern means what the regular expression of the same meaning
// does.
func FuzzMapping(f *testing.F) {
	f.Add("arn:aws:acm:*:1:*", "arn:aws:acm:eu:1:certificate/a")
	f.Add("a*a", "a")
	f.Add("*ab*ab", "abab")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		re, err := regexp.Compile(`(?s)\A` + strings.Join(parts, ".*") + `\z`)
		if err != nil || !utf8.ValidString(pattern+name) {
			return
		}
		m := &xds.Mapping{Certificates: []xds.Rule{{Pattern: pattern}}}
		if got, want := m.Certificate(xds.ARN(name)) != nil, re.MatchString(name); got != want {
			t.Errorf("%q takes %q: %v, want %v", pattern, name, got, want)
		}
	})
}
