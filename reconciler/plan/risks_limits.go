package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds/translate"
)

// timeoutBelowP99 looks at routes that change, and at the listeners of nodes
// that do.
func (c *change) timeoutBelowP99(p *Plan, tell teller) {
	check := func(at schema.Resource, path, what string, limit time.Duration, node schema.Ref) {
		p99, ok := c.seen.Traffic[node].Latency.Quantile(0.99)
		if ok && limit > 0 && limit < p99 {
			tell(High, at, path, fmt.Sprintf("%s ends requests after %s, and %s takes up to %s for 99 %% of them; they fail where it takes longer", what, limit, node, p99.Round(time.Millisecond)))
		}
	}
	for _, r := range p.Routes {
		router, ok := c.to.Spec.VirtualRouters[r.Owner.Key]
		if !ok || r.Owner.Kind != schema.KindVirtualRouter || r.Op == schema.Removed {
			continue
		}
		before, _ := c.timeoutOf(c.from.Spec, r)
		after, ok := c.timeoutOf(c.to.Spec, r)
		if !ok {
			continue
		}
		for _, s := range r.After {
			if after < before || before == 0 || shareOf(r.Before, s.Target) == 0 {
				check(router, pathOf(router, r.Name), called(r), after, s.Target)
			}
		}
	}
	for _, was := range c.changedNodes() {
		is := c.to.Spec.VirtualNodes[was.Ref.Key]
		for i := range is.Spec.Listeners {
			l := &is.Spec.Listeners[i]
			old := was.ListenerAt(l.PortMapping.Port)
			if old == nil || l.PortMapping.Protocol == schema.ProtocolTCP {
				continue
			}
			before, _ := translate.Timeouts(old.Timeout.For(old.PortMapping.Protocol))
			after, _ := translate.Timeouts(l.Timeout.For(l.PortMapping.Protocol))
			if before == 0 || after < before {
				check(is, fmt.Sprintf("spec.listeners[%d].timeout", i), fmt.Sprintf("port %d of %s", l.PortMapping.Port, is.Ref), after, is.Ref)
			}
		}
	}
}

// timeoutOf is the limit of a request on a router's route; false if the side has
// no such route, or one for which requests are no notion.
func (c *change) timeoutOf(s *schema.Spec, r Route) (time.Duration, bool) {
	router := s.VirtualRouters[r.Owner.Key]
	if router == nil {
		return 0, false
	}
	l := find(c.lines(s, router), r.Name)
	if l == nil || strings.HasPrefix(l.match, "tcp") {
		return 0, false
	}
	request, _ := translate.Timeouts(l.rules[0].Timeout)
	return request, true
}

// retryUnsafe: where it begins, not where it was so before.
func (c *change) retryUnsafe(p *Plan, tell teller) {
	for _, r := range p.Routes {
		if r.Owner.Kind != schema.KindVirtualRouter || r.Op == schema.Removed {
			continue
		}
		if events := c.retriesUnsafe(c.to.Spec, r); events != "" && c.retriesUnsafe(c.from.Spec, r) == "" {
			owner := c.owner(r)
			tell(Low, owner, pathOf(owner, r.Name)+".httpRoute.retryPolicy", fmt.Sprintf("%s tries requests with side effects again on %s, though a server may have done them; leave those events out, or make the requests idempotent", called(r), events))
		}
	}
}

// retriesUnsafe are the events on which a route for POST or PATCH tries again
// though a server may have done what was asked.
func (c *change) retriesUnsafe(s *schema.Spec, r Route) string {
	router := s.VirtualRouters[r.Owner.Key]
	if router == nil {
		return ""
	}
	for i := range router.Spec.Routes {
		route := &router.Spec.Routes[i]
		h := route.HTTP()
		if route.Name != r.Name || h == nil || h.Match.Method != "POST" && h.Match.Method != "PATCH" {
			continue
		}
		l := find(c.lines(s, router), r.Name)
		retry := l.rules[0].RetryPolicy
		if retry == nil || retry.MaxRetries == 0 {
			return ""
		}
		var events []string
		for _, e := range retry.HTTPRetryEvents {
			if e == "server-error" || e == "gateway-error" {
				events = append(events, e)
			}
		}
		return strings.Join(events, " and ")
	}
	return ""
}

// limitBelowUse compares a node's limits with what is in flight at each of its
// proxies on average: the rate times the time that a request takes (Little's
// law), as callers report it.
func (c *change) limitBelowUse(_ *Plan, tell teller) {
	for _, was := range c.changedNodes() {
		is := c.to.Spec.VirtualNodes[was.Ref.Key]
		t, proxies := c.seen.Traffic[is.Ref], c.standing(&is.Meta)
		p50, ok := t.Latency.Quantile(0.5)
		if !ok || t.Window <= 0 || proxies == 0 {
			continue
		}
		inFlight := float64(t.Requests) / t.Window.Seconds() * p50.Seconds() / float64(proxies)
		for i := range is.Spec.Listeners {
			l := &is.Spec.Listeners[i]
			old := was.ListenerAt(l.PortMapping.Port)
			if old == nil {
				continue
			}
			before, after := poolLimit(old.ConnectionPool), poolLimit(l.ConnectionPool)
			if after != 0 && (before == 0 || after < before) && float64(after) < inFlight {
				tell(High, is, fmt.Sprintf("spec.listeners[%d].connectionPool", i), fmt.Sprintf("each proxy of %s would take %d at once on port %d, and about %.0f are in flight; more than the limit get a 503", is.Ref, after, l.PortMapping.Port, inFlight))
			}
		}
	}
}

// poolLimit is how many requests (or connections, which carry one each) a
// listener takes at once; 0 is no limit.
func poolLimit(p *schema.ConnectionPool) uint32 {
	switch {
	case p == nil:
	case p.HTTP != nil:
		return p.HTTP.MaxConnections
	case p.HTTP2 != nil:
		return p.HTTP2.MaxRequests
	case p.GRPC != nil:
		return p.GRPC.MaxRequests
	case p.TCP != nil:
		return p.TCP.MaxConnections
	}
	return 0
}
