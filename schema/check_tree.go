package schema

import (
	"cmp"
	"fmt"
	"slices"
)

// sharedNames: proxies, dashboards and ARNs know resources by their App Mesh
// names.
func sharedNames(t *linker, report func(res Resource, path, what, fix string)) {
	first := make(map[any]Ref, len(t.docs))
	for _, d := range t.docs {
		if d.res == nil {
			continue
		}
		id := itsName(d.res)
		if id == nil {
			continue
		}
		other, taken := first[id]
		if !taken {
			first[id] = d.ref
			continue
		}
		path := "spec.awsName"
		if awsName(d.res) == "" {
			path = "metadata.name"
		}
		report(d.res, path, fmt.Sprintf("%s has the App Mesh name %s too", other, quote(d.res.meta().AWSName)), "give one another awsName")
	}
}

// itsName is what a resource is known by.
func itsName(res Resource) any {
	if m := res.meta(); m.Ref.Kind != KindBackendGroup && !m.Ref.Kind.ours() && m.Mesh != "" {
		id := nameOf(res)
		if g, ok := res.(*GatewayRoute); ok { // they are known within their gateway
			id.mesh += "/" + g.Gateway.Namespace + "/" + g.Gateway.Name
		}
		return id
	}
	return nil
}

// sharedTCPPorts: of a captured TCP connection nothing but the port tells which
// backend is meant.
func sharedTCPPorts(t *linker, res Resource, report func(path, what, fix string)) {
	n, ok := res.(*VirtualNode)
	if !ok {
		return
	}
	taken := map[uint32]*VirtualService{}
	try := func(path string, services ...*VirtualService) {
		for _, v := range services {
			for _, port := range t.tcpPorts(v) {
				first := taken[port]
				if first == nil {
					taken[port] = v
				} else if first != v {
					report(path, fmt.Sprintf("%s and %s are both TCP on port %d, and captured connections are told apart by nothing else", first.Ref, v.Ref, port),
						"give one another port, or let the proxy capture explicitly")
					return // one for each place is enough
				}
			}
		}
	}
	for i, b := range n.Spec.Backends {
		if v := t.spec.backend(n, b); t.tcpPorts(v) != nil {
			try(fmt.Sprintf("spec.backends[%d]", i), v)
		}
	}
	for i, ref := range n.Spec.BackendGroups {
		if services := t.tcpIn(n, ref); len(services) > 0 {
			try(fmt.Sprintf("spec.backendGroups[%d]", i), services...)
		}
	}
}

// tcpPorts returns the TCP ports of a virtual service.
func (t *linker) tcpPorts(v *VirtualService) []uint32 {
	if v == nil {
		return nil
	}
	ports, known := t.tcp[v]
	if !known {
		if at := t.spec.answering(v); at != nil {
			for _, l := range listenersOf(at) {
				if l.Protocol == ProtocolTCP {
					ports = append(ports, l.Port)
				}
			}
		}
		t.tcp[v] = ports
	}
	return ports
}

// tcpIn returns the virtual services of TCP that one of a node's groups holds:
// of all that is the mesh, sorted.
func (t *linker) tcpIn(n *VirtualNode, group Reference) (services []*VirtualService) {
	if group.Name != "*" {
		if g := t.spec.BackendGroups[group.In(n.Ref.Namespace)]; g != nil {
			for _, member := range g.Spec.VirtualServices {
				if v := t.spec.VirtualServices[member.In(g.Ref.Namespace)]; t.tcpPorts(v) != nil {
					services = append(services, v)
				}
			}
		}
		return services
	}
	services, known := t.tcpOf[n.Mesh]
	if !known {
		for _, v := range t.spec.VirtualServices {
			if v.Mesh == n.Mesh && t.tcpPorts(v) != nil {
				services = append(services, v)
			}
		}
		slices.SortFunc(services, func(a, b *VirtualService) int { return a.Ref.Compare(b.Ref) })
		t.tcpOf[n.Mesh] = services
	}
	return services
}

// policyPorts: a client policy names ports of the backends that it is for. What
// groups hold is not looked at: too much may be in them, and come and go.
func policyPorts(t *linker, res Resource, report func(path, what, fix string)) {
	try := func(p *ClientPolicy, path, none string, backends ...*VirtualService) {
		if p == nil || p.TLS == nil || len(p.TLS.Ports) == 0 || len(backends) == 0 {
			return
		}
		var ports []PortMapping
		for _, v := range backends {
			of := t.portsOf(v)
			if of == nil {
				return // why not, is told elsewhere
			}
			ports = append(ports, of...)
		}
		ports = sortedPorts(ports)
		for i, port := range p.TLS.Ports {
			if !slices.ContainsFunc(ports, func(l PortMapping) bool { return l.Port == port }) {
				report(fmt.Sprintf("%s.clientPolicy.tls.ports[%d]", path, i), fmt.Sprintf("%s port %d; there is %s", none, port, spellPorts(ports)), "write a port of the backend, or leave ports out for all")
			}
		}
	}
	switch r := res.(type) {
	case *VirtualNode:
		for i, b := range r.Spec.Backends {
			if p := b.VirtualService.ClientPolicy; p != nil {
				if v := t.spec.backend(r, b); v != nil {
					try(p, fmt.Sprintf("spec.backends[%d].virtualService", i), v.Ref.String()+" has no", v)
				}
			}
		}
		if d := r.Spec.BackendDefaults; d != nil && len(r.Spec.BackendGroups) == 0 {
			var backends []*VirtualService
			for _, b := range r.Spec.Backends {
				backends = append(backends, t.spec.backend(r, b))
			}
			try(d.ClientPolicy, "spec.backendDefaults", "no backend has", backends...)
		}
	case *VirtualGateway:
		if d := r.Spec.BackendDefaults; d != nil {
			var backends []*VirtualService
			for _, route := range t.spec.GatewayRoutesOf(r) {
				for _, target := range route.Targets() {
					backends = append(backends, t.spec.TargetService(route, target))
				}
			}
			try(d.ClientPolicy, "spec.backendDefaults", "no backend has", backends...)
		}
	}
}

// portsOf are the ports of a virtual service, worked out once.
func (t *linker) portsOf(v *VirtualService) []PortMapping {
	if v == nil {
		return nil
	}
	ports, known := t.ports[v]
	if !known {
		ports = t.spec.portsOf(v)
		t.ports[v] = ports
	}
	return ports
}

// portsOf returns the ports of a virtual service: those of its router and of
// the nodes behind it; nil where those are not all known.
func (s *Spec) portsOf(v *VirtualService) []PortMapping {
	node, router := s.ProviderOf(v)
	if node != nil {
		return sortedPorts(listenersOf(node))
	}
	if router == nil {
		return nil
	}
	ports := listenersOf(router)
	for i := range router.Spec.Routes {
		for _, target := range router.Spec.Routes[i].Targets() {
			n := s.TargetNode(router, target)
			if n == nil {
				return nil
			}
			ports = append(ports, listenersOf(n)...)
		}
	}
	return sortedPorts(ports)
}

// sortedPorts sorts ports, each once.
func sortedPorts(ports []PortMapping) []PortMapping {
	slices.SortFunc(ports, func(a, b PortMapping) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return slices.Compact(ports)
}
