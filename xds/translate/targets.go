package translate

import (
	"maps"

	"github.com/meshwright/meshwright/schema"
)

// Targets returns which virtual node each egress cluster leads to: those of all
// nodes by their plain names, and of the proxies that were asked for also those
// where a client speaks to a node in several ways.
func (s *Snapshot) Targets() map[string]schema.Ref {
	out := map[string]schema.Ref{}
	for _, n := range s.in.Spec.VirtualNodes {
		for i := range n.Spec.Listeners {
			out[egressClusterName(n, &n.Spec.Listeners[i], "")] = n.Ref
		}
	}
	for _, p := range s.served() {
		maps.Copy(out, p.made().targets)
	}
	return out
}

// served are the proxies that were asked for.
func (s *Snapshot) served() []*proxy {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*proxy
	for _, e := range s.built {
		if e.asked {
			list = append(list, e.proxy)
		}
	}
	return list
}
