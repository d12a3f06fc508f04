package translate

import (
	"net/netip"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// secured puts a listener's filters behind TLS, as its mode says. PERMISSIVE
// takes TLS and plain, told apart by the TLS inspector. A certificate that
// cannot be had is never a reason to take plain where STRICT was asked for:
// then nothing is taken.
func (b *builder) secured(p schema.PortMapping, t *schema.ListenerTLS, filters []*listenerv3.Filter) []*listenerv3.FilterChain {
	if len(filters) == 0 {
		return nil
	}
	plain := &listenerv3.FilterChain{Filters: filters}
	if t == nil || t.Mode == "DISABLED" {
		return []*listenerv3.FilterChain{plain}
	}
	socket := b.serverTLS(p.Protocol, t)
	if socket == nil {
		b.notice("Port %d takes no TLS: what it needs for that cannot be had.", p.Port)
	}
	secure := &listenerv3.FilterChain{Filters: filters, TransportSocket: socket}
	switch {
	case t.Mode == "PERMISSIVE" && socket == nil:
		return []*listenerv3.FilterChain{plain}
	case socket == nil:
		return nil
	case t.Mode != "PERMISSIVE":
		return []*listenerv3.FilterChain{secure}
	}
	if p.Protocol == schema.ProtocolTCP {
		b.notice("Port %d: TLS is PERMISSIVE, so that the proxy waits for the client to speak; a plain connection to a server that speaks first is held up for a second.", p.Port)
	}
	secure.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
	plain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "raw_buffer"}
	return []*listenerv3.FilterChain{secure, plain}
}

const tlsInspectorName = "envoy.filters.listener.tls_inspector"

// inspectionLimit is how long a permissive port waits for a client to show
// whether it speaks TLS; then it is taken as plain. (Envoy would wait for 15 s
// and close the connection, when the server is to speak first or the client's
// first words are shorter than the five bytes that tell TLS.)
const inspectionLimit = time.Second

// tlsInspector tells TLS from plain on permissive ports only: elsewhere a
// server may be the first to speak.
func tlsInspector(others []uint32) *listenerv3.ListenerFilter {
	f := listenerFilter(tlsInspectorName, &tlsinspectorv3.TlsInspector{})
	f.FilterDisabled = onPorts(others)
	return f
}

func permissive(t *schema.ListenerTLS) bool { return t != nil && t.Mode == "PERMISSIVE" }

// serverTLS ends TLS at a listener; nil where its certificate, or what those of
// clients are to be checked against, cannot be had. A validation makes it
// mutual.
func (b *builder) serverTLS(p schema.Protocol, t *schema.ListenerTLS) *corev3.TransportSocket {
	c := t.Certificate
	certificate := b.certificate(c.ACM, c.File, c.SDS)
	if certificate == nowhere {
		return nil
	}
	tls := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		AlpnProtocols:                  alpn(p),
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{certificate.config()},
	}}
	if t.Validation != nil {
		trust := b.trust(t.Validation.Trust)
		if trust == nowhere {
			return nil
		}
		tls.RequireClientCertificate = wrapperspb.Bool(true)
		setValidation(tls.CommonTlsContext, trust, namesOf(t.Validation, ""))
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(tls)},
	}
}

// speaksTLS reports whether a client uses TLS towards an upstream: an enforced
// policy says so; otherwise the server's mode decides.
func (u upstream) speaksTLS() bool {
	if u.tls != nil && (u.tls.Enforce == nil || *u.tls.Enforce) {
		return true
	}
	t := u.listener.TLS
	return t != nil && (t.Mode == "STRICT" || t.Mode == "PERMISSIVE")
}

// upstream is a target as the proxy speaks to it, with the secrets it needs.
func (b *builder) upstream(link schema.BackendLink, t target) upstream {
	u := upstream{node: t.node, listener: t.listener, tls: policyFor(link.Policy, t.listener.PortMapping.Port), lb: b.balancing(t), eds: b.byEDS(t.node), limits: b.door.limits}
	if !u.speaksTLS() {
		return u
	}
	if u.tls == nil {
		// App Mesh checked certificates of ACM also without a policy.
		if acm := u.listener.TLS.Certificate.ACM; acm != nil {
			u.trust, u.barred = b.issuer(xds.ARN(acm.CertificateARN))
		}
	} else {
		u.trust = b.trust(u.tls.Validation.Trust)
		u.barred = u.trust == nowhere
		if c := u.tls.Certificate; c != nil {
			u.certificate = b.certificate(nil, c.File, c.SDS)
			u.barred = u.barred || u.certificate == nowhere
		}
	}
	if u.barred {
		b.notice("Virtual node %s is not reached: what TLS to it needs cannot be had.", t.node.AWSName)
	}
	return u
}

// clientTLS is how a client speaks to an upstream; nil: plain. Without a
// policy it takes any certificate, but for those that are from ACM, whose
// authority it knows. With one and without names in it, the certificate must
// hold the name that service discovery knows the server by.
func clientTLS(u upstream) *corev3.TransportSocket {
	if !u.speaksTLS() {
		return nil
	}
	common := &tlsv3.CommonTlsContext{AlpnProtocols: alpn(u.listener.PortMapping.Protocol)}
	hostname := u.node.DiscoveryName()
	tls := &tlsv3.UpstreamTlsContext{CommonTlsContext: common}
	if _, err := netip.ParseAddr(hostname); err != nil && len(hostname) <= 255 { // no DNS name is longer, names in Cloud Map may be
		tls.Sni = hostname
	}
	if u.certificate != nowhere {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{u.certificate.config()}
	}
	if u.trust != nowhere {
		var names []string
		if u.tls != nil {
			names = namesOf(&u.tls.Validation, hostname)
		}
		setValidation(common, u.trust, names)
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(tls)},
	}
}

// namesOf are the names of which a peer's certificate must hold one: those
// written, else the given one, else any.
func namesOf(v *schema.Validation, name string) []string {
	switch {
	case v.SubjectAlternativeNames != nil:
		return v.SubjectAlternativeNames.Match.Exact
	case name != "":
		return []string{name}
	}
	return nil
}

// setValidation makes the peer's certificate checked against a trust, and
// against names.
func setValidation(c *tlsv3.CommonTlsContext, trust secretSource, names []string) {
	match := &tlsv3.CertificateValidationContext{}
	for _, n := range names {
		if n == "*" {
			match.MatchTypedSubjectAltNames = nil
			break
		}
		match.MatchTypedSubjectAltNames = append(match.MatchTypedSubjectAltNames, subjectAltName(n))
	}
	c.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext:         match,
			ValidationContextSdsSecretConfig: trust.config(),
		},
	}
}

// subjectAltName matches a URI (spiffe://…), an IP address, or a DNS name,
// which may start with a wildcard.
func subjectAltName(name string) *tlsv3.SubjectAltNameMatcher {
	m := &tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_DNS, Matcher: exact(name)}
	if strings.Contains(name, "://") {
		m.SanType = tlsv3.SubjectAltNameMatcher_URI
	} else if _, err := netip.ParseAddr(name); err == nil {
		m.SanType = tlsv3.SubjectAltNameMatcher_IP_ADDRESS
	} else if suffix, ok := strings.CutPrefix(name, "*"); ok {
		m.Matcher = &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: suffix}}
	}
	return m
}

// alpn is what the ends of a connection agree to speak.
func alpn(p schema.Protocol) []string {
	switch p {
	case schema.ProtocolHTTP:
		return []string{"http/1.1"}
	case schema.ProtocolTCP:
		return nil
	default:
		return []string{"h2"}
	}
}
