package ads

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/xds"
)

// metrics of the server. Labels are protocols ("delta", "sotw"), types
// ("clusters", …) and kinds of reports: few, and never a proxy or a commit.
type metrics struct {
	streams   *prometheus.GaugeVec
	responses *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	acks      *prometheus.CounterVec
	nacks     *prometheus.CounterVec
	publish   prometheus.Histogram
	apply     prometheus.Histogram

	reports, reportBytes *prometheus.CounterVec
}

// newMetrics registers the metrics with reg, which may be nil.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "meshwright_ads_" + name, Help: help}, []string{"type"})
	}
	report := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "meshwright_ads_" + name, Help: help}, []string{"kind"})
	}
	m := &metrics{
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "meshwright_ads_streams", Help: "Proxies connected, by protocol."}, []string{"protocol"}),
		responses: counter("responses_total", "Responses sent to proxies, by type of resource."),
		bytes:     counter("response_bytes_total", "Bytes of the responses sent to proxies, by type of resource."),
		acks:      counter("acks_total", "Responses that proxies accepted, by type of resource."),
		nacks:     counter("nacks_total", "Responses that proxies refused, by type of resource."),
		publish: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "meshwright_ads_publish_seconds", Help: "Time to hand a state, translated for all connected profiles, to their streams.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}}),
		apply: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "meshwright_ads_apply_seconds", Help: "Time from a state's publication until a proxy that it touches has acknowledged all of it.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}),
	}
	m.reports = report("reports_total", "Reports of proxies about traffic and health, by kind: otlp, metrics, loads.")
	m.reportBytes = report("report_bytes_total", "Bytes of the reports of proxies, by kind.")
	for _, k := range reportKinds {
		m.reports.WithLabelValues(k)
		m.reportBytes.WithLabelValues(k)
	}
	for _, p := range []string{delta, sotw} {
		m.streams.WithLabelValues(p)
	}
	for t := range xds.NumTypes {
		for _, v := range []*prometheus.CounterVec{m.responses, m.bytes, m.acks, m.nacks} {
			v.WithLabelValues(xds.Type(t).String())
		}
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.streams, m.responses, m.bytes, m.acks, m.nacks, m.publish, m.apply, m.reports, m.reportBytes} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
