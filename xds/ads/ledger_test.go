package ads

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/xds"
)

func TestLedger(t *testing.T) {
	var l ledger
	start := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	add := func(began, now int, cluster string, n uint64) {
		l.add(at(began), at(now), xds.Identity{}, cluster, xds.Traffic{Requests: n, Errors: n / 10})
	}
	add(0, 5, "a", 10)
	add(1, 6, "a", 20) // another proxy
	add(5, 10, "b", 40)
	add(10, 15, "a", 80)
	add(10, 15, "idle", 0)
	for name, row := range map[string]struct {
		from, to int
		want     map[string]uint64
	}{
		"all":                                    {0, 15, map[string]uint64{"a": 110, "b": 40}},
		"a_report_that_began_before":             {1, 15, map[string]uint64{"a": 80, "b": 40}},
		"a_report_that_ended_after":              {0, 14, map[string]uint64{"a": 30, "b": 40}},
		"a_slot_of_which_one_report_ended_after": {0, 5, map[string]uint64{}},
		"between_reports":                        {6, 9, map[string]uint64{}},
		"before":                                 {-100, 0, map[string]uint64{}},
		"backwards":                              {15, 0, map[string]uint64{}},
		"more_than_is_kept":                      {-3600, 15, map[string]uint64{"a": 110, "b": 40}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]uint64{}
			for cluster, traffic := range l.sum(at(row.from), at(row.to)) {
				got[cluster] = traffic.Requests
				if traffic.Errors != traffic.Requests/10 || traffic.Window != min(at(row.to).Sub(at(row.from)), 15*time.Minute) {
					t.Errorf("%s: %+v", cluster, traffic)
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	add(895, 900, "c", 1)
	if got := l.sum(at(0), at(900)); got["a"].Requests != 110 || got["c"].Requests != 1 {
		t.Errorf("after 15 minutes: %v", got)
	}
	add(900, 905, "c", 1)
	if got := l.sum(at(0), at(905)); got["a"].Requests != 80 || got["c"].Requests != 2 {
		t.Errorf("the oldest interval stayed, or more than that went: %v", got)
	}
}

// TestMeter: between two readings nothing is lost, and what began before it was
// to begin is not in it.
func TestMeter(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1_800_000_000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	web := xds.Identity{Name: "web"}
	add := func(began, now float64, n uint64) {
		s.traffic.add(at(began), at(now), xds.Identity{Name: "job"}, "a", xds.Traffic{Requests: 1000}) // not asked for
		s.traffic.add(at(began), at(now), web, "a", xds.Traffic{Requests: n, Latency: xds.Histogram{Counts: []uint64{n}}})
	}
	m, other := s.Meter(at(3), []xds.Identity{web}), s.Meter(at(9), []xds.Identity{web})
	add(2, 7, 1)
	add(3, 8, 2)
	first := m.Traffic()
	add(8, 13, 4)
	add(13, 18, 8)
	if got := m.Traffic()["a"]; got.Requests != 14 || got.Latency.Counts[0] != 14 || first["a"].Requests != 2 || first["a"].Latency.Counts[0] != 2 ||
		got.Window != 15*time.Second || first["a"].Window != 5*time.Second {
		t.Errorf("%+v, before %+v", got, first)
	}
	if got := other.Traffic()["a"].Requests; got != 8 {
		t.Errorf("another meter has %d", got)
	}
	m.Stop()
	m.Stop()
	add(18, 23, 16)
	if got := m.Traffic()["a"].Requests; got != 14 || len(s.traffic.meters) != 1 {
		t.Errorf("stopped: %d; %d meters run", got, len(s.traffic.meters))
	}
}

// What the ledger hands out and takes is its own.
func TestLedgerSharesNothing(t *testing.T) {
	var l ledger
	now := time.Unix(1_800_000_000, 0)
	counts := []uint64{1, 2}
	l.add(now, now, xds.Identity{}, "a", xds.Traffic{Requests: 3, Latency: xds.Histogram{Counts: counts}})
	l.add(now, now, xds.Identity{}, "a", xds.Traffic{Requests: 3, Latency: xds.Histogram{Counts: counts}})
	l.sum(now, now)["a"].Latency.Counts[0] = 100
	counts[0] = 100
	if got := l.sum(now, now)["a"].Latency.Counts; !cmp.Equal(got, []uint64{2, 4}) {
		t.Errorf("counts %v", got)
	}
}
