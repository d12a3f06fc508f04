package ads

import (
	"slices"
	"time"

	"github.com/meshwright/meshwright/xds"
)

// stream is the state machine of one ADS stream: requests and desired states
// go in, the responses to send come out of next. It reads no clock and does
// no I/O. It is not safe for concurrent use.
type stream struct {
	delta   bool
	linger  time.Duration
	want    *xds.Resources // nil: nothing known yet, so nothing is sent
	commit  label          // of want
	applied label          // of the last state that the proxy has ACKed wholly
	nonces  uint64
	watches [xds.NumTypes]watch
	// made is since when nothing but removals has been outstanding.
	made time.Time
	// began is when the first request came.
	began time.Time
	// planned: next has seen the latest input.
	planned bool
	// stage of the change, over all proxies.
	stage stage
	// repaired: the proxy came with something else than it should have.
	repaired bool
}

// response is what a proxy is to be sent; see frame for its form on the wire.
type response struct {
	typ       xds.Type
	nonce     string
	commit    label
	version   string          // of the whole set (state of the world only)
	resources []*xds.Resource // delta: what changes; else the whole set
	removed   []string        // delta only
}

func newStream(delta bool, linger time.Duration) *stream {
	s := &stream{delta: delta, linger: linger}
	for t := range s.watches {
		s.watches[t].known = map[string]held{}
		s.watches[t].names = map[string]bool{}
		s.watches[t].absent = map[string]bool{}
		s.watches[t].tell = map[string]bool{}
		s.watches[t].renew = map[string]bool{}
	}
	s.watches[xds.VirtualHost].within = &s.watches[xds.Route]
	return s
}

// target sets the desired state, given what differs from the one before. Where
// only its commit does (nil), nothing is planned and nothing sent.
func (s *stream) target(commit label, want *xds.Resources, d *xds.Difference) {
	if s.want != nil && d == nil {
		if s.applied == s.commit {
			s.applied = commit
		}
		s.commit, s.want = commit, want
		return
	}
	for t := range s.watches {
		if w := &s.watches[t]; s.want == nil {
			w.dirty = true
		} else {
			w.stir(d[t]...)
		}
	}
	if d != nil && len(d[xds.Route]) > 0 {
		s.watches[xds.VirtualHost].dirty = true // they follow their routes
	}
	s.commit, s.want, s.planned = commit, want, false
}

// next returns the responses to send now, in order: make before break.
//
//  1. Clusters, endpoints and secrets refer to nothing outside themselves and
//     go at once. Envoy ACKs clusters when they are warm, that is when it has
//     their endpoints and secrets (so these must never wait for that ACK) and
//     DNS has answered.
//  2. Listeners when all of those are ACKed; a removed listener goes with the
//     change, since its address may pass to another in the same response.
//  3. Routes when the listeners are ACKed, and their virtual hosts; one that is
//     removed goes with the change, since its domains may pass to another in the
//     same response. But what the proxy does not hold yet no request uses: a
//     route asked for by name waits only until clusters on their way have
//     arrived, for a listener warms until its routes come.
//  4. When all of it is ACKed, and linger after, what is no longer wanted
//     goes: routes, then clusters, then endpoints and secrets, each when the
//     one before is ACKed.
//
// A NACK in 1 or 2 holds everything after it that would change what serves,
// until a later state changes what was refused. A proxy that serves nothing
// yet gets the rest regardless: it is better off with what Envoy does take.
func (s *stream) next(now time.Time) []response {
	if s.want == nil {
		return nil
	}
	var out []response
	for _, t := range []xds.Type{xds.Cluster, xds.Endpoint, xds.Secret} {
		out = s.send(out, t, fresh|changed)
	}
	arriving, refused := false, false
	for t := xds.Cluster; t < xds.Listener; t++ {
		arriving = arriving || len(s.watches[t].flight) > 0
		refused = refused || len(s.watches[t].refused) > 0
	}
	if !arriving {
		if refused {
			out = s.send(out, xds.Listener, fresh)
		} else {
			out = s.send(out, xds.Listener, fresh|changed|gone)
		}
		l := &s.watches[xds.Listener]
		if refused || len(l.flight) > 0 || len(l.refused) > 0 {
			out = s.send(out, xds.Route, fresh)
			out = s.send(out, xds.VirtualHost, fresh)
		} else {
			out = s.send(out, xds.Route, fresh|changed)
			out = s.send(out, xds.VirtualHost, fresh|changed|gone)
		}
	}
	for t := xds.Listener; t <= xds.VirtualHost; t++ {
		s.watches[t].refresh(t, s.want)
	}
	s.planned = true
	if s.making() {
		s.made = time.Time{}
		return out
	}
	if s.made.IsZero() {
		s.made = now
	}
	s.applied = s.commit
	if now.Before(s.breakable()) {
		return out
	}
	for _, t := range []xds.Type{xds.Route, xds.Cluster, xds.Endpoint, xds.Secret} {
		if s.flying() {
			break
		}
		out = s.send(out, t, gone)
	}
	return out
}

// resuming is how long a proxy that comes back has to ask for all it had. A
// proxy asks for its routes last, and what they use must not go before.
const resuming = 5 * time.Second

// breakable is when removals may begin, given that nothing else is to be done.
func (s *stream) breakable() time.Time {
	at := s.made.Add(s.linger)
	resumed := false
	for t := range s.watches {
		resumed = resumed || s.watches[t].resumed
	}
	all := s.watches[xds.Listener].asked && s.watches[xds.Route].asked && !s.hostless()
	if resumed && !all && at.Before(s.began.Add(resuming)) {
		at = s.began.Add(resuming)
	}
	return at
}

// due is when next has something to do without any input; zero for never.
func (s *stream) due() time.Time {
	if s.made.IsZero() || s.flying() {
		return time.Time{}
	}
	for t := range s.watches {
		if len(s.watches[t].todo.gone) > 0 {
			return s.breakable()
		}
	}
	return time.Time{}
}

// making reports whether the proxy lacks something it should have: it is to be
// sent, on its way, or refused. Before next has seen a new state, it does.
func (s *stream) making() bool {
	switch {
	case !s.planned, s.starting(), slices.ContainsFunc(s.watches[xds.Listener].todo.gone, s.stays):
		return true
	case s.hostless(), len(s.watches[xds.VirtualHost].todo.gone) > 0:
		return true
	}
	for t := range s.watches {
		if s.watches[t].making() {
			return true
		}
	}
	return false
}

// starting: the proxy has yet to ask for its listeners, which an Envoy does
// when it has its first clusters.
func (s *stream) starting() bool {
	return !s.watches[xds.Listener].asked && len(s.want[xds.Listener]) > 0
}

// bare reports whether the proxy came with nothing and has not yet taken a
// whole state on this stream.
func (s *stream) bare() bool {
	for t := range s.watches {
		if s.watches[t].resumed {
			return false
		}
	}
	return s.applied == ""
}

func (s *stream) flying() bool {
	for t := range s.watches {
		if len(s.watches[t].flight) > 0 {
			return true
		}
	}
	return false
}

// status returns how far the proxy is with each type it asked for.
func (s *stream) status() map[xds.Type]xds.TypeStatus {
	out := map[xds.Type]xds.TypeStatus{}
	for t := range s.watches {
		w := &s.watches[t]
		if !w.asked {
			continue
		}
		st := w.status
		for _, h := range w.known {
			if h.version != "" {
				st.Resources++
			}
		}
		if st.NACK != nil {
			n := *st.NACK
			n.Resources = slices.Clone(n.Resources)
			st.NACK = &n
		}
		out[xds.Type(t)] = st
	}
	return out
}
