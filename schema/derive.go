package schema

import (
	"maps"
	"slices"
)

// Derive returns a spec that differs from this one in some resources: those of
// put are added, or take the place of the resources of their refs, and those of
// drop are gone. It is as if loaded, and loading does no other thing; but nothing
// is checked, so that what the other resources refer to has to stay.
//
// A resource is never changed: copy it, change the copy and what it points to,
// and give it its [Digest]. Resources of other specs may be put as they are.
// The cost follows the change and what depends on it, but for copies of those
// maps in which something differs.
func (s *Spec) Derive(put []Resource, drop []Ref) *Spec {
	out, _ := s.derive(put, drop)
	return out
}

func (s *Spec) derive(put []Resource, drop []Ref) (*Spec, []replacement) {
	out := *s
	d := derivation{from: s, to: &out, owned: map[any]bool{}}
	d.replace(put, drop)
	d.index()
	d.reuse()
	return &out, d.changed
}

// derivation makes one spec of another. They share every map in which they do
// not differ.
type derivation struct {
	from, to *Spec
	changed  []replacement
	owned    map[any]bool // maps that are copies by now, by where the spec has them
}

// replacement is what became of one ref.
type replacement struct {
	ref     Ref
	was, is Resource // nil: there was none, there is none
}

// stays reports whether whoever finds the resource finds it still.
func (c replacement) stays() bool {
	if c.was == nil || c.is == nil {
		return false
	}
	was, is := c.was.meta(), c.is.meta()
	return was.Mesh == is.Mesh && was.AWSName == is.AWSName
}

// own makes a map of the new spec one that may be written.
func own[K comparable, V any](d *derivation, m *map[K]V) map[K]V {
	if !d.owned[m] {
		d.owned[m] = true
		if *m = maps.Clone(*m); *m == nil {
			*m = map[K]V{}
		}
	}
	return *m
}

// replace puts and drops the resources themselves, the last of each ref.
func (d *derivation) replace(put []Resource, drop []Ref) {
	last := make(map[Ref]int, len(put)+len(drop))
	note := func(ref Ref, is Resource) {
		i, again := last[ref]
		if !again {
			i = len(d.changed)
			last[ref] = i
			d.changed = append(d.changed, replacement{ref: ref, was: d.from.Find(ref)})
		}
		d.changed[i].is = is
	}
	for _, r := range put {
		note(r.meta().Ref, r)
	}
	for _, ref := range drop {
		note(ref, nil)
	}
	d.changed = slices.DeleteFunc(d.changed, func(c replacement) bool { return c.was == c.is })
	for _, c := range d.changed {
		row := rowOf(c.ref.Kind)
		if !d.owned[c.ref.Kind] {
			d.owned[c.ref.Kind] = true
			row.clone(d.to)
		}
		if c.is != nil {
			row.put(d.to, c.is)
		} else {
			row.drop(d.to, c.ref.Key)
		}
	}
}

// index brings the indexes up to date in which resources themselves are.
func (d *derivation) index() {
	routes, policies := turns[Key, *GatewayRoute]{}, turns[Ref, Resource]{}
	for _, c := range d.changed { // before anything comes: it may have the name of what goes
		if c.was == nil {
			continue
		}
		if name := nameOf(c.was); !c.stays() && d.to.names[name] == c.ref.Key {
			delete(own(d, &d.to.names), name)
		}
		for _, target := range targetsOf(c.was) {
			switch c.was.(type) {
			case *Endpoints:
				delete(own(d, &d.to.hosts), target.Key)
			case *Rollout:
				delete(own(d, &d.to.rollouts), target)
			default:
				policies.lose(target, c.was)
			}
		}
		if route, ok := c.was.(*GatewayRoute); ok {
			routes.lose(route.Gateway, route)
		}
	}
	for _, c := range d.changed {
		if c.is == nil {
			continue
		}
		if !c.stays() {
			own(d, &d.to.names)[nameOf(c.is)] = c.ref.Key
		}
		for _, target := range targetsOf(c.is) {
			switch r := c.is.(type) {
			case *Endpoints:
				own(d, &d.to.hosts)[target.Key] = r
			case *Rollout:
				own(d, &d.to.rollouts)[target] = r
			default:
				policies.win(target, c.is)
			}
		}
		if route, ok := c.is.(*GatewayRoute); ok {
			routes.win(route.Gateway, route)
		}
	}
	routes.apply(d, &d.to.routes, func(a, b *GatewayRoute) int { return a.Ref.Compare(b.Ref) })
	policies.apply(d, &d.to.policies, func(a, b Resource) int { return a.meta().Ref.Compare(b.meta().Ref) })
}

func nameOf(r Resource) named {
	m := r.meta()
	return named{m.Ref.Kind, m.Mesh, m.AWSName}
}

// targetsOf returns what a resource says something of, each once: the policies
// their targets, rollouts what they govern, endpoints their node.
func targetsOf(r Resource) (targets []Ref) {
	add := func(to Ref) {
		if !slices.Contains(targets, to) { // two routes of one router
			targets = append(targets, to)
		}
	}
	from := r.meta().Ref.Namespace
	switch r := r.(type) {
	case *Endpoints:
		add(Ref{KindVirtualNode, r.Spec.VirtualNodeRef.In(from)})
	case *RoutePolicy:
		for i := range r.Spec.Targets {
			add(r.Spec.Targets[i].In(from))
		}
	case *ListenerPolicy:
		for i := range r.Spec.Targets {
			add(r.Spec.Targets[i].In(from))
		}
	case *Rollout:
		for i := range r.Spec.Targets {
			add(r.Spec.Targets[i].In(from))
		}
	}
	return targets
}

// reuse brings the index of users up to date: of what changed, and of what may
// find others than it did.
func (d *derivation) reuse() {
	users := turns[Ref, Ref]{}
	turn := func(user Ref, was, is []Ref) {
		if slices.Equal(was, is) {
			return
		}
		for _, to := range was {
			users.lose(to, user)
		}
		for _, to := range is {
			users.win(to, user)
		}
	}
	for ref := range d.stirred() {
		turn(ref, d.from.uses(d.from.Find(ref)), d.to.uses(d.to.Find(ref)))
	}
	for _, c := range d.changed { // a gateway uses its routes, which know it
		was, wasRoute := c.was.(*GatewayRoute)
		is, isRoute := c.is.(*GatewayRoute)
		if wasRoute && isRoute && was.Gateway == is.Gateway {
			continue
		}
		if wasRoute {
			turn(Ref{KindVirtualGateway, was.Gateway}, []Ref{c.ref}, nil)
		}
		if isRoute {
			turn(Ref{KindVirtualGateway, is.Gateway}, nil, []Ref{c.ref})
		}
	}
	users.apply(d, &d.to.users, nil)
}

// stirred are the refs of resources that may use others than they did: those
// that changed, those that found what is not to be found as before, and who is
// told what policies and endpoints say, as well as who sends there.
func (d *derivation) stirred() map[Ref]bool {
	stirred := make(map[Ref]bool, len(d.changed))
	users := func(of Ref) {
		for _, user := range d.from.users[of] {
			stirred[user] = true
		}
	}
	for _, c := range d.changed {
		stirred[c.ref] = true
		if !c.stays() {
			users(c.ref)
		}
		for _, r := range []Resource{c.was, c.is} {
			if r == nil || c.ref.Kind == KindRollout { // which nothing depends on
				continue
			}
			for _, target := range targetsOf(r) {
				stirred[target] = true
				users(target)
			}
		}
	}
	return stirred
}

// turns are changes of an index of lists.
type turns[K, E comparable] map[K]*turnover[E]

type turnover[E comparable] struct {
	lost map[E]bool
	won  []E
}

func (t turns[K, E]) at(k K) *turnover[E] {
	if t[k] == nil {
		t[k] = &turnover[E]{}
	}
	return t[k]
}

func (t turns[K, E]) lose(k K, e E) {
	of := t.at(k)
	if of.lost == nil {
		of.lost = map[E]bool{}
	}
	of.lost[e] = true
}

func (t turns[K, E]) win(k K, e E) {
	of := t.at(k)
	of.won = append(of.won, e)
}

// apply makes the lists anew that differ, for those that are there may be
// another spec's. Empty ones are gone; others are sorted where order matters.
func (t turns[K, E]) apply(d *derivation, m *map[K][]E, compare func(a, b E) int) {
	for k, of := range t {
		in, list := own(d, m), of.won
		for _, e := range in[k] {
			if !of.lost[e] {
				list = append(list, e)
			}
		}
		if compare != nil {
			slices.SortFunc(list, compare)
		}
		if in[k] = list; len(list) == 0 {
			delete(in, k)
		}
	}
}
