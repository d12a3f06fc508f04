package endpoints

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/schema"
)

type metrics struct {
	up        prometheus.Gauge
	answered  prometheus.Gauge
	looks     *prometheus.CounterVec
	instances prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_endpoints_source_up", Help: "Whether the registry answered for every service when it was asked last: 1 or 0; 1 while it is not needed.",
		}),
		answered: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_endpoints_last_answer_timestamp_seconds", Help: "When the registry answered last.",
		}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_endpoints_looks_total", Help: "Looks at services of the registry, by result: read (the instances), unchanged (the revision said so) or failed.",
		}, []string{"result"}),
		instances: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_endpoints_instances", Help: "Instances that the registry has for the nodes of the served spec.",
		}),
	}
	for _, result := range []string{"read", "unchanged", "failed"} {
		m.looks.WithLabelValues(result)
	}
	m.up.Set(1)
	reg.MustRegister(m.up, m.answered, m.looks, m.instances)
	return m
}

// asked counts a look at a service.
func (m *metrics) asked(read bool, err error) {
	result := "unchanged"
	switch {
	case err != nil:
		result = "failed"
	case read:
		result = "read"
	}
	if m.looks.WithLabelValues(result).Inc(); err == nil {
		m.answered.SetToCurrentTime()
	}
}

// known says what is known now, and whether a service fails.
func (m *metrics) known(found map[schema.Query]*schema.Found, failing bool) {
	sum := 0
	for _, f := range found {
		sum += len(f.Instances)
	}
	m.instances.Set(float64(sum))
	if failing {
		m.up.Set(0)
	} else {
		m.up.Set(1)
	}
}
