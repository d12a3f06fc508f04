package translate

import (
	"maps"
	"slices"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// part is what some of the work on a proxy has come to. Proxies for which it
// comes to the same share it.
type part struct {
	res         xds.Resources
	have        map[resourceName]bool
	clients     map[string]string // egress cluster → inputs of the first way to speak to it
	acting      map[string]acting // which filters act on its routes, by name of the RouteConfiguration
	assignments []assignment
	needs       []need
	targets     map[string]schema.Ref // egress cluster that is not a node's plain one → virtual node
	notices     []string
	err         error
}

// apart does some of the work by itself.
func (b *builder) apart(work func(*builder)) *part {
	o := b.builder(b.Profile)
	o.mesh = b.mesh
	work(o)
	if o.base != nil {
		maps.Copy(o.have, o.base.have)
		maps.Copy(o.clients, o.base.clients)
	}
	o.res.Sort() // once for all who take it
	return &part{o.res, o.have, o.clients, o.acting, o.assignments, o.needs, o.targets, o.notices, o.err}
}

// take adds a part that was worked out for others too. It adds nothing, and
// reports so, where this proxy needs one of its own: secrets depend on who it is,
// and names of clusters on those that it has already.
func (b *builder) take(p *part) bool {
	if len(p.needs) > 0 {
		return false
	}
	if b.base == nil && len(b.clients) == 0 {
		b.join(p, false)
		b.base = p
		return true
	}
	for name, inputs := range p.clients {
		if had, ok := b.client(name); ok && had != inputs {
			return false
		}
	}
	b.join(p, true)
	return true
}

// join adds a part, and notes what that brings, unless the part is to be the
// base, which is not copied: it may be large.
func (b *builder) join(p *part, note bool) {
	for _, a := range p.assignments {
		if !b.has(xds.Endpoint, a.name) {
			b.assignments = append(b.assignments, a)
		}
	}
	for t, list := range p.res {
		if len(b.res[t]) == 0 {
			b.res[t] = slices.Clip(list) // what is appended to makes another
			for _, r := range list {
				if note {
					b.have[resourceName{r.Type, r.Name}] = true
				}
			}
			continue
		}
		b.res[t] = slices.Grow(b.res[t], len(list))
		for _, r := range list {
			if b.has(r.Type, r.Name) {
				continue
			}
			b.res[t] = append(b.res[t], r)
			if note {
				b.have[resourceName{r.Type, r.Name}] = true
			}
		}
	}
	if note {
		maps.Copy(b.clients, p.clients)
	}
	for name, n := range p.targets {
		b.leadsTo(name, n)
	}
	for name, set := range p.acting {
		b.acting[name] |= set
	}
	b.needs = append(b.needs, p.needs...)
	b.notices = append(b.notices, p.notices...)
	if b.err == nil {
		b.err = p.err
	}
}
