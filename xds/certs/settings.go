package certs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/xds"
)

// Settings say what stands for which names; docs/certificates.md is their
// manual.
type Settings struct {
	Authorities  map[string]AuthoritySettings `yaml:"authorities"`
	Certificates []CertificateSettings        `yaml:"certificates"`
	Trusts       []TrustSettings              `yaml:"trusts"`
}

// AuthoritySettings are of an authority that issues certificates: built in, or
// with a certificate and key of one's own.
type AuthoritySettings struct {
	Builtin bool      `yaml:"builtin"`
	File    *CertFile `yaml:"file"`

	// TrustDomain of the SPIFFE IDs; default: the authority's name.
	TrustDomain string `yaml:"trustDomain"`
	// Lifetime of what is issued; default 24 h.
	Lifetime time.Duration `yaml:"lifetime"`
	// RenewAfter is the age at which it is renewed; default: two thirds of the
	// lifetime.
	RenewAfter time.Duration `yaml:"renewAfter"`
	// RootLifetime of a built-in authority's own certificate; default 10 years.
	RootLifetime time.Duration `yaml:"rootLifetime"`
}

// CertFile is a certificate and its key on disk, in PEM.
type CertFile struct {
	Chain string `yaml:"chain"`
	Key   string `yaml:"key"`
}

// Names are those that a rule is about: a pattern, with * for any characters.
type Names struct {
	ARN string `yaml:"arn"`
	SDS string `yaml:"sds"`
}

// CertificateSettings give certificates a source.
type CertificateSettings struct {
	Names       `yaml:",inline"`
	Certificate struct {
		File      *CertFile `yaml:"file"`
		Authority string    `yaml:"authority"`
	} `yaml:"certificate"`
	// Trust is what clients without a policy check the certificate against;
	// default: the authority that issues it, or for a file nothing.
	Trust *TrustSource `yaml:"trust"`
}

// TrustSettings give authorities a source.
type TrustSettings struct {
	Names `yaml:",inline"`
	Trust TrustSource `yaml:"trust"`
}

// TrustSource is a file of certificates in PEM, or an authority.
type TrustSource struct {
	File      string `yaml:"file"`
	Authority string `yaml:"authority"`
}

// ReadSettings reads a file of settings. Names of files in it are relative to
// its folder.
func ReadSettings(file string) (*Settings, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := ParseSettings(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s.within(filepath.Dir(file))
	return s, nil
}

// ParseSettings reads settings and reports all that is wrong with them.
func ParseSettings(data []byte) (*Settings, error) {
	s := &Settings{}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for name, a := range s.Authorities {
		a.TrustDomain = cmp.Or(a.TrustDomain, name)
		a.Lifetime = cmp.Or(a.Lifetime, 24*time.Hour)
		a.RenewAfter = cmp.Or(a.RenewAfter, a.Lifetime*2/3)
		a.RootLifetime = cmp.Or(a.RootLifetime, 10*365*24*time.Hour)
		s.Authorities[name] = a
	}
	return s, s.validate()
}

// validName of an authority and of a trust domain: both go into names of files
// or URIs.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)

func (s *Settings) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	pair := func(at string, f *CertFile) {
		if f != nil && (f.Chain == "" || f.Key == "") {
			wrong("%s: write chain and key", at)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Authorities)) {
		a, at := s.Authorities[name], "authorities."+name
		switch {
		case !validName.MatchString(name):
			wrong("%s: write lower case letters, digits, - and .", at)
		case a.Builtin == (a.File != nil):
			wrong("%s: write builtin: true, or file: with its certificate and key", at)
		case !validName.MatchString(a.TrustDomain):
			wrong("%s.trustDomain: %q is no trust domain of SPIFFE; write lower case letters, digits, - and .", at, a.TrustDomain)
		case a.Lifetime < time.Second || a.RenewAfter <= 0 || a.RenewAfter >= a.Lifetime:
			wrong("%s: lifetime %v, renewAfter %v: the lifetime must be at least 1s, and renewAfter less", at, a.Lifetime, a.RenewAfter)
		case a.Builtin && a.RootLifetime < 4*a.Lifetime:
			wrong("%s.rootLifetime: %v is less than four times the lifetime of %v", at, a.RootLifetime, a.Lifetime)
		}
		pair(at+".file", a.File)
	}
	authority := func(at, name string) {
		if _, ok := s.Authorities[name]; name != "" && !ok {
			wrong("%s.authority: no authority %s; define it under authorities", at, name)
		}
	}
	trust := func(at string, t TrustSource) {
		authority(at, t.Authority)
		if (t.File == "") == (t.Authority == "") {
			wrong("%s: write one of file, authority", at)
		}
	}
	for i := range s.Certificates {
		c, at := &s.Certificates[i], fmt.Sprintf("certificates[%d]", i)
		c.Names.validate(at, wrong)
		authority(at+".certificate", c.Certificate.Authority)
		if (c.Certificate.File == nil) == (c.Certificate.Authority == "") {
			wrong("%s.certificate: write one of file, authority", at)
		}
		pair(at+".certificate.file", c.Certificate.File)
		if c.Trust != nil {
			trust(at+".trust", *c.Trust)
		}
	}
	for i, t := range s.Trusts {
		at := fmt.Sprintf("trusts[%d]", i)
		t.Names.validate(at, wrong)
		trust(at+".trust", t.Trust)
	}
	return errors.Join(errs...)
}

func (n Names) validate(at string, wrong func(string, ...any)) {
	if (n.ARN == "") == (n.SDS == "") {
		wrong("%s: write one of arn, sds", at)
	}
}

func (n Names) pattern() string {
	if n.SDS != "" {
		return string(xds.SDS(n.SDS))
	}
	return string(xds.ARN(n.ARN))
}

// within makes names of files relative to a folder.
func (s *Settings) within(dir string) {
	move := func(name *string) {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
	pair := func(f *CertFile) {
		if f != nil {
			move(&f.Chain)
			move(&f.Key)
		}
	}
	for _, a := range s.Authorities {
		pair(a.File)
	}
	for i := range s.Certificates {
		c := &s.Certificates[i]
		pair(c.Certificate.File)
		if c.Trust != nil {
			move(&c.Trust.File)
		}
	}
	for i := range s.Trusts {
		move(&s.Trusts[i].Trust.File)
	}
}

// The sources, as keys of [xds.Certificates].
func authoritySource(name string) string { return "authority " + name }
func (f *CertFile) source() string       { return "file " + f.Chain + " " + f.Key }

func (t TrustSource) source() string {
	if t.Authority != "" {
		return authoritySource(t.Authority)
	}
	return "file " + t.File
}

// Mapping is what the translator has to know of the settings: which names have
// a source. That of nil is nil.
func (s *Settings) Mapping() *xds.Mapping {
	if s == nil {
		return nil
	}
	m := &xds.Mapping{}
	for _, c := range s.Certificates {
		r := xds.Rule{Pattern: c.Names.pattern()}
		if f := c.Certificate.File; f != nil {
			r.Source = f.source()
		} else {
			r.Source = authoritySource(c.Certificate.Authority)
			r.Issuer = r.Source
		}
		if c.Trust != nil {
			r.Issuer = c.Trust.source()
		}
		m.Certificates = append(m.Certificates, r)
	}
	for _, t := range s.Trusts {
		m.Trusts = append(m.Trusts, xds.Rule{Pattern: t.Names.pattern(), Source: t.Trust.source()})
	}
	return m
}
