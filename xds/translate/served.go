package translate

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshwright/meshwright/xds"
)

// need is a secret that a proxy gets from this control plane's certificates.
// When those are renewed, it is all of the proxy that is made anew.
type need struct {
	secret string // its name on the wire
	of     func(*xds.Certificates) material
}

// material is what a secret is made from; the zero value: there is none.
type material struct {
	certificate xds.Certificate
	authorities string // PEM
}

// ownCertificate adds a certificate that this control plane has for the
// proxy's identity.
func (b *builder) ownCertificate(name xds.SecretName) secretSource {
	id := b.Identity
	if b.Certificates.Rules().Certificate(name) == nil {
		b.unmapped(name)
	}
	return b.own(need{ownCertificateName(name), func(c *xds.Certificates) material {
		if own := c.Certificate(id, name); own != nil {
			return material{certificate: *own}
		}
		return material{}
	}})
}

// ownTrust adds authorities that this control plane has. Those of some names
// are better than none: the fewer, the fewer are trusted.
func (b *builder) ownTrust(names ...xds.SecretName) secretSource {
	for _, n := range names {
		if b.Certificates.Rules().Trust(n) == nil {
			b.unmapped(n)
		}
	}
	return b.own(need{ownTrustName(names), func(c *xds.Certificates) material {
		return material{authorities: c.Trust(names...)}
	}})
}

// issuer adds the authorities that a server's certificate is checked against
// without a policy: nowhere, and not barred, where the settings name none.
func (b *builder) issuer(name xds.SecretName) (_ secretSource, barred bool) {
	if rule := b.Certificates.Rules().Certificate(name); rule == nil || rule.Issuer == "" {
		return nowhere, false
	}
	s := b.own(need{issuerName(name), func(c *xds.Certificates) material {
		return material{authorities: c.Issuer(name)}
	}})
	return s, s == nowhere
}

// own adds a secret, as far as there is something to make it from. Either way
// the proxy depends on that.
func (b *builder) own(n need) secretSource {
	if !slices.ContainsFunc(b.needs, func(o need) bool { return o.secret == n.secret }) {
		b.needs = append(b.needs, n)
	}
	m := n.of(b.Certificates)
	if m == (material{}) {
		return nowhere
	}
	if !b.has(xds.Secret, n.secret) {
		b.add(xds.Secret, n.secret, m.message(n.secret))
	}
	return secretSource{name: n.secret}
}

func (b *builder) unmapped(name xds.SecretName) {
	b.notice("Nothing stands in for %s: give it a source in the daemon's certificate settings (--certificates).", name)
}

// message is the material as Envoy takes it.
func (m material) message(name string) *tlsv3.Secret {
	inline := func(pem string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: pem}}
	}
	s := &tlsv3.Secret{Name: name}
	if m.authorities != "" {
		s.Type = &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline(m.authorities)}}
		return s
	}
	s.Type = &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: inline(m.certificate.Chain),
		PrivateKey:       inline(m.certificate.Key.PEM()),
	}}
	return s
}

// renewed is a product with the secrets of other certificates in the place of
// those it was made with; false where it takes more than that, for something
// came or went.
func (p product) renewed(from, to *xds.Certificates, shared *memo) (product, bool) {
	var res *xds.Resources
	for _, n := range p.needs {
		old, now := n.of(from), n.of(to)
		if old == now {
			continue
		}
		if (old == material{}) || (now == material{}) {
			return product{}, false
		}
		r, err := shared.made(xds.Secret, n.secret, now.message(n.secret))
		if err != nil {
			return product{}, false // the build will say so
		}
		if res == nil {
			res = new(*p.res)
			res[xds.Secret] = slices.Clone(res[xds.Secret])
		}
		i := slices.IndexFunc(res[xds.Secret], func(o *xds.Resource) bool { return o.Name == n.secret })
		res[xds.Secret][i] = r
	}
	if res != nil {
		p.res = res
	}
	return p, true
}
