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
	// within is the watch of what its resources are parts of; nil for most types.
	within *watch
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

	// todo is what is between known and what is wanted, but for moved, names of
	// which either has changed since; dirty: all of it is to be made anew.
	todo  todo
	moved []string
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

// sent is a response on its way.
type sent struct {
	nonce  string
	commit label
	makes  bool // it adds or changes something
	does   []deed
}

// deed is what a response does to a name: the version that it brings, none for a
// removal, and what was known of the name before.
type deed struct {
	name, version string
	was           held
}

// deed finds what the response does to a name; nil: nothing.
func (s *sent) deed(name string) *deed {
	i := slices.IndexFunc(s.does, func(d deed) bool { return d.name == name })
	if i < 0 {
		return nil
	}
	return &s.does[i]
}

// follow makes s stand for the response before it too.
func (s *sent) follow(earlier sent) {
	at := make(map[string]int, len(s.does))
	for i, d := range s.does {
		at[d.name] = i
	}
	for _, d := range earlier.does {
		if i, ok := at[d.name]; ok {
			s.does[i].was = d.was
		} else {
			s.does = append(s.does, d)
		}
	}
}

// versions are what the response brought, by name.
func (s *sent) versions() map[string]string {
	m := make(map[string]string, len(s.does))
	for _, d := range s.does {
		m[d.name] = d.version
	}
	return m
}

func (w *watch) wants(name string) bool {
	return w.all || w.names[name] || w.within != nil && w.names[xds.RoutesOf(name)]
}

// refuses reports whether a NACK of this version of a name stands.
func (w *watch) refuses(name, version string) bool {
	for _, batch := range w.refused {
		if v, ok := batch[name]; ok && v == version {
			return true
		}
	}
	return false
}

// forget makes the server send a resource again although the proxy has it.
func (w *watch) forget(name string) {
	for _, n := range w.knownAs(name) {
		w.known[n] = held{resource: w.known[n].resource}
		w.stir(n)
	}
}

// drop forgets a name wholly: the proxy unsubscribed from it.
func (w *watch) drop(name string) {
	for _, n := range w.knownAs(name) {
		if n == name || !w.wants(n) {
			delete(w.known, n)
		}
	}
	delete(w.absent, name)
	w.stir(name)
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
		w.status.Commit, w.status.NACK = string(s.commit), nil
		return true
	}
	versions := s.versions()
	nack.Commit, nack.Resources = string(s.commit), slices.Sorted(maps.Keys(versions))
	w.status.NACK = nack
	w.rollback(s)
	if len(versions) > 0 {
		w.refused = append(w.refused, versions)
	}
	w.dirty = true
	return true
}

// rollback undoes what a refused response did to known. Envoy takes the good
// resources of a response whose bad ones it refuses, so of each name it now
// has the version before or the refused one: it is sent again in whatever
// version is wanted next, and removed one day even if it never came to be.
func (w *watch) rollback(s sent) {
	for _, d := range s.does {
		if !w.wants(d.name) {
			continue
		}
		was := d.was
		if was.version != "" {
			was.version = unsure
		}
		later := slices.IndexFunc(w.flight, func(l sent) bool { return l.deed(d.name) != nil })
		switch {
		case later >= 0: // another response about it follows: correct what that one replaces
			w.flight[later].deed(d.name).was = was
		case w.known[d.name].version == d.version:
			w.known[d.name] = was
		}
	}
}
