package translate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/meshwright/meshwright/schema"
)

// reach is what applications reach by transparent capture: ports, in order, and
// the routes of what is dialled on any other port.
type reach struct {
	once   sync.Once
	ports  []port
	routes string // empty: the mesh lets everything out there
	part   *part
	front  string   // all of it that listeners are made from
	told   []string // what a person should know about its backends
}

type reachKey struct {
	mesh      *schema.Mesh
	namespace string // of the applications
	byHost    bool   // virtual hosts come one by one
	called    string // the numbers of the callees
}

type port struct {
	number uint32
	place
}

// reached adds the routes and clusters of backends. Nodes of a namespace with
// the same backends share all of it.
func (b *builder) reached(called []*callee, namespace string) *reach {
	r := b.reach(called, namespace, nil)
	if b.take(r.part) {
		if b.base == r.part {
			b.shares = r
		}
		return r
	}
	own := &reach{}
	own.work(b, called, namespace)
	return own
}

// reach works out what nodes of a namespace with these backends reach, once.
// Lists that are the same before are those.
func (b *builder) reach(called []*callee, namespace string, before *reach) *reach {
	r := b.known.reach(b.mesh, namespace, b.VirtualHosts, called)
	r.once.Do(func() {
		r.part = b.apart(func(b *builder) { r.work(b, called, namespace) })
		for t, list := range r.part.res {
			if before != nil && slices.Equal(list, before.part.res[t]) {
				r.part.res[t] = before.part.res[t]
			}
		}
		r.front = r.describe()
		for _, c := range called {
			r.told = append(r.told, c.notices...)
		}
	})
	return r
}

// describe writes down all of it that listeners are made from.
func (r *reach) describe() string {
	front := fmt.Sprintln(r.routes, r.part.acting)
	for _, p := range r.ports {
		tcp := ""
		if p.tcp != nil {
			tcp = p.tcp.leads.digest
		}
		front += fmt.Sprintln(p.number, len(p.http) > 0, tcp)
	}
	return front
}

func (r *reach) work(b *builder, called []*callee, namespace string) {
	ports := map[uint32]*place{}
	var all []answer
	for _, c := range called {
		for _, a := range c.answers {
			if ports[a.port] == nil {
				ports[a.port] = &place{}
			}
			if first := ports[a.port].put(a); first != nil {
				b.crowded(fmt.Sprintf("Port %d", a.port), "give it another port, or capture explicitly", first, &a)
			}
			if a.protocol != schema.ProtocolTCP {
				all = append(all, a)
			}
		}
	}
	var web []uint32 // ports on HTTP
	for _, number := range slices.Sorted(maps.Keys(ports)) {
		r.ports = append(r.ports, port{number, *ports[number]})
		if len(ports[number].http) > 0 {
			web = append(web, number)
		}
	}
	names := hostnames(called, namespace)
	for _, p := range r.ports {
		if len(p.http) == 0 {
			b.lead(*p.tcp)
			continue
		}
		dialled := []string{strconv.Itoa(int(p.number))}
		if len(web) == 1 {
			dialled = append(dialled, "*")
		}
		b.egressRoutes(egressRouteName(p.number), b.mesh.AllowAll(), p.http, names.on(dialled...))
	}
	if b.mesh.AllowAll() {
		return
	}
	// On other ports nothing but HTTP to a backend's name can be meant; App Mesh
	// knew backends by name on any port. The routes are those of the only port,
	// if there is just one: a change is sent once.
	if r.routes = anyPortRouteName; len(web) == 1 {
		r.routes = egressRouteName(web[0])
	} else {
		b.egressRoutes(r.routes, false, oneEach(all), names.on("*"))
	}
}
