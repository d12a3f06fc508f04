package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Request is what an application asks of its proxy.
type Request struct {
	Host   string              // HOST or HOST:PORT; without a port the first that a virtual service of the name answers on, else 80
	Method string              // empty: GET
	Path   string              // with query; empty: /
	Header map[string][]string // Host overrides the authority, which is else made of Host
}

// Validate names the field that is wrong, and what to write.
func (r Request) Validate() error {
	if _, _, err := splitHostPort(r.Host); err != nil {
		return fmt.Errorf("host %w", err)
	}
	if r.Path != "" && r.Path[0] != '/' {
		return fmt.Errorf("path %q: write it from its first /", r.Path)
	}
	return nil
}

// Explanation says what a proxy does with a request. Its JSON form has stable
// names.
type Explanation struct {
	From      xds.Identity `json:"from"`
	Protocol  string       `json:"protocol"`  // in which the proxy takes it: http, or tcp, of which the rest of the request is no part
	Authority string       `json:"authority"` // HOST, or HOST:PORT off port 80
	Port      uint32       `json:"port"`      // that is dialled
	Method    string       `json:"method"`
	Path      string       `json:"path"`

	Outcome Outcome `json:"outcome"`
	Status  uint32  `json:"status,omitempty"` // of the proxy's own answer
	Why     string  `json:"why,omitempty"`    // and what to do, where the request is not routed

	GatewayRoute string `json:"gatewayRoute,omitempty"` // kind/namespace/name, as are the next
	Rewritten    string `json:"rewritten,omitempty"`    // host and path as the target gets them, where they change

	Service     string   `json:"virtualService,omitempty"`
	Router      string   `json:"virtualRouter,omitempty"` // empty where a virtual node provides the service
	Route       string   `json:"route,omitempty"`
	Match       string   `json:"match,omitempty"` // what the route asks for
	Targets     []Target `json:"targets"`
	Timeout     string   `json:"timeout,omitempty"`     // of a request, "none" without
	IdleTimeout string   `json:"idleTimeout,omitempty"` // of a stream, "none" without
	Retries     string   `json:"retries,omitempty"`
}

// Outcome of a request.
type Outcome string

// The outcomes.
const (
	Routed   Outcome = "routed"   // to Targets
	Answered Outcome = "answered" // by the proxy itself, with Status
	Refused  Outcome = "refused"  // the connection is closed
	Passed   Outcome = "passed"   // to the address that the application dialled
)

// Target is a virtual node and its share of the requests.
type Target struct {
	Node    string  `json:"virtualNode"` // kind/namespace/name
	AWSName string  `json:"awsName"`
	Port    uint32  `json:"port"`
	Weight  uint32  `json:"weight"`
	Percent float64 `json:"percent"`
	Cluster string  `json:"cluster"`
}

// Explain says which route a request takes, and which virtual nodes get which
// share: a request from a virtual node's application (under transparent
// capture), or one that comes to a virtual gateway. It walks the resources that
// the proxy is served, as Envoy does; what they are called in the spec it finds
// by the names that name.go gives.
func (s *Snapshot) Explain(from xds.Identity, req Request) (*Explanation, error) {
	res, err := s.Resources(xds.Profile{Identity: from})
	if err != nil {
		return nil, err
	}
	if err := req.Validate(); err != nil {
		return nil, err
	}
	host, port, _ := splitHostPort(req.Host)
	x := &explainer{
		Explanation: Explanation{From: from, Protocol: "http", Method: cmp.Or(req.Method, "GET"), Path: cmp.Or(req.Path, "/"), Targets: []Target{}},
		spec:        s.in.Spec, res: res, host: host,
	}
	if from.Kind == schema.KindVirtualGateway {
		x.gateway = x.spec.VirtualGatewayNamed(from.Mesh, from.Name)
		x.owner, x.backends = x.gateway.Ref, x.targetsOf(x.gateway)
	} else {
		n := x.spec.VirtualNodeNamed(from.Mesh, from.Name)
		x.owner, x.backends = n.Ref, x.spec.BackendsOf(n)
	}
	if port == 0 {
		port = x.usualPort()
	}
	x.Port, x.Authority = port, host
	if port != 80 {
		x.Authority = fmt.Sprintf("%s:%d", host, port)
	}
	header := map[string][]string{}
	for name, values := range req.Header {
		if strings.EqualFold(name, "host") && len(values) > 0 {
			x.Authority = values[0]
			x.host, _, _ = splitHostPort(values[0])
			continue
		}
		header[name] = values
	}
	return &x.Explanation, x.walk(header)
}

// explainer follows one request through a proxy's resources.
type explainer struct {
	Explanation
	spec     *schema.Spec
	owner    schema.Ref             // whose proxy it is
	gateway  *schema.VirtualGateway // if it is one's
	backends []schema.BackendLink   // what the proxy leads to
	res      *xds.Resources
	host     string // the authority's
}

// walk goes from the listener to the clusters.
func (x *explainer) walk(header map[string][]string) error {
	l, err := x.listener()
	if err != nil {
		return err
	}
	chain := chainOf(l, x.Port)
	if chain == nil {
		x.refused()
		return nil
	}
	for _, f := range chain.Filters {
		m, err := f.GetTypedConfig().UnmarshalNew()
		if err != nil {
			return fmt.Errorf("filter %s: %w", f.Name, err)
		}
		switch m := m.(type) {
		case *tcpproxyv3.TcpProxy:
			x.tcp(m)
		case *hcmv3.HttpConnectionManager:
			if err := x.http(m, header); err != nil {
				return err
			}
			if x.Status == 404 && x.gateway == nil && chain.FilterChainMatch.GetDestinationPort() == nil {
				x.Why += " What is not HTTP is refused."
			}
		}
	}
	return nil
}

// listener returns the listener that takes the request: a gateway's on the
// port, or the one that iptables redirects to.
func (x *explainer) listener() (*listenerv3.Listener, error) {
	want := uint32(egressPort)
	if x.gateway != nil {
		want = x.Port
	}
	for _, r := range x.res[xds.Listener] {
		l := &listenerv3.Listener{}
		if err := r.Body.UnmarshalTo(l); err != nil {
			return nil, err
		}
		if l.GetAddress().GetSocketAddress().GetPortValue() == want {
			return l, nil
		}
	}
	return &listenerv3.Listener{}, nil
}

// chainOf returns the filter chain that takes HTTP/1.1 to a port: of those for
// the port, else of those for any, the one that asks for the protocol.
func chainOf(l *listenerv3.Listener, port uint32) *listenerv3.FilterChain {
	best, rank := l.DefaultFilterChain, -1
	for _, c := range l.FilterChains {
		r := 0
		if p := c.FilterChainMatch.GetDestinationPort(); p != nil {
			if p.Value != port {
				continue
			}
			r += 2
		}
		if protocols := c.FilterChainMatch.GetApplicationProtocols(); len(protocols) > 0 {
			if !slices.Contains(protocols, "http/1.1") {
				continue
			}
			r++
		}
		if r > rank {
			best, rank = c, r
		}
	}
	return best
}

// tcp: connections are told apart by port alone.
func (x *explainer) tcp(m *tcpproxyv3.TcpProxy) {
	x.Protocol = "tcp"
	shares := []weighted{{m.GetCluster(), 1}}
	if split := m.GetWeightedClusters(); split != nil {
		shares = nil
		for _, c := range split.Clusters {
			shares = append(shares, weighted{c.Name, c.Weight})
		}
	}
	if a := x.tcpAnswer(); a != nil {
		x.provided(a.link.Service)
		x.Route = a.routes[0].Name
		x.Match = fmt.Sprintf("port %d, whatever the host", a.port)
	}
	x.IdleTimeout = limit(m.GetIdleTimeout().AsDuration())
	x.to(shares)
}

// http: by authority, then by the first route that matches.
func (x *explainer) http(m *hcmv3.HttpConnectionManager, header map[string][]string) error {
	table := m.GetRouteConfig()
	if name := m.GetRds().GetRouteConfigName(); name != "" {
		table = &routev3.RouteConfiguration{}
		if err := read(x.res, xds.Route, name, table); err != nil {
			return err
		}
	}
	vh := virtualHost(table, x.Authority)
	r, err := routeOf(vh, newCall(x.Authority, x.Method, x.Path, header))
	if err != nil {
		return err
	}
	if x.gateway != nil {
		x.entered(r.GetName())
	} else if service := x.serviceOf(vh); service != nil {
		x.provided(service)
	}
	switch action := r.GetAction().(type) {
	case nil:
		x.unmatched(vh)
		return nil
	case *routev3.Route_DirectResponse:
		x.answered(action.DirectResponse.Status)
	case *routev3.Route_Route:
		shares := []weighted{{action.Route.GetCluster(), 1}}
		if split := action.Route.GetWeightedClusters(); split != nil {
			shares = nil
			for _, c := range split.Clusters {
				shares = append(shares, weighted{c.Name, c.Weight.GetValue()})
			}
		}
		x.to(shares)
		x.Timeout = limit(action.Route.GetTimeout().AsDuration())
		x.IdleTimeout = limit(action.Route.GetIdleTimeout().AsDuration())
		x.Retries = describeRetries(action.Route.RetryPolicy)
		if x.Rewritten, err = rewritten(r, x.Authority, x.Path); err != nil {
			return err
		}
	default:
		return fmt.Errorf("route %s of %s: its action %T cannot be explained", r.Name, vh.Name, action)
	}
	x.Match = describeMatch(r.Match)
	if x.gateway == nil {
		x.Route = r.Name
	}
	return nil
}

// to fills in the targets.
func (x *explainer) to(shares []weighted) {
	if len(shares) == 1 && shares[0].cluster == passthroughName(x.From.Mesh) {
		x.passed()
		return
	}
	x.Outcome = Routed
	total := uint64(0)
	for _, s := range shares {
		total += uint64(s.weight)
	}
	for _, s := range shares {
		t := Target{Cluster: s.cluster, Weight: s.weight}
		if total > 0 {
			t.Percent = 100 * float64(s.weight) / float64(total)
		}
		if n, l := x.nodeOf(s.cluster); n != nil {
			t.Node, t.AWSName, t.Port = n.Ref.String(), n.AWSName, l.PortMapping.Port
		}
		x.Targets = append(x.Targets, t)
	}
}

// limit is a duration of which 0 means none.
func limit(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}
