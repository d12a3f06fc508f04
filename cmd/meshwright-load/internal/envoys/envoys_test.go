package envoys

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/ads"
)

// state has resources for some identities.
type state struct {
	commit string
	has    map[string]*xds.Resources
}

func (s state) Commit() string { return s.commit }

func (s state) Resources(p xds.Profile) (*xds.Resources, error) {
	if r := s.has[p.Identity.String()]; r != nil {
		return r, nil
	}
	return nil, xds.UnknownIdentity{Identity: p.Identity}
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// resources are one of each type, each named by another: a cluster with its
// endpoints and secret, a listener with its routes, of some domain; byHost, that
// is in a virtual host of its own.
func resources(t *testing.T, domain string, byHost bool) *xds.Resources {
	t.Helper()
	fromADS := &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}
	tls := &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: "secret", SdsConfig: fromADS}, {Name: "on the disk", SdsConfig: &corev3.ConfigSource{}}},
	}}
	hcm := &hcmv3.HttpConnectionManager{RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: "routes", ConfigSource: fromADS}}}
	messages := map[xds.Type]proto.Message{
		xds.Cluster: &clusterv3.Cluster{
			Name: "cluster", ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}, EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS, ServiceName: "endpoints"},
			TransportSocket: &corev3.TransportSocket{ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(t, tls)}},
		},
		xds.Endpoint: &endpointv3.ClusterLoadAssignment{ClusterName: "endpoints"},
		xds.Secret:   &tlsv3.Secret{Name: "secret"},
		xds.Listener: &listenerv3.Listener{Name: "listener", FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(t, hcm)},
		}}}}},
		xds.Route: &routev3.RouteConfiguration{Name: "routes", VirtualHosts: []*routev3.VirtualHost{{Name: "host", Domains: []string{domain}}}},
	}
	if byHost {
		messages[xds.Route] = &routev3.RouteConfiguration{Name: "routes", Vhds: &routev3.Vhds{ConfigSource: fromADS}}
		messages[xds.VirtualHost] = &routev3.VirtualHost{Name: "routes/host", Domains: []string{domain}}
	}
	names := map[xds.Type]string{xds.Cluster: "cluster", xds.Endpoint: "endpoints", xds.Secret: "secret", xds.Listener: "listener", xds.Route: "routes", xds.VirtualHost: "routes/host"}
	out := &xds.Resources{}
	for typ, m := range messages {
		r, err := xds.NewResource(typ, names[typ], m)
		if err != nil {
			t.Fatal(err)
		}
		out[typ] = []*xds.Resource{r}
	}
	return out
}

// serve runs an ADS server until the test ends.
func serve(t *testing.T) (*ads.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ads.New(ads.Config{Listener: l, Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

// TestFleet: streams of each kind get all that there is for them from the
// product's server, which holds them to be proxies that have applied it; a change
// reaches whom it is for, and nobody else.
func TestFleet(t *testing.T) {
	web, api := xds.Identity{Mesh: "m", Kind: schema.KindVirtualNode, Name: "web"}, xds.Identity{Mesh: "m", Kind: schema.KindVirtualNode, Name: "api"}
	for name, kind := range map[string]struct {
		sotw, byHost bool
		types        int
	}{"delta": {false, true, xds.NumTypes}, "delta with whole routes": {false, false, xds.NumTypes - 1}, "state of the world": {true, false, xds.NumTypes - 1}} {
		server, address := serve(t)
		same, before, after := resources(t, "api", kind.byHost), resources(t, "before", kind.byHost), resources(t, "after", kind.byHost)
		server.Publish(state{"1", map[string]*xds.Resources{web.String(): before, api.String(): same}})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		fleet := Connect(ctx, Config{Address: address, SotW: kind.sotw, VirtualHosts: kind.byHost, Nodes: []Node{{"a", web.String()}, {"b", api.String()}, {"c", web.String()}}})
		defer fleet.Close()
		if err := fleet.Settled(ctx); err != nil {
			t.Fatal(err)
		}
		for i, c := range fleet.Counts() {
			if c.Responses < kind.types || c.Bytes < 500 || c.First.IsZero() || c.Last.Before(c.First) {
				t.Errorf("%s: stream %d got %+v, want a response of each type", name, i, c)
			}
		}
		acked := func(p xds.Proxy) bool {
			n := 0
			for _, t := range p.Types {
				if t.Commit == "1" {
					n++
				}
			}
			return n == kind.types
		}
		for ctx.Err() == nil && len(slices.DeleteFunc(server.Proxies(), acked)) > 0 { // it has yet to read the last ACKs
			<-server.Changed()
		}
		all := fleet.Expect([]int{0, 2})
		server.Publish(state{"2", map[string]*xds.Resources{web.String(): after, api.String(): same}})
		if err := fleet.Await(ctx, all); err != nil {
			t.Fatal(err)
		}
		var responses []int
		for _, c := range fleet.Counts() {
			responses = append(responses, c.Responses)
		}
		if !slices.Equal(responses, []int{1, 0, 1}) {
			t.Errorf("%s: the change came in %d responses, want 1, 0, 1", name, responses)
		}
		for !server.Progress().Done() && ctx.Err() == nil {
			<-server.Changed()
		}
		if p := server.Progress(); p.Touched != 2 || !p.Done() {
			t.Errorf("%s: the server says %+v", name, p)
		}
	}
}

// TestFleetTellsOfTheEnd: a server that refuses a stream is an error, not a wait
// without end.
func TestFleetTellsOfTheEnd(t *testing.T) {
	_, address := serve(t)
	fleet := Connect(t.Context(), Config{Address: address, Nodes: []Node{{"a", "nobody"}}})
	defer fleet.Close()
	if err := fleet.Settled(t.Context()); err == nil {
		t.Error("a refused stream has settled")
	}
}

// FuzzResponse: what is no response is an error and no panic.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("\x22\x01x\x2a\x01n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r response
		if err := r.read(b, newBook()); err == nil && r.nonce == "" {
			t.Error("a response without a nonce was taken")
		}
	})
}
