package translate_test

import (
	"fmt"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/xds"
)

// summary is what a proxy has, a line for each thing that people ask for:
// where it listens, which host and path goes where in which shares, and how
// each cluster is found, checked and spoken to.
func summary(t testing.TB, r *xds.Resources) string {
	t.Helper()
	var b strings.Builder
	line := func(indent int, format string, args ...any) {
		fmt.Fprintf(&b, "%*s"+format+"\n", append([]any{2 * indent, ""}, args...)...)
	}
	read := func(resource *xds.Resource, m proto.Message) {
		if err := resource.Body.UnmarshalTo(m); err != nil {
			t.Fatal(err)
		}
	}
	for _, resource := range r[xds.Listener] {
		l := &listenerv3.Listener{}
		read(resource, l)
		at := l.GetAddress().GetSocketAddress()
		line(1, "listener %s:%d", at.GetAddress(), at.GetPortValue())
		chains := l.FilterChains
		if l.DefaultFilterChain != nil {
			chains = append(chains, l.DefaultFilterChain)
		}
		for _, c := range chains {
			tls := ""
			if c.TransportSocket != nil {
				tls = " over TLS"
			}
			walk(t, c, func(m proto.Message) {
				switch m := m.(type) {
				case *hcmv3.HttpConnectionManager:
					line(2, "%s%s: routes %s", c.Name, tls, m.GetRds().GetRouteConfigName())
				case *tcpproxyv3.TcpProxy:
					to := m.GetCluster()
					for _, w := range m.GetWeightedClusters().GetClusters() {
						to += fmt.Sprintf(" %s %d", w.Name, w.Weight)
					}
					line(2, "%s%s: TCP to %s", c.Name, tls, strings.TrimSpace(to))
				}
			})
		}
	}
	for _, resource := range r[xds.Route] {
		c := &routev3.RouteConfiguration{}
		read(resource, c)
		line(1, "routes %s", c.Name)
		for _, h := range c.VirtualHosts {
			line(2, "host %s", h.Domains[0])
			for _, route := range h.Routes {
				line(3, "%s → %s", matched(route.Match), destination(route))
			}
		}
	}
	for _, resource := range r[xds.Cluster] {
		c := &clusterv3.Cluster{}
		read(resource, c)
		line(1, "cluster %s: %s", c.Name, strings.Join(clusterWords(t, c), ", "))
	}
	for _, resource := range append(r[xds.Endpoint], r[xds.Secret]...) {
		line(1, "%s %s", strings.ToLower(resource.Type.String()), resource.Name)
	}
	return b.String()
}

// text is a message in one line. prototext puts a second space in at random.
func text(m proto.Message) string {
	return strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(m)), " ")
}

// matched is a condition, as "/red x-version=…".
func matched(m *routev3.RouteMatch) string {
	words := []string{}
	switch p := m.PathSpecifier.(type) {
	case *routev3.RouteMatch_Prefix:
		words = append(words, p.Prefix+"*")
	case *routev3.RouteMatch_Path:
		words = append(words, p.Path)
	case *routev3.RouteMatch_SafeRegex:
		words = append(words, "~"+p.SafeRegex.Regex)
	}
	for _, h := range m.Headers {
		words = append(words, "{"+text(h)+"}")
	}
	for _, q := range m.QueryParameters {
		words = append(words, "?{"+text(q)+"}")
	}
	return strings.Join(words, " ")
}

// destination is where a route sends requests, and within what limits.
func destination(r *routev3.Route) string {
	if d := r.GetDirectResponse(); d != nil {
		return fmt.Sprint(d.Status)
	}
	a := r.GetRoute()
	words := []string{}
	if c := a.GetCluster(); c != "" {
		words = append(words, c)
	}
	for _, w := range a.GetWeightedClusters().GetClusters() {
		words = append(words, fmt.Sprintf("%s %d", w.Name, w.Weight.GetValue()))
	}
	if h := a.GetHostRewriteLiteral(); h != "" {
		words = append(words, "host "+h)
	}
	if a.PrefixRewrite != "" {
		words = append(words, "path "+a.PrefixRewrite)
	}
	words = append(words, fmt.Sprintf("timeout %v, idle %v", a.Timeout.AsDuration(), a.IdleTimeout.AsDuration()))
	if p := a.RetryPolicy; p != nil {
		words = append(words, fmt.Sprintf("%d retries on %s", p.NumRetries.GetValue(), p.RetryOn))
	}
	return strings.Join(words, "; ")
}

func clusterWords(t testing.TB, c *clusterv3.Cluster) []string {
	words := []string{c.GetType().String()}
	if c.DnsLookupFamily != clusterv3.Cluster_AUTO {
		words = append(words, c.DnsLookupFamily.String())
	}
	for _, e := range c.GetLoadAssignment().GetEndpoints() {
		for _, lb := range e.LbEndpoints {
			at := lb.GetEndpoint().GetAddress().GetSocketAddress()
			words = append(words, fmt.Sprintf("%s:%d", at.GetAddress(), at.GetPortValue()))
		}
	}
	walk(t, c, func(m proto.Message) {
		if m.ProtoReflect().Descriptor().Name() == "Http2ProtocolOptions" {
			words = append(words, "HTTP/2")
		}
	})
	if c.TransportSocket != nil || len(c.TransportSocketMatches) > 0 {
		words = append(words, "TLS")
	}
	for _, h := range c.HealthChecks {
		words = append(words, fmt.Sprintf("checked every %v", h.Interval.AsDuration()))
	}
	if o := c.OutlierDetection; o != nil {
		words = append(words, fmt.Sprintf("ejects after %d errors", o.Consecutive_5Xx.GetValue()))
	}
	return words
}
