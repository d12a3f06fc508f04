package reconciler

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/meshwright/meshwright/reconciler/canary"
)

// TestRolloutCounts: each event counts once, also of a run that is read back after a
// restart, and of two runs of one Rollout.
func TestRolloutCounts(t *testing.T) {
	reg := prometheus.NewRegistry()
	counts := newRolloutCounts(reg)
	at := func(ms int) time.Time { return time.Unix(1_800_000_000, 0).Add(time.Duration(ms) * time.Millisecond) }
	state := func(began int, verdicts map[canary.Verdict]uint64, history ...canary.Event) State {
		return State{Rollouts: map[string]Track{"shop/web": {Run: &Run{State: canary.State{Began: at(began), History: history, Verdicts: verdicts}}}}}
	}
	history := []canary.Event{
		{Phase: canary.Waiting}, {Phase: canary.Moving}, {Phase: canary.Watching}, {Phase: canary.Moving, Step: 1}, {Phase: canary.Moving, Step: 1, Reason: "paused by ops"},
		{Phase: canary.Watching, Step: 1}, {Phase: canary.RollingBack, Step: 1, At: at(9000)}, {Phase: canary.RolledBack, Step: 1, At: at(9120)},
	}
	before := state(1, map[canary.Verdict]uint64{canary.Pass: 1}, history[:3]...)
	counts.count(State{}, before, nil)
	counts.count(before, before, nil)
	after := state(1, map[canary.Verdict]uint64{canary.Pass: 1, canary.Fail: 2}, history...)
	counts.count(before, after, nil)
	next := state(2, nil, history[:2]...)
	counts.count(after, next, nil)
	counts.count(next, State{}, nil)

	const want = `
# HELP meshwright_rollout_ends_total Rollouts that ended, by phase: completed, rolled-back, superseded, withdrawn.
# TYPE meshwright_rollout_ends_total counter
meshwright_rollout_ends_total{phase="completed"} 0
meshwright_rollout_ends_total{phase="rolled-back"} 1
meshwright_rollout_ends_total{phase="superseded"} 0
meshwright_rollout_ends_total{phase="withdrawn"} 0
# HELP meshwright_rollout_steps_total Steps of rollouts that were begun, also anew.
# TYPE meshwright_rollout_steps_total counter
meshwright_rollout_steps_total 3
# HELP meshwright_rollout_verdicts_total Judgements of intervals, by verdict: pass, fail, insufficient (requests), unmeasured (a number could not be had), silence (of a proxy).
# TYPE meshwright_rollout_verdicts_total counter
meshwright_rollout_verdicts_total{verdict="fail"} 2
meshwright_rollout_verdicts_total{verdict="insufficient"} 0
meshwright_rollout_verdicts_total{verdict="pass"} 1
meshwright_rollout_verdicts_total{verdict="silence"} 0
meshwright_rollout_verdicts_total{verdict="unmeasured"} 0
# HELP meshwright_rollout_rollback_seconds Time from the decision to roll back until every proxy had the base.
# TYPE meshwright_rollout_rollback_seconds histogram
meshwright_rollout_rollback_seconds_bucket{le="0.01"} 0
meshwright_rollout_rollback_seconds_bucket{le="0.025"} 0
meshwright_rollout_rollback_seconds_bucket{le="0.05"} 0
meshwright_rollout_rollback_seconds_bucket{le="0.1"} 0
meshwright_rollout_rollback_seconds_bucket{le="0.25"} 1
meshwright_rollout_rollback_seconds_bucket{le="0.5"} 1
meshwright_rollout_rollback_seconds_bucket{le="1"} 1
meshwright_rollout_rollback_seconds_bucket{le="2.5"} 1
meshwright_rollout_rollback_seconds_bucket{le="5"} 1
meshwright_rollout_rollback_seconds_bucket{le="10"} 1
meshwright_rollout_rollback_seconds_bucket{le="30"} 1
meshwright_rollout_rollback_seconds_bucket{le="+Inf"} 1
meshwright_rollout_rollback_seconds_sum 0.12
meshwright_rollout_rollback_seconds_count 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestRolloutGauges: a Rollout on which nothing is on its way is there too.
func TestRolloutGauges(t *testing.T) {
	g := newRolloutGauges(func() []RolloutView {
		return []RolloutView{
			{Name: "shop/api", Ended: true},
			{Name: "shop/db", Phase: canary.Completed, Ended: true, Weight: 100},
			{Name: "shop/web", Phase: canary.Watching, Weight: 25},
			{Name: "shop/web", Phase: canary.Waiting, Weight: 0},
		}
	})
	const want = `
# HELP meshwright_rollout_phase Rollouts and canaries of pull requests by the phase that their last change is in.
# TYPE meshwright_rollout_phase gauge
meshwright_rollout_phase{phase="completed"} 1
meshwright_rollout_phase{phase="held"} 0
meshwright_rollout_phase{phase="idle"} 1
meshwright_rollout_phase{phase="moving"} 0
meshwright_rollout_phase{phase="passed"} 0
meshwright_rollout_phase{phase="paused"} 0
meshwright_rollout_phase{phase="promoting"} 0
meshwright_rollout_phase{phase="rolled-back"} 0
meshwright_rollout_phase{phase="rolling-back"} 0
meshwright_rollout_phase{phase="superseded"} 0
meshwright_rollout_phase{phase="waiting"} 1
meshwright_rollout_phase{phase="watching"} 1
meshwright_rollout_phase{phase="withdrawn"} 0
# HELP meshwright_rollout_weight_ratio Part of the requests that the canary of a rollout gets; 0 while nothing is on its way.
# TYPE meshwright_rollout_weight_ratio gauge
meshwright_rollout_weight_ratio{rollout="shop/api"} 0
meshwright_rollout_weight_ratio{rollout="shop/db"} 0
meshwright_rollout_weight_ratio{rollout="shop/web"} 0.25
`
	if err := testutil.CollectAndCompare(g, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
