package ads

import (
	"fmt"
	"time"

	"github.com/meshwright/meshwright/xds"
)

// Publish makes a state the desired one. Streams whose resources it changes
// are woken; for the others only the commit moves on. What it costs follows
// the distinct profiles that are connected, and those the state has to
// translate for; it waits for no proxy. A state of the same commit as before
// (other endpoints or certificates) is no new change: Progress goes on.
func (s *Server) Publish(state xds.State) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	now := s.now()
	offers := s.askAll(state)
	translated := s.now()
	defer func() { s.metrics.publish.Observe(s.now().Sub(translated).Seconds()) }()
	for _, c := range s.handOver(state, offers, now) { // who woke earlier would wait for the order
		c.poke()
	}
	s.news.tell()
}

// handOver gives a state to all connections, finds the order of the change over
// them, and returns those for which it is one.
func (s *Server) handOver(state xds.State, offers map[*audience]offer, now time.Time) (touched []*conn) {
	differ := differences{}
	s.ordering.Lock()
	defer s.ordering.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.state != nil && s.state.Commit() == state.Commit()
	s.state = state
	if !again {
		s.published = now
		s.age()
	}
	s.states++
	for _, a := range s.audiences {
		o, asked := offers[a]
		if !asked && len(a.conns) > 0 { // connected meanwhile
			o = ask(state, a.profile)
		}
		for c := range a.conns {
			if s.give(c, label(state.Commit()), o, now, again, differ) {
				touched = append(touched, c)
			}
		}
	}
	s.begin()
	return touched
}

// give sets what a connection should have. A proxy that the state cannot serve
// keeps what it has: an Envoy with traffic is never wiped because of a spec
// that forgot it. It reports whether that is another than before.
func (s *Server) give(c *conn, commit label, o offer, now time.Time, again bool, differ differences) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fell := c.fell != nil
	c.fell = nil
	if o.err != nil {
		note := o.err.Error()
		if c.stream.want != nil {
			note += fmt.Sprintf("; keeps what it has of commit %.7s", c.stream.commit.commit())
		}
		if c.note == "" {
			c.log.Warn("proxy held back", "commit", commit, "reason", note)
		}
		c.note, c.touched = note, false
		return false
	}
	c.note = ""
	difference := differ.between(c.stream.want, o.resources)
	changed = c.stream.want == nil || difference != nil
	// A proxy that is not yet where the state before wanted it counts for this
	// one too: the new commit is not applied before it is.
	if !again || fell {
		c.touched = changed || c.stream.want != nil && c.stream.making()
		c.since, c.done = now, time.Time{}
	}
	c.stream.target(commit, o.resources, difference)
	return changed
}
