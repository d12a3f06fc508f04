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
		if d.res == nil || d.ref.Kind == KindBackendGroup || d.res.meta().Mesh == "" {
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

// podOwner is a node or gateway that says by labels which pods it stands for.
type podOwner struct {
	res  Resource
	need []SelectorRequirement
}

// sharedPods: a pod has one proxy, which stands for one node or gateway. Only
// what is sure is told: every pod of one is the other's too.
//
// Each owner is looked up by one label that its pods must have, the rarest, so
// that the cost stays in proportion to the owners.
func sharedPods(t *linker, report func(res Resource, path, what, fix string)) {
	type label struct{ namespace, key, value string }
	labelOf := func(o podOwner, r SelectorRequirement) (label, bool) {
		ok := r.Operator == "In" && len(r.Values) == 1
		if !ok {
			return label{}, false
		}
		return label{o.res.meta().Ref.Namespace, r.Key, r.Values[0]}, true
	}
	var owners []podOwner
	often := map[label]int{}
	for _, d := range t.docs {
		var s *Selector
		switch r := d.res.(type) {
		case *VirtualNode:
			s = r.Spec.PodSelector
		case *VirtualGateway:
			s = r.Spec.PodSelector
		}
		if s == nil {
			continue
		}
		o := podOwner{d.res, s.requirements()}
		owners = append(owners, o)
		for _, r := range o.need {
			if l, ok := labelOf(o, r); ok {
				often[l]++
			}
		}
	}
	byLabel := map[label][]podOwner{} // of no label: under the namespace alone
	for _, o := range owners {
		rarest := label{namespace: o.res.meta().Ref.Namespace}
		for _, r := range o.need {
			if l, ok := labelOf(o, r); ok && (rarest.key == "" || often[l] < often[rarest] || often[l] == often[rarest] && l.key < rarest.key) {
				rarest = l
			}
		}
		byLabel[rarest] = append(byLabel[rarest], o)
	}
	told := map[[2]Ref]bool{}
	for _, narrow := range slices.Backward(owners) { // of equal ones the later is told of
		at := []label{{namespace: narrow.res.meta().Ref.Namespace}}
		for _, r := range narrow.need {
			if l, ok := labelOf(narrow, r); ok {
				at = append(at, l)
			}
		}
	search:
		for _, l := range at {
			for _, wide := range byLabel[l] {
				a, b := narrow.res.meta().Ref, wide.res.meta().Ref
				if a != b && !told[[2]Ref{b, a}] && implies(narrow.need, wide.need) {
					told[[2]Ref{a, b}] = true
					report(narrow.res, "spec.podSelector", "every pod that it selects is one of "+b.String()+" too", "add a label to both that tells their pods apart")
					break search
				}
			}
		}
	}
}

// backendPath is a service that a node may call, and where the node says so.
type backendPath struct {
	service *VirtualService
	path    string
}

// backendPaths lists what a node names one by one, or by a group other than *.
func (s *Spec) backendPaths(n *VirtualNode) []backendPath {
	var all []backendPath
	for i, b := range n.Spec.Backends {
		if v := s.backend(n, b); v != nil {
			all = append(all, backendPath{v, fmt.Sprintf("spec.backends[%d]", i)})
		}
	}
	for i, ref := range n.Spec.BackendGroups {
		g := s.BackendGroups[ref.In(n.Ref.Namespace)]
		if g == nil {
			continue
		}
		for _, member := range g.Spec.VirtualServices {
			if v := s.VirtualServices[member.In(g.Ref.Namespace)]; v != nil {
				all = append(all, backendPath{v, fmt.Sprintf("spec.backendGroups[%d]", i)})
			}
		}
	}
	return all
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
	for _, n := range t.spec.VirtualNodes {
		backends := t.spec.backendPaths(n)
		for i, g := range n.Spec.BackendGroups {
			if g.Name == "*" {
				for _, v := range inMesh[n.Mesh] {
					backends = append(backends, backendPath{v, fmt.Sprintf("spec.backendGroups[%d]", i)})
				}
			}
		}
		taken := map[uint32]*VirtualService{}
		for _, b := range backends {
			for _, port := range ports[b.service] {
				switch first := taken[port]; first {
				case nil:
					taken[port] = b.service
				case b.service:
				default:
					report(n, b.path, fmt.Sprintf("%s and %s are both TCP on port %d, and captured connections are told apart by nothing else", first.Ref, b.service.Ref, port),
						"give one another port, or let the proxy capture explicitly")
				}
			}
		}
	}
}

// policyPorts: a client policy names ports of the backends that it is for.
func policyPorts(t *linker, report func(res Resource, path, what, fix string)) {
	try := func(res Resource, p *ClientPolicy, path, what string, backends []*VirtualService) {
		if p == nil || p.TLS == nil || len(p.TLS.Ports) == 0 || len(backends) == 0 {
			return
		}
		var ports []PortMapping
		for _, v := range backends {
			of, ok := t.spec.portsOf(v)
			if !ok {
				return
			}
			ports = append(ports, of...)
		}
		slices.SortFunc(ports, func(a, b PortMapping) int {
			return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
		})
		ports = slices.Compact(ports)
		for i, port := range p.TLS.Ports {
			if !slices.ContainsFunc(ports, func(l PortMapping) bool { return l.Port == port }) {
				report(res, fmt.Sprintf("%s.clientPolicy.tls.ports[%d]", path, i), fmt.Sprintf("%s port %d; there is %s", what, port, spellPorts(ports)), "write a port of the backend, or leave ports out for all")
			}
		}
	}
	for _, n := range t.spec.VirtualNodes {
		for i, b := range n.Spec.Backends {
			if v := t.spec.backend(n, b); v != nil && b.VirtualService.ClientPolicy != nil {
				try(n, b.VirtualService.ClientPolicy, fmt.Sprintf("spec.backends[%d].virtualService", i), v.Ref.String()+" has no", []*VirtualService{v})
			}
		}
		if d := n.Spec.BackendDefaults; d != nil && d.ClientPolicy != nil && d.ClientPolicy.TLS != nil && len(d.ClientPolicy.TLS.Ports) > 0 {
			var backends []*VirtualService
			for _, b := range t.spec.BackendsOf(n) {
				backends = append(backends, b.Service)
			}
			try(n, d.ClientPolicy, "spec.backendDefaults", "no backend has", backends)
		}
	}
	for _, g := range t.spec.VirtualGateways {
		if d := g.Spec.BackendDefaults; d != nil {
			var backends []*VirtualService
			for _, r := range t.spec.GatewayRoutesOf(g) {
				for _, target := range r.Targets() {
					if v := t.spec.TargetService(r, target); v != nil {
						backends = append(backends, v)
					}
				}
			}
			try(g, d.ClientPolicy, "spec.backendDefaults", "no backend has", backends)
		}
	}
}

// portsOf returns the ports of a virtual service: those of its router and of
// the nodes behind it. false: not all are known.
func (s *Spec) portsOf(v *VirtualService) ([]PortMapping, bool) {
	node, router := s.ProviderOf(v)
	switch {
	case node != nil:
		return listenersOf(node), true
	case router == nil:
		return nil, v.Spec.Provider == nil
	}
	ports := listenersOf(router)
	for i := range router.Spec.Routes {
		for _, target := range router.Spec.Routes[i].Targets() {
			n := s.TargetNode(router, target)
			if n == nil {
				return nil, false
			}
			ports = append(ports, listenersOf(n)...)
		}
	}
	return ports, true
}
