package schema

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// endpointAddresses: an instance is reached at an address of its own. Names
// are for DNS, which serviceDiscovery asks.
func endpointAddresses(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*Endpoints)
	if !ok {
		return
	}
	for i := range r.Spec.Endpoints {
		text := r.Spec.Endpoints[i].Address
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() {
			report(fmt.Sprintf("spec.endpoints[%d].address", i), quote(text)+" is no IP address that proxies can reach", "write an IPv4 or IPv6 address; for a hostname use serviceDiscovery.dns")
		}
	}
}

// sharedEndpoints: two that are one would get its requests twice.
func sharedEndpoints(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*Endpoints)
	if !ok {
		return
	}
	seen := map[string]int{}
	for i := range r.Spec.Endpoints {
		e := &r.Spec.Endpoints[i]
		ports := slices.SortedFunc(slices.Values(e.Ports), func(a, b EndpointPort) int { return cmp.Compare(a.Listener, b.Listener) })
		addr, _ := netip.ParseAddr(e.Address)
		id := fmt.Sprint(addr, ports)
		if first, ok := seen[id]; !ok {
			seen[id] = i
		} else {
			report(fmt.Sprintf("spec.endpoints[%d]", i), fmt.Sprintf("spec.endpoints[%d] is the same address and ports", first), "keep one, or give one another port")
		}
	}
}

// sharedHosts: which of the two would hold?
func sharedHosts(t *linker, report func(res Resource, path, what, fix string)) {
	first := map[Key]Ref{}
	for _, d := range t.docs {
		if e, ok := d.res.(*Endpoints); ok {
			node := e.Spec.VirtualNodeRef.In(e.Ref.Namespace)
			if other, taken := first[node]; taken {
				report(e, "spec.virtualNodeRef", fmt.Sprintf("%s is for %s too", other, Ref{KindVirtualNode, node}), "write all endpoints of a node in one of them")
			} else {
				first[node] = e.Ref
			}
		}
	}
}

// endpointPorts are for listeners of the node.
func endpointPorts(t *linker, res Resource, report func(path, what, fix string)) {
	e, ok := res.(*Endpoints)
	if !ok {
		return
	}
	node := t.spec.VirtualNodes[e.Spec.VirtualNodeRef.In(e.Ref.Namespace)]
	if node == nil {
		return // that is told
	}
	for i := range e.Spec.Endpoints {
		taken := map[uint32]bool{}
		for j, p := range e.Spec.Endpoints[i].Ports {
			path := fmt.Sprintf("spec.endpoints[%d].ports[%d].listener", i, j)
			if node.ListenerAt(p.Listener) == nil {
				report(path, fmt.Sprintf("%s has no listener on port %d; there is %s", node.Ref, p.Listener, spellPorts(listenersOf(node))), "write the port of a listener, and leave ports out where the instance has the same")
			} else if taken[p.Listener] {
				report(path, fmt.Sprintf("the instance has a port for listener %d already", p.Listener), "keep one; a second instance of an address is an endpoint of its own")
			}
			taken[p.Listener] = true
		}
	}
}
