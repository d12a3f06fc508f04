package reconciler

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// counting is a meter that is set by hand.
type counting struct {
	requests int
	running  *int
}

func (c *counting) Traffic(xds.State) map[schema.Ref]xds.Traffic {
	return map[schema.Ref]xds.Traffic{{Key: schema.Key{Name: "v2"}}: {Requests: uint64(c.requests), Window: time.Duration(c.requests) * time.Second}, {Key: schema.Key{Name: "v1"}}: {Requests: uint64(10 * c.requests)}}
}

func (c *counting) Stop() { *c.running-- }

// TestGauge: what a run took in, it never gets again; what it did not, it gets
// with the next look; and a new step begins from nothing.
func TestGauge(t *testing.T) {
	var meter *counting
	var since time.Time
	var callers []xds.Identity
	running := 0
	r := &Reconciler{gauges: map[string]*gauge{}, cfg: Config{Meter: func(at time.Time, from []xds.Identity) Meter {
		callers = from
		since, meter = at, &counting{running: &running}
		running++
		return meter
	}}}
	run := &Run{Callers: []xds.Identity{{Name: "front"}}, CanaryNodes: []schema.Ref{{Key: schema.Key{Name: "v2"}}}, BaseNodes: []schema.Ref{{Key: schema.Key{Name: "v1"}}}}
	begin := time.Unix(1_800_000_000, 0)
	look := func(second int) [2]uint64 {
		r.stopGauges(map[string]*Run{"shop/web": run})
		mono := time.Duration(second) * time.Second
		c, b := r.measure("shop/web", run, begin.Add(mono), mono-run.Live.Read)
		if c.Window != time.Duration(c.Requests)*time.Second {
			t.Errorf("%d requests in %s", c.Requests, c.Window)
		}
		return [2]uint64{c.Requests, b.Requests}
	}
	run.Live = canary.Live{Began: 10 * time.Second, Read: 10 * time.Second}
	got := [][2]uint64{look(11)}
	if !since.Equal(begin.Add(10*time.Second)) || !slices.Equal(callers, run.Callers) {
		t.Errorf("the meter began at %v, of %v", since, callers)
	}
	for _, at := range []struct{ second, read int }{{12, 10}, {13, 12}, {14, 12}, {15, 14}} {
		meter.requests = at.second - 10
		run.Live.Read = time.Duration(at.read) * time.Second
		got = append(got, look(at.second))
	}
	if diff := cmp.Diff([][2]uint64{{0, 0}, {2, 20}, {1, 10}, {2, 20}, {1, 10}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	run.Live = canary.Live{Began: 20 * time.Second, Read: 20 * time.Second}
	if got := look(21); got != [2]uint64{} || running != 1 {
		t.Errorf("a new step: %v, %d meters run", got, running)
	}
	if r.stopGauges(nil); running != 0 || len(r.gauges) != 0 {
		t.Errorf("after the end %d meters run", running)
	}
}
