package ads

import (
	"slices"
	"strings"

	"github.com/meshwright/meshwright/xds"
)

// todo is the difference between what a proxy holds and what it should have,
// each part sorted by name.
type todo struct {
	fresh   []*xds.Resource // asked for and not held: nothing uses it yet
	changed []*xds.Resource // to be added beside, or in place of, what is in use
	gone    []string        // held and no longer wanted
	absent  []string        // does not exist, and the proxy waits to hear so
}

// drop takes a name out.
func (d *todo) drop(name string) {
	of := func(r *xds.Resource) bool { return r.Name == name }
	is := func(n string) bool { return n == name }
	d.fresh, d.changed = slices.DeleteFunc(d.fresh, of), slices.DeleteFunc(d.changed, of)
	d.gone, d.absent = slices.DeleteFunc(d.gone, is), slices.DeleteFunc(d.absent, is)
}

func (d *todo) sort() {
	byName := func(a, b *xds.Resource) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(d.fresh, byName)
	slices.SortFunc(d.changed, byName)
	slices.Sort(d.gone)
	slices.Sort(d.absent)
}

func (d *todo) empty() bool { return len(d.fresh)+len(d.changed)+len(d.gone)+len(d.absent) == 0 }

// maxMoved is with how many names it is as cheap to plan all of them. It bounds
// what is kept for a proxy that takes nothing while states come and go.
const maxMoved = 256

// stir has names planned anew.
func (w *watch) stir(names ...string) {
	switch {
	case w.dirty:
	case len(w.moved)+len(names) > maxMoved:
		w.dirty, w.moved = true, nil
	default:
		w.moved = append(w.moved, names...)
	}
}

// refresh brings todo up to date. It costs what moved, not what is held: on most
// changes that is one name of a thousand.
func (w *watch) refresh(t xds.Type, want *xds.Resources) {
	if !w.asked || !w.dirty && len(w.moved) == 0 {
		return
	}
	moved := w.moved
	w.moved = nil
	if w.dirty || len(w.known) == 0 || len(w.refused) > 0 {
		w.replan(t, want)
	} else {
		for _, name := range moved {
			w.todo.drop(name)
			w.plan(name, want.Get(t, name), want, false)
		}
	}
	for name := range w.tell {
		if want.Get(t, name) == nil {
			w.todo.absent = append(w.todo.absent, name)
		}
	}
	clear(w.tell)
	w.todo.sort()
}

// replan makes todo anew as a whole.
func (w *watch) replan(t xds.Type, want *xds.Resources) {
	w.todo = todo{}
	// A refused batch is tried again, as a whole, when any part of it changed:
	// a proxy may have dropped the good with the bad.
	w.refused = slices.DeleteFunc(w.refused, func(batch map[string]string) bool {
		for name, v := range batch {
			version := ""
			if r := want.Get(t, name); r != nil {
				version = r.Version
			}
			if !w.wants(name) || version != v {
				return true
			}
		}
		return false
	})
	if w.claimed != "" {
		w.believe(w.scope(want[t]))
	}
	w.dirty, w.moved = false, nil
	first := len(w.known) == 0 && !w.resumed
	for _, r := range want[t] {
		w.plan(r.Name, r, want, first)
	}
	for name := range w.known {
		if want.Get(t, name) == nil {
			w.plan(name, nil, want, first)
		}
	}
	for name := range w.names {
		if _, held := w.known[name]; !held && want.Get(t, name) == nil {
			w.plan(name, nil, want, first)
		}
	}
}

// plan adds to todo what is to be done about a name: r is what there should be of
// it, if anything. Of what a proxy holds nothing of, nothing is in use: first.
func (w *watch) plan(name string, r *xds.Resource, want *xds.Resources, first bool) {
	h, held := w.known[name]
	switch {
	case r == nil && held:
		if !w.absent[name] && !w.refuses(name, "") && !(w.within != nil && (w.early(name) || orphaned(name, want))) {
			w.todo.gone = append(w.todo.gone, name)
		}
	case r == nil:
		if w.names[name] && !w.absent[name] && !(w.within != nil && parent(name, want)) {
			w.todo.absent = append(w.todo.absent, name)
		}
	case !w.wants(name), h.version == r.Version, w.refuses(name, r.Version):
	case w.within != nil && w.early(name):
	case first, w.names[name] && (!held || h.version == ""), w.within != nil && !w.serves(xds.RoutesOf(name)):
		w.todo.fresh = append(w.todo.fresh, r)
	default:
		w.todo.changed = append(w.todo.changed, r)
	}
}

// moves reports whether what the proxy holds may be other than what it should have.
func (w *watch) moves() bool {
	return w.dirty || len(w.moved) > 0 || len(w.refused) > 0 || !w.todo.empty()
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

// believe takes what a state-of-the-world proxy says of the set that it holds: it
// is the one that it should have, or else nobody knows.
func (w *watch) believe(scope []*xds.Resource) {
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
}
