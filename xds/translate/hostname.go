package translate

import (
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

// hostnamesOf are the names of each backend.
type hostnamesOf map[*schema.VirtualService][]string

// hostnames returns what applications of a namespace call each backend: its
// App Mesh name, and the shorter forms that Kubernetes' DNS knows it by.
// A short form that two backends have belongs to the one of the namespace, or
// to none. All are in lower case, as Envoy compares them.
func hostnames(called []*callee, namespace string) hostnamesOf {
	full := make(map[string]*schema.VirtualService, len(called))
	claims := make(map[string]claim, 3*len(called))
	for _, c := range called {
		if name := c.names[0]; full[name] == nil {
			full[name] = c.Service
		}
		for _, name := range c.names[1:] {
			claims[name] = claims[name].with(c.Service, namespace)
		}
	}
	names := make(hostnamesOf, len(called))
	for _, c := range called {
		lost := func(name string) bool {
			if name == c.names[0] {
				return full[name] != c.Service
			}
			return full[name] != nil || claims[name].owner() != c.Service
		}
		own := c.names
		if slices.ContainsFunc(own, lost) {
			own = slices.DeleteFunc(slices.Clone(own), lost)
		}
		names[c.Service] = own
	}
	return names
}

// claim is who has a short form: all, and those of the caller's namespace.
type claim struct {
	first, home *schema.VirtualService
	all, homes  int
}

func (c claim) with(v *schema.VirtualService, namespace string) claim {
	if c.all++; c.all == 1 {
		c.first = v
	}
	if v.Ref.Namespace == namespace {
		c.homes++
		c.home = v
	}
	return c
}

func (c claim) owner() *schema.VirtualService {
	switch {
	case c.all == 1:
		return c.first
	case c.homes == 1:
		return c.home
	}
	return nil
}

// shortForms of a name of the form SVC.NAMESPACE.svc.cluster.local, or of App
// Mesh's default SVC.NAMESPACE.
func shortForms(v *schema.VirtualService) []string {
	name := strings.ToLower(v.AWSName)
	short, cluster := strings.CutSuffix(name, ".svc.cluster.local")
	svc, namespace, ok := strings.Cut(short, ".")
	if !ok || strings.Contains(namespace, ".") || !cluster && name != strings.ToLower(v.Ref.Name+"."+v.Ref.Namespace) {
		return nil
	}
	forms := []string{svc, short, short + ".svc", short + ".svc.cluster.local"}
	return slices.DeleteFunc(forms, func(f string) bool { return f == name })
}

// authorities are what backends are called by: names, without a port and with
// each of some (* is any), or, without names, whatever.
type authorities struct {
	names hostnamesOf
	ports []string
}

// anyName is whatever a backend is called by.
var anyName authorities

func (of hostnamesOf) on(ports ...string) authorities { return authorities{of, ports} }

// namesOf returns the names of a backend, of which it may have none.
func (a authorities) namesOf(v *schema.VirtualService) []string {
	if a.names == nil {
		return []string{"*"}
	}
	return a.names[v]
}

// domains are names as Envoy's virtual hosts have them.
func (a authorities) domains(names []string) []string {
	out := slices.Clone(names)
	for _, port := range a.ports {
		for _, name := range names {
			out = append(out, name+":"+port)
		}
	}
	return out
}
