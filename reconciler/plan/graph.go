package plan

import (
	"cmp"
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// graphLimit is how many resources a person takes in at a glance.
const graphLimit = 40

// edge is a way that requests take between two resources.
type edge struct{ from, to schema.Ref }

// graph is what changes, the way of requests to it from the gateways and the
// nodes that call it, and on to the nodes behind it.
func (c *change) graph() Graph {
	before, after := map[edge]float64{}, map[edge]float64{}
	distance := map[schema.Ref]int{}
	var seeds []schema.Ref
	for _, d := range c.diff {
		seeds = append(seeds, d.Ref)
		for _, spec := range c.sides() { // of policies and endpoints, what they are for
			if inTraffic(d.Ref) {
				continue
			}
			if r, ok := spec.Find(d.Ref).(*schema.Endpoints); ok {
				seeds = append(seeds, spec.Refers(r)...)
			}
			if d.Ref.Kind == schema.KindRoutePolicy || d.Ref.Kind == schema.KindListenerPolicy {
				seeds = append(seeds, governed(spec, d.Ref)...)
			}
		}
	}
	seeds = slices.DeleteFunc(seeds, func(r schema.Ref) bool { return !inTraffic(r) })
	for i, side := range c.sides() {
		edges := [...]map[edge]float64{before, after}[i]
		walk := walker{side, edges, distance}
		there := slices.DeleteFunc(slices.Clone(seeds), func(r schema.Ref) bool { return side.Find(r) == nil })
		for _, ref := range there {
			walk.down(ref, 0)
		}
		walk.up(there)
	}
	c.backendEdges(before, after, distance)

	refs := make([]schema.Ref, 0, len(distance))
	for ref := range distance {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(a, b schema.Ref) int { return cmp.Or(cmp.Compare(distance[a], distance[b]), a.Compare(b)) })
	g := Graph{Nodes: []GraphNode{}, Edges: []GraphEdge{}, Omitted: max(0, len(refs)-graphLimit)}
	in := map[schema.Ref]bool{}
	for _, ref := range refs[:min(len(refs), graphLimit)] {
		in[ref] = true
		g.Nodes = append(g.Nodes, GraphNode{Ref: ref, Op: c.ops[ref]})
	}
	percent := func(edges map[edge]float64, e edge) float64 {
		if p, ok := edges[e]; ok {
			return p
		}
		return -1
	}
	all := map[edge]bool{}
	for _, edges := range []map[edge]float64{before, after} {
		for e := range edges {
			if in[e.from] && in[e.to] && !all[e] {
				all[e] = true
				g.Edges = append(g.Edges, GraphEdge{From: e.from, To: e.to, Before: percent(before, e), After: percent(after, e)})
			}
		}
	}
	slices.SortFunc(g.Nodes, func(a, b GraphNode) int { return a.Ref.Compare(b.Ref) })
	slices.SortFunc(g.Edges, func(a, b GraphEdge) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	return g
}

// inTraffic reports whether requests pass a resource.
func inTraffic(ref schema.Ref) bool {
	switch ref.Kind {
	case schema.KindVirtualGateway, schema.KindGatewayRoute, schema.KindVirtualService, schema.KindVirtualRouter, schema.KindVirtualNode:
		return true
	}
	return false
}

// governed are the resources that a policy targets.
func governed(s *schema.Spec, ref schema.Ref) (refs []schema.Ref) {
	switch p := s.Find(ref).(type) {
	case *schema.RoutePolicy:
		for i := range p.Spec.Targets {
			refs = append(refs, p.Spec.Targets[i].In(ref.Namespace))
		}
	case *schema.ListenerPolicy:
		for i := range p.Spec.Targets {
			refs = append(refs, p.Spec.Targets[i].In(ref.Namespace))
		}
	}
	return refs
}

// walker follows requests on one side.
type walker struct {
	spec     *schema.Spec
	edges    map[edge]float64
	distance map[schema.Ref]int
}

// visit notes how far a resource is from what changes.
func (w walker) visit(ref schema.Ref, far int) {
	if d, ok := w.distance[ref]; !ok || far < d {
		w.distance[ref] = far
	}
}

// down goes to where a resource sends requests.
func (w walker) down(ref schema.Ref, far int) {
	w.visit(ref, far)
	for to, percent := range w.targets(ref) {
		w.edges[edge{ref, to}] = percent
		w.down(to, far+1)
	}
}

// up goes to what sends requests to resources, as far as there is room: the next
// step is not taken when the last ones have filled the graph.
func (w walker) up(level []schema.Ref) {
	seen := map[schema.Ref]bool{}
	for _, ref := range level {
		seen[ref] = true
	}
	for far := 1; len(level) > 0; far++ {
		var next []schema.Ref
		for _, ref := range level {
			for user, percent := range w.senders(ref) {
				w.edges[edge{user, ref}] = percent
				w.visit(user, far)
				if !seen[user] {
					seen[user] = true
					next = append(next, user)
				}
			}
		}
		if level = next; len(seen) >= graphLimit {
			return
		}
	}
}

// senders send requests to a resource, with the share of theirs.
func (w walker) senders(ref schema.Ref) map[schema.Ref]float64 {
	from := map[schema.Ref]float64{}
	if ref.Kind == schema.KindVirtualGateway {
		return from
	}
	for user := range w.spec.Dependents([]schema.Ref{ref}) {
		switch {
		case user == ref || !inTraffic(user):
		case user.Kind == schema.KindVirtualNode:
			if v := w.spec.VirtualServices[ref.Key]; ref.Kind == schema.KindVirtualService && v != nil && calls(w.spec, w.spec.VirtualNodes[user.Key], v) {
				from[user] = 100
			}
		default:
			if percent, ok := w.targets(user)[ref]; ok {
				from[user] = percent
			}
		}
	}
	return from
}

// targets are where a resource sends requests, with their share. Of a router
// that is the share of the route that is tried last, which usually takes most,
// or else the largest share of another.
func (w walker) targets(ref schema.Ref) map[schema.Ref]float64 {
	to := map[schema.Ref]float64{}
	switch r := w.spec.Find(ref).(type) {
	case *schema.VirtualGateway:
		for _, g := range w.spec.GatewayRoutesOf(r) {
			to[g.Ref] = 100
		}
	case *schema.GatewayRoute:
		for _, s := range gatewayLines(w.spec, r)[0].shares {
			to[s.Target] = 100
		}
	case *schema.VirtualService:
		node, router := w.spec.ProviderOf(r)
		if node != nil {
			to[node.Ref] = 100
		}
		if router != nil {
			to[router.Ref] = 100
		}
	case *schema.VirtualRouter:
		for i := range r.Spec.Routes {
			for _, t := range r.Spec.Routes[i].Targets() {
				if n := w.spec.TargetNode(r, t); n != nil {
					to[n.Ref] = 0
				}
			}
			for _, s := range sharesOf(w.spec, r, &r.Spec.Routes[i]) {
				to[s.Target] = max(to[s.Target], s.Percent)
			}
		}
		if last := lastRoute(r); last != nil {
			for _, t := range last.Targets() {
				if n := w.spec.TargetNode(r, t); n != nil {
					to[n.Ref] = shareOf(sharesOf(w.spec, r, last), n.Ref)
				}
			}
		}
	}
	return to
}

// lastRoute is the route that a router tries last, as far as priorities and
// prefixes say.
func lastRoute(r *schema.VirtualRouter) (last *schema.Route) {
	rank := func(route *schema.Route) (int64, int) {
		priority, length := int64(1<<32), 1<<20
		if route.Priority != nil {
			priority = int64(*route.Priority)
		}
		a := asksOf(route)
		switch {
		case len(a.paths) == 0 && a.method == "" && len(a.header) == 0 && len(a.query) == 0:
			length = 0
		case len(a.paths) > 0 && a.paths[0].open:
			length = len(a.paths[0].text)
		}
		return priority, length
	}
	for i := range r.Spec.Routes {
		route := &r.Spec.Routes[i]
		if last == nil {
			last = route
			continue
		}
		priority, length := rank(route)
		than, most := rank(last)
		if priority > than || priority == than && length < most {
			last = route
		}
	}
	return last
}

// backendEdges are the services that a changed node may call on one side only.
func (c *change) backendEdges(before, after map[edge]float64, distance map[schema.Ref]int) {
	for _, was := range c.changedNodes() {
		is := c.to.Spec.VirtualNodes[was.Ref.Key]
		had, has := map[schema.Ref]bool{}, map[schema.Ref]bool{}
		for _, b := range c.from.Spec.BackendsOf(was) {
			had[b.Service.Ref] = true
		}
		for _, b := range c.to.Spec.BackendsOf(is) {
			has[b.Service.Ref] = true
		}
		note := func(a, b map[schema.Ref]bool, edges map[edge]float64) {
			for ref := range a {
				if !b[ref] {
					edges[edge{was.Ref, ref}] = 100
					if _, ok := distance[ref]; !ok {
						distance[ref] = 1
					}
				}
			}
		}
		note(had, has, before)
		note(has, had, after)
	}
}
