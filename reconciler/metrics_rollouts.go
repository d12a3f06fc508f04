package reconciler

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/reconciler/canary"
)

// idle is the phase, in metrics, of a Rollout on which nothing was on its way
// yet.
const idle = "idle"

// phases are all that a rollout can be in.
var phases = []canary.Phase{
	canary.Waiting, canary.Moving, canary.Watching, canary.Paused, canary.Passed, canary.Held, canary.Promoting,
	canary.Completed, canary.RollingBack, canary.RolledBack, canary.Superseded, canary.Withdrawn,
}

// rolloutGauges tell where the rollouts stand, whenever somebody asks.
type rolloutGauges struct {
	views         func() []RolloutView
	phase, weight *prometheus.Desc
}

func newRolloutGauges(views func() []RolloutView) rolloutGauges {
	return rolloutGauges{views,
		prometheus.NewDesc("meshwright_rollout_phase", "Rollouts and canaries of pull requests by the phase that their last change is in.", []string{"phase"}, nil),
		prometheus.NewDesc("meshwright_rollout_weight_ratio", "Part of the requests that the canary of a rollout gets; 0 while nothing is on its way.", []string{"rollout"}, nil),
	}
}

func (g rolloutGauges) Describe(to chan<- *prometheus.Desc) { to <- g.phase; to <- g.weight }

func (g rolloutGauges) Collect(to chan<- prometheus.Metric) {
	in, weights := map[string]int{idle: 0}, map[string]float64{}
	for _, p := range phases {
		in[string(p)] = 0
	}
	for _, v := range g.views() {
		if v.Past {
			continue
		}
		phase, weight := string(v.Phase), v.Weight/100
		if phase == "" {
			phase = idle
		}
		if v.Ended {
			weight = 0
		}
		in[phase]++
		weights[v.Name] = max(weights[v.Name], weight) // of several canaries of one Rollout, others wait
	}
	for phase, n := range in {
		to <- prometheus.MustNewConstMetric(g.phase, prometheus.GaugeValue, float64(n), phase)
	}
	for rollout, weight := range weights {
		to <- prometheus.MustNewConstMetric(g.weight, prometheus.GaugeValue, weight, rollout)
	}
}

// rolloutCounts count what happens to rollouts.
type rolloutCounts struct {
	steps    prometheus.Counter
	ends     *prometheus.CounterVec
	verdicts *prometheus.CounterVec
	rollback prometheus.Histogram
}

func newRolloutCounts(reg prometheus.Registerer) rolloutCounts {
	c := rolloutCounts{
		steps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshwright_rollout_steps_total", Help: "Steps of rollouts that were begun, also anew.",
		}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_rollout_ends_total", Help: "Rollouts that ended, by phase: completed, rolled-back, superseded, withdrawn.",
		}, []string{"phase"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshwright_rollout_verdicts_total", Help: "Judgements of intervals, by verdict: pass, fail, insufficient (requests), unmeasured (a number could not be had), silence (of a proxy).",
		}, []string{"verdict"}),
		rollback: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "meshwright_rollout_rollback_seconds", Help: "Time from the decision to roll back until every proxy had the base.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
	}
	for _, p := range phases {
		if p.Ended() {
			c.ends.WithLabelValues(string(p))
		}
	}
	for _, v := range []canary.Verdict{canary.Pass, canary.Fail, canary.Insufficient, canary.Unmeasured, canary.Silence} {
		c.verdicts.WithLabelValues(string(v))
	}
	reg.MustRegister(c.steps, c.ends, c.verdicts, c.rollback)
	return c
}

// count takes in what a decision has changed.
func (c rolloutCounts) count(was, is State, moved []*Run) {
	for _, pair := range since(was, is, moved) {
		old, run := pair[0], pair[1]
		for v, n := range run.Verdicts {
			c.verdicts.WithLabelValues(string(v)).Add(float64(n - min(n, old.Verdicts[v])))
		}
		c.events(run.History, len(run.History)-newEvents(old.History, run.History))
	}
}

// events counts those of a history from one on.
func (c rolloutCounts) events(history []canary.Event, from int) {
	var last canary.Event
	for i, e := range history {
		if i >= from {
			switch {
			case e.Phase == canary.Moving && (last.Phase != canary.Moving || last.Step != e.Step):
				c.steps.Inc()
			case e.Phase.Ended():
				c.ends.WithLabelValues(string(e.Phase)).Inc()
			}
			if e.Phase == canary.RolledBack && last.Phase == canary.RollingBack {
				c.rollback.Observe(e.At.Sub(last.At).Seconds())
			}
		}
		last = e
	}
}

// newEvents is how many a history has more than before; one that is full loses
// some of its middle.
func newEvents(before, after []canary.Event) int {
	n := len(after) - len(before)
	if n == 0 && len(after) > 0 && !slices.Equal(after[len(after)-1:], before[len(before)-1:]) {
		return 1
	}
	return max(0, n)
}
