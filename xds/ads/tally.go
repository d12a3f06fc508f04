package ads

import (
	"math"
	"slices"
	"strings"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	dto "github.com/prometheus/client_model/go"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	otlpv1 "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/meshwright/meshwright/xds"
)

// tally is what a report says of one cluster. An Envoy counts attempts thus
// (seen on 1.40): each last attempt of a request once in upstream_rq_Nxx, in
// 5xx also one without an answer (reset, timeout, refused connection, circuit
// breaker, no endpoint), and each attempt that it tried again once in
// upstream_rq_retry, beside retry.upstream_rq_Nxx where it had an answer.
type tally struct {
	requests, fives, retries uint64
	// failed are calls of gRPC whose status is such a failure, be it from the
	// server, with a 200 of HTTP, or from Envoy, beside a 5xx.
	failed uint64
	// forgiven are retries of what is no error: answers 4xx, as a 409.
	forgiven       uint64
	latency        []uint64 // as [xds.Histogram] has it; nil: none
	healthy, total int      // endpoints; -1: not in the report
}

// traffic is the tally for the ledger.
func (t *tally) traffic() xds.Traffic {
	errors := max(t.fives, t.failed) + t.retries - min(t.forgiven, t.retries)
	return xds.Traffic{Requests: t.requests, Errors: min(errors, t.requests), Latency: xds.Histogram{Counts: t.latency}}
}

// tallies are a report's, by the clusters' names as the report has them.
type tallies map[string]*tally

func (ts tallies) of(cluster string) *tally {
	t := ts[cluster]
	if t == nil {
		t = &tally{healthy: -1, total: -1}
		ts[cluster] = t
	}
	return t
}

// statOf reads the name of one of Envoy's metrics: of which cluster it is, and
// its own name. label returns the metric's labels, which hold what was taken
// out of the name where the sink emits tags.
func statOf(name string, label func(string) string) (cluster, stat string) {
	rest, ok := strings.CutPrefix(name, "cluster.")
	if !ok {
		return "", ""
	}
	if cluster = label("envoy.cluster_name"); cluster != "" {
		if before, ok := strings.CutSuffix(rest, "upstream_rq_xx"); ok {
			rest = before + "upstream_rq_" + label("envoy.response_code_class") + "xx"
		}
		return cluster, rest
	}
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 {
		return "", ""
	}
	cluster, stat = rest[:dot], rest[dot+1:]
	for _, group := range []string{"retry", "grpc"} {
		if c, ok := strings.CutSuffix(cluster, "."+group); ok {
			return c, group + "." + stat
		}
	}
	return cluster, stat
}

// most is a count that is none of a few seconds: what is above it is broken.
const most = 1 << 40

// value takes the value of a counter's interval, or a gauge.
func (ts tallies) value(cluster, stat string, v float64) {
	if !(v >= 0 && v <= most) {
		return
	}
	n := uint64(v)
	switch stat {
	case "upstream_rq_1xx", "upstream_rq_2xx", "upstream_rq_3xx", "upstream_rq_4xx":
		ts.of(cluster).requests += n
	case "upstream_rq_5xx":
		t := ts.of(cluster)
		t.requests += n
		t.fives += n
	case "upstream_rq_retry":
		t := ts.of(cluster)
		t.requests += n
		t.retries += n
	case "grpc.2", "grpc.4", "grpc.12", "grpc.13", "grpc.14", "grpc.15": // those that are 5xx as HTTP
		ts.of(cluster).failed += n
	case "retry.upstream_rq_4xx":
		ts.of(cluster).forgiven += n
	case "membership_healthy":
		ts.of(cluster).healthy = int(n)
	case "membership_total":
		ts.of(cluster).total = int(n)
	}
}

// bucket takes n requests of a histogram's bucket that ends at a bound, in
// milliseconds. A bucket of another division goes where its end is.
func (t *tally) bucket(bound float64, n uint64) {
	if n == 0 || n > most {
		return
	}
	if t.latency == nil {
		t.latency = make([]uint64, len(xds.LatencyBounds)+1)
	}
	i, _ := slices.BinarySearch(xds.LatencyBounds, bound)
	t.latency[i] += n
}

const latencyStat = "upstream_rq_time"

// ofOTLP reads what the OpenTelemetry sink exports. Counts since the proxy's
// start, which are no interval's, are passed over.
func ofOTLP(data *otlpv1.MetricsData) tallies {
	ts := tallies{}
	for _, r := range data.GetResourceMetrics() {
		for _, scope := range r.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				ts.otlp(m)
			}
		}
	}
	return ts
}

// stampOfOTLP is when the time ended that an export is about, by the proxy's
// clock; 0 where it does not say. When it began, Envoy 1.40 says in microseconds
// in the place of nanoseconds.
func stampOfOTLP(data *otlpv1.MetricsData) uint64 {
	for _, r := range data.GetResourceMetrics() {
		for _, scope := range r.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				for _, p := range append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...) {
					return p.TimeUnixNano
				}
			}
		}
	}
	return 0
}

func (ts tallies) otlp(m *otlpv1.Metric) {
	const delta = otlpv1.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	numbers := m.GetGauge().GetDataPoints()
	if sum := m.GetSum(); sum.GetAggregationTemporality() == delta {
		numbers = sum.GetDataPoints()
	}
	for _, p := range numbers {
		v := p.GetAsDouble()
		if i, ok := p.Value.(*otlpv1.NumberDataPoint_AsInt); ok {
			v = float64(i.AsInt)
		}
		cluster, stat := statOf(m.Name, attribute(p.Attributes))
		ts.value(cluster, stat, v)
	}
	if h := m.GetHistogram(); h.GetAggregationTemporality() == delta {
		for _, p := range h.GetDataPoints() {
			cluster, stat := statOf(m.Name, attribute(p.Attributes))
			if stat != latencyStat {
				continue
			}
			for i, n := range p.BucketCounts {
				bound := math.Inf(1)
				if i < len(p.ExplicitBounds) {
					bound = p.ExplicitBounds[i]
				}
				ts.of(cluster).bucket(bound, n)
			}
		}
	}
}

func attribute(list []*commonv1.KeyValue) func(string) string {
	return func(key string) string {
		for _, kv := range list {
			if kv.GetKey() == key {
				return kv.GetValue().GetStringValue()
			}
		}
		return ""
	}
}

// ofMetrics reads what the metrics service sink streams. Its counters must be
// deltas; nothing in the report says whether they are.
func ofMetrics(families []*dto.MetricFamily) tallies {
	ts := tallies{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			cluster, stat := statOf(f.GetName(), func(key string) string {
				for _, l := range m.GetLabel() {
					if l.GetName() == key {
						return l.GetValue()
					}
				}
				return ""
			})
			switch {
			case m.Counter != nil:
				ts.value(cluster, stat, m.Counter.GetValue())
			case m.Gauge != nil:
				ts.value(cluster, stat, m.Gauge.GetValue())
			case m.Histogram != nil && stat == latencyStat:
				var below uint64
				for _, b := range m.Histogram.GetBucket() {
					ts.of(cluster).bucket(b.GetUpperBound(), b.GetCumulativeCount()-min(below, b.GetCumulativeCount()))
					below = max(below, b.GetCumulativeCount())
				}
				all := m.Histogram.GetSampleCount()
				ts.of(cluster).bucket(math.Inf(1), all-min(below, all))
			}
		}
	}
	return ts
}

// ofLoads reads a load report. What was dropped had no answer.
func ofLoads(clusters []*endpointv3.ClusterStats) tallies {
	ts := tallies{}
	for _, c := range clusters {
		failed := c.GetTotalDroppedRequests()
		for _, l := range c.GetUpstreamLocalityStats() {
			ts.value(c.GetClusterName(), "upstream_rq_2xx", float64(l.GetTotalSuccessfulRequests()))
			failed += l.GetTotalErrorRequests()
		}
		ts.value(c.GetClusterName(), "upstream_rq_5xx", float64(failed))
	}
	return ts
}
