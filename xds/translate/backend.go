package translate

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// answer is a port on which a virtual service answers, and the routes of what
// comes to it there, in the order in which they are tried.
type answer struct {
	link     schema.BackendLink
	port     uint32
	protocol schema.Protocol
	routes   []route
	digest   string // of the service, its provider and their policies
	leads    *leads // where the routes lead
}

// route is a route with its targets found, and what holds on it. The implicit
// one of a virtual service that a node provides is a route without a name.
type route struct {
	*schema.Route
	targets []target
	rules   schema.RouteRules
	copies  []schema.Copy // while a canary runs
}

// target is a virtual node's listener and its relative weight.
type target struct {
	node     *schema.VirtualNode
	listener *schema.NodeListener
	weight   uint32
}

// answers returns the ports on which a backend answers, in the order of its
// provider's listeners: none without a provider.
func (b *builder) answers(link schema.BackendLink) []answer {
	node, router := b.spec.ProviderOf(link.Service)
	digest := link.Service.Digest + " " + b.policies(link.Service)
	var found []answer
	switch {
	case node != nil:
		for i := range node.Spec.Listeners {
			l := &node.Spec.Listeners[i]
			implicit := implicitRoute(l.PortMapping.Protocol)
			all := route{implicit, []target{{node, l, 1}}, b.spec.RulesOf(link.Service, nil, implicit), nil}
			found = append(found, answer{link, l.PortMapping.Port, l.PortMapping.Protocol, []route{all}, digest + node.Digest, &leads{}})
		}
	case router != nil:
		digest += b.policies(router)
		for _, p := range RouterPorts(b.spec, router) {
			found = append(found, answer{link, p.Port, p.Protocol, b.routesOn(link.Service, router, p), digest + router.Digest, &leads{}})
		}
	}
	if len(found) == 0 {
		b.notice("Virtual service %s has no provider that listens: requests to it get a 404.", link.Service.AWSName)
	}
	return found
}

// policies returns the digests of the policies of a resource.
func (b *builder) policies(r schema.Resource) string {
	digests := ""
	for _, p := range b.spec.PoliciesOf(r) {
		digests += schema.MetaOf(p).Digest + " "
	}
	return digests
}

// RouterPorts returns what a router listens on; one without listeners, as
// App Mesh's first versions had them, on what its targets listen on.
func RouterPorts(s *schema.Spec, r *schema.VirtualRouter) []schema.PortMapping {
	var ports []schema.PortMapping
	for _, l := range r.Spec.Listeners {
		ports = append(ports, l.PortMapping)
	}
	if len(ports) > 0 {
		return ports
	}
	for i := range r.Spec.Routes {
		for _, t := range r.Spec.Routes[i].Targets() {
			n := s.TargetNode(r, t)
			if n == nil {
				continue
			}
			if l := listenerFor(n, t.Port, r.Spec.Routes[i].Protocol()); l != nil && !slices.Contains(ports, l.PortMapping) {
				ports = append(ports, l.PortMapping)
			}
		}
	}
	return ports
}

// routesOn returns the routes of a service's router that hold on one of its
// ports.
func (b *builder) routesOn(v *schema.VirtualService, r *schema.VirtualRouter, p schema.PortMapping) []route {
	var routes []route
	for i := range r.Spec.Routes {
		spec := &r.Spec.Routes[i]
		if spec.Protocol() != p.Protocol || !onPort(spec, p.Port) {
			continue
		}
		made := route{Route: spec, rules: b.spec.RulesOf(v, r, spec)}
		if spec.Derived != nil {
			made.copies = spec.Derived.Copies
		}
		for _, t := range spec.Targets() {
			n := b.spec.TargetNode(r, t)
			if n == nil {
				continue
			}
			if l := listenerFor(n, t.Port, spec.Protocol()); l != nil {
				made.targets = append(made.targets, target{n, l, t.Weight})
			} else {
				b.notice("Virtual node %s, a target of route %s, has no listener to send to.", n.AWSName, spec.Name)
			}
		}
		routes = append(routes, made)
	}
	slices.SortStableFunc(routes, func(x, y route) int { return compareRoutes(x.Route, y.Route) })
	return routes
}

// onPort reports whether a route's match lets it hold on a router's port.
func onPort(r *schema.Route, port uint32) bool {
	want := uint32(0)
	switch h := r.HTTP(); {
	case h != nil:
		want = h.Match.Port
	case r.GRPCRoute != nil:
		want = r.GRPCRoute.Match.Port
	case r.TCPRoute != nil && r.TCPRoute.Match != nil:
		want = r.TCPRoute.Match.Port
	}
	return want == 0 || want == port
}

// listenerFor returns the listener of a node that a target means: that of the
// port, else the first of the route's protocol, else the first.
func listenerFor(n *schema.VirtualNode, port uint32, p schema.Protocol) *schema.NodeListener {
	at := slices.IndexFunc(n.Spec.Listeners, func(l schema.NodeListener) bool {
		if port != 0 {
			return l.PortMapping.Port == port
		}
		return l.PortMapping.Protocol == p
	})
	switch {
	case at >= 0:
		return &n.Spec.Listeners[at]
	case port == 0 && len(n.Spec.Listeners) > 0:
		return &n.Spec.Listeners[0]
	}
	return nil
}

// implicitRoute is what holds where a virtual service is provided by a node:
// everything goes to it.
func implicitRoute(p schema.Protocol) *schema.Route {
	switch p {
	case schema.ProtocolTCP:
		return &schema.Route{TCPRoute: &schema.TCPRoute{}}
	case schema.ProtocolGRPC:
		return &schema.Route{GRPCRoute: &schema.GRPCRoute{}}
	case schema.ProtocolHTTP2:
		return &schema.Route{HTTP2Route: &schema.HTTPRoute{}}
	default:
		return &schema.Route{HTTPRoute: &schema.HTTPRoute{}}
	}
}

// upstream is a node's listener as one client speaks to it.
type upstream struct {
	node     *schema.VirtualNode
	listener *schema.NodeListener
	lb       *schema.LoadBalancing // nil: round robin
	eds      bool                  // its endpoints come from this control plane
	// tls is the client policy as far as it holds for the port; nil: the
	// server's mode decides.
	tls *schema.ClientTLS
	// trust and certificate are where the client gets what it needs for TLS.
	trust, certificate secretSource
	limits             limits // of a gateway's connection pool
	// barred: what it needs cannot be had, so that it must not connect.
	barred bool
}

// clusters adds the clusters of a route's targets and returns them with their
// weights, each cluster once.
func (b *builder) clusters(link schema.BackendLink, targets []target) []weighted {
	return weigh(targets, func(t target) string { return b.cluster(link, t) })
}

// weigh returns the clusters of targets with their weights, each cluster once.
func weigh(targets []target, clusterOf func(target) string) []weighted {
	var out []weighted
	for _, t := range targets {
		name := clusterOf(t)
		if i := slices.IndexFunc(out, func(w weighted) bool { return w.cluster == name }); i >= 0 {
			out[i].weight += t.weight
			continue
		}
		out = append(out, weighted{name, t.weight})
	}
	return out
}

// cluster adds the cluster of a target and returns its name. A client may have
// policies for two virtual services that lead to one node; then the first, by
// the services' names, has App Mesh's name, and the others' names say whose
// they are; so it is with the listeners of a gateway that have connection
// pools.
func (b *builder) cluster(link schema.BackendLink, t target) string {
	u := b.upstream(link, t)
	inputs := fmt.Sprint(t.node.Digest, " ", b.mesh.Digest, " ", u.eds, u.trust, u.certificate, u.barred, u.limits)
	if u.tls != nil || u.lb != nil {
		inputs += " " + b.text([]any{u.tls, u.lb})
	}
	name := egressClusterName(t.node, t.listener, "")
	if first, ok := b.client(name); ok && first != inputs {
		variant := link.Service.AWSName
		if u.limits != (limits{}) {
			variant += fmt.Sprintf("_%d", b.door.port)
		}
		name = egressClusterName(t.node, t.listener, variant)
		b.leadsTo(name, t.node.Ref)
	} else {
		b.clients[name] = inputs
	}
	b.addDerived(xds.Cluster, name, inputs, func() proto.Message { return egressCluster(name, u, b.mesh) })
	if u.eds && !u.barred {
		b.addEndpoints(u)
	}
	return name
}

// policyFor returns the client policy's TLS if it holds for a port.
func policyFor(p *schema.ClientPolicy, port uint32) *schema.ClientTLS {
	if p == nil || p.TLS == nil || len(p.TLS.Ports) > 0 && !slices.Contains(p.TLS.Ports, port) {
		return nil
	}
	return p.TLS
}
