package github

import (
	"errors"
	"math"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/sources"
)

type metrics struct {
	requests  *prometheus.CounterVec
	remaining prometheus.Gauge
}

// The ends of a request.
const (
	answered  = "ok"
	unchanged = "unchanged" // costs nothing of the limits
	nothing   = "none"      // and that is an answer
	turned    = "refused"
	tooMany   = "limited"
	lost      = "lost"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_github_requests_total",
			Help: "Requests to the git host's API, by kind and result: ok, unchanged (costs nothing of the limits), none (there is nothing of the kind), refused, limited (too many) or lost (no answer).",
		}, []string{"request", "result"}),
		remaining: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_github_rate_limit_remaining", Help: "Requests that the git host's API still takes in this hour; +Inf while it says nothing of a limit.",
		}),
	}
	for _, result := range []string{answered, unchanged, turned, tooMany, lost} {
		m.requests.WithLabelValues("GET /pulls", result)
	}
	m.remaining.Set(math.Inf(1))
	reg.MustRegister(m.requests, m.remaining)
	return m
}

// asked counts a request by how it ended.
func (m *metrics) asked(method string, to place, err error) {
	result := answered
	_, limited := errors.AsType[*sources.RetryAfter](err)
	_, refused := errors.AsType[*refusal](err)
	switch {
	case limited:
		result = tooMany
	case errors.Is(err, errUnchanged):
		result = unchanged
	case to.maybe && is(err, http.StatusNotFound):
		result = nothing
	case refused:
		result = turned
	case err != nil:
		result = lost
	}
	m.requests.WithLabelValues(method+" "+to.route, result).Inc()
}

// left says how many requests the hour still has; negative: nobody knows.
func (m *metrics) left(n int) {
	if n >= 0 {
		m.remaining.Set(float64(n))
	}
}
