package translate

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
)

// balancing is how clients choose among the endpoints of a target; nil: round
// robin.
func (b *builder) balancing(t target) *schema.LoadBalancing {
	return b.spec.ListenerRulesOf(t.node, t.listener.PortMapping.Port).LoadBalancing
}

// balance makes a cluster choose its endpoints so.
func balance(c *clusterv3.Cluster, lb *schema.LoadBalancing) {
	if lb == nil {
		return
	}
	c.LbPolicy = map[schema.Algorithm]clusterv3.Cluster_LbPolicy{
		schema.RoundRobin:   clusterv3.Cluster_ROUND_ROBIN,
		schema.LeastRequest: clusterv3.Cluster_LEAST_REQUEST,
		schema.Random:       clusterv3.Cluster_RANDOM,
		schema.RingHash:     clusterv3.Cluster_RING_HASH,
		schema.Maglev:       clusterv3.Cluster_MAGLEV,
	}[lb.Algorithm]
}

// hashKeys are what of a request its targets hash, each once. A request is
// hashed before its target is chosen, so that all count for each.
func (b *builder) hashKeys(targets []target) []schema.HashKey {
	var keys []schema.HashKey
	for _, t := range targets {
		if lb := b.balancing(t); lb != nil && lb.Algorithm.Hashes() {
			for _, k := range lb.HashOn {
				if !slices.Contains(keys, k) {
					keys = append(keys, k)
				}
			}
		}
	}
	return keys
}

func hashPolicies(keys []schema.HashKey) []*routev3.RouteAction_HashPolicy {
	var out []*routev3.RouteAction_HashPolicy
	for _, k := range keys {
		p := &routev3.RouteAction_HashPolicy{}
		switch {
		case k.Header != "":
			p.PolicySpecifier = &routev3.RouteAction_HashPolicy_Header_{Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: k.Header}}
		case k.QueryParameter != "":
			p.PolicySpecifier = &routev3.RouteAction_HashPolicy_QueryParameter_{QueryParameter: &routev3.RouteAction_HashPolicy_QueryParameter{Name: k.QueryParameter}}
		case k.Cookie != "":
			cookie := &routev3.RouteAction_HashPolicy_Cookie{Name: k.Cookie}
			if d := k.CookieTTL.Duration(); d > 0 {
				cookie.Ttl, cookie.Path = durationpb.New(d), "/"
			}
			p.PolicySpecifier = &routev3.RouteAction_HashPolicy_Cookie_{Cookie: cookie}
		default:
			p.PolicySpecifier = &routev3.RouteAction_HashPolicy_ConnectionProperties_{
				ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
			}
		}
		out = append(out, p)
	}
	return out
}

// connectionHash is what can be hashed of a TCP connection.
func connectionHash(keys []schema.HashKey) []*typev3.HashPolicy {
	if !slices.ContainsFunc(keys, func(k schema.HashKey) bool { return k.SourceAddress }) {
		return nil
	}
	return []*typev3.HashPolicy{{PolicySpecifier: &typev3.HashPolicy_SourceIp_{SourceIp: &typev3.HashPolicy_SourceIp{}}}}
}
