package plan

import (
	"cmp"
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// RiskDoc says in one line what a code of a [Risk] means.
type RiskDoc struct {
	Code    string
	Levels  []Level // that it is told with
	Summary string
}

// rule finds the risks of one code.
type rule struct {
	RiskDoc
	find func(*change, *Plan, teller)
}

// teller takes a risk at a field of a resource; of one that is gone, where it
// was.
type teller func(level Level, at schema.Resource, path, text string)

var rules = []rule{
	{RiskDoc{"all-at-once", []Level{High, Low}, "a node that got nothing (high) or up to a tenth (low) of a route's requests gets all of them"}, (*change).allAtOnce},
	{RiskDoc{"backend-removed", []Level{High, Low}, "a node may no longer call a service whose nodes had requests lately (high); of whose traffic nothing is known, while no other route takes its requests (high) or one does (low)"}, (*change).backendRemoved},
	{RiskDoc{"certificate-missing", []Level{High}, "proxies would need a certificate or an authority that has no source: they refuse connections"}, (*change).certificateMissing},
	{RiskDoc{"egress-open", []Level{High}, "the mesh's egress filter becomes ALLOW_ALL: applications reach what is no backend"}, (*change).egressOpen},
	{RiskDoc{"health-check-removed", []Level{Low}, "a listener is no longer checked: requests go to broken instances too"}, (*change).healthCheckRemoved},
	{RiskDoc{"limit-below-use", []Level{High}, "a connection pool's limit falls below what is in flight"}, (*change).limitBelowUse},
	{RiskDoc{"moves-untried", []Level{Low}, "so many routes change that not all requests that could move were tried"}, nil},
	{RiskDoc{"no-endpoint", []Level{High, Low}, "a node that gets requests has no endpoint, or unhealthy ones only (high); or none that is healthy but some that drain, which get them all the same (low)"}, (*change).noEndpoint},
	{RiskDoc{"proxies-left", []Level{High}, "proxies are connected for a node or gateway that goes: they keep what they have"}, (*change).proxiesLeft},
	{RiskDoc{"retry-unsafe", []Level{Low}, "requests with POST or PATCH begin to be tried again after a server may have done them"}, (*change).retryUnsafe},
	{RiskDoc{"rollout-changed", []Level{High, Low}, "a Rollout changes while something is on its way by it (low), which is past the steps that are left (high)"}, (*change).rolloutChanged},
	{RiskDoc{"rollout-first", []Level{Low}, "a router or gateway route is governed for the first time: nothing has judged the base of its steps, or there is none, and it applies at once"}, (*change).rolloutFirst},
	{RiskDoc{"rollout-moved", []Level{Low}, "another Rollout governs a router or gateway route"}, (*change).rolloutMoved},
	{RiskDoc{"rollout-removed", []Level{High, Low}, "a router or gateway route is governed no more (low), of which something has failed or is on its way: it gets all requests at once (high)"}, (*change).rolloutRemoved},
	{RiskDoc{"rollout-shut", []Level{Low}, "by its windows or its hold nothing begins by a Rollout within 30 days"}, (*change).rolloutShut},
	{RiskDoc{"route-removed", []Level{High, Low}, "a route goes whose targets had requests lately (high) or of which nothing is known (low)"}, (*change).routeRemoved},
	{RiskDoc{"timeout-below-p99", []Level{High}, "a timeout falls below the 99th percentile of how long a target takes"}, (*change).timeoutBelowP99},
	{RiskDoc{"tls-off", []Level{High}, "TLS is turned off, or no longer enforced"}, (*change).tlsOff},
	{RiskDoc{"tls-weakened", []Level{High}, "plain connections are let in beside TLS, or peers are checked less"}, (*change).tlsWeakened},
	{RiskDoc{"unmatched", []Level{High}, "requests that a route took are taken by none"}, (*change).unmatched},
}

// RiskDocs lists every code of a [Risk], sorted.
func RiskDocs() []RiskDoc {
	docs := make([]RiskDoc, len(rules))
	for i := range rules {
		docs[i] = rules[i].RiskDoc
	}
	return docs
}

// risks are what people should know, the high ones first. The rest of the plan
// is made already.
func (c *change) risks(p *Plan, tried bool) []Risk {
	out := []Risk{}
	for _, r := range rules {
		if r.find == nil {
			continue
		}
		r.find(c, p, func(level Level, at schema.Resource, path, text string) {
			m := schema.MetaOf(at)
			out = append(out, Risk{Code: r.Code, Level: level, Ref: m.Ref, Pos: m.At(path), Text: text})
		})
	}
	if !tried {
		out = append(out, Risk{Code: "moves-untried", Level: Low, Text: "so many routes change that not all requests that could move were tried; change them in smaller steps"})
	}
	slices.SortFunc(out, func(a, b Risk) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Code, b.Code), a.Ref.Compare(b.Ref), a.Pos.Compare(b.Pos), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(out)
}
