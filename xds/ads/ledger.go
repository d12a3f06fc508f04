package ads

import (
	"slices"
	"sync"
	"time"

	"github.com/meshwright/meshwright/xds"
)

// kept is for how long the ledger remembers.
const kept = 15 * time.Minute

// ledger adds up what proxies report of each cluster, in slots of one report
// interval, and on the meters that run. It is sparse: what has no traffic has no
// entry. It is safe for concurrent use.
type ledger struct {
	mu     sync.Mutex
	slots  [kept / xds.ReportInterval]slot
	meters map[*Meter]struct{}
}

// slot holds the reports whose time began within one interval.
type slot struct {
	number int64     // of the interval, since 1970
	last   time.Time // when the newest of the reports came
	by     map[string]*xds.Traffic
}

func intervalOf(t time.Time) int64 { return t.UnixNano() / int64(xds.ReportInterval) }

// add takes what a report of somebody's proxy says of a cluster about the time
// from began until now. It keeps neither of its arguments but the name.
func (l *ledger) add(began, now time.Time, from xds.Identity, cluster string, t xds.Traffic) {
	if t.Requests == 0 && len(t.Latency.Counts) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := intervalOf(began)
	s := &l.slots[n%int64(len(l.slots))]
	if s.number != n {
		*s = slot{number: n, by: map[string]*xds.Traffic{}}
	}
	s.last = now
	if s.by[cluster] == nil {
		s.by[cluster] = &xds.Traffic{}
	}
	s.by[cluster].Add(t)
	for m := range l.meters {
		if !began.Before(m.since) && slices.Contains(m.from, from) {
			m.add(began, now, cluster, t)
		}
	}
}

// sum returns what lies wholly between two times, by cluster: of a report that
// reaches beyond either, nobody knows which of its requests do.
func (l *ledger) sum(from, to time.Time) map[string]xds.Traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]xds.Traffic{}
	window := min(to.Sub(from), kept)
	first, last := intervalOf(from.Add(xds.ReportInterval-1)), intervalOf(to)
	for i := range l.slots {
		s := &l.slots[i]
		if s.number < first || s.number > last || s.last.After(to) {
			continue
		}
		for cluster, t := range s.by {
			sum := out[cluster]
			sum.Add(*t)
			sum.Window = window
			out[cluster] = sum
		}
	}
	return out
}
