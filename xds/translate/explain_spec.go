package translate

import (
	"fmt"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshwright/meshwright/schema"
)

// This file leads from what an Envoy has back to the spec: what things are
// called there, and what to change in it.

// nodePort is a virtual node's listener.
type nodePort struct {
	node     *schema.VirtualNode
	listener *schema.NodeListener
}

// nodeOf returns whose cluster it is. A name may say for which backend.
func (e *Explainer) nodeOf(cluster string) (*schema.VirtualNode, *schema.NodeListener) {
	if e.nodes == nil {
		e.nodes = map[string]nodePort{}
		for _, n := range e.spec.VirtualNodes {
			for i := range n.Spec.Listeners {
				l := &n.Spec.Listeners[i]
				e.nodes[egressClusterName(n, l, "")] = nodePort{n, l}
			}
		}
	}
	of, ok := e.nodes[cluster]
	for _, b := range e.backends {
		if ok {
			break
		}
		if name, variant := strings.CutSuffix(cluster, "_"+b.Service.AWSName); variant {
			of, ok = e.nodes[name]
		}
	}
	return of.node, of.listener
}

// serviceOf returns the virtual service of a virtual host.
func (x *explainer) serviceOf(vh *routev3.VirtualHost) *schema.VirtualService {
	for _, b := range x.backends {
		if vh != nil && vh.Name == virtualHostName(b.Service) {
			return b.Service
		}
	}
	return nil
}

// tcpAnswer returns the backend that has the port for TCP: the first, as
// [place] keeps it.
func (x *explainer) tcpAnswer() *answer {
	b := &builder{spec: x.spec}
	for _, link := range x.backends {
		for _, a := range b.answers(link) {
			if a.port == x.Port && a.protocol == schema.ProtocolTCP && len(a.routes) > 0 {
				return &a
			}
		}
	}
	return nil
}

// provided says which virtual service the request is for, and whose routes it
// takes.
func (x *explainer) provided(v *schema.VirtualService) {
	x.Service = v.Ref.String()
	if _, router := x.spec.ProviderOf(v); router != nil {
		x.Router = router.Ref.String()
	}
}

// named returns the virtual service of the mesh that the host names, backend
// or not.
func (x *explainer) named() *schema.VirtualService {
	var found *schema.VirtualService
	for _, v := range x.spec.VirtualServices {
		host := strings.ToLower(x.host)
		if v.Mesh != x.From.Mesh || strings.ToLower(v.AWSName) != host && !slices.Contains(shortForms(v), host) {
			continue
		}
		if found == nil || v.Ref.Compare(found.Ref) < 0 {
			found = v
		}
	}
	return found
}

// portsOf returns the ports on which a virtual service answers.
func (x *explainer) portsOf(v *schema.VirtualService) []uint32 {
	var ports []uint32
	for _, a := range (&builder{spec: x.spec}).answers(schema.BackendLink{Service: v}) {
		ports = append(ports, a.port)
	}
	return ports
}

// usualPort is the gateway's first, or the first on which a virtual service of
// the host's name answers, else HTTP's.
func (x *explainer) usualPort() uint32 {
	if x.gateway != nil && len(x.gateway.Spec.Listeners) > 0 {
		return x.gateway.Spec.Listeners[0].PortMapping.Port
	}
	if v := x.named(); v != nil {
		if ports := x.portsOf(v); len(ports) > 0 {
			return ports[0]
		}
	}
	return 80
}

// unmatched: no virtual host, or none of its routes, takes the request.
func (x *explainer) unmatched(vh *routev3.VirtualHost) {
	x.Outcome, x.Status = Answered, 404
	if vh == nil {
		x.Why = x.missing()
		return
	}
	switch matches := routesOf(vh); {
	case x.gateway != nil:
		x.Why = fmt.Sprintf("No gateway route of %s takes the request; for this host they ask for: %s.", x.owner, strings.Join(matches, "; "))
	case len(matches) == 0:
		x.Why = fmt.Sprintf("%s has no route on port %d; give its provider one.", x.Service, x.Port)
	default:
		x.Why = fmt.Sprintf("No route of %s takes the request; they ask for: %s.", x.Router, strings.Join(matches, "; "))
	}
}

// routesOf describes the routes in the order in which they are tried.
func routesOf(vh *routev3.VirtualHost) []string {
	var out []string
	for _, r := range vh.Routes {
		out = append(out, r.Name+" ("+describeMatch(r.Match)+")")
	}
	return out
}

// refused: no filter chain takes connections to the port.
func (x *explainer) refused() {
	x.Outcome = Refused
	x.Why = x.missing()
}

// missing says why the proxy knows nothing of a host, and what to do.
func (x *explainer) missing() string {
	v := x.named()
	switch {
	case x.gateway != nil && x.Outcome == Refused:
		return fmt.Sprintf("%s does not listen on port %d; add it to spec.listeners.", x.owner, x.Port)
	case x.gateway != nil:
		return fmt.Sprintf("No gateway route of %s is for the host %s; add one, or one without a hostname.", x.owner, x.host)
	case v == nil:
		return fmt.Sprintf("No virtual service of mesh %s is named %s, and the mesh's egressFilter is DROP_ALL; "+
			"define one and make it a backend of %s, or set ALLOW_ALL.", x.From.Mesh, x.host, x.owner)
	case !slices.ContainsFunc(x.backends, func(b schema.BackendLink) bool { return b.Service == v }):
		return fmt.Sprintf("%s declares no backend %s; add it to spec.backends.", x.owner, v.AWSName)
	}
	ports := x.portsOf(v)
	switch {
	case len(ports) == 0:
		return fmt.Sprintf("%s has no provider that listens; give it a virtual node or a virtual router.", v.Ref)
	case !slices.Contains(ports, x.Port):
		return fmt.Sprintf("%s does not answer on port %d but on %s; call that.", v.Ref, x.Port, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(ports)), ", "), "[]"))
	}
	return fmt.Sprintf("%s shares port %d or its name with another backend of %s, which is served in its place; give it its own.", v.Ref, x.Port, x.owner)
}

// passed: the mesh lets through what is no backend's.
func (x *explainer) passed() {
	x.Outcome = Passed
	x.Why = fmt.Sprintf("%s is no backend of %s; the mesh's egressFilter is ALLOW_ALL, so it is reached at the address that the application dialled, without routes, retries or limits of the mesh.", x.host, x.owner)
}

// answered: the proxy has a route without a target.
func (x *explainer) answered(status uint32) {
	x.Outcome, x.Status = Answered, status
	switch {
	case status != 404:
		x.Why = "No target of the route has a weight above 0; give one a weight."
	case x.Service == "":
		x.Why = "The gateway route leads to no virtual service."
	default:
		x.Why = fmt.Sprintf("The gateway route takes the request, but no route behind %s does, once it is rewritten.", x.Service)
	}
}

// targetsOf returns the virtual services that a gateway's routes lead to.
func (e *Explainer) targetsOf(g *schema.VirtualGateway) []schema.BackendLink {
	var links []schema.BackendLink
	for _, r := range e.spec.GatewayRoutesOf(g) {
		for _, t := range r.Targets() {
			if v := e.spec.TargetService(r, t); v != nil {
				links = append(links, schema.BackendLink{Service: v})
			}
		}
	}
	return links
}

// entered is a gateway route, and the route behind it, that an Envoy route was
// made of.
type entered struct {
	by      *schema.GatewayRoute
	service *schema.VirtualService // nil: none
	route   string
}

// enter finds what the route of that name was made of.
func (x *explainer) enter(name string) {
	if x.entrances == nil {
		x.entrances = map[string]entered{}
		b := &builder{spec: x.spec}
		put := func(e entered) {
			name := throughName(e.by, e.route)
			if _, taken := x.entrances[name]; !taken {
				x.entrances[name] = e
			}
		}
		for _, r := range x.spec.GatewayRoutesOf(x.gateway) {
			for _, t := range r.Targets() {
				v := x.spec.TargetService(r, t)
				put(entered{r, v, ""})
				if v == nil {
					continue
				}
				for _, a := range b.answers(schema.BackendLink{Service: v}) {
					for _, route := range a.routes {
						put(entered{r, v, route.Name})
					}
				}
			}
		}
	}
	if e, ok := x.entrances[name]; ok {
		x.GatewayRoute, x.Route = e.by.Ref.String(), e.route
		if e.service != nil {
			x.provided(e.service)
		}
	}
}
