package reconciler

import (
	"testing"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// latencies makes traffic of so many requests in the bucket up to each bound.
func latencies(errors uint64, byBound map[float64]uint64) xds.Traffic {
	t := xds.Traffic{Errors: errors, Latency: xds.Histogram{Counts: make([]uint64, len(xds.LatencyBounds)+1)}}
	for i, bound := range xds.LatencyBounds {
		t.Latency.Counts[i] = byBound[bound]
		t.Requests += byBound[bound]
	}
	return t
}

func TestHealth(t *testing.T) {
	a, b := schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Namespace: "shop", Name: "a"}}, schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Namespace: "shop", Name: "b"}}
	fast := func(n, errors uint64) xds.Traffic {
		return latencies(errors, map[float64]uint64{10: n * 98 / 100, 50: n * 2 / 100})
	}
	slow := func(n uint64) xds.Traffic {
		return latencies(0, map[float64]uint64{10: n * 90 / 100, 500: n * 10 / 100})
	}
	of := func(before, after xds.Traffic) Traffic {
		return Traffic{Before: map[schema.Ref]xds.Traffic{a: before}, After: map[schema.Ref]xds.Traffic{a: after}, Proxies: 12, Reporting: 12}
	}
	silent := of(fast(5000, 0), fast(1000, 0))
	silent.Reporting = 9
	shifted := Traffic{
		Before: map[schema.Ref]xds.Traffic{a: fast(5000, 0)}, After: map[schema.Ref]xds.Traffic{b: fast(1000, 80)}, Proxies: 1, Reporting: 1,
	}
	hidden := Traffic{
		Before: map[schema.Ref]xds.Traffic{a: fast(500_000, 2000), b: fast(5000, 0)}, After: map[schema.Ref]xds.Traffic{a: fast(100_000, 380), b: fast(200, 40)}, Proxies: 1, Reporting: 1,
	}
	for _, c := range []struct {
		name  string
		t     Traffic
		state sources.StatusState
		want  string
	}{
		{"as_before", of(fast(5000, 1), fast(1000, 0)), sources.Success, "100.00 % of 1000 requests succeed (99.98 % before), p99 45 ms (45 ms)"},
		{"some_do_not_report", silent, sources.Success, "100.00 % of 1000 requests succeed (100.00 % before), p99 45 ms (45 ms); no reports from 3 of 12 proxies"},
		{"success_falls", of(fast(5000, 2), fast(1000, 70)), sources.Failure, "success rate fell from 99.96 % to 93.00 % of 1000 requests"},
		{"a_few_errors_are_noise", of(fast(5000, 0), fast(1000, 4)), sources.Success, "99.60 % of 1000 requests succeed (100.00 % before), p99 45 ms (45 ms)"},
		{"as_bad_as_before", of(fast(5000, 500), fast(1000, 110)), sources.Success, "89.00 % of 1000 requests succeed (90.00 % before), p99 45 ms (45 ms)"},
		{"better", of(fast(5000, 500), fast(1000, 0)), sources.Success, "100.00 % of 1000 requests succeed (90.00 % before), p99 45 ms (45 ms)"},
		{"p99_rises", of(fast(5000, 0), slow(1000)), sources.Failure, "p99 rose from 45 ms to 490 ms over 1000 requests"},
		{"p99_of_few_requests_is_noise", of(fast(100, 0), latencies(0, map[float64]uint64{10: 98, 500: 2})), sources.Success, ""},
		{"p99_of_fast_answers_varies", of(latencies(0, map[float64]uint64{5: 5000}), latencies(0, map[float64]uint64{15: 1000})), sources.Success, "100.00 % of 1000 requests succeed (100.00 % before), p99 14 ms (4 ms)"},
		{"p99_falls", of(slow(5000), fast(1000, 0)), sources.Success, "100.00 % of 1000 requests succeed (100.00 % before), p99 45 ms (490 ms)"},
		{"few_after", of(fast(5000, 0), fast(12, 12)), sources.Success, "too little traffic to compare: 11 requests in 60 s"},
		{"none_before", of(xds.Traffic{}, fast(1000, 0)), sources.Success, "too little traffic to compare: 0 requests before"},
		{"none_at_all", Traffic{}, sources.Success, "too little traffic to compare: 0 requests in 60 s"},
		{"to_another_node", shifted, sources.Failure, "success rate fell from 100.00 % to 92.00 % of 1000 requests"},
		{"one_node_of_many", hidden, sources.Failure, "success rate fell from 100.00 % to 80.00 % of 200 requests: VirtualNode/shop/b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := health([]schema.Ref{a, b}, c.t, time.Minute)
			if got.State != c.state || c.want != "" && got.Description != c.want {
				t.Errorf("%s %q, want %s %q", got.State, got.Description, c.state, c.want)
			}
		})
	}
}
