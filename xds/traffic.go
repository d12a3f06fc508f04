package xds

import (
	"math"
	"slices"
	"time"
)

// ReportInterval is how often proxies report what they see of traffic and of
// their endpoints' health, unless their bootstraps say otherwise; none reports
// less often.
const ReportInterval = 5 * time.Second

// The attributes of an OpenTelemetry resource by which an Envoy says whose
// metrics it exports: what node.cluster and node.id say on its other streams.
const (
	AttributeIdentity = "meshwright.identity"
	AttributeNode     = "meshwright.node"
)

// Traffic is what proxies reported about requests to one target within a
// window, added up over all that reported. Retries count as requests of their
// own: the numbers are what the target saw.
type Traffic struct {
	Window   time.Duration `json:"window"`
	Requests uint64        `json:"requests"` // that were answered or failed
	Errors   uint64        `json:"errors"`   // of them: 5xx, resets, timeouts
	Latency  Histogram     `json:"-"`
}

// SuccessRate is in percent; false without requests.
func (t Traffic) SuccessRate() (float64, bool) {
	if t.Requests == 0 {
		return 0, false
	}
	return 100 * (1 - float64(t.Errors)/float64(t.Requests)), true
}

// Add adds what was reported elsewhere about the same window.
func (t *Traffic) Add(other Traffic) {
	t.Window = max(t.Window, other.Window)
	t.Requests += other.Requests
	t.Errors += other.Errors
	t.Latency.Add(other.Latency)
}

// Since is what was added after an earlier sum of the same.
func (t Traffic) Since(earlier Traffic) Traffic {
	t.Requests -= min(earlier.Requests, t.Requests)
	t.Errors -= min(earlier.Errors, t.Errors)
	t.Latency = t.Latency.Clone()
	for i, n := range earlier.Latency.Counts[:min(len(earlier.Latency.Counts), len(t.Latency.Counts))] {
		t.Latency.Counts[i] -= min(n, t.Latency.Counts[i])
	}
	return t
}

// LatencyBounds are the upper bounds of a [Histogram]'s buckets, in
// milliseconds; proxies are told to use them (bootstrap), so that what many of
// them report can be added.
var LatencyBounds = []float64{1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 400, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000, 10000, 15000, 30000, 60000}

// Histogram counts requests by latency: the bucket i holds those above the
// bound before it and up to [LatencyBounds][i], the last one all that were slower.
type Histogram struct{ Counts []uint64 }

// Add adds another's counts.
func (h *Histogram) Add(other Histogram) {
	if len(other.Counts) > len(h.Counts) {
		h.Counts = append(h.Counts, make([]uint64, len(other.Counts)-len(h.Counts))...)
	}
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
}

// Quantile is the latency that a share q (0 to 1) of the requests did not
// exceed, interpolated within its bucket; false without requests. What is
// slower than the last bound counts as that bound.
func (h Histogram) Quantile(q float64) (time.Duration, bool) {
	var total uint64
	for _, n := range h.Counts {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	rank, below := q*float64(total), 0.0
	for i, n := range h.Counts {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		if i >= len(LatencyBounds) {
			break
		}
		low := 0.0
		if i > 0 {
			low = LatencyBounds[i-1]
		}
		ms := low + (LatencyBounds[i]-low)*math.Max(0, rank-below)/float64(n)
		return time.Duration(ms * float64(time.Millisecond)), true
	}
	return time.Duration(LatencyBounds[len(LatencyBounds)-1] * float64(time.Millisecond)), true
}

// Clone copies the counts.
func (h Histogram) Clone() Histogram { return Histogram{slices.Clone(h.Counts)} }
