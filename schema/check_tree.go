package schema

import (
	"cmp"
	"fmt"
	"slices"
)

// sharedNames: proxies, dashboards and ARNs know resources by their App Mesh
// names.
func sharedNames(t *linker, report func(res Resource, path, what, fix string)) {
	first := map[named]Ref{}
	for _, d := range t.docs {
		if d.res == nil || d.ref.Kind == KindBackendGroup || d.ref.Kind.ours() || d.res.meta().Mesh == "" {
			continue
		}
		m := d.res.meta()
		id := named{d.ref.Kind, m.Mesh, m.AWSName}
		if g, ok := d.res.(*GatewayRoute); ok { // they are known within their gateway
			id.mesh += "/" + g.Gateway.Namespace + "/" + g.Gateway.Name
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
		report(d.res, path, fmt.Sprintf("%s has the App Mesh name %s too", other, quote(m.AWSName)), "give one another awsName")
	}
}

// sharedTCPPorts: of a captured TCP connection nothing but the port tells which
// backend is meant.
func sharedTCPPorts(t *linker, report func(res Resource, path, what, fix string)) {
	ports := map[*VirtualService][]uint32{}
	inMesh := map[string][]*VirtualService{} // those of TCP, for the group *
	for _, v := range t.spec.VirtualServices {
		if at := t.spec.answering(v); at != nil {
			for _, l := range listenersOf(at) {
				if l.Protocol == ProtocolTCP {
					ports[v] = append(ports[v], l.Port)
				}
			}
		}
		if ports[v] != nil {
			inMesh[v.Mesh] = append(inMesh[v.Mesh], v)
		}
	}
	if len(ports) == 0 {
		return
	}
	for _, services := range inMesh {
		slices.SortFunc(services, func(a, b *VirtualService) int { return a.Ref.Compare(b.Ref) })
	}
	inGroup := map[*BackendGroup][]*VirtualService{}
	for _, g := range t.spec.BackendGroups {
		for _, member := range g.Spec.VirtualServices {
			if v := t.spec.VirtualServices[member.In(g.Ref.Namespace)]; v != nil && ports[v] != nil {
				inGroup[g] = append(inGroup[g], v)
			}
		}
	}
	for _, n := range t.spec.VirtualNodes {
		taken := map[uint32]*VirtualService{}
		try := func(path string, services ...*VirtualService) {
			for _, v := range services {
				for _, port := range ports[v] {
					first := taken[port]
					if first == nil {
						taken[port] = v
					} else if first != v {
						report(n, path, fmt.Sprintf("%s and %s are both TCP on port %d, and captured connections are told apart by nothing else", first.Ref, v.Ref, port),
							"give one another port, or let the proxy capture explicitly")
						return // one for each place is enough
					}
				}
			}
		}
		for i, b := range n.Spec.Backends {
			if v := t.spec.backend(n, b); ports[v] != nil {
				try(fmt.Sprintf("spec.backends[%d]", i), v)
			}
		}
		for i, ref := range n.Spec.BackendGroups {
			path := fmt.Sprintf("spec.backendGroups[%d]", i)
			if ref.Name == "*" {
				try(path, inMesh[n.Mesh]...)
			} else {
				try(path, inGroup[t.spec.BackendGroups[ref.In(n.Ref.Namespace)]]...)
			}
		}
	}
}

// policyPorts: a client policy names ports of the backends that it is for. What
// groups hold is not looked at: too much may be in them, and come and go.
func policyPorts(t *linker, report func(res Resource, path, what, fix string)) {
	known := map[*VirtualService][]PortMapping{}
	try := func(res Resource, p *ClientPolicy, path, none string, backends ...*VirtualService) {
		if p == nil || p.TLS == nil || len(p.TLS.Ports) == 0 || len(backends) == 0 {
			return
		}
		var ports []PortMapping
		for _, v := range backends {
			if _, ok := known[v]; !ok && v != nil {
				known[v] = t.spec.portsOf(v)
			}
			if known[v] == nil {
				return // why not, is told elsewhere
			}
			ports = append(ports, known[v]...)
		}
		ports = sortedPorts(ports)
		for i, port := range p.TLS.Ports {
			if !slices.ContainsFunc(ports, func(l PortMapping) bool { return l.Port == port }) {
				report(res, fmt.Sprintf("%s.clientPolicy.tls.ports[%d]", path, i), fmt.Sprintf("%s port %d; there is %s", none, port, spellPorts(ports)), "write a port of the backend, or leave ports out for all")
			}
		}
	}
	for _, n := range t.spec.VirtualNodes {
		var backends []*VirtualService
		for i, b := range n.Spec.Backends {
			v := t.spec.backend(n, b)
			if backends = append(backends, v); v != nil && b.VirtualService.ClientPolicy != nil {
				try(n, b.VirtualService.ClientPolicy, fmt.Sprintf("spec.backends[%d].virtualService", i), v.Ref.String()+" has no", v)
			}
		}
		if d := n.Spec.BackendDefaults; d != nil && len(n.Spec.BackendGroups) == 0 {
			try(n, d.ClientPolicy, "spec.backendDefaults", "no backend has", backends...)
		}
	}
	for _, g := range t.spec.VirtualGateways {
		if d := g.Spec.BackendDefaults; d != nil {
			var backends []*VirtualService
			for _, r := range t.spec.GatewayRoutesOf(g) {
				for _, target := range r.Targets() {
					backends = append(backends, t.spec.TargetService(r, target))
				}
			}
			try(g, d.ClientPolicy, "spec.backendDefaults", "no backend has", backends...)
		}
	}
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
