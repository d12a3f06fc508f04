package xds

import (
	"fmt"
	"io"
	"strings"
)

// SecretName is how a spec names a certificate, or authorities, that are not
// on the proxy's disk: an ARN of AWS Certificate Manager, or a secret of SDS.
type SecretName string

// ARN is the name of what an ARN of AWS Certificate Manager means.
func ARN(arn string) SecretName { return SecretName(arn) }

// SDS is the name of a secret of SDS.
func SDS(secret string) SecretName { return SecretName("sds:" + secret) }

// String is the name as people know it.
func (n SecretName) String() string {
	if secret, ok := strings.CutPrefix(string(n), "sds:"); ok {
		return "the SDS secret " + secret
	}
	return string(n)
}

// Certificate is a chain with its private key. It is never changed once made.
type Certificate struct {
	Chain string // PEM, the holder's own certificate first
	Key   PrivateKey
}

// PrivateKey is a key, in PEM, that does not print itself: not under any verb,
// not in JSON, not in logs. (It is behind a pointer because fmt reads past the
// methods of values in unexported fields.)
type PrivateKey struct{ pem *string }

const redacted = "[redacted]"

// NewPrivateKey takes a key in PEM.
func NewPrivateKey(pem string) PrivateKey { return PrivateKey{&pem} }

// PEM is the key itself, for whoever it is issued to.
func (k PrivateKey) PEM() string {
	if k.pem == nil {
		return ""
	}
	return *k.pem
}

// String is no part of the key.
func (k PrivateKey) String() string { return redacted }

// Format writes no part of the key, under any verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText writes no part of the key.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Mapping says which names of specs this control plane has a source for. Of
// several rules that a name matches, the first holds. A nil mapping has none.
type Mapping struct{ Certificates, Trusts []Rule }

// Rule gives a source to the names that a pattern matches; * in it stands for
// any characters, also none. Sources are keys of [Certificates].
type Rule struct {
	Pattern string
	Source  string
	// Issuer is, of a certificate, the trust that it is checked against by
	// clients without a policy; empty: they take any.
	Issuer string
}

// Certificate returns the rule of a certificate; nil if it has no source.
func (m *Mapping) Certificate(name SecretName) *Rule {
	if m == nil {
		return nil
	}
	return first(m.Certificates, name)
}

// Trust returns the rule of authorities; nil if they have no source.
func (m *Mapping) Trust(name SecretName) *Rule {
	if m == nil {
		return nil
	}
	return first(m.Trusts, name)
}

func first(rules []Rule, name SecretName) *Rule {
	for i := range rules {
		if rules[i].matches(string(name)) {
			return &rules[i]
		}
	}
	return nil
}

func (r *Rule) matches(name string) bool {
	parts := strings.Split(r.Pattern, "*")
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}

// Certificates are what stands for the names of specs now. They are an
// immutable value: what is renewed is in the next one. Nil has nothing.
type Certificates struct {
	Mapping *Mapping
	// Issued holds what each source has for each identity; for what is the same
	// for all of them, under no identity.
	Issued map[Holder]*Certificate
	// Trusted holds, by source, authorities in PEM.
	Trusted map[string]string
}

// Holder is who has a certificate, and from where.
type Holder struct {
	Source   string
	Identity Identity
}

// Rules returns the mapping, also of nil.
func (c *Certificates) Rules() *Mapping {
	if c == nil {
		return nil
	}
	return c.Mapping
}

// Certificate returns what an identity has under a name; nil if that has no
// source, or its source nothing yet.
func (c *Certificates) Certificate(id Identity, name SecretName) *Certificate {
	rule := c.Rules().Certificate(name)
	if rule == nil {
		return nil
	}
	if own := c.Issued[Holder{rule.Source, id}]; own != nil {
		return own
	}
	return c.Issued[Holder{Source: rule.Source}]
}

// Trust returns the authorities under some names, in PEM, as far as there are
// any.
func (c *Certificates) Trust(names ...SecretName) string {
	var all []string
	for _, name := range names {
		if rule := c.Rules().Trust(name); rule != nil {
			all = append(all, c.Trusted[rule.Source])
		}
	}
	return strings.Join(all, "")
}

// Issuer returns the authorities that a certificate is checked against by
// clients without a policy, in PEM.
func (c *Certificates) Issuer(name SecretName) string {
	if rule := c.Rules().Certificate(name); rule != nil {
		return c.Trusted[rule.Issuer]
	}
	return ""
}
