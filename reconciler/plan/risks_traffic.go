package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// owner is the resource that a route belongs to, on the new side if it is there.
func (c *change) owner(r Route) schema.Resource {
	if res := c.to.Spec.Find(r.Owner); res != nil && r.Op != schema.Removed {
		return res
	}
	return c.from.Spec.Find(r.Owner)
}

// pathOf is where a route stands in its owner.
func pathOf(owner schema.Resource, name string) string {
	switch o := owner.(type) {
	case *schema.VirtualRouter:
		i := slices.IndexFunc(o.Spec.Routes, func(r schema.Route) bool { return r.Name == name })
		return fmt.Sprintf("spec.routes[%d]", max(i, 0))
	case *schema.VirtualService:
		return "spec.provider"
	}
	return "spec"
}

// called is a route as people say it.
func called(r Route) string {
	if r.Owner.Kind == schema.KindVirtualRouter && r.Name != "" {
		return "route " + r.Name
	}
	return r.Owner.String()
}

func shareOf(shares []Share, target schema.Ref) (percent float64) {
	for _, s := range shares {
		if s.Target == target {
			percent += s.Percent
		}
	}
	return percent
}

// allAtOnce: only of routes that have sent requests elsewhere until now, and that
// no rollout takes there in steps.
func (c *change) allAtOnce(p *Plan, tell teller) {
	for _, r := range p.Routes {
		if len(r.Before) == 0 || p.governed(r) {
			continue
		}
		for _, s := range r.After {
			before, after := shareOf(r.Before, s.Target), shareOf(r.After, s.Target)
			if after < 100 || before > 10 {
				continue
			}
			level := Low
			if before == 0 {
				level = High
			}
			owner := c.owner(r)
			tell(level, owner, pathOf(owner, r.Name), fmt.Sprintf("%s gets all requests of %s at once, and got %s until now; begin with a small share", s.Target, called(r), percent(before)))
			break
		}
	}
}

// lately is what the nodes of some shares got.
func (c *change) lately(shares []Share) (t xds.Traffic) {
	for _, s := range shares {
		switch s.Target.Kind {
		case schema.KindVirtualNode:
			t.Add(c.seen.Traffic[s.Target])
		case schema.KindVirtualService:
			t.Add(c.latelyOf(c.from.Spec.VirtualServices[s.Target.Key]))
		}
	}
	return t
}

// latelyOf is what the nodes behind a service got.
func (c *change) latelyOf(v *schema.VirtualService) (t xds.Traffic) {
	lines, _ := serviceLines(c.from.Spec, v)
	nodes := map[schema.Ref]bool{}
	for _, l := range lines {
		for _, s := range l.shares {
			if !nodes[s.Target] {
				nodes[s.Target] = true
				t.Add(c.seen.Traffic[s.Target])
			}
		}
	}
	return t
}

// busy grades the loss of what had traffic: false where it had none.
func (c *change) busy(t xds.Traffic) (level Level, ok bool) {
	switch {
	case len(c.seen.Traffic) == 0:
		return Low, true
	case t.Requests == 0:
		return "", false
	}
	return High, true
}

// figures of traffic as people say them.
func figures(t xds.Traffic) string {
	return fmt.Sprintf("%d requests in %s", t.Requests, span(t.Window))
}

func (c *change) routeRemoved(p *Plan, tell teller) {
	for _, r := range p.Routes {
		if r.Op != schema.Removed {
			continue
		}
		t := c.lately(r.Before)
		level, ok := c.busy(t)
		if !ok {
			continue
		}
		text := called(r) + " goes, and how many requests its targets get is not known"
		if level == High {
			text = called(r) + " goes, whose targets got " + figures(t)
		}
		owner := c.owner(r)
		tell(level, owner, pathOf(owner, r.Name), text)
	}
}

// backendRemoved: where nothing is known of the traffic, it counts whether the
// requests would still go somewhere.
func (c *change) backendRemoved(_ *Plan, tell teller) {
	for _, key := range c.reached(schema.KindVirtualNode) {
		was, is := c.from.Spec.VirtualNodes[key], c.to.Spec.VirtualNodes[key]
		if was == nil || is == nil {
			continue
		}
		after := c.to.Spec.BackendsOf(is)
		for _, b := range c.from.Spec.BackendsOf(was) {
			if slices.ContainsFunc(after, func(o schema.BackendLink) bool {
				return o.Service.Ref == b.Service.Ref || o.Service.AWSName == b.Service.AWSName
			}) {
				continue
			}
			t := c.latelyOf(b.Service)
			level, ok := c.busy(t)
			text := fmt.Sprintf("%s may no longer call %s", is.Ref, b.Service.AWSName)
			switch {
			case !ok:
				continue
			case level == High:
				text += fmt.Sprintf(", whose nodes got %s from all callers", figures(t))
			case c.cut[edge{is.Ref, b.Service.Ref}]:
				level = High
				text += ", and no other route takes such requests; whether it sends any is not known"
			default:
				text += "; whether it does is not known"
			}
			tell(level, is, "spec.backends", text)
		}
	}
}

func (c *change) unmatched(_ *Plan, tell teller) {
	for m, at := range c.lost {
		if at != nil {
			tell(High, at, "spec", fmt.Sprintf("no route takes %s any more, which %s took; keep a route for it until nobody asks", m.Request, m.Before))
		}
	}
}

// standsFor is the resource of an identity.
func (c *change) standsFor(id xds.Identity) schema.Resource {
	for _, s := range []*schema.Spec{c.to.Spec, c.from.Spec} {
		if g := s.VirtualGatewayNamed(id.Mesh, id.Name); id.Kind == schema.KindVirtualGateway && g != nil {
			return g
		}
		if n := s.VirtualNodeNamed(id.Mesh, id.Name); id.Kind == schema.KindVirtualNode && n != nil {
			return n
		}
	}
	return nil
}

// noEndpoint looks at who gets requests afterwards, by a route or with endpoints
// that change.
func (c *change) noEndpoint(p *Plan, tell teller) {
	seen := map[schema.Ref]bool{}
	for ref := range c.reach {
		var shares []Share
		switch r := c.to.Spec.Find(ref).(type) {
		case *schema.VirtualRouter:
			for _, l := range c.lines(c.to.Spec, r) {
				shares = append(shares, l.shares...)
			}
		case *schema.VirtualService:
			lines, _ := serviceLines(c.to.Spec, r)
			for _, l := range lines {
				shares = append(shares, l.shares...)
			}
		}
		for _, s := range shares {
			seen[s.Target] = true
		}
	}
	for ref := range seen {
		n := c.to.Spec.VirtualNodes[ref.Key]
		level, why, at := endpointless(c.to.Spec, n)
		if why == "" {
			continue
		}
		if was := c.from.Spec.VirtualNodes[ref.Key]; was != nil && c.gotRequests(p, ref) {
			if before, _, _ := endpointless(c.from.Spec, was); before == level {
				continue // nothing new
			}
		}
		tell(level, at, "spec", fmt.Sprintf("%s gets requests and %s", ref, why))
	}
}

// gotRequests reports whether no route of the plan newly leads to a node.
func (c *change) gotRequests(p *Plan, node schema.Ref) bool {
	return !slices.ContainsFunc(p.Routes, func(r Route) bool { return shareOf(r.After, node) > 0 && shareOf(r.Before, node) == 0 })
}

// endpointless says why a node can have no requests, or should not; empty if
// that is not known. What drains is asked all the same when nothing else is
// left: no endpoint is healthy then, and Envoy panics.
func endpointless(s *schema.Spec, n *schema.VirtualNode) (_ Level, why string, at schema.Resource) {
	if n == nil {
		return "", "", nil
	}
	written := s.EndpointsOf(n)
	if written == nil {
		if n.Spec.ServiceDiscovery == nil {
			return High, "has neither service discovery nor endpoints: they get a 503", n
		}
		return "", "", nil
	}
	if len(written.Spec.Endpoints) == 0 {
		return High, "its endpoints are an empty list: they get a 503", written
	}
	draining := false
	for _, e := range written.Spec.Endpoints {
		switch e.Health {
		case schema.Unhealthy:
		case schema.Draining:
			draining = true
		default:
			return "", "", nil
		}
	}
	if draining {
		return Low, "none of its endpoints is healthy: those that drain get them all the same, for want of others", written
	}
	return High, "all of its endpoints are unhealthy: they get a 503", written
}

// proxiesLeft: only what is connected is known.
func (c *change) proxiesLeft(_ *Plan, tell teller) {
	for _, d := range c.diff {
		if d.Op != schema.Removed || d.Ref.Kind != schema.KindVirtualNode && d.Ref.Kind != schema.KindVirtualGateway {
			continue
		}
		was := c.from.Spec.Find(d.Ref)
		n := c.standing(schema.MetaOf(was))
		if n == 0 || c.standsFor(identity(schema.MetaOf(was))) != was {
			continue
		}
		tell(High, was, "", fmt.Sprintf("%s goes, and %s: what stands for it keeps what it has and hears of no change any more; stop it first", d.Ref, connectedWords(n)))
	}
}

func connectedWords(n int) string {
	be := "are"
	if n == 1 {
		be = "is"
	}
	return schema.Count(n, "proxy") + " " + be + " connected"
}

// span is a window as people say it.
func span(d time.Duration) string {
	if d%time.Minute == 0 && d > 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.Round(time.Second).String()
}
