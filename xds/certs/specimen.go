package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Specimens are certificates for looking at, offline, what proxies would get:
// everything that has a source has one certificate, which anybody can make and
// nobody should trust. It is the same each time. No file but that of the settings
// is read.
func Specimens(s *Settings, spec *schema.Spec) (*xds.Certificates, error) {
	if s == nil {
		return nil, nil
	}
	own, err := specimen()
	if err != nil {
		return nil, fmt.Errorf("make a specimen: %w", err)
	}
	m := s.Mapping()
	c := &xds.Certificates{Mapping: m, Issued: map[xds.Holder]*xds.Certificate{}, Trusted: map[string]string{}}
	for h := range wanted(spec, m) {
		c.Issued[h] = own
	}
	for _, r := range m.Certificates {
		c.Trusted[r.Issuer] = own.Chain
		c.Issued[xds.Holder{Source: r.Source}] = own
	}
	for _, r := range m.Trusts {
		c.Trusted[r.Source] = own.Chain
	}
	return c, nil
}

func specimen() (*xds.Certificate, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte("a specimen, for nothing is secret"[:32]))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Specimen"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true, IsCA: true,
	}
	// Without a source of randomness the signature is that of RFC 6979.
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	private, err := encodeKey(key)
	return &xds.Certificate{Chain: encode(cert), Key: private}, err
}
