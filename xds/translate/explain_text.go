package translate

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// String is the explanation as people read it, in a few lines.
func (e *Explanation) String() string {
	var b strings.Builder
	if e.Protocol == "tcp" {
		fmt.Fprintf(&b, "TCP %s from %s", e.Authority, e.From)
	} else {
		fmt.Fprintf(&b, "%s %s%s from %s", e.Method, e.Authority, e.Path, e.From)
	}
	b.WriteByte('\n')
	if way := e.way(); way != "" {
		fmt.Fprintln(&b, way)
	}
	if e.Rewritten != "" {
		fmt.Fprintf(&b, "  rewritten to %s\n", e.Rewritten)
	}
	for _, t := range e.Targets {
		fmt.Fprintf(&b, "%7s %%  %s (%s:%d)\n", percent(t.Percent), t.Node, t.AWSName, t.Port)
	}
	if e.Outcome == Routed {
		var limits []string
		for _, l := range [...][2]string{{"timeout ", e.Timeout}, {"idle timeout ", e.IdleTimeout}, {"", e.Retries}} {
			if l[1] != "" {
				limits = append(limits, l[0]+l[1])
			}
		}
		fmt.Fprintf(&b, "  %s\n", strings.Join(limits, ", "))
	}
	for _, p := range e.Policies {
		fmt.Fprintf(&b, "  %s\n", p)
	}
	switch e.Outcome {
	case Answered:
		fmt.Fprintf(&b, "  The proxy answers %d.", e.Status)
	case Refused:
		b.WriteString("  The proxy closes the connection.")
	case Passed:
		b.WriteString("  The proxy passes it through.")
	}
	if e.Why != "" {
		fmt.Fprintf(&b, " %s\n", e.Why)
	}
	return b.String()
}

// way is what the request passes, from the first that knows it to the route.
func (e *Explanation) way() string {
	route := e.Router
	if route != "" && e.Route != "" {
		route = "route " + e.Route + " of " + e.Router
	}
	var steps []string
	for _, step := range []string{e.GatewayRoute, e.Service, route} {
		if step != "" {
			steps = append(steps, "→ "+step)
		}
	}
	if e.Match != "" {
		steps = append(steps, "("+e.Match+")")
	}
	return strings.Join(steps, " ")
}

// percent has one digit after the point where it needs one.
func percent(p float64) string { return strconv.FormatFloat(math.Round(p*10)/10, 'f', -1, 64) }

// describeMatch says what a route asks for: "GET, prefix /api, header x-a is 1".
func describeMatch(m *routev3.RouteMatch) string {
	var path string
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		path = "prefix " + p.Prefix
	case *routev3.RouteMatch_Path:
		path = "path " + p.Path
	case *routev3.RouteMatch_SafeRegex:
		path = "path matches " + p.SafeRegex.Regex
	case *routev3.RouteMatch_PathSeparatedPrefix:
		path = "below " + p.PathSeparatedPrefix
	}
	parts := []string{path}
	for _, h := range m.GetHeaders() {
		if exact := h.GetStringMatch().GetExact(); h.Name == ":method" && exact != "" && !h.InvertMatch {
			parts = append([]string{exact}, parts...)
			continue
		}
		not := ""
		if h.InvertMatch {
			not = "not: "
		}
		parts = append(parts, not+strings.Join([]string{"header", h.Name, describeHeader(h)}, " "))
	}
	for _, q := range m.GetQueryParameters() {
		is := "is there"
		if s := q.GetStringMatch(); s != nil {
			is = describeString(s)
		}
		parts = append(parts, "query parameter "+q.Name+" "+is)
	}
	if m.GetGrpc() != nil {
		parts = append(parts, "gRPC")
	}
	return strings.Join(parts, ", ")
}

func describeHeader(h *routev3.HeaderMatcher) string {
	switch s := h.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_StringMatch:
		return describeString(s.StringMatch)
	case *routev3.HeaderMatcher_RangeMatch:
		return fmt.Sprintf("in [%d, %d)", s.RangeMatch.Start, s.RangeMatch.End)
	case *routev3.HeaderMatcher_PresentMatch:
		if !s.PresentMatch {
			return "is missing"
		}
	}
	return "is there"
}

func describeString(m *matcherv3.StringMatcher) string {
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return "is " + p.Exact
	case *matcherv3.StringMatcher_Prefix:
		return "starts with " + p.Prefix
	case *matcherv3.StringMatcher_Suffix:
		return "ends with " + p.Suffix
	case *matcherv3.StringMatcher_Contains:
		return "contains " + p.Contains
	case *matcherv3.StringMatcher_SafeRegex:
		return "matches " + p.SafeRegex.Regex
	}
	return "is special"
}

// describeRetries: "up to 2 retries on reset, 503, each within 2s".
func describeRetries(p *routev3.RetryPolicy) string {
	n := p.GetNumRetries().GetValue()
	if n == 0 {
		return "no retries"
	}
	var on []string
	for event := range strings.SplitSeq(p.RetryOn, ",") {
		if event != "retriable-status-codes" {
			on = append(on, event)
		}
	}
	for _, code := range p.RetriableStatusCodes {
		on = append(on, strconv.Itoa(int(code)))
	}
	s := fmt.Sprintf("up to %d retries on %s", n, strings.Join(on, ", "))
	if n == 1 {
		s = strings.Replace(s, "retries", "retry", 1)
	}
	if t := p.GetPerTryTimeout(); t != nil {
		s += ", each try within " + t.AsDuration().String()
	}
	return s
}
