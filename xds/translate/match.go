package translate

import (
	"cmp"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshwright/meshwright/schema"
)

// matchOf makes the condition of an HTTP route of any type. Its port is not
// part of it: a route on another port is in another RouteConfiguration. Regular
// expressions are good: the loader refuses others.
func matchOf(r *schema.Route) *routev3.RouteMatch {
	switch h := r.HTTP(); {
	case h != nil:
		return httpMatch(&h.Match)
	case r.GRPCRoute != nil:
		return grpcMatch(&r.GRPCRoute.Match)
	}
	return everything()
}

func httpMatch(m *schema.HTTPMatch) *routev3.RouteMatch {
	out := everything()
	switch {
	case m.Path != nil && m.Path.Exact != "":
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: m.Path.Exact}
	case m.Path != nil && m.Path.Regex != "":
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: m.Path.Regex}}
	case m.Prefix != "":
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: m.Prefix}
	}
	if m.Method != "" {
		out.Headers = append(out.Headers, exactHeader(":method", m.Method))
	}
	if m.Scheme != "" {
		out.Headers = append(out.Headers, exactHeader(":scheme", m.Scheme))
	}
	for _, q := range m.QueryParameters {
		p := &routev3.QueryParameterMatcher{Name: q.Name}
		if q.Match != nil {
			p.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: exact(q.Match.Exact)}
		} else {
			p.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: true}
		}
		out.QueryParameters = append(out.QueryParameters, p)
	}
	out.Headers = append(out.Headers, headerMatches(m.Headers)...)
	return out
}

// grpcMatch: a method's path is /package.Service/Method, and what is no gRPC
// request does not match.
func grpcMatch(m *schema.GRPCMatch) *routev3.RouteMatch {
	out := everything()
	switch {
	case m.ServiceName != "" && m.MethodName != "":
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: "/" + m.ServiceName + "/" + m.MethodName}
	case m.ServiceName != "":
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/" + m.ServiceName + "/"}
	}
	out.Headers = append(out.Headers, stringHeader("content-type", &matcherv3.StringMatcher{
		MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "application/grpc"},
	}))
	out.Headers = append(out.Headers, headerMatches(m.Metadata)...)
	return out
}

func headerMatches(headers []schema.HeaderMatch) []*routev3.HeaderMatcher {
	var out []*routev3.HeaderMatcher
	for _, h := range headers {
		out = append(out, headerMatch(h))
	}
	return out
}

func headerMatch(h schema.HeaderMatch) *routev3.HeaderMatcher {
	v := cmp.Or(h.Match, &schema.HeaderValue{})
	s := &matcherv3.StringMatcher{}
	out := stringHeader(h.Name, s)
	out.InvertMatch = h.Invert
	switch {
	case v.Exact != "":
		s.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: v.Exact}
	case v.Prefix != "":
		s.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: v.Prefix}
	case v.Suffix != "":
		s.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: v.Suffix}
	case v.Regex != "":
		s.MatchPattern = &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: v.Regex}}
	case v.Range != nil:
		out.HeaderMatchSpecifier = &routev3.HeaderMatcher_RangeMatch{RangeMatch: &typev3.Int64Range{Start: v.Range.Start, End: v.Range.End}}
	default:
		out.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}
	}
	return out
}

func exactHeader(name, value string) *routev3.HeaderMatcher { return stringHeader(name, exact(value)) }

func stringHeader(name string, s *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: s}}
}

func exact(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: s}}
}
