package translate_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestMatchingAgreesWithEnvoy: over random route tables and requests, a real
// Envoy and RouteOf name the same route.
func TestMatchingAgreesWithEnvoy(t *testing.T) {
	fixtures.Envoy(t)
	r := dice{rand.New(rand.NewPCG(1, 2))}
	nodes := []string{"node-0", "node-1", "node-2"}
	table := r.table(nodes)
	port := serveTables(t, nodes, table)[0]
	agreed := map[bool]int{}
	for range 6000 {
		req := r.request()
		want, err := translate.RouteOf(table, req.host, req.method, req.target(), req.header)
		if err != nil {
			t.Fatal(err)
		}
		got := ask(t, port, req)
		if got.route != want.GetName() || got.node != want.GetRoute().GetCluster() {
			t.Errorf("%s: Envoy takes route %q to %q, we %q to %q:\n%v", req, got.route, got.node, want.GetName(), want.GetRoute().GetCluster(), want.GetMatch())
		}
		agreed[want != nil]++
		if t.Failed() && agreed[true]+agreed[false] > 200 {
			break
		}
	}
	if agreed[true] < 500 || agreed[false] < 500 {
		t.Errorf("%d requests matched and %d did not: the table is no test", agreed[true], agreed[false])
	}
}

// dice make random route tables and requests, from small alphabets so that
// they meet often.
type dice struct{ *rand.Rand }

func of[T any](r dice, from ...T) T { return from[r.IntN(len(from))] }

var (
	domains = []string{
		"a.example", "b.example", "*.example", "*.b.example", "a.*", "a.b.*", "*", "*-x.example", "A2.example", "a.example:81", "*.example:82",
	}
	hosts = []string{
		"a.example", "A.example", "b.example", "c.example", "c.b.example", ".example", "a.other", "a.b.other", "a.b.example", "other", "w-x.example", "a2.EXAMPLE",
		"a.example:81", "a.example:83", "c.example:82", "b.example:82", "a.:80", "a.",
	}
	paths    = []string{"/", "/a", "/a/", "/ab", "/a/b", "/A", "/A/b", "/b", "/a%2Fb", "/a/../b", "/a//b", "/a/.", "/a/b/..", "/a;p=1", "/a.b", "/a-b"}
	patterns = []string{"/", "/a.*", "/(a|b)", ".*b", "/a/[^/]+", "(?i)/A", "/a|/b", "a", "[0-9]+", "1|10", ".*", "a,b"}
	values   = []string{"", "1", "10", "-5", "9223372036854775808", "1.5", "+3", "a", "A", "ab", "a b", "a,b", "abc"}
)

func (r dice) table(clusters []string) *routev3.RouteConfiguration {
	table := &routev3.RouteConfiguration{Name: "table"}
	for i, domain := range domains {
		vh := &routev3.VirtualHost{Name: fmt.Sprintf("vh-%d", i), Domains: []string{domain}}
		for j := range 3 + r.IntN(25) {
			name := fmt.Sprintf("route-%d-%d", i, j)
			vh.Routes = append(vh.Routes, &routev3.Route{
				Name:                 name,
				Match:                r.match(),
				Action:               &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: of(r, clusters...)}}},
				ResponseHeadersToAdd: showing(name),
			})
		}
		table.VirtualHosts = append(table.VirtualHosts, vh)
	}
	return table
}

func (r dice) match() *routev3.RouteMatch {
	m := &routev3.RouteMatch{}
	switch r.IntN(4) {
	case 0:
		m.PathSpecifier = &routev3.RouteMatch_Path{Path: of(r, paths...)}
	case 1:
		m.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: of(r, patterns[:7]...)}}
	case 2:
		m.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: of(r, "/a", "/b", "/a/b")}
	default:
		m.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: of(r, paths...)}
	}
	if r.IntN(5) == 0 && m.GetSafeRegex() == nil {
		m.CaseSensitive = wrapperspb.Bool(false)
	}
	for range 1 + r.IntN(2) { // at least one condition, or the first routes take all
		switch r.IntN(4) {
		case 0:
			m.QueryParameters = append(m.QueryParameters, r.query())
		case 1:
			if r.IntN(3) == 0 {
				m.Grpc = &routev3.RouteMatch_GrpcRouteMatchOptions{}
			}
		default:
			m.Headers = append(m.Headers, r.header())
		}
	}
	return m
}

func (r dice) header() *routev3.HeaderMatcher {
	m := &routev3.HeaderMatcher{Name: of(r, "x-a", "x-b", "X-A"), InvertMatch: r.IntN(3) == 0, TreatMissingHeaderAsEmpty: r.IntN(6) == 0}
	switch r.IntN(8) {
	case 0:
		m.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: r.IntN(2) == 0}
	case 1:
		m.HeaderMatchSpecifier = &routev3.HeaderMatcher_RangeMatch{RangeMatch: &typev3.Int64Range{Start: int64(r.IntN(20)) - 10, End: int64(r.IntN(20))}}
	case 2: // none: present
	case 3:
		m.Name = ":method"
		m.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: of(r, "GET", "POST", "get")}}}
	case 4:
		m.Name = of(r, ":scheme", ":authority", ":path", "content-type")
		m.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: r.text()}
	default:
		m.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: r.text()}
	}
	return m
}

func (r dice) query() *routev3.QueryParameterMatcher {
	m := &routev3.QueryParameterMatcher{Name: of(r, "q", "r")}
	switch r.IntN(3) {
	case 0:
		m.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: r.IntN(2) == 0}
	case 1:
		m.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: r.text()}
	}
	return m
}

func (r dice) text() *matcherv3.StringMatcher {
	m := &matcherv3.StringMatcher{}
	v := of(r, values[1:]...) // Envoy takes no empty prefix, suffix or part
	switch r.IntN(5) {
	case 0:
		m.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: v}
	case 1:
		m.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: v}
	case 2:
		m.MatchPattern = &matcherv3.StringMatcher_Contains{Contains: v}
	case 3:
		m.MatchPattern = &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: of(r, patterns...)}}
	default:
		m.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: of(r, values...)}
	}
	m.IgnoreCase = r.IntN(4) == 0 && m.GetSafeRegex() == nil
	return m
}

type request struct {
	method, host, path, query string
	header                    http.Header
}

func (q request) target() string {
	if q.query == "" {
		return q.path
	}
	return q.path + "?" + q.query
}

func (q request) String() string {
	return fmt.Sprintf("%s %s%s %v", q.method, q.host, q.target(), q.header)
}

func (r dice) request() request {
	q := request{method: of(r, "GET", "POST"), host: of(r, hosts...), path: of(r, paths...), header: http.Header{}}
	if r.IntN(2) == 0 {
		q.query = of(r, "q", "q=1", "q=", "q=a&q=b", "r=a%20b", "Q=1", "&q=ab", "=x", "q=1&r=10", "r=A", "%71=1", "q=a+b", "q=a=b")
	}
	for _, name := range []string{"x-a", "x-b"} {
		for range r.IntN(3) {
			q.header.Add(name, of(r, values...))
		}
	}
	if r.IntN(2) == 0 {
		q.header.Set("content-type", of(r, "application/grpc", "application/grpc+proto", "application/grpcx", "application/json", "a", "ab"))
	}
	return q
}

// serveTables runs a real Envoy with a listener for each table, on the ports
// that it returns; each cluster is a server that answers with its name.
func serveTables(t *testing.T, clusters []string, tables ...*routev3.RouteConfiguration) (ports []uint32) {
	t.Helper()
	any := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	static := &bootstrapv3.Bootstrap_StaticResources{}
	for _, name := range clusters {
		static.Clusters = append(static.Clusters, echo(t, name))
	}
	for _, table := range tables {
		port := freePort(t)
		ports = append(ports, port)
		static.Listeners = append(static.Listeners, &listenerv3.Listener{
			Name: table.Name, Address: local(port),
			FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
				Name: "envoy.filters.network.http_connection_manager",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: any(&hcmv3.HttpConnectionManager{
					StatPrefix:     "in",
					RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: table},
					NormalizePath:  wrapperspb.Bool(true), MergeSlashes: true,
					HttpFilters: []*hcmv3.HttpFilter{{
						Name: "envoy.filters.http.router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: any(&routerv3.Router{})},
					}},
				})},
			}}}},
		})
	}
	config, err := protojson.Marshal(&bootstrapv3.Bootstrap{StaticResources: static})
	if err != nil {
		t.Fatal(err)
	}
	startEnvoy(t, config)
	for _, port := range ports {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				_ = conn.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("Envoy does not listen")
			}
		}
	}
	return ports
}

// echo is a cluster whose one server answers with its name.
func echo(t *testing.T, name string) *clusterv3.Cluster {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-target", r.Host+r.RequestURI)
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	return &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: local(uint32(s.Listener.Addr().(*net.TCPAddr).Port))},
			}}},
		}}},
	}
}

// showing is a header by which a response says which route it took.
func showing(route string) []*corev3.HeaderValueOption {
	return []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "x-route", Value: route}}}
}

// reply is what came back: the names of the route that Envoy took and of the
// server that answered (both empty if none did), and the host and path that it
// was asked for.
type reply struct{ route, node, target string }

// ask sends a request through Envoy.
func ask(t *testing.T, port uint32, q request) reply {
	t.Helper()
	r := &http.Request{
		Method: q.method, Host: q.host, Header: q.header,
		URL: &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port), Opaque: q.path, RawQuery: q.query},
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		t.Fatalf("%s: %v", q, err)
	case resp.StatusCode == http.StatusNotFound:
		body = nil // the proxy's own
	case resp.StatusCode != http.StatusOK:
		t.Fatalf("%s: %s: %s", q, resp.Status, body)
	}
	return reply{resp.Header.Get("x-route"), string(body), resp.Header.Get("x-target")}
}

func local(port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

// handed are the ports that freePort has given.
var handed sync.Map

// freePort returns a port that nobody listens on, each once.
func freePort(t *testing.T) uint32 {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := uint32(l.Addr().(*net.TCPAddr).Port)
		_ = l.Close()
		if _, again := handed.LoadOrStore(port, true); !again {
			return port
		}
	}
}
