package translate

import (
	"net/netip"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	credentialv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	genericv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
)

// Names of a bootstrap's own cluster and secrets.
const (
	xdsCluster     = "xds"
	xdsToken       = "xds-token"
	xdsCertificate = "xds-certificate"
)

// staticResources is how an Envoy reaches the daemon: one cluster, kept alive
// so that a silent loss of the connection is noticed within a minute.
func staticResources(c BootstrapConfig) *bootstrapv3.Bootstrap_StaticResources {
	host, port, _ := splitHostPort(c.XDSAddress) // checked by Validate
	cluster := &clusterv3.Cluster{
		Name:                 xdsCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		DnsLookupFamily:      clusterv3.Cluster_V4_PREFERRED,
		ConnectTimeout:       durationpb.New(5 * time.Second),
		UpstreamConnectionOptions: &clusterv3.UpstreamConnectionOptions{TcpKeepalive: &corev3.TcpKeepalive{
			KeepaliveTime: wrapperspb.UInt32(30), KeepaliveInterval: wrapperspb.UInt32(5), KeepaliveProbes: wrapperspb.UInt32(3),
		}},
		LoadAssignment: loadAssignment(xdsCluster, address(host, port), nil),
	}
	if _, err := netip.ParseAddr(host); err == nil {
		cluster.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		cluster.DnsLookupFamily = 0
	}
	protocol := &httpv3.HttpProtocolOptions{UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
				// A ping each 30 s: the daemon takes them from 10 s on.
				ConnectionKeepalive: &corev3.KeepaliveSettings{Interval: durationpb.New(30 * time.Second), Timeout: durationpb.New(10 * time.Second)},
			}},
		},
	}}
	static := &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{cluster}}
	if c.TokenFile != "" {
		protocol.HttpFilters = tokenFilters()
		static.Secrets = []*tlsv3.Secret{{Name: xdsToken, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{Secret: file(c.TokenFile)}}}}
	}
	cluster.TypedExtensionProtocolOptions = map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(protocol)}
	if c.CAFile != "" {
		cluster.TransportSocket = xdsTLS(c, host)
	}
	if c.SDSSocket != "" {
		static.Clusters = append(static.Clusters, localSDS(c.SDSSocket))
	}
	return static
}

// localSDS is the machine's own SDS server, from which `sds` certificates of
// the spec come.
func localSDS(socket string) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                 localSDSCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       durationpb.New(time.Second),
		LoadAssignment:       loadAssignment(localSDSCluster, &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: socket}}}, nil),
	}
	speak(c, schema.ProtocolGRPC)
	return c
}

// tokenFilters put the token of the secret into the daemon's requests. (The
// initial_metadata of a gRPC service takes no file.)
func tokenFilters() []*hcmv3.HttpFilter {
	filter := func(name string, config *corev3.TypedExtensionConfig) *hcmv3.HttpFilter {
		return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config.TypedConfig}}
	}
	injector := &credentialv3.CredentialInjector{
		Overwrite: true,
		Credential: extension("envoy.http.injected_credentials.generic", &genericv3.Generic{
			Credential: &tlsv3.SdsSecretConfig{Name: xdsToken}, HeaderValuePrefix: "Bearer ",
		}),
	}
	return []*hcmv3.HttpFilter{
		filter("envoy.filters.http.credential_injector", extension("", injector)),
		filter("envoy.filters.http.upstream_codec", extension("", &codecv3.UpstreamCodec{})),
	}
}

// xdsTLS trusts the daemon's certificate if an authority of the CA file issued
// it for the host that is dialled.
func xdsTLS(c BootstrapConfig, host string) *corev3.TransportSocket {
	sni, san := host, tlsv3.SubjectAltNameMatcher_DNS
	if ip, err := netip.ParseAddr(host); err == nil {
		sni, host, san = "", ip.String(), tlsv3.SubjectAltNameMatcher_IP_ADDRESS
	}
	tls := &tlsv3.CommonTlsContext{
		AlpnProtocols: []string{"h2"},
		TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: file(c.CAFile),
			MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
				SanType: san, Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: host}},
			}},
		}},
	}
	switch {
	case c.SDSFile != "":
		tls.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{certificateFromSDS(c.SDSFile)}
	case c.CertFile != "":
		tls.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: file(c.CertFile), PrivateKey: file(c.KeyFile)}}
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(&tlsv3.UpstreamTlsContext{CommonTlsContext: tls, Sni: sni})},
	}
}

func file(name string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
}
