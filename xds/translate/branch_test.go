package translate

import (
	"math"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshwright/meshwright/schema"
)

// What a branch's weights become keeps their shares, and sums to no multiple of
// what divides 10,000.
func TestUnrelatedWeights(t *testing.T) {
	for _, weights := range [][]uint32{{1}, {50, 50}, {0, 1, 2}, {9999, 1}, {33, 33, 34, 0}} {
		split, total := &routev3.WeightedCluster{}, 0.0
		for _, w := range weights {
			split.Clusters = append(split.Clusters, &routev3.WeightedCluster_ClusterWeight{Weight: u32(w)})
			total += float64(w)
		}
		unrelated(split)
		sum := uint32(0)
		for _, c := range split.Clusters {
			sum += c.Weight.Value
		}
		if sum%2 == 0 || sum%5 == 0 {
			t.Errorf("%v: the sum is %d", weights, sum)
		}
		for i, c := range split.Clusters {
			if is, was := float64(c.Weight.Value)/float64(sum), float64(weights[i])/total; math.Abs(is-was) > 1e-4 {
				t.Errorf("%v: %d becomes %v of %v", weights, i, is, was)
			}
		}
	}
	unrelated(nil) // one cluster, or an answer of the proxy's own
}

// Without a split there is no side to keep to, and without affinity nothing
// does.
func TestNoSides(t *testing.T) {
	one := &routev3.Route{Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "a"}}}}
	sticky := &schema.Derived{Affinity: &schema.Affinity{Cookie: &schema.AffinityCookie{Name: "side"}}}
	if got := sides(one, sticky); len(got) != 1 || got[0] != one || len(one.GetRoute().HashPolicy) > 0 {
		t.Errorf("got %v", got)
	}
	split := &routev3.Route{Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: &routev3.WeightedCluster{}}}}}
	if got := sides(split, nil); len(got) != 1 || split.GetRoute().GetWeightedClusters().GetUseHashPolicy().GetValue() {
		t.Errorf("got %v", got)
	}
}
