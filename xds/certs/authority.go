package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.step.sm/crypto/x509util"

	"github.com/meshwright/meshwright/xds"
)

// skew is how far a proxy's clock may be behind ours: what is made is valid
// from that much before.
const skew = time.Minute

// authority issues certificates. Its signers overlap, so that nobody is shown
// a certificate of one that he does not know yet: a new signer is trusted at
// once, and signs when it is of age.
type authority struct {
	AuthoritySettings
	name    string
	signers []*signer // all that are trusted, oldest first
}

// signer is an authority's certificate and its key.
type signer struct {
	chain []*x509.Certificate // its own first, then those above it
	key   crypto.Signer
	ofAge time.Time // it signs from then on, if there is another
	above string    // PEM of what goes with what it signs: its chain but for a root
}

func newSigner(chain []*x509.Certificate, key crypto.Signer, ofAge time.Time) *signer {
	s := &signer{chain: chain, key: key, ofAge: ofAge}
	for _, c := range chain {
		if c.CheckSignatureFrom(c) != nil {
			s.above += encode(c)
		}
	}
	return s
}

func (s *signer) cert() *x509.Certificate { return s.chain[0] }

// leaf is an issued certificate.
type leaf struct {
	*xds.Certificate
	names   []string
	renewAt time.Time
	ends    time.Time
}

// signing is the newest signer of age, else the oldest; nil without one that
// is valid.
func (a *authority) signing(now time.Time) *signer {
	var by *signer
	for _, s := range a.signers {
		if now.Before(s.cert().NotAfter) && (by == nil || !now.Before(s.ofAge)) {
			by = s
		}
	}
	return by
}

// trust is the certificates of all signers that are valid, in PEM.
func (a *authority) trust(now time.Time) string {
	var all []string
	for _, s := range slices.Backward(a.signers) {
		if !now.Before(s.cert().NotAfter) {
			continue
		}
		if text := encode(s.chain...); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, "")
}

// issue makes a certificate for an identity, which is its SPIFFE ID, and names
// that others know it by. It does for both ends of a connection.
func (a *authority) issue(id xds.Identity, names []string, now time.Time) (*leaf, error) {
	by := a.signing(now)
	if by == nil {
		return nil, errors.New("there is no valid certificate to sign with")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	dns, ips, _, _ := x509util.SplitSANs(names)
	l := &leaf{names: names, renewAt: now.Add(a.RenewAfter), ends: now.Add(a.Lifetime)}
	if end := by.cert().NotAfter; l.ends.After(end) {
		l.ends = end
		l.renewAt = now.Add(min(a.RenewAfter, end.Sub(now)*2/3))
	}
	cert, err := x509util.CreateCertificate(&x509.Certificate{
		NotBefore: now.Add(-skew), NotAfter: l.ends,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    dns, IPAddresses: ips,
		URIs: []*url.URL{{Scheme: "spiffe", Host: a.TrustDomain, Path: "/" + id.String()}},
	}, by.cert(), key.Public(), by.key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	l.Certificate = &xds.Certificate{Chain: encode(cert) + by.above, Key: private}
	return l, nil
}

// newRoot makes a certificate for a built-in authority itself.
func newRoot(name string, lifetime time.Duration, now time.Time) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: []string{"Meshwright"}},
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	cert, err := x509util.CreateCertificate(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return rootSigner(cert, key), nil
}

// rootSigner is a built-in authority's signer: of age after a twelfth of its
// life, when all proxies have long heard of it.
func rootSigner(cert *x509.Certificate, key crypto.Signer) *signer {
	made, life := lifeOf(cert)
	return newSigner([]*x509.Certificate{cert}, key, made.Add(life/12))
}

func lifeOf(c *x509.Certificate) (made time.Time, life time.Duration) {
	made = c.NotBefore.Add(skew)
	return made, c.NotAfter.Sub(made)
}

// successionDue is when a built-in authority needs a new root: when the newest
// has passed two thirds of its life. The zero time: now.
func (a *authority) successionDue() time.Time {
	if len(a.signers) == 0 {
		return time.Time{}
	}
	made, life := lifeOf(a.signers[len(a.signers)-1].cert())
	return made.Add(life * 2 / 3)
}

func encode(certs ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Builder takes all
	}
	return b.String()
}

func encodeKey(key crypto.Signer) (xds.PrivateKey, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return xds.PrivateKey{}, fmt.Errorf("write a key: %w", err)
	}
	return xds.NewPrivateKey(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), nil
}
