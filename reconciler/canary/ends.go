package canary

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Ends is what lies between two specs for a rollout: what moves, and who is to
// be watched.
type Ends struct {
	// Governed are the rollout's targets that both specs have.
	Governed []schema.Ref
	// Moves are the governed routes whose targets differ. Without any there is
	// nothing to do in steps.
	Moves []Move
	// Canary are the virtual nodes whose share grows, Base those whose share
	// falls, each sorted.
	Canary, Base []schema.Ref
	// Callers are the virtual nodes and gateways whose proxies send by the routes
	// that move, sorted: theirs is the evidence.
	Callers []xds.Identity
}

// Move is a route that leads elsewhere at the other end.
type Move struct {
	Of    schema.Ref // a VirtualRouter or GatewayRoute
	Route string     // of a router
}

// EndsOf compares two specs for a rollout's policy, of which only the targets
// count; see [schema.Rollout.Policy].
func EndsOf(base, target *schema.Spec, policy schema.RolloutSpec) Ends {
	var e Ends
	score := map[schema.Key]float64{} // how much a node's share grows, over all moves
	for i := range policy.Targets {
		ref := policy.Targets[i].In("")
		was, is := base.Find(ref), target.Find(ref)
		if !alike(was, is) {
			continue
		}
		moved := false
		switch was := was.(type) {
		case *schema.VirtualRouter:
			for _, m := range movesOf(base, target, was, is.(*schema.VirtualRouter)) {
				e.Moves = append(e.Moves, Move{ref, m.route.Name})
				grow(score, m.to, 1)
				grow(score, m.from, -1)
				moved = true
			}
		case *schema.GatewayRoute:
			if from, to, ok := turns(base, target, was, is.(*schema.GatewayRoute)); ok {
				e.Moves = append(e.Moves, Move{Of: ref})
				grow(score, behind(target, to), 1)
				grow(score, behind(base, from), -1)
				moved = true
			}
		}
		e.Governed = append(e.Governed, ref)
		if moved {
			e.callers(base, ref)
			e.callers(target, ref)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(score), schema.Key.Compare) {
		const nothing = 1e-9
		switch ref := (schema.Ref{Kind: schema.KindVirtualNode, Key: key}); {
		case score[key] > nothing:
			e.Canary = append(e.Canary, ref)
		case score[key] < -nothing:
			e.Base = append(e.Base, ref)
		}
	}
	slices.SortFunc(e.Callers, xds.Identity.Compare)
	e.Callers = slices.Compact(e.Callers)
	return e
}

// callers adds who calls by a governed route.
func (e *Ends) callers(spec *schema.Spec, route schema.Ref) {
	for ref := range spec.Dependents([]schema.Ref{route}) {
		if r := spec.Find(ref); r != nil && (ref.Kind == schema.KindVirtualNode || ref.Kind == schema.KindVirtualGateway) {
			m := schema.MetaOf(r)
			e.Callers = append(e.Callers, xds.Identity{Mesh: m.Mesh, Kind: ref.Kind, Name: m.AWSName})
		}
	}
}

// alike reports whether two resources of one name are one in what cannot be
// blended; what only one spec has (nil) is not.
func alike(a, b schema.Resource) bool {
	if a == nil || b == nil {
		return false
	}
	if route, ok := a.(*schema.GatewayRoute); ok && route.Gateway != b.(*schema.GatewayRoute).Gateway {
		return false
	}
	was, is := schema.MetaOf(a), schema.MetaOf(b)
	return was.Mesh == is.Mesh && was.AWSName == is.AWSName
}

// move is a route of a router, as the base has it, between two targets.
type move struct {
	at       int // of the base's routes
	route    *schema.Route
	from, to []share
}

// movesOf returns the routes of a router that have other targets at the other
// end. They are known by name and match; one that sends nowhere at either end
// cannot be blended.
func movesOf(base, target *schema.Spec, b, p *schema.VirtualRouter) []move {
	var moves []move
	for i := range b.Spec.Routes {
		is := &b.Spec.Routes[i]
		at := slices.IndexFunc(p.Spec.Routes, func(r schema.Route) bool { return r.Name == is.Name && sameMatch(&r, is) })
		if at < 0 {
			continue
		}
		m := move{i, is, sharesOf(base, b, is), sharesOf(target, p, &p.Spec.Routes[at])}
		if total(m.from) > 0 && total(m.to) > 0 && !sameShares(m.from, m.to) {
			moves = append(moves, m)
		}
	}
	return moves
}

func sameMatch(a, b *schema.Route) bool {
	return a.Protocol() == b.Protocol() && reflect.DeepEqual(a.Match(), b.Match())
}

// turn is where a gateway route leads.
type turn struct {
	service *schema.VirtualService
	port    uint32
}

// turns returns where a gateway route leads at both ends; false if that is the
// same, or cannot be blended.
func turns(base, target *schema.Spec, b, p *schema.GatewayRoute) (from, to turn, ok bool) {
	if b.Field() != p.Field() || !reflect.DeepEqual(b.Match(), p.Match()) {
		return from, to, false
	}
	for _, t := range b.Targets() {
		from = turn{base.TargetService(b, t), t.Port}
	}
	for _, t := range p.Targets() {
		to = turn{target.TargetService(p, t), t.Port}
	}
	if from.service == nil || to.service == nil {
		return from, to, false
	}
	return from, to, from.service.Ref != to.service.Ref || from.port != to.port
}

// Content is a digest of where the governed routes of a spec lead: of their
// names, matches and targets, and of what the nodes there are. Equal digests
// mean that a change from one to the other is none that needs steps, as a
// revert to what was completed before.
func Content(spec *schema.Spec, governed []schema.Ref) string {
	type leads struct {
		Of    schema.Ref
		Route string
		Match any
		To    []share
		Nodes []string
	}
	var all []leads
	add := func(l leads, shares []share) {
		slices.SortFunc(shares, share.compare)
		for _, s := range shares {
			if n := spec.VirtualNodes[s.Node]; n != nil {
				l.Nodes = append(l.Nodes, n.Digest)
			}
		}
		l.To = shares
		all = append(all, l)
	}
	for _, ref := range slices.SortedFunc(slices.Values(governed), schema.Ref.Compare) {
		if r := spec.VirtualRouters[ref.Key]; ref.Kind == schema.KindVirtualRouter && r != nil {
			for i := range r.Spec.Routes {
				route := r.Spec.Routes[i]
				shares := sharesOf(spec, r, &route)
				setTargets(&route, nil)
				add(leads{Of: ref, Route: route.Name, Match: route}, shares)
			}
		}
		if g := spec.GatewayRoutes[ref.Key]; ref.Kind == schema.KindGatewayRoute && g != nil {
			for _, t := range g.Targets() {
				if v := spec.TargetService(g, t); v != nil {
					add(leads{Of: ref, Route: v.Ref.String(), Match: g.Match()}, behind(spec, turn{v, t.Port}))
				}
			}
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		panic("canary: " + err.Error()) // plain structs: cannot happen
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
