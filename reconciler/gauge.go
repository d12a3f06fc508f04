package reconciler

import (
	"slices"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Meter adds up what proxies report of requests to virtual nodes since a moment,
// until it is stopped.
type Meter interface {
	// Traffic is all of it by now, of the nodes of the state that is served; its
	// window is the time that the reports are about.
	Traffic(served xds.State) map[schema.Ref]xds.Traffic
	Stop()
}

// gauge reads a meter for one step of a run. Each look gets what has come since
// the run took in what an earlier one got: nothing is lost between two, and
// nothing is there twice.
type gauge struct {
	meter   Meter
	callers []xds.Identity
	began   time.Duration // of the step, as its Live has it
	read    time.Duration // up to when the run has taken in
	taken   sides         // by then
	shown   sides         // to the last look
}

// sides are the traffic of the canary's nodes, and of the base's.
type sides struct{ canary, base xds.Traffic }

// measure reads the gauge of a run for whose step evidence is asked for, which
// began a while ago.
func (r *Reconciler) measure(key string, run *Run, now time.Time, ago time.Duration) (canary, base xds.Traffic) {
	g := r.gauges[key]
	if g == nil {
		g = &gauge{meter: r.cfg.Meter(now.Add(-ago), run.Callers), callers: run.Callers, began: run.Live.Began, read: run.Live.Read}
		r.gauges[key] = g
	}
	if g.read != run.Live.Read {
		g.read, g.taken = run.Live.Read, g.shown
	}
	got := g.meter.Traffic(r.current)
	g.shown = sides{over(got, run.CanaryNodes), over(got, run.BaseNodes)}
	canary, base = g.shown.canary.Since(g.taken.canary), g.shown.base.Since(g.taken.base)
	canary.Window = max(0, g.shown.canary.Window-g.taken.canary.Window)
	base.Window = max(0, g.shown.base.Window-g.taken.base.Window)
	return canary, base
}

// stopGauges ends those whose step is over, or that listen to others.
func (r *Reconciler) stopGauges(runs map[string]*Run) {
	for key, g := range r.gauges {
		if run := runs[key]; run == nil || run.Live.Began != g.began || !slices.Equal(run.Callers, g.callers) {
			g.meter.Stop()
			delete(r.gauges, key)
		}
	}
}
