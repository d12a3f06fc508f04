package ads

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var web = xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "web_shop"}

// state is a desired state made by hand: resources by identity.
type state struct {
	commit string
	by     map[xds.Identity]*xds.Resources
}

func (s state) Commit() string { return s.commit }

func (s state) Resources(p xds.Profile) (*xds.Resources, error) {
	if r, ok := s.by[p.Identity]; ok {
		return r, nil
	}
	return nil, xds.UnknownIdentity{Identity: p.Identity}
}

// one is a state with one identity.
func one(commit string, r *xds.Resources) state {
	return state{commit, map[xds.Identity]*xds.Resources{web: r}}
}

func resource(t xds.Type, name string, m proto.Message) *xds.Resource {
	r, err := xds.NewResource(t, name, m)
	if err != nil {
		panic(err)
	}
	return r
}

func resources(list ...*xds.Resource) *xds.Resources {
	r := &xds.Resources{}
	for _, x := range list {
		r[x.Type] = append(r[x.Type], x)
	}
	r.Sort()
	return r
}

func anyOf(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

func fromADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// eds is a cluster that takes its endpoints from the assignment of its name;
// the time-out makes it differ from others of the name.
func eds(name string, timeout time.Duration) *xds.Resource {
	return resource(xds.Cluster, name, &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(timeout),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS()},
	})
}

// dns is a cluster whose endpoint is found by name.
func dns(name, host string, port int) *xds.Resource {
	return resource(xds.Cluster, name, &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(time.Second), DnsLookupFamily: clusterv3.Cluster_V4_ONLY,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		LoadAssignment:       assignment(name, host, port),
	})
}

func assignment(name, host string, port int) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
			Endpoint: &endpointv3.Endpoint{Address: address(host, port)}}}}}}}
}

func cla(name string, port int) *xds.Resource {
	return resource(xds.Endpoint, name, assignment(name, "127.0.0.1", port))
}

func address(host string, port int) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)}}}}
}

// listener is an HTTP listener that takes its routes by name.
func listener(name string, port int, routes string) *xds.Resource {
	return resource(xds.Listener, name, &listenerv3.Listener{
		Name: name, Address: address("127.0.0.1", port),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: anyOf(&hcmv3.HttpConnectionManager{
				StatPrefix:     name,
				RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: routes, ConfigSource: fromADS()}},
				HttpFilters: []*hcmv3.HttpFilter{{Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{
					TypedConfig: anyOf(&routerv3.Router{})}}},
			})}}}}},
	})
}

// route is a route configuration that sends everything to one cluster, or
// everything for some hosts.
func route(name, cluster string, domains ...string) *xds.Resource {
	if len(domains) == 0 {
		domains = []string{"*"}
	}
	return resource(xds.Route, name, &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{
		Name: "all", Domains: domains, Routes: []*routev3.Route{{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}},
		}}}}})
}

// start runs a server until the test ends or stop is called.
func start(t testing.TB, c Config) (s *Server, stop func()) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	var l net.Listener
	eventually(t, "listen on "+address, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l
}

// eventually tries until there is no error, for 20 s.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// done waits until a commit is on every proxy it touches, and on n proxies.
func done(t testing.TB, s *Server, commit string, n int) xds.Progress {
	t.Helper()
	eventually(t, "apply "+commit, func() error {
		proxies := s.Proxies()
		if len(proxies) != n {
			return fmt.Errorf("%d proxies", len(proxies))
		}
		for _, p := range proxies {
			if p.Applied != commit {
				return fmt.Errorf("%+v", p)
			}
		}
		if p := s.Progress(); !p.Done() {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	return s.Progress()
}

func identifier(commit string) *corev3.ControlPlane { return &corev3.ControlPlane{Identifier: commit} }
