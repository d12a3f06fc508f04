package canary

import (
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// Mix is what is served of a rollout.
type Mix struct {
	Governed []schema.Ref
	Start    schema.RolloutStart
	Side     Side
	Weight   schema.Percent      // the canary's share, if Side is Between
	Header   *schema.HeaderMatch // requests with it go to the canary
	Mirror   schema.Percent      // so many requests are copied to the canary
	Affinity *schema.Affinity    // what keeps clients on their side
}

// Side is where between two specs a rollout is.
type Side string

// The sides.
const (
	AtBase   Side = "base"
	Between  Side = "between"
	AtTarget Side = "target"
)

// Blend derives the spec that is served of two commits and the rollouts between
// them; these start in the same way, for a merge and a pull request are blended
// one after the other. It changes neither spec, and is as if loaded.
//
// After a merge, all that no rollout governs is the target's, and what only the
// governed routes of the base still need is kept. Of a pull request, all is the
// base's, and what its governed routes need and the base does not have is
// added. A governed route is the base's in all but where it leads, until the
// rollout is complete.
func Blend(base, target *schema.Spec, mixes []Mix) *schema.Spec {
	all := func(side Side) bool {
		return !slices.ContainsFunc(mixes, func(m Mix) bool { return m.Side != side })
	}
	switch {
	case len(mixes) == 0 || all(AtTarget):
		return target
	case all(AtBase):
		return base
	}
	b := blender{base: base, target: target, into: target, from: base}
	if mixes[0].Start == schema.StartPullRequest {
		b.into, b.from = base, target
	}
	for _, m := range mixes {
		for _, ref := range m.Governed {
			was, is := base.Find(ref), target.Find(ref)
			if !alike(was, is) {
				continue // it comes or goes with the rest
			}
			switch m.Side {
			case AtTarget:
				b.take(target, is)
			case AtBase:
				b.take(base, was)
			default:
				b.mix(was, is, m)
			}
		}
	}
	if len(b.put) == 0 {
		return b.into
	}
	return b.into.Derive(b.withNeeds(), nil)
}

// blender collects what differs from the spec that most is taken from.
type blender struct {
	base, target *schema.Spec
	into, from   *schema.Spec // what is changed, and where the rest comes from
	put, needs   []schema.Resource
}

// take has a governed route as a spec has it.
func (b *blender) take(spec *schema.Spec, r schema.Resource) {
	b.keep(spec, r)
	b.put = append(b.put, r)
}

// mix has a governed route between both.
func (b *blender) mix(was, is schema.Resource, m Mix) {
	b.keep(b.base, was)
	b.keep(b.target, is)
	switch was := was.(type) {
	case *schema.VirtualRouter:
		b.put = append(b.put, b.router(was, is.(*schema.VirtualRouter), m))
	case *schema.GatewayRoute:
		b.put = append(b.put, b.gatewayRoute(was, is.(*schema.GatewayRoute), m))
	}
}

func (b *blender) router(was, is *schema.VirtualRouter, m Mix) *schema.VirtualRouter {
	made := *was
	made.Spec.Routes = slices.Clone(was.Spec.Routes)
	for _, v := range movesOf(b.base, b.target, was, is) {
		route := &made.Spec.Routes[v.at]
		setTargets(route, b.targets(blend(v.from, v.to, m.Weight)))
		if route.TCPRoute != nil {
			continue
		}
		route.Derived = &schema.Derived{Copies: b.copies(portion(v.from, v.to, m.Mirror))}
		if m.Weight > 0 && m.Weight < schema.Whole {
			route.Derived.Affinity = m.Affinity
		}
		if m.Header != nil {
			made.Spec.Routes = append(made.Spec.Routes, b.byHeader(*v.route, m.Header, v.to))
		}
	}
	made.Digest = schema.Digest(&made)
	return &made
}

// byHeader is a copy of a route for the requests that also have a header. It
// has one condition more, so that it is tried before the route itself, and its
// name, so that the same policies hold.
func (b *blender) byHeader(route schema.Route, header *schema.HeaderMatch, to []share) schema.Route {
	setTargets(&route, b.targets(to))
	and := func(conditions []schema.HeaderMatch) []schema.HeaderMatch {
		return append(slices.Clone(conditions), *header)
	}
	switch h := route.HTTP(); {
	case h != nil:
		h.Match.Headers = and(h.Match.Headers)
	case route.GRPCRoute != nil:
		route.GRPCRoute.Match.Metadata = and(route.GRPCRoute.Match.Metadata)
	}
	return route
}

func (b *blender) gatewayRoute(was, is *schema.GatewayRoute, m Mix) *schema.GatewayRoute {
	made := *was
	if from, to, ok := turns(b.base, b.target, was, is); ok {
		lead := schema.GatewayTarget{Port: to.port}
		lead.VirtualService.VirtualServiceRef = &schema.Reference{Name: to.service.Ref.Name, Namespace: to.service.Ref.Namespace}
		d := &schema.DerivedGateway{Copies: b.copies(portion(behind(b.base, from), behind(b.target, to), m.Mirror))}
		if m.Header != nil {
			d.Branches = append(d.Branches, schema.Branch{Target: lead, Header: m.Header, Share: schema.Whole})
		}
		if m.Weight > 0 {
			d.Branches = append(d.Branches, schema.Branch{Target: lead, Share: m.Weight})
		}
		made.Spec.Derived = d
	}
	made.Digest = schema.Digest(&made)
	return &made
}

// targets are shares as a route has them.
func (b *blender) targets(shares []share) []schema.WeightedTarget {
	out := make([]schema.WeightedTarget, len(shares))
	for i, s := range shares {
		ref := b.called(s.Node)
		out[i] = schema.WeightedTarget{VirtualNodeRef: &ref, Port: s.Port, Weight: s.Weight}
	}
	return out
}

func (b *blender) copies(shares []share) []schema.Copy {
	var out []schema.Copy
	for _, s := range shares {
		if s.Weight > 0 {
			out = append(out, schema.Copy{VirtualNodeRef: b.called(s.Node), Port: s.Port, Share: schema.Percent(s.Weight)})
		}
	}
	return out
}

// called is the reference to a node where it is served: of one document that
// has become another with the same name in App Mesh, the other.
func (b *blender) called(node schema.Key) schema.Reference {
	if n := b.from.VirtualNodes[node]; n != nil && b.into.VirtualNodes[node] == nil {
		if same := b.into.VirtualNodeNamed(n.Mesh, n.AWSName); same != nil {
			node = same.Ref.Key
		}
	}
	return schema.Reference{Name: node.Name, Namespace: node.Namespace}
}

// setTargets has a route lead elsewhere. What it points to is copied.
func setTargets(r *schema.Route, to []schema.WeightedTarget) {
	http := func(h *schema.HTTPRoute) *schema.HTTPRoute {
		if h == nil {
			return nil
		}
		c := *h
		c.Action.WeightedTargets = to
		return &c
	}
	r.HTTPRoute, r.HTTP2Route = http(r.HTTPRoute), http(r.HTTP2Route)
	if r.GRPCRoute != nil {
		c := *r.GRPCRoute
		c.Action.WeightedTargets = to
		r.GRPCRoute = &c
	}
	if r.TCPRoute != nil {
		c := *r.TCPRoute
		c.Action.WeightedTargets = to
		r.TCPRoute = &c
	}
}
