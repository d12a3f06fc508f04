package ads

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/meshwright/meshwright/xds"
)

// audience is the connected proxies of one profile: what one should have, all
// should. The server's mu guards it, but for taken.
type audience struct {
	profile xds.Profile
	conns   map[*conn]struct{}
	idle    int // states published since it had any

	mu    sync.Mutex // after a conn's
	taken acceptance
}

// acceptance is the newest state that a proxy of an audience has taken whole.
type acceptance struct {
	commit    label
	resources *xds.Resources // nil: there is none
}

// maxIdle is how many states an audience without proxies is remembered for.
const maxIdle = 10

func (a *audience) take(commit label, r *xds.Resources) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = acceptance{commit, r}
}

func (a *audience) has() acceptance {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken
}

// join adds a connection to those of its profile. The caller holds mu.
func (s *Server) join(c *conn) {
	a := s.audiences[c.profile]
	if a == nil {
		a = &audience{profile: c.profile, conns: map[*conn]struct{}{}}
		s.audiences[c.profile] = a
	}
	a.conns[c], a.idle = struct{}{}, 0
	c.audience = a
}

// age is told of each new commit, and forgets audiences that have had nobody for
// long. The caller holds mu.
func (s *Server) age() {
	for _, a := range s.audiences {
		if len(a.conns) > 0 {
			continue
		}
		if a.idle++; a.idle > maxIdle {
			delete(s.audiences, a.profile)
		}
	}
}

// offer is what a state has for a profile.
type offer struct {
	resources *xds.Resources
	err       error
}

func ask(state xds.State, p xds.Profile) offer {
	r, err := state.Resources(p)
	return offer{r, err}
}

// askAll asks a state for all audiences that have somebody, on all cores: this
// may translate, so mu is not held.
func (s *Server) askAll(state xds.State) map[*audience]offer {
	s.mu.Lock()
	list := make([]*audience, 0, len(s.audiences))
	for _, a := range s.audiences {
		if len(a.conns) > 0 {
			list = append(list, a)
		}
	}
	s.mu.Unlock()
	answers := make([]offer, len(list))
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
				answers[i] = ask(state, list[i].profile)
			}
		})
	}
	working.Wait()
	offers := make(map[*audience]offer, len(list))
	for i, a := range list {
		offers[a] = answers[i]
	}
	return offers
}

// differences are worked out once for all streams that go from one state to
// the same other.
type differences map[[2]*xds.Resources]*xds.Difference

// between returns what differs; nil if nothing does, or where there is no before.
func (all differences) between(old, r *xds.Resources) *xds.Difference {
	if old == nil || old == r {
		return nil
	}
	pair := [2]*xds.Resources{old, r}
	d, known := all[pair]
	if !known {
		d = old.Difference(r)
		all[pair] = d
	}
	return d
}
