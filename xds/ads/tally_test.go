package ads

import (
	"math"
	"testing"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	otlpv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/xds"
)

func TestStatOf(t *testing.T) {
	for _, row := range []struct {
		name          string
		labels        map[string]string
		cluster, stat string
	}{
		{"cluster.web.upstream_rq_5xx", nil, "web", "upstream_rq_5xx"},
		{"cluster.web.shop.upstream_rq_time", nil, "web.shop", "upstream_rq_time"},
		{"cluster.web.retry.upstream_rq_4xx", nil, "web", "retry.upstream_rq_4xx"},
		{"cluster.web.grpc.14", nil, "web", "grpc.14"},
		{"cluster.web.external.upstream_rq_5xx", nil, "web.external", "upstream_rq_5xx"}, // no cluster of that name
		{"cluster.upstream_rq_xx", map[string]string{"envoy.cluster_name": "web", "envoy.response_code_class": "2"}, "web", "upstream_rq_2xx"},
		{"cluster.retry.upstream_rq_xx", map[string]string{"envoy.cluster_name": "web", "envoy.response_code_class": "4"}, "web", "retry.upstream_rq_4xx"},
		{"cluster.external.upstream_rq_xx", map[string]string{"envoy.cluster_name": "web", "envoy.response_code_class": "2"}, "web", "external.upstream_rq_2xx"},
		{"cluster.membership_total", map[string]string{"envoy.cluster_name": "web"}, "web", "membership_total"},
		{"http.egress.downstream_rq_xx", map[string]string{"envoy.response_code_class": "2"}, "", ""},
		{"cluster.upstream_rq_time", nil, "", ""},
		{"cluster_manager.cds.update_success", nil, "", ""},
		{"", nil, "", ""},
	} {
		cluster, stat := statOf(row.name, func(key string) string { return row.labels[key] })
		if cluster != row.cluster || stat != row.stat {
			t.Errorf("%s %v: %q %q, want %q %q", row.name, row.labels, cluster, stat, row.cluster, row.stat)
		}
	}
}

// family is one metric of one cluster as the sink streams it with tags.
func family(cluster, name string, m *dto.Metric, labels ...string) *dto.MetricFamily {
	labels = append(labels, "envoy.cluster_name", cluster)
	for i := 0; i < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	return &dto.MetricFamily{Name: &name, Metric: []*dto.Metric{m}}
}

func counter(n float64) *dto.Metric { return &dto.Metric{Counter: &dto.Counter{Value: &n}} }
func gauge(n float64) *dto.Metric   { return &dto.Metric{Gauge: &dto.Gauge{Value: &n}} }

// histogram has so many samples up to each bound, and in all.
func histogram(all uint64, upTo map[float64]uint64) *dto.Metric {
	h := &dto.Histogram{SampleCount: &all}
	var below uint64
	for _, bound := range xds.LatencyBounds {
		below = max(below, upTo[bound])
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: proto.Float64(bound), CumulativeCount: proto.Uint64(below)})
	}
	return &dto.Metric{Histogram: h}
}

func TestOfMetrics(t *testing.T) {
	ts := ofMetrics([]*dto.MetricFamily{
		family("web", "cluster.upstream_rq_xx", counter(90), "envoy.response_code_class", "2"),
		family("web", "cluster.upstream_rq_xx", counter(3), "envoy.response_code_class", "4"),
		family("web", "cluster.upstream_rq_xx", counter(7), "envoy.response_code_class", "5"),
		family("web", "cluster.external.upstream_rq_xx", counter(7), "envoy.response_code_class", "5"),
		family("web", "cluster.upstream_rq_completed", counter(100)),
		family("web", "cluster.upstream_rq_retry", counter(5)),
		family("web", "cluster.retry.upstream_rq_xx", counter(2), "envoy.response_code_class", "4"),
		family("web", "cluster.upstream_rq_time", histogram(99, map[float64]uint64{1: 10, 5: 60, 100: 98})),
		family("web", "cluster.membership_healthy", gauge(1)),
		family("web", "cluster.membership_total", gauge(2)),
	})
	latency := make([]uint64, len(xds.LatencyBounds)+1)
	latency[0], latency[4], latency[13], latency[30] = 10, 50, 38, 1
	want := tallies{"web": {requests: 105, fives: 7, retries: 5, forgiven: 2, latency: latency, healthy: 1, total: 2}}
	if diff := cmp.Diff(want, ts, cmp.AllowUnexported(tally{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := ts["web"].traffic(); got.Errors != 10 { // 7 + 5 − 2
		t.Errorf("%d errors, want 10", got.Errors)
	}
}

func TestOfOTLP(t *testing.T) {
	const delta, cumulative = otlpv1.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, otlpv1.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	number := func(n int64) []*otlpv1.NumberDataPoint {
		return []*otlpv1.NumberDataPoint{{Value: &otlpv1.NumberDataPoint_AsInt{AsInt: n}}}
	}
	sum := func(name string, n int64, t otlpv1.AggregationTemporality) *otlpv1.Metric {
		return &otlpv1.Metric{Name: name, Data: &otlpv1.Metric_Sum{Sum: &otlpv1.Sum{DataPoints: number(n), AggregationTemporality: t}}}
	}
	ts := ofOTLP(&otlpv1.MetricsData{ResourceMetrics: []*otlpv1.ResourceMetrics{{ScopeMetrics: []*otlpv1.ScopeMetrics{{Metrics: []*otlpv1.Metric{
		sum("cluster.web.upstream_rq_2xx", 9, delta),
		sum("cluster.web.upstream_rq_5xx", 1, delta),
		sum("cluster.web.upstream_rq_4xx", 1000, cumulative),
		{Name: "cluster.web.membership_total", Data: &otlpv1.Metric_Gauge{Gauge: &otlpv1.Gauge{DataPoints: number(3)}}},
		{Name: "cluster.web.upstream_rq_time", Data: &otlpv1.Metric_Histogram{Histogram: &otlpv1.Histogram{AggregationTemporality: delta,
			DataPoints: []*otlpv1.HistogramDataPoint{{ExplicitBounds: []float64{2, 4.5}, BucketCounts: []uint64{5, 3, 1}}}}}},
	}}}}}})
	latency := make([]uint64, len(xds.LatencyBounds)+1)
	latency[1], latency[4], latency[30] = 5, 3, 1 // another division: each bucket where it ends
	want := tallies{"web": {requests: 10, fives: 1, latency: latency, healthy: -1, total: 3}}
	if diff := cmp.Diff(want, ts, cmp.AllowUnexported(tally{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOfLoads(t *testing.T) {
	ts := ofLoads([]*endpointv3.ClusterStats{{ClusterName: "web", TotalDroppedRequests: 2, UpstreamLocalityStats: []*endpointv3.UpstreamLocalityStats{
		{TotalSuccessfulRequests: 10, TotalErrorRequests: 1}, {TotalSuccessfulRequests: 20, TotalErrorRequests: 3},
	}}})
	want := tallies{"web": {requests: 36, fives: 6, healthy: -1, total: -1}}
	if diff := cmp.Diff(want, ts, cmp.AllowUnexported(tally{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Broken numbers count for nothing, and never as very many requests.
func TestBrokenNumbers(t *testing.T) {
	for _, v := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1), 1e300} {
		ts := ofMetrics([]*dto.MetricFamily{
			family("web", "cluster.upstream_rq_xx", counter(v), "envoy.response_code_class", "5"),
			family("web", "cluster.membership_total", gauge(v)),
		})
		if len(ts) != 0 {
			t.Errorf("%v: %+v", v, ts["web"])
		}
	}
	falling := &dto.Histogram{SampleCount: proto.Uint64(3), Bucket: []*dto.Bucket{
		{UpperBound: proto.Float64(1), CumulativeCount: proto.Uint64(5)}, {UpperBound: proto.Float64(math.NaN()), CumulativeCount: proto.Uint64(2)},
		{UpperBound: proto.Float64(2), CumulativeCount: proto.Uint64(math.MaxUint64)},
	}}
	ts := ofMetrics([]*dto.MetricFamily{family("web", "cluster.upstream_rq_time", &dto.Metric{Histogram: falling})})
	var n uint64
	for _, c := range ts["web"].latency {
		n += c
	}
	if n != 5 {
		t.Errorf("%d samples of a histogram that falls, want the 5 of its first bucket", n)
	}
}

func TestErrorsOfATally(t *testing.T) {
	for name, row := range map[string]struct {
		tally tally
		want  uint64
	}{
		"each_attempt_once":                {tally{requests: 20, fives: 3, retries: 5}, 8},
		"retries_of_what_is_none":          {tally{requests: 20, fives: 3, retries: 5, forgiven: 2}, 6},
		"calls_that_failed_with_a_200":     {tally{requests: 20, failed: 4}, 4},
		"calls_that_Envoy_failed_are_5xx":  {tally{requests: 20, fives: 3, failed: 4, retries: 1}, 5},
		"more_forgiven_than_tried_again":   {tally{requests: 20, fives: 3, forgiven: 2}, 3},
		"more_failed_calls_than_there_are": {tally{requests: 2, failed: 4}, 2},
	} {
		if got := row.tally.traffic().Errors; got != row.want {
			t.Errorf("%s: %d errors, want %d", name, got, row.want)
		}
	}
}

// FuzzTallies: whatever a proxy reports, there are no more errors than requests
// and nothing panics.
func FuzzTallies(f *testing.F) {
	for _, m := range []proto.Message{
		&metricsv3.StreamMetricsMessage{EnvoyMetrics: []*dto.MetricFamily{family("web", "cluster.upstream_rq_time", histogram(9, map[float64]uint64{1: 3}))}},
		&otlpv1.MetricsData{ResourceMetrics: []*otlpv1.ResourceMetrics{{ScopeMetrics: []*otlpv1.ScopeMetrics{{Metrics: []*otlpv1.Metric{otlpSum("cluster.web.upstream_rq_5xx", 1)}}}}}},
		&loadv3.LoadStatsRequest{ClusterStats: []*endpointv3.ClusterStats{{ClusterName: "web", TotalDroppedRequests: 2}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []tallies
		metrics, otlp, loads := &metricsv3.StreamMetricsMessage{}, &otlpv1.MetricsData{}, &loadv3.LoadStatsRequest{}
		if proto.Unmarshal(b, metrics) == nil {
			all = append(all, ofMetrics(metrics.EnvoyMetrics))
		}
		if proto.Unmarshal(b, otlp) == nil {
			all = append(all, ofOTLP(otlp))
		}
		if proto.Unmarshal(b, loads) == nil {
			all = append(all, ofLoads(loads.ClusterStats))
		}
		for _, ts := range all {
			for _, tally := range ts {
				got := tally.traffic()
				if n := len(got.Latency.Counts); got.Errors > got.Requests || n != 0 && n != len(xds.LatencyBounds)+1 {
					t.Errorf("%+v", got)
				}
			}
		}
	})
}
