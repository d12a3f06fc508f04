package certs

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The kinds of certificates, as labels have them.
const (
	ofIssued    = "issued"    // by an authority
	ofFile      = "file"      // and authorities from files
	ofAuthority = "authority" // that issues
)

// metrics of the keeper. Labels are kinds: few, and never a name.
type metrics struct {
	expiry             *prometheus.GaugeVec
	renewals, failures *prometheus.CounterVec
}

// newMetrics registers the metrics with reg, which may be nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "meshwright_certs_expiry_timestamp_seconds", Help: "When the first certificate ends, by kind: issued, file, authority; +Inf without any."}, []string{"kind"}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_certs_renewals_total", Help: "Certificates that were issued or read anew, by kind."}, []string{"kind"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_certs_failures_total", Help: "Failures to issue or read certificates, by kind; what there was stays."}, []string{"kind"}),
	}
	for _, kind := range []string{ofIssued, ofFile, ofAuthority} {
		m.expiry.WithLabelValues(kind).Set(math.Inf(1))
		m.renewals.WithLabelValues(kind)
		m.failures.WithLabelValues(kind)
	}
	if reg != nil {
		reg.MustRegister(m.expiry, m.renewals, m.failures)
	}
	return m
}

// ends sets when the first certificates of the keeper end.
func (m *metrics) ends(k *Keeper) {
	first := map[string]float64{ofIssued: math.Inf(1), ofFile: math.Inf(1), ofAuthority: math.Inf(1)}
	at := func(kind string, t time.Time) { first[kind] = min(first[kind], float64(t.Unix())) }
	for _, l := range k.leaves {
		at(ofIssued, l.ends)
	}
	for _, p := range k.files {
		at(ofFile, p.chain[0].NotAfter)
	}
	for _, a := range k.authorities {
		if n := len(a.signers); n > 0 { // those before it may end: it has taken their place
			at(ofAuthority, a.signers[n-1].cert().NotAfter)
		}
	}
	for kind, t := range first {
		m.expiry.WithLabelValues(kind).Set(t)
	}
}
