package translate

import (
	"cmp"
	"fmt"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

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
	Policies    []string `json:"policies,omitempty"` // what they do on the route, a sentence each
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
	e, err := s.Explainer(from)
	if err != nil {
		return nil, err
	}
	return e.Explain(req)
}

// Explainer explains requests to one proxy. It reads the proxy's resources
// once, so that many requests cost little. It is not safe for concurrent use.
type Explainer struct {
	from     xds.Identity
	spec     *schema.Spec
	owner    schema.Ref             // whose proxy it is
	gateway  *schema.VirtualGateway // if it is one's
	backends []schema.BackendLink   // what the proxy leads to
	res      *xds.Resources

	// What has been read of the resources.
	listeners []*listenerv3.Listener
	filters   map[*anypb.Any]proto.Message
	tables    map[string]*routev3.RouteConfiguration
	nodes     map[string]nodePort
	entrances map[string]entered
}

// Explainer returns one for the proxies of an identity.
func (s *Snapshot) Explainer(from xds.Identity) (*Explainer, error) {
	res, err := s.Resources(xds.Profile{Identity: from})
	if err != nil {
		return nil, err
	}
	e := &Explainer{from: from, spec: s.in.Spec, res: res, filters: map[*anypb.Any]proto.Message{}, tables: map[string]*routev3.RouteConfiguration{}}
	if from.Kind == schema.KindVirtualGateway {
		e.gateway = e.spec.VirtualGatewayNamed(from.Mesh, from.Name)
		e.owner, e.backends = e.gateway.Ref, e.targetsOf(e.gateway)
	} else {
		n := e.spec.VirtualNodeNamed(from.Mesh, from.Name)
		e.owner, e.backends = n.Ref, e.spec.BackendsOf(n)
	}
	return e, nil
}

// Explain is [Snapshot.Explain] of one more request.
func (e *Explainer) Explain(req Request) (*Explanation, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	host, port, _ := splitHostPort(req.Host)
	x := &explainer{
		Explanation: Explanation{From: e.from, Protocol: "http", Method: cmp.Or(req.Method, "GET"), Path: normalized(cmp.Or(req.Path, "/")), Targets: []Target{}},
		Explainer:   e, host: host,
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
	*Explainer
	host string // the authority's
}
