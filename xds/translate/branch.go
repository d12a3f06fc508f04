package translate

import (
	"fmt"
	"regexp"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
)

// This file is what routes do while a canary runs (schema/derived.go).

// sides makes an Envoy route one that keeps clients at the cluster that they
// came to: what they have in common over time chooses in the place of chance.
// Envoy takes the cluster in whose part of the weights the hash lies, so that
// who came to the first one stays there as its part grows. The hash goes before
// those by which targets choose their endpoints, which get the same.
//
// By a cookie there are two routes: of requests that have one, and of those
// that get one. It is the first request's ID, which that one is hashed by, for
// Envoy makes cookies of its own only where endpoints are hashed.
func sides(made *routev3.Route, d *schema.Derived) []*routev3.Route {
	split := made.GetRoute().GetWeightedClusters()
	if d == nil || d.Affinity == nil || split == nil {
		return []*routev3.Route{made}
	}
	split.RandomValueSpecifier = &routev3.WeightedCluster_UseHashPolicy{UseHashPolicy: wrapperspb.Bool(true)}
	cookie := d.Affinity.Cookie
	if cookie == nil {
		hashFirst(made, d.Affinity.Header)
		return []*routev3.Route{made}
	}
	known := proto.CloneOf(made)
	known.Match.Headers = append(known.Match.Headers, stringHeader("cookie", &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{
		SafeRegex: &matcherv3.RegexMatcher{Regex: `(.*;\s*)?` + regexp.QuoteMeta(cookie.Name) + `=[^;].*`},
	}}))
	known.GetRoute().HashPolicy = slices.Insert(known.GetRoute().HashPolicy, 0, &routev3.RouteAction_HashPolicy{
		Terminal:        true,
		PolicySpecifier: &routev3.RouteAction_HashPolicy_Cookie_{Cookie: &routev3.RouteAction_HashPolicy_Cookie{Name: cookie.Name}},
	})
	hashFirst(made, "x-request-id")
	made.ResponseHeadersToAdd = append(made.ResponseHeadersToAdd, &corev3.HeaderValueOption{Header: &corev3.HeaderValue{
		Key: "set-cookie", Value: fmt.Sprintf("%s=%%REQ(x-request-id)%%; Max-Age=%.0f; Path=/; HttpOnly", cookie.Name, cookie.TTL.Seconds()),
	}})
	return []*routev3.Route{known, made}
}

// hashFirst hashes a header before all else.
func hashFirst(r *routev3.Route, header string) {
	r.GetRoute().HashPolicy = slices.Insert(r.GetRoute().HashPolicy, 0, &routev3.RouteAction_HashPolicy{
		Terminal:        true,
		PolicySpecifier: &routev3.RouteAction_HashPolicy_Header_{Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: header}},
	})
}

// branchesOf returns the entrances that one is made of: those to other targets,
// and last the one to its own.
func branchesOf(e entrance) []entrance {
	d := e.Spec.Derived
	if d == nil {
		return []entrance{e}
	}
	var all []entrance
	for _, branch := range d.Branches {
		to, action := e, *e.action
		action.Target = branch.Target
		to.action, to.match = &action, proto.CloneOf(e.match)
		if branch.Header != nil {
			to.match.Headers = append(to.match.Headers, headerMatch(*branch.Header))
		}
		if branch.Share < schema.Whole {
			to.match.RuntimeFraction = exactFraction(branch.Share)
		}
		all = append(all, to)
	}
	e.copied = d.Copies
	return append(all, e)
}

// unrelated makes weights sum to a number that has no divisor in common with
// the denominator of a branch's share: Envoy draws one number for both, and
// its remainders are independent only then. A weight is off by less than a
// hundredth of a percent.
func unrelated(split *routev3.WeightedCluster) {
	const prime = 9973
	var total, sum, last uint64
	for _, c := range split.GetClusters() {
		total += uint64(c.Weight.GetValue())
	}
	for _, c := range split.GetClusters() {
		sum += uint64(c.Weight.GetValue())
		bound := (sum*prime + total/2) / total
		c.Weight = u32(uint32(bound - last))
		last = bound
	}
}
