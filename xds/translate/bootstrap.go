package translate

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// BootstrapConfig says how a proxy starts: who it is, and how it reaches the
// daemon. Files are named, never read: they are the proxy's. An Envoy reads them
// when it starts; with SDSFile it takes a renewed certificate by itself, as a
// gRPC client does.
type BootstrapConfig struct {
	Identity xds.Identity
	NodeID   string // the proxy's own name among those of its identity; empty: the identity
	Capture  xds.Capture

	XDSAddress  string // HOST:PORT of the daemon
	SOTW        bool   // state-of-the-world xDS instead of delta
	WholeRoutes bool   // over delta too, the routes to all backends of a port are one resource

	AdminAddress netip.AddrPort   // of Envoy's admin interface; zero: 127.0.0.1:9901
	DNSResolvers []netip.AddrPort // none: the machine's
	AllStats     bool             // also the metrics that say nothing more than others
	NoReports    bool             // the daemon is not told of traffic and health

	// ReportInterval is how often it is told; 0 is [xds.ReportInterval], which is
	// the most.
	ReportInterval time.Duration

	SDSSocket string // of the SDS server on the proxy's machine, for `sds` certificates; empty: there is none

	CAFile            string // trusted for the daemon's certificate; empty: no TLS
	CertFile, KeyFile string // the proxy's own certificate; needs CAFile
	TokenFile         string // holds the bearer token to show to the daemon
	SDSFile           string // holds [CertificateSDS]; empty: the certificate is read once
}

// Validate names the field that is wrong, and what to write.
func (c BootstrapConfig) Validate() error {
	_, port, err := splitHostPort(c.XDSAddress)
	switch {
	case err != nil || port == 0:
		return fmt.Errorf("xds address %q: write HOST:PORT", c.XDSAddress)
	case c.ReportInterval != 0 && (c.ReportInterval < leastReportInterval || c.ReportInterval > xds.ReportInterval):
		return fmt.Errorf("report interval %v is out of range (%v to %v)", c.ReportInterval, leastReportInterval, xds.ReportInterval)
	case (c.CertFile == "") != (c.KeyFile == ""):
		return fmt.Errorf("xds certificate and key belong together: name both files or neither")
	case c.SDSFile != "" && c.CertFile == "":
		return fmt.Errorf("xds sds file %s: there is no certificate to take from it; name one (xds-cert)", c.SDSFile)
	case c.CertFile != "" && c.CAFile == "":
		return fmt.Errorf("xds certificate %s: name the authorities of the daemon's certificate too (xds-ca)", c.CertFile)
	}
	return nil
}

// profile is what the proxy is sent by. A gateway's routes are whole: they are
// told apart by paths more than by names.
func (c BootstrapConfig) profile() xds.Profile {
	byHost := c.Identity.Kind == schema.KindVirtualNode && !c.SOTW && !c.WholeRoutes
	return xds.Profile{Identity: c.Identity, Capture: c.Capture, VirtualHosts: byHost && !c.Capture.Proxyless}
}

func (c BootstrapConfig) nodeID() string { return cmp.Or(c.NodeID, c.Identity.String()) }

// Bootstrap is the bootstrap of an Envoy in JSON. It takes everything from the
// daemon by ADS, waits for it rather than start empty, and keeps what it has
// while the daemon is away.
func Bootstrap(c BootstrapConfig) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	b := &bootstrapv3.Bootstrap{
		Node:             &corev3.Node{Id: c.nodeID(), Cluster: c.Identity.String(), Metadata: c.profile().Metadata()},
		DynamicResources: dynamicResources(c),
		StaticResources:  staticResources(c),
		StatsConfig:      statsConfig(c),
		Admin:            adminInterface(c.AdminAddress),
		LayeredRuntime:   runtimeLayers(),
		OverloadManager:  overloadLimits(),
	}
	if !c.NoReports {
		addReports(b, c)
	}
	if len(c.DNSResolvers) > 0 {
		cares := &caresv3.CaresDnsResolverConfig{FilterUnroutableFamilies: true}
		for _, r := range c.DNSResolvers {
			cares.Resolvers = append(cares.Resolvers, address(r.Addr().String(), uint32(r.Port())))
		}
		b.TypedDnsResolverConfig = extension("envoy.network.dns_resolver.cares", cares)
	}
	return protoIndented(b)
}

// dynamicResources is ADS over the cluster of [staticResources].
func dynamicResources(c BootstrapConfig) *bootstrapv3.Bootstrap_DynamicResources {
	api := corev3.ApiConfigSource_DELTA_GRPC
	if c.SOTW {
		api = corev3.ApiConfigSource_GRPC
	}
	// A fetch that may take forever: an Envoy that starts while the daemon is
	// away is not ready until it has its configuration, instead of being ready
	// without listeners after 15 s.
	ads := &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		InitialFetchTimeout:   durationpb.New(0),
	}
	return &bootstrapv3.Bootstrap_DynamicResources{
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:                   api,
			TransportApiVersion:       corev3.ApiVersion_V3,
			SetNodeOnFirstMessageOnly: true,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
				ClusterName: xdsCluster,
				// Back within seconds of the daemon (Envoy's default goes up to 30 s).
				RetryPolicy: &corev3.RetryPolicy{RetryBackOff: &corev3.BackoffStrategy{
					BaseInterval: durationpb.New(250 * time.Millisecond), MaxInterval: durationpb.New(5 * time.Second),
				}},
			}}}},
		},
		CdsConfig: ads,
		LdsConfig: ads,
	}
}

func adminInterface(at netip.AddrPort) *bootstrapv3.Admin {
	if !at.IsValid() {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9901)
	}
	return &bootstrapv3.Admin{Address: address(at.Addr().String(), uint32(at.Port()))}
}

// runtimeLayers lift the limit of 100 on the size of regular expressions, by
// which Envoy would refuse routes that App Mesh took, and keep the layer that
// the admin interface changes.
func runtimeLayers() *bootstrapv3.LayeredRuntime {
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{
		{Name: "static", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{
			"re2.max_program_size.error_level": structpb.NewNumberValue(10_000),
		}}}},
		{Name: "admin", LayerSpecifier: &bootstrapv3.RuntimeLayer_AdminLayer_{AdminLayer: &bootstrapv3.RuntimeLayer_AdminLayer{}}},
	}}
}

// overloadLimits is a limit on connections, without which Envoy warns that a
// flood could exhaust the machine's file descriptors and memory. The value is
// that of Envoy's own advice for edge proxies ("Configuring Envoy as an edge
// proxy").
func overloadLimits() *overloadv3.OverloadManager {
	return &overloadv3.OverloadManager{ResourceMonitors: []*overloadv3.ResourceMonitor{{
		Name:       "envoy.resource_monitors.global_downstream_max_connections",
		ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: packed(&connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: 50_000})},
	}}}
}

// address is that of a host, by name or IP.
func address(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func extension(name string, m proto.Message) *corev3.TypedExtensionConfig {
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: packed(m)}
}

// packed wraps a message that this package made, the same bytes each time.
func packed(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(err) // invalid UTF-8 only, which the loader refuses
	}
	return a
}

// splitHostPort splits HOST, HOST:PORT and [IPv6]:PORT; port 0 means none.
func splitHostPort(s string) (host string, port uint32, err error) {
	host, text := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && (strings.HasSuffix(s[:i], "]") || strings.Count(s, ":") == 1) {
		host, text = s[:i], s[i+1:]
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("%q: the port is none (1 to 65535)", s)
		}
		port = uint32(n)
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" {
		return "", 0, fmt.Errorf("%q: no host", s)
	}
	return host, port, nil
}
