package translate

import (
	"cmp"
	"math"

	"github.com/meshwright/meshwright/schema"
)

// Envoy takes the first route that matches. Routes are tried by priority, 0
// first and those without one last (App Mesh's user guide, "Route priority");
// between equals, the more specific first: an exact path, then longer before
// shorter prefixes, then regular expressions, longer first, and last what
// takes every path; more conditions before fewer; then by name.
func compareRoutes(a, b *schema.Route) int {
	return cmp.Or(
		cmp.Compare(priority(a.Priority), priority(b.Priority)),
		specificity(a).compare(specificity(b)),
		cmp.Compare(a.Name, b.Name),
	)
}

func priority(p *uint32) uint64 {
	if p == nil {
		return math.MaxUint32 + 1
	}
	return uint64(*p)
}

// rank is how specific a match is; less comes first.
type rank struct{ path, length, conditions int }

const (
	exactPath = iota
	prefixPath
	regexPath
	anyPath
)

func (r rank) compare(o rank) int {
	return cmp.Or(
		cmp.Compare(r.path, o.path),
		cmp.Compare(o.length, r.length),
		cmp.Compare(o.conditions, r.conditions),
	)
}

func specificity(r *schema.Route) rank {
	switch h := r.HTTP(); {
	case h != nil:
		return httpRank(&h.Match)
	case r.GRPCRoute != nil:
		return grpcRank(&r.GRPCRoute.Match)
	case r.TCPRoute != nil && r.TCPRoute.Match != nil && r.TCPRoute.Match.Port != 0:
		return rank{conditions: 1}
	}
	return rank{}
}

func httpRank(m *schema.HTTPMatch) rank {
	r := rank{path: anyPath, conditions: len(m.Headers) + len(m.QueryParameters)}
	for _, set := range []string{m.Method, m.Scheme} {
		if set != "" {
			r.conditions++
		}
	}
	switch {
	case m.Path != nil && m.Path.Exact != "":
		r.path, r.length = exactPath, len(m.Path.Exact)
	case m.Path != nil && m.Path.Regex != "":
		r.path, r.length = regexPath, len(m.Path.Regex)
	case len(m.Prefix) > 1:
		r.path, r.length = prefixPath, len(m.Prefix)
	}
	return r
}

func grpcRank(m *schema.GRPCMatch) rank {
	r := rank{path: anyPath, conditions: len(m.Metadata)}
	if m.ServiceName != "" {
		r.path, r.length = prefixPath, len(m.ServiceName)
		if m.MethodName != "" {
			r.path, r.length = exactPath, len(m.ServiceName)+len(m.MethodName)
		}
	}
	return r
}
