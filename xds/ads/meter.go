package ads

import (
	"time"

	"github.com/meshwright/meshwright/xds"
)

// Meter adds up all that some proxies report about the time since a moment, however
// long ago that is: unlike [Server.Traffic] it loses nothing between two
// readings. It is safe for concurrent use.
type Meter struct {
	ledger *ledger
	since  time.Time
	from   []xds.Identity
	// The ledger's mutex guards what follows: by cluster, what was reported, and
	// from when to when.
	sum         map[string]xds.Traffic
	first, last time.Time
}

// Meter starts a meter of what the proxies of some nodes and gateways report, which
// runs until it is stopped. A report that reaches
// back before since is not in it, nor one that came before the meter was
// started.
func (s *Server) Meter(since time.Time, from []xds.Identity) *Meter {
	m := &Meter{ledger: &s.traffic, since: since, from: from, sum: map[string]xds.Traffic{}}
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	if s.traffic.meters == nil {
		s.traffic.meters = map[*Meter]struct{}{}
	}
	s.traffic.meters[m] = struct{}{}
	return m
}

// Traffic returns what the meter has added up by now, by cluster. The window is of
// all of them: the time that the reports are about.
func (m *Meter) Traffic() map[string]xds.Traffic {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	out := make(map[string]xds.Traffic, len(m.sum))
	for cluster, t := range m.sum {
		t.Latency, t.Window = t.Latency.Clone(), m.last.Sub(m.first)
		out[cluster] = t
	}
	return out
}

// add takes in a report about the time from began until now.
func (m *Meter) add(began, now time.Time, cluster string, t xds.Traffic) {
	sum := m.sum[cluster]
	sum.Add(t)
	m.sum[cluster] = sum
	if m.first.IsZero() || began.Before(m.first) {
		m.first = began
	}
	if now.After(m.last) {
		m.last = now
	}
}

// Stop ends the meter; its sum stays.
func (m *Meter) Stop() {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	delete(m.ledger.meters, m)
}
