package ads

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
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

// The parts of a todo that a response may carry.
const (
	fresh = 1 << iota
	changed
	gone
)

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

// maxFlight is how many responses of a type may be without an answer. A proxy
// that reads and never answers has what is newest later; it is remembered for it
// what it was sent, not what it would have been.
const maxFlight = 8

// send appends the response with the given parts of a type's todo, if any.
func (s *stream) send(out []response, t xds.Type, parts int) []response {
	w := &s.watches[t]
	w.refresh(t, s.want)
	if !w.asked || len(w.flight) >= maxFlight {
		return out
	}
	var put []*xds.Resource
	var remove, absent []string
	answer := false
	if parts&fresh != 0 {
		put, absent, answer = w.todo.fresh, w.todo.absent, w.owed
		w.todo.fresh, w.todo.absent, w.owed = nil, nil, false
	}
	if parts&changed != 0 {
		var wait []*xds.Resource
		for _, r := range w.todo.changed {
			if s.waits(r) {
				wait = append(wait, r)
			} else {
				put = append(put, r)
			}
		}
		w.todo.changed = wait
	}
	if parts&gone != 0 {
		var stay []string
		for _, name := range w.todo.gone {
			if t == xds.Listener && s.stays(name) || t == xds.VirtualHost && s.stage == serving {
				stay = append(stay, name)
			} else {
				remove = append(remove, name)
			}
		}
		w.todo.gone = stay
	}
	if len(put)+len(remove)+len(absent) == 0 && !answer {
		return out
	}
	if t == xds.Route {
		s.rehost(put)
	}
	f := sent{commit: s.commit, makes: len(put) > 0 || t == xds.VirtualHost && len(remove) > 0, does: make([]deed, 0, len(put)+len(remove))}
	for _, r := range put {
		f.does = append(f.does, deed{r.Name, r.Version, w.known[r.Name]})
		w.known[r.Name] = held{r.Version, r}
		delete(w.absent, r.Name)
		if w.within != nil {
			delete(w.absent, xds.RoutesOf(r.Name))
		}
	}
	for _, name := range remove {
		f.does = append(f.does, deed{name: name, was: held{resource: w.known[name].resource}})
		delete(w.known, name)
		if w.names[name] {
			w.absent[name] = true
		}
	}
	for _, name := range absent {
		w.absent[name] = w.names[name]
	}
	s.repaired = s.repaired || w.resumed && len(put) > 0
	if t == xds.Cluster {
		s.warm(put)
	}
	r := response{typ: t, commit: s.commit}
	if s.delta {
		r.resources, r.removed = put, append(remove, absent...)
	} else {
		// Of other types a response cannot say that something is gone: the
		// proxy learns it from what no longer refers to it.
		if len(put) == 0 && !answer && t != xds.Listener && t != xds.Cluster {
			return out
		}
		if len(put)+len(remove) == 0 && !answer {
			return out
		}
		r.resources = w.set()
		r.version = setVersion(r.resources)
	}
	s.nonces++
	r.nonce = strconv.FormatUint(s.nonces, 10)
	f.nonce, w.nonce = r.nonce, r.nonce
	w.flight = append(w.flight, f)
	w.status.Sent++
	return append(out, r)
}

// warm makes the assignments of sent clusters be sent (again): a new or
// changed cluster stays cold until its assignment comes after it, and a delta
// proxy does not ask again for one that it is subscribed to already.
func (s *stream) warm(clusters []*xds.Resource) {
	e := &s.watches[xds.Endpoint]
	for _, c := range clusters {
		if name := assignmentOf(c); name != "" {
			e.forget(name)
			if !e.asked || e.claimed != "" {
				e.renew[name] = true
			}
		}
	}
}

// set is all that a proxy holds of a type, sorted (state of the world).
func (w *watch) set() []*xds.Resource {
	list := make([]*xds.Resource, 0, len(w.known))
	for _, h := range w.known {
		if h.resource != nil {
			list = append(list, h.resource)
		}
	}
	r := xds.Resources{list}
	r.Sort()
	return list
}

// setVersion is the version of a sorted set: a hash of its names and versions,
// so that it is the same from every server and after every restart.
func setVersion(list []*xds.Resource) string {
	h := sha256.New()
	for _, r := range list {
		h.Write([]byte(r.Name))
		h.Write([]byte{0})
		h.Write([]byte(r.Version))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
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
