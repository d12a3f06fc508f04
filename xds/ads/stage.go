package ads

import (
	"slices"
	"time"

	"github.com/meshwright/meshwright/xds"
)

// stage orders a change over proxies, as [stream.next] orders it on one: whoever
// is called takes the new traffic before callers send it, and goes on taking
// the old until they no longer do.
type stage uint8

const (
	anything stage = iota // all may go
	serving               // proxies begin to take what they did not; callers wait
	calling               // callers change over; what they leave is still taken
)

// defaultPatience is how long a stage lasts at most. A proxy that does not answer, or
// refuses, must not keep the others from a change for ever.
const defaultPatience = 5 * time.Second

// settling is how long a stage goes on after its last ACK, which is the word of
// Envoy's main thread: its workers, which take the traffic, follow without one.
const settling = 100 * time.Millisecond

// waits reports whether the stage of the change keeps back what would replace
// (or add to) what the proxy holds.
func (s *stream) waits(r *xds.Resource) bool {
	was, there := s.watches[r.Type].known[r.Name]
	switch {
	case s.stage == anything:
		return false
	case r.Takes != nil:
		return there && narrows(was.resource, r)
	case s.stage == calling:
		return false
	}
	return r.Type == xds.Listener || r.Type == xds.Route || r.Type == xds.VirtualHost || r.Type == xds.Cluster && there
}

// stays reports whether the stage keeps a listener that is no longer wanted.
// Where others begin it may not: its address may pass to one of them.
func (s *stream) stays(name string) bool {
	w := &s.watches[xds.Listener]
	r := w.known[name].resource
	return s.stage != anything && r != nil && r.Takes != nil && !slices.ContainsFunc(s.want[xds.Listener], func(r *xds.Resource) bool {
		_, there := w.known[r.Name]
		return !there
	})
}

// widens and narrows report whether a listener takes something that it did not
// take before, and whether it takes only some of it. One that does both widens:
// it can only go first.
func widens(was, r *xds.Resource) bool {
	return slices.ContainsFunc(r.Takes, func(t string) bool { return was == nil || !slices.Contains(was.Takes, t) })
}

func narrows(was, r *xds.Resource) bool { return was != nil && widens(r, was) && !widens(was, r) }

// widening and narrowing report whether the change that the stream is to make
// holds such a listener.
func (s *stream) widening() bool {
	if !s.watches[xds.Listener].moves() {
		return false
	}
	known := s.watches[xds.Listener].known
	return slices.ContainsFunc(s.want[xds.Listener], func(r *xds.Resource) bool {
		was := known[r.Name]
		return was.version != r.Version && widens(was.resource, r)
	})
}

func (s *stream) narrowing() bool {
	if !s.watches[xds.Listener].moves() {
		return false
	}
	for name, was := range s.watches[xds.Listener].known {
		if was.resource == nil || was.resource.Takes == nil {
			continue
		}
		if r := s.want.Get(xds.Listener, name); r == nil || narrows(was.resource, r) {
			return true
		}
	}
	return false
}

// through reports whether the proxy has all that its stage lets go.
func (s *stream) through() bool {
	if !s.planned || s.starting() {
		return false
	}
	if s.stage != serving && len(s.watches[xds.VirtualHost].todo.gone) > 0 {
		return false // what it leads to is still called
	}
	for t := range s.watches {
		w := &s.watches[t]
		if len(w.todo.fresh) > 0 || len(w.refused) > 0 || slices.ContainsFunc(w.flight, func(f sent) bool { return f.makes }) ||
			slices.ContainsFunc(w.todo.changed, func(r *xds.Resource) bool { return !s.waits(r) }) {
			return false
		}
	}
	return true
}

// begin finds the stage in which the newest state begins. Most changes have but
// one: only where some proxy is to take what it did not, or no longer to take
// what it did, do others wait. The caller holds mu.
func (s *Server) begin() {
	widening, narrowing := false, false
	for c := range s.conns {
		c.mu.Lock()
		if c.staged = c.note == "" && !c.silent && c.stream.want != nil && (!c.stream.planned || c.staged && c.stream.making()); c.staged {
			c.first = c.first && c.stream.flying() || c.stream.widening()
			widening = widening || c.first
			narrowing = narrowing || c.stream.narrowing()
		}
		c.mu.Unlock()
	}
	first, last := anything, anything
	switch {
	case narrowing:
		first, last = calling, calling
	case widening:
		last = serving
	}
	if widening {
		first = serving
	}
	s.last = last
	s.enterStage(first)
}

// enterStage tells the streams. The caller holds mu.
func (s *Server) enterStage(of stage) {
	if s.staging != nil {
		s.staging.Stop()
	}
	if s.stage != of {
		s.entered = s.now()
	}
	s.stage, s.settling = of, false
	for c := range s.conns {
		c.mu.Lock()
		if c.stream.stage != of {
			c.stream.stage = of
			c.poke()
		}
		c.mu.Unlock()
	}
	if of == anything {
		return
	}
	states := s.states
	// A stage that goes on in a newer state keeps its end: states that follow
	// each other quickly must not make it last for ever.
	s.staging = time.AfterFunc(s.patience-s.now().Sub(s.entered), func() {
		s.log.Warn("others go on without a proxy", "reason", "it has not taken the change", "took", s.patience)
		s.forsake(of, states)
		s.leaveStage(of, states)
	})
}

// forsake waits no more for those that have not taken the change, until there
// is another for them; for those that have not even answered, until they do.
func (s *Server) forsake(of stage, states int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage != of || s.states != states {
		return
	}
	for c := range s.conns {
		c.mu.Lock()
		if !c.stream.through() {
			c.staged, c.first, c.silent = false, false, c.stream.flying()
		}
		c.mu.Unlock()
	}
}

// leaveStage enters the stage after one, unless that, of the state that was
// the states'th, is over already.
func (s *Server) leaveStage(of stage, states int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stage != of || s.states != states:
	case of == s.last:
		s.enterStage(anything)
	default:
		s.enterStage(calling)
	}
}

// endStage ends the stage when its work is done.
func (s *Server) endStage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage == anything || s.settling || !s.stageDone() {
		return
	}
	of, states := s.stage, s.states
	s.settling = true
	s.staging.Stop()
	s.staging = time.AfterFunc(settling, func() { s.leaveStage(of, states) })
}

// stageDone: everybody who is waited for has what the stage lets go. The caller
// holds mu.
func (s *Server) stageDone() bool {
	for c := range s.conns {
		c.mu.Lock()
		waited := c.staged && (s.stage == calling || c.first) && !c.stream.through()
		c.mu.Unlock()
		if waited {
			return false
		}
	}
	return true
}
