package reconciler_test

import (
	"maps"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// rolloutMeter adds up the traffic of a world from each look to the next.
type rolloutMeter struct {
	w     *rolloutWorld
	since time.Time
	last  time.Time
	sum   map[schema.Ref]xds.Traffic
}

func (w *rolloutWorld) meter(since time.Time, _ []xds.Identity) reconciler.Meter {
	return &rolloutMeter{w, since, since, map[schema.Ref]xds.Traffic{}}
}

func (m *rolloutMeter) Traffic(served xds.State) map[schema.Ref]xds.Traffic {
	now := time.Now()
	got, _, _ := m.w.traffic(served, m.last, now)
	for node, t := range got {
		sum := m.sum[node]
		sum.Add(t)
		sum.Window = now.Sub(m.since)
		m.sum[node] = sum
	}
	m.last = now
	return maps.Clone(m.sum)
}

func (m *rolloutMeter) Stop() {}
