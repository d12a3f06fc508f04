package translate

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// MatchWords says what a route of a router asks for, in the words of
// [Explanation].Match: "GET, prefix /api".
func MatchWords(r *schema.Route) string {
	switch {
	case r.GRPCRoute != nil:
		return grpcWords(&r.GRPCRoute.Match)
	case r.TCPRoute != nil && r.TCPRoute.Match != nil && r.TCPRoute.Match.Port != 0:
		return fmt.Sprintf("connections to port %d", r.TCPRoute.Match.Port)
	case r.TCPRoute != nil:
		return "connections"
	}
	h := cmp.Or(r.HTTP(), &schema.HTTPRoute{})
	return describeMatch(httpMatch(&h.Match)) + onlyPort(h.Match.Port)
}

// GatewayMatchWords says the same of a gateway route, with its hostname:
// "host shop.example.com, prefix /".
func GatewayMatchWords(g *schema.GatewayRoute) string {
	words := ""
	if domain := domainOf(g.Hostname()); domain != "*" {
		words = "host " + domain + ", "
	}
	if r := g.Spec.GRPCRoute; r != nil {
		return words + grpcWords(&r.Match)
	}
	h := cmp.Or(g.HTTP(), &schema.GatewayHTTPRoute{})
	return words + describeMatch(httpMatch(&h.Match)) + onlyPort(h.Match.Port)
}

func grpcWords(m *schema.GRPCMatch) string {
	match := grpcMatch(m)
	match.Headers = match.Headers[1:] // the content type of gRPC
	words := describeMatch(match)
	if m.ServiceName == "" {
		words = "any method" + strings.TrimPrefix(words, "prefix /")
	}
	return "gRPC, " + words + onlyPort(m.Port)
}

func onlyPort(port uint32) string {
	if port == 0 {
		return ""
	}
	return fmt.Sprintf(", port %d", port)
}

// RetryWords says when requests are tried again; nil is App Mesh's default.
func RetryWords(p *schema.RetryPolicy) string { return describeRetries(retryPolicy(p)) }

// Timeouts returns the limits of a request and of an idle stream that hold; 0
// is none, nil App Mesh's defaults.
func Timeouts(t *schema.Timeout) (request, idle time.Duration) {
	return requestTimeout(t), idleTimeout(t)
}
