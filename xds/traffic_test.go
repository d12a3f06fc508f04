package xds_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/xds"
)

// TestTrafficSince: a sum less an earlier one is what came between; neither is
// changed, and nothing is ever less than nothing.
func TestTrafficSince(t *testing.T) {
	earlier := xds.Traffic{Requests: 10, Errors: 1, Latency: xds.Histogram{Counts: []uint64{4, 6}}}
	sum := xds.Traffic{Requests: 10, Errors: 1, Latency: earlier.Latency.Clone()}
	between := xds.Traffic{Requests: 5, Errors: 2, Latency: xds.Histogram{Counts: []uint64{0, 2, 3}}}
	sum.Add(between)
	between.Latency.Counts[0] = 0
	if diff := cmp.Diff(between, sum.Since(earlier)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := sum.Since(xds.Traffic{}); !cmp.Equal(got, sum) || sum.Requests != 15 || sum.Latency.Counts[1] != 8 {
		t.Errorf("%+v of %+v", got, sum)
	}
	if diff := cmp.Diff(xds.Traffic{Latency: xds.Histogram{Counts: []uint64{0, 0}}}, earlier.Since(sum)); diff != "" {
		t.Errorf("backwards (-want +got):\n%s", diff)
	}
}
