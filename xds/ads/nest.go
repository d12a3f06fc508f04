package ads

import (
	"slices"
	"strings"

	"github.com/meshwright/meshwright/xds"
)

// Virtual hosts are parts of a RouteConfiguration: which of them there are, the
// server says. An Envoy asks for them by no name at all, once, when it has been
// sent the first RouteConfiguration that takes them one by one; from then on it
// expects them after each such one, and drops those of any other. Others may ask
// by the RouteConfiguration's name, and anybody by their own.

// knownAs returns the names, of those known, that a subscription stands for.
func (w *watch) knownAs(name string) (all []string) {
	if _, ok := w.known[name]; ok {
		all = append(all, name)
	}
	if w.within != nil {
		for n := range w.known {
			if xds.RoutesOf(n) == name {
				all = append(all, n)
			}
		}
	}
	return all
}

// serves reports whether the proxy holds some of the parts of routes, which are
// in use then: what is new there waits for what it refers to.
func (w *watch) serves(routes string) bool {
	for n, h := range w.known {
		if h.version != "" && xds.RoutesOf(n) == routes {
			return true
		}
	}
	return false
}

// early reports whether what a resource is part of has yet to be sent, to a proxy
// that did not say which it will ask for.
func (w *watch) early(name string) bool {
	return w.all && w.within.known[xds.RoutesOf(name)].version == ""
}

// orphaned: what a virtual host is part of is not wanted any more. Connections
// of a listener that drains may still be routed by it, so that it stays until
// the proxy lets go of the whole, as a RouteConfiguration does.
func orphaned(host string, want *xds.Resources) bool {
	return want.Get(xds.Route, xds.RoutesOf(host)) == nil
}

// parent reports whether routes have virtual hosts of their own.
func parent(routes string, want *xds.Resources) bool {
	hosts := want[xds.VirtualHost]
	i, _ := slices.BinarySearchFunc(hosts, xds.VirtualHostName(routes, ""), func(r *xds.Resource, n string) int { return strings.Compare(r.Name, n) })
	return i < len(hosts) && xds.RoutesOf(hosts[i].Name) == routes
}

// hostless: the proxy has yet to ask for the virtual hosts of routes that it
// has been sent.
func (s *stream) hostless() bool {
	if len(s.want[xds.VirtualHost]) == 0 || s.watches[xds.VirtualHost].asked {
		return false
	}
	for name := range s.watches[xds.Route].known {
		if parent(name, s.want) {
			return true
		}
	}
	return false
}

// rehost has the virtual hosts of routes sent (again), that the proxy did not
// hold.
func (s *stream) rehost(routes []*xds.Resource) {
	hosts := &s.watches[xds.VirtualHost]
	for _, r := range routes {
		if s.watches[xds.Route].known[r.Name].version == "" {
			hosts.forget(r.Name)
			hosts.dirty = true
		}
	}
}
