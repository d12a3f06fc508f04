package translate

import (
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
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
		b.notice("Port %d: its certificate comes from AWS Certificate Manager, which nothing stands in for yet, so that no TLS is taken there; use a file or sds.", p.Port)
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
		b.notice("Port %d: TLS is PERMISSIVE, so that the proxy waits for the client to speak; a plain connection to a server that speaks first is held up.", p.Port)
	}
	secure.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
	plain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "raw_buffer"}
	return []*listenerv3.FilterChain{secure, plain}
}

// tlsInspector tells TLS from plain on permissive ports only: elsewhere a
// server may be the first to speak.
func tlsInspector(others []uint32) *listenerv3.ListenerFilter {
	f := listenerFilter("envoy.filters.listener.tls_inspector", &tlsinspectorv3.TlsInspector{})
	f.FilterDisabled = onPorts(others)
	return f
}

func permissive(t *schema.ListenerTLS) bool { return t != nil && t.Mode == "PERMISSIVE" }

// serverTLS ends TLS at a listener; nil without a certificate. A validation
// makes it mutual.
func (b *builder) serverTLS(p schema.Protocol, t *schema.ListenerTLS) *corev3.TransportSocket {
	c := t.Certificate
	certificate := certificateSource(c.File, c.SDS)
	if certificate == nil {
		return nil
	}
	b.addCertificate(c.File)
	tls := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		AlpnProtocols:                  alpn(p),
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{certificate},
	}}
	if t.Validation != nil {
		b.addTrust(t.Validation.Trust)
		tls.RequireClientCertificate = wrapperspb.Bool(true)
		setValidation(tls.CommonTlsContext, t.Validation, "")
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

// untrusted reports whether the client has to check a certificate and has
// nothing to check it with.
func (u upstream) untrusted() bool {
	return u.tls != nil && u.speaksTLS() && trustSource(u.tls.Validation.Trust) == nil
}

// clientTLS is how a client speaks to an upstream; nil: plain. Without a
// policy it takes any certificate, as App Mesh did for those that are not from
// ACM. With one and without names in it, the certificate must hold the name
// that service discovery knows the server by.
func clientTLS(u upstream) *corev3.TransportSocket {
	if !u.speaksTLS() {
		return nil
	}
	tls := &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{AlpnProtocols: alpn(u.listener.PortMapping.Protocol)}}
	hostname := discoveryName(u.node)
	if _, err := netip.ParseAddr(hostname); err != nil {
		tls.Sni = hostname
	}
	if u.tls != nil {
		if c := u.tls.Certificate; c != nil {
			if source := certificateSource(c.File, c.SDS); source != nil {
				tls.CommonTlsContext.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{source}
			}
		}
		setValidation(tls.CommonTlsContext, &u.tls.Validation, hostname)
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(tls)},
	}
}

// addClientSecrets adds what clientTLS refers to.
func (b *builder) addClientSecrets(u upstream) {
	if u.tls == nil || !u.speaksTLS() {
		return
	}
	if u.tls.Certificate != nil {
		b.addCertificate(u.tls.Certificate.File)
	}
	b.addTrust(u.tls.Validation.Trust)
}

// setValidation makes the peer's certificate checked against a trust, and
// against its names: those written, else the given one, else any.
func setValidation(c *tlsv3.CommonTlsContext, v *schema.Validation, name string) {
	source := trustSource(v.Trust)
	if source == nil {
		return
	}
	var names []string
	if name != "" {
		names = []string{name}
	}
	if v.SubjectAlternativeNames != nil {
		names = v.SubjectAlternativeNames.Match.Exact
	}
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
			ValidationContextSdsSecretConfig: source,
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
