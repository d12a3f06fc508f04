package translate

import (
	"fmt"
	"slices"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	healthcheckv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshwright/meshwright/xds"
)

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
		m, err := x.filter(f.GetTypedConfig())
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
	for i, r := range x.res[xds.Listener] {
		if i == len(x.listeners) {
			l := &listenerv3.Listener{}
			if err := r.Body.UnmarshalTo(l); err != nil {
				return nil, err
			}
			x.listeners = append(x.listeners, l)
		}
		if l := x.listeners[i]; l.GetAddress().GetSocketAddress().GetPortValue() == want {
			return l, nil
		}
	}
	return &listenerv3.Listener{}, nil
}

// filter reads a filter's configuration.
func (e *Explainer) filter(packed *anypb.Any) (m proto.Message, err error) {
	if m = e.filters[packed]; m == nil {
		if m, err = packed.UnmarshalNew(); err == nil {
			e.filters[packed] = m
		}
	}
	return m, err
}

// table reads a RouteConfiguration; one that is not there has no hosts.
func (e *Explainer) table(name string) (*routev3.RouteConfiguration, error) {
	if t := e.tables[name]; t != nil {
		return t, nil
	}
	t := &routev3.RouteConfiguration{}
	e.tables[name] = t
	return t, read(e.res, xds.Route, name, t)
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
	for i, c := range m.GetWeightedClusters().GetClusters() {
		shares = append(shares[:i], weighted{c.Name, c.Weight})
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
		var err error
		if table, err = x.table(name); err != nil {
			return err
		}
	}
	c := newCall(x.Authority, x.Method, x.Path, header)
	if ok, err := healthCheck(m, c); ok || err != nil {
		x.Outcome, x.Status = Answered, 200
		x.Why = "It is the health check of the gateway itself, which fails while the gateway drains."
		return err
	}
	vh := virtualHost(table, x.Authority)
	r, err := routeOf(vh, c)
	if err != nil {
		return err
	}
	if x.gateway != nil {
		x.enter(r.GetName())
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
		for i, c := range action.Route.GetWeightedClusters().GetClusters() {
			shares = append(shares[:i], weighted{c.Name, c.Weight.GetValue()})
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
	if x.Policies, err = x.policies(m, r); err != nil {
		return err
	}
	x.Match = describeMatch(r.Match)
	if x.gateway == nil {
		x.Route = r.Name
	}
	return nil
}

// healthCheck reports whether the proxy answers a request as a check of its
// own health, before any route.
func healthCheck(m *hcmv3.HttpConnectionManager, c call) (ok bool, err error) {
	for _, f := range m.HttpFilters {
		check := &healthcheckv3.HealthCheck{}
		if !f.GetTypedConfig().MessageIs(check) {
			continue
		}
		if err = f.GetTypedConfig().UnmarshalTo(check); err != nil {
			return false, err
		}
		ok = !check.PassThroughMode.GetValue()
		for _, h := range check.Headers {
			if ok && err == nil {
				ok, err = matchesHeader(h, c)
			}
		}
		return ok, err
	}
	return false, nil
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
