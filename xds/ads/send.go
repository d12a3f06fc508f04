package ads

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/meshwright/meshwright/xds"
)

// The parts of a todo that a response may carry.
const (
	fresh = 1 << iota
	changed
	gone
)

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
