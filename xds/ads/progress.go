package ads

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/xds"
)

// Proxies returns the connected proxies, sorted by identity, ID and age.
func (s *Server) Proxies() []xds.Proxy {
	list := []xds.Proxy{}
	now := s.now()
	for _, c := range s.connections() {
		p := c.proxy()
		c.reports.fill(&p, now)
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b xds.Proxy) int {
		return cmp.Or(a.Identity.Compare(b.Identity), strings.Compare(a.ID, b.ID), a.Connected.Compare(b.Connected))
	})
	return list
}

// Connected returns how many proxies are connected.
func (s *Server) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Progress returns how far the newest state is: of the proxies connected now,
// those that it changes something for, whether they were connected when it was
// published or came back since with something older. A proxy without any
// configuration that comes later is not waited for.
func (s *Server) Progress() xds.Progress {
	var p xds.Progress
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != nil {
		p.Commit = s.state.Commit()
	}
	for c := range s.conns {
		c.mu.Lock()
		if c.touched {
			p.Touched++
			if !c.done.IsZero() {
				p.Applied++
				p.Took = max(p.Took, c.done.Sub(s.published))
			}
			for t := range c.stream.watches {
				if n := c.stream.watches[t].status.NACK; n != nil && c.stream.watches[t].making() {
					p.Rejected = append(p.Rejected, xds.Rejection{Proxy: c.id, Type: xds.Type(t), NACK: *n})
				}
			}
		}
		if c.fell != nil {
			p.Touched++
			p.Rejected = append(p.Rejected, *c.fell)
		}
		if c.note != "" && c.fell == nil {
			p.HeldBack++
		}
		c.mu.Unlock()
	}
	slices.SortFunc(p.Rejected, func(a, b xds.Rejection) int {
		return cmp.Or(strings.Compare(a.Proxy, b.Proxy), cmp.Compare(a.Type, b.Type))
	})
	return p
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// Changed receives after anything in Proxies or Progress has changed: at once, or
// where much does, 40 times a second. It has room for one: whoever receives reads
// the whole state.
func (s *Server) Changed() <-chan struct{} { return s.news.heard }

// heldBack counts the connections with a note.
func (s *Server) heldBack() (n int) {
	for _, c := range s.connections() {
		c.mu.Lock()
		if c.note != "" {
			n++
		}
		c.mu.Unlock()
	}
	return n
}
