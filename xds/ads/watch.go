package ads

import (
	"maps"
	"slices"

	"github.com/meshwright/meshwright/xds"
)

// watch is a stream's state for one type: what the proxy asked for, what it
// holds, and what is on its way.
type watch struct {
	asked bool            // the proxy has asked for the type on this stream
	all   bool            // it wants every resource in its scope
	names map[string]bool // it wants these by name
	// starred: all was asked for with "*", so that a request without it ends it.
	starred bool

	// known is what the proxy holds once it has taken all that was sent. An
	// entry without version may or may not be there.
	known map[string]held
	// absent are the names the proxy was told do not exist (delta only).
	absent map[string]bool
	// tell are names that the proxy no longer asks for by name but may have
	// under its wildcard: if they are not wanted, it must hear so.
	tell map[string]bool
	// renew are names to send although the proxy will say that it has them, in
	// its first request of the stream.
	renew map[string]bool
	// claimed is the version_info of the first request of a stream that was
	// there before (state of the world): what the proxy says it holds.
	claimed string
	// resumed: the proxy held something of the type when the stream began.
	resumed bool
	// owed: the first request wants an answer even if there is nothing in it,
	// or else the proxy's start would wait for its timeout.
	owed bool

	nonce  string // of the last response
	flight []sent // responses without ACK or NACK, oldest first
	// refused are the batches the proxy NACKed. They are not sent again until
	// something in them changes.
	refused []map[string]string

	// todo is what is between known and what is wanted; dirty: compute anew.
	todo  todo
	dirty bool

	status xds.TypeStatus
}

// unsure is the version of a resource that a proxy holds in some version.
const unsure = "?"

// held is one resource on a proxy. The resource is nil if another server, or
// this one before its restart, sent it.
type held struct {
	version  string
	resource *xds.Resource
}

// sent is a response on its way: what it does to names (a version, or none for
// a removal) and what was known of them before.
type sent struct {
	nonce, commit string
	makes         bool // it adds or changes something
	versions      map[string]string
	before        map[string]held
}

// follow makes s stand for the response before it too.
func (s *sent) follow(earlier sent) {
	for name, v := range earlier.versions {
		if _, ok := s.versions[name]; !ok {
			s.versions[name] = v
		}
		s.before[name] = earlier.before[name]
	}
}

// todo is the difference between what a proxy holds and what it should have.
type todo struct {
	fresh   []*xds.Resource // asked for and not held: nothing uses it yet
	changed []*xds.Resource // to be added beside, or in place of, what is in use
	gone    []string        // held and no longer wanted
	absent  []string        // does not exist, and the proxy waits to hear so
}

func (w *watch) wants(name string) bool { return w.all || w.names[name] }

// refuses reports whether a NACK of this version of a name stands.
func (w *watch) refuses(name, version string) bool {
	for _, batch := range w.refused {
		if v, ok := batch[name]; ok && v == version {
			return true
		}
	}
	return false
}

// scope is what the proxy should have of what it asked for, sorted by name.
func (w *watch) scope(list []*xds.Resource) []*xds.Resource {
	if w.all {
		return list
	}
	var in []*xds.Resource
	for _, r := range list {
		if w.names[r.Name] {
			in = append(in, r)
		}
	}
	return in
}

// refresh brings todo up to date with what is wanted.
func (w *watch) refresh(t xds.Type, want *xds.Resources) {
	if !w.asked || !w.dirty {
		return
	}
	w.dirty = false
	w.todo = todo{}
	version := func(name string) string {
		if r := want.Get(t, name); r != nil && w.wants(name) {
			return r.Version
		}
		return ""
	}
	// A refused batch is tried again, as a whole, when any part of it changed:
	// a proxy may have dropped the good with the bad.
	w.refused = slices.DeleteFunc(w.refused, func(batch map[string]string) bool {
		for name, v := range batch {
			if !w.wants(name) || version(name) != v {
				return true
			}
		}
		return false
	})
	scope := w.scope(want[t])
	if w.claimed != "" {
		if setVersion(scope) == w.claimed {
			for _, r := range scope {
				w.known[r.Name] = held{r.Version, r}
			}
			w.owed = false
			for name := range w.renew {
				w.forget(name)
			}
		} else {
			for name := range w.names { // held in some other version, or new
				w.known[name] = held{version: unsure}
			}
		}
		w.claimed = ""
		clear(w.renew)
		w.dirty = false
	}
	first := len(w.known) == 0 && !w.resumed
	for _, r := range scope {
		h, ok := w.known[r.Name]
		switch {
		case h.version == r.Version, w.refuses(r.Name, r.Version):
		case first, w.names[r.Name] && (!ok || h.version == ""):
			w.todo.fresh = append(w.todo.fresh, r)
		default:
			w.todo.changed = append(w.todo.changed, r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.known)) {
		if want.Get(t, name) == nil && !w.absent[name] && !w.refuses(name, "") {
			w.todo.gone = append(w.todo.gone, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.names)) {
		if _, ok := w.known[name]; !ok && want.Get(t, name) == nil && !w.absent[name] {
			w.todo.absent = append(w.todo.absent, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.tell)) {
		if want.Get(t, name) == nil {
			w.todo.absent = append(w.todo.absent, name)
		}
	}
	clear(w.tell)
}

// forget makes the server send a resource again although the proxy has it.
func (w *watch) forget(name string) {
	if h, ok := w.known[name]; ok {
		h.version = ""
		w.known[name] = h
		w.dirty = true
	}
}

// drop forgets a name wholly: the proxy unsubscribed from it.
func (w *watch) drop(name string) {
	delete(w.known, name)
	delete(w.absent, name)
	w.dirty = true
}

// making reports whether additions or changes are outstanding: to be sent, on
// their way, or refused.
func (w *watch) making() bool {
	return len(w.todo.fresh) > 0 || len(w.todo.changed) > 0 || len(w.refused) > 0 ||
		slices.ContainsFunc(w.flight, func(s sent) bool { return s.makes })
}

// settle takes the ACK (refusal nil) or NACK of a response; false if the nonce
// is of none that is on its way. Over state of the world an answer stands for
// all responses before it too: each replaced the one before.
func (w *watch) settle(nonce string, delta bool, nack *xds.NACK) bool {
	i := slices.IndexFunc(w.flight, func(s sent) bool { return s.nonce == nonce })
	if i < 0 || nonce == "" {
		return false
	}
	s := w.flight[i]
	if delta {
		w.flight = slices.Delete(w.flight, i, i+1)
	} else {
		for _, earlier := range slices.Backward(w.flight[:i]) {
			s.follow(earlier)
		}
		w.flight = slices.Delete(w.flight, 0, i+1)
	}
	if nack == nil {
		w.status.Commit, w.status.NACK = s.commit, nil
		return true
	}
	nack.Commit, nack.Resources = s.commit, slices.Sorted(maps.Keys(s.versions))
	w.status.NACK = nack
	w.rollback(s)
	if len(s.versions) > 0 {
		w.refused = append(w.refused, s.versions)
	}
	w.dirty = true
	return true
}

// rollback undoes what a refused response did to known. Envoy takes the good
// resources of a response whose bad ones it refuses, so of each name it now
// has the version before or the refused one: it is sent again in whatever
// version is wanted next, and removed one day even if it never came to be.
func (w *watch) rollback(s sent) {
	for name, v := range s.versions {
		if !w.wants(name) {
			continue
		}
		was := s.before[name]
		if was.version != "" {
			was.version = unsure
		}
		later := slices.IndexFunc(w.flight, func(l sent) bool { _, ok := l.versions[name]; return ok })
		switch {
		case later >= 0: // another response about it follows: correct what that one replaces
			w.flight[later].before[name] = was
		case w.known[name].version == v:
			w.known[name] = was
		}
	}
}
