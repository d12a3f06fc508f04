package reconciler

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/sources"
)

type metrics struct {
	commits     *prometheus.CounterVec
	verdicts    *prometheus.CounterVec
	serving     prometheus.Gauge
	ready       prometheus.Gauge
	sourceUp    prometheus.Gauge
	fetched     prometheus.Gauge
	fetchErrors prometheus.Counter
	fetch       prometheus.Histogram
	load        prometheus.Histogram
	publish     prometheus.Histogram
	outbox      prometheus.Gauge
	writes      *prometheus.CounterVec
	pulls       *prometheus.CounterVec
	expired     prometheus.Counter
	orders      *prometheus.CounterVec
	rollouts    rolloutCounts
}

func newMetrics(reg prometheus.Registerer) *metrics {
	seconds := prometheus.ExponentialBuckets(0.001, 2.5, 12) // 1 ms to 24 s
	m := &metrics{
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_reconciler_commits_total", Help: "Commits of the branch judged, by result: good or bad.",
		}, []string{"result"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_reconciler_verdicts_total", Help: "Ends of served commits on the proxies, by state: success, failure (refused by a proxy) or error (superseded).",
		}, []string{"state"}),
		serving: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_reconciler_serving_commit_timestamp_seconds", Help: "When the served commit was committed.",
		}),
		ready: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_reconciler_ready", Help: "Whether a good spec is published: 1 or 0.",
		}),
		sourceUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_reconciler_source_up", Help: "Whether the last look at the repository succeeded: 1 or 0.",
		}),
		fetched: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_reconciler_last_fetch_timestamp_seconds", Help: "When the repository answered last.",
		}),
		fetchErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshwright_reconciler_source_errors_total", Help: "Looks at the repository that failed.",
		}),
		fetch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "meshwright_reconciler_fetch_seconds", Help: "Time of a look at the branch that succeeded, with what it brought.", Buckets: seconds,
		}),
		load: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "meshwright_reconciler_load_seconds", Help: "Time to load and validate a commit.", Buckets: seconds,
		}),
		publish: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "meshwright_reconciler_publish_seconds", Help: "Time to translate a spec and hand it to the proxies' streams.", Buckets: seconds,
		}),
		outbox: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshwright_reconciler_outbox_pending", Help: "Letters (statuses, comments, reactions, deployments) that the git host has not taken yet.",
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_reconciler_status_writes_total", Help: "Letters (statuses, comments, reactions, deployments) by result: written, stood (already there), retried, refused (for good).",
		}, []string{"result"}),
		pulls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_reconciler_pull_requests_total", Help: "Looks at heads of pull requests and merge groups, by result: planned, skipped (nothing that they depend on had moved).",
		}, []string{"result"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshwright_reconciler_pending_expired_total", Help: "Heads whose verdict took so long that their pending statuses were ended as errors.",
		}),
		rollouts: newRolloutCounts(reg),
		orders: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_reconciler_commands_total", Help: "Commands in comments of people with write access, by result: taken, refused.",
		}, []string{"result"}),
	}
	// What has not happened yet is 0, not missing: rates and alerts need it.
	for vec, labels := range map[*prometheus.CounterVec][]string{
		m.commits:  {Good, Bad},
		m.verdicts: {string(sources.Success), string(sources.Failure), string(sources.Errored)},
		m.pulls:    {"planned", "skipped"},
		m.orders:   {"taken", "refused"},
		m.writes:   {"written", "stood", "retried", "refused"},
	} {
		for _, label := range labels {
			vec.WithLabelValues(label)
		}
	}
	reg.MustRegister(m.commits, m.verdicts, m.serving, m.ready, m.sourceUp, m.fetched, m.fetchErrors, m.fetch, m.load, m.publish, m.outbox, m.writes, m.pulls, m.expired, m.orders)
	return m
}
