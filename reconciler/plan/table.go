package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds/translate"
)

// table is what decides which route a request takes.
type table struct {
	ports  []schema.PortMapping
	routes []asks
}

func (t table) key() string {
	keys := []string{fmt.Sprint(t.ports)}
	for _, r := range t.routes {
		keys = append(keys, r.key)
	}
	return strings.Join(keys, "\n")
}

// tableOf is that of a service.
func tableOf(s *schema.Spec, v *schema.VirtualService) (t table) {
	node, router := s.ProviderOf(v)
	switch {
	case node != nil:
		for i := range node.Spec.Listeners {
			t.ports = append(t.ports, node.Spec.Listeners[i].PortMapping)
		}
		t.routes = []asks{{key: v.AWSName}}
	case router != nil:
		t.ports = translate.RouterPorts(s, router)
		for i := range router.Spec.Routes {
			r := asksOf(&router.Spec.Routes[i])
			r.key = v.AWSName + " " + r.key
			t.routes = append(t.routes, r)
		}
	}
	slices.SortFunc(t.routes, func(a, b asks) int { return cmp.Compare(a.key, b.key) })
	return t
}

// gatewayTable is that of a gateway, with the routes behind its own: a request
// goes through both.
func gatewayTable(s *schema.Spec, g *schema.VirtualGateway) (t table) {
	for i := range g.Spec.Listeners {
		t.ports = append(t.ports, g.Spec.Listeners[i].PortMapping)
	}
	for _, r := range s.GatewayRoutesOf(g) {
		outer := asksOfGateway(r)
		behind := []asks{{}}
		for _, target := range r.Targets() {
			if v := s.TargetService(r, target); v != nil {
				behind = append(behind, tableOf(s, v).routes...)
			}
		}
		for _, inner := range behind {
			t.routes = append(t.routes, outer.then(inner))
		}
	}
	slices.SortFunc(t.routes, func(a, b asks) int { return cmp.Compare(a.key, b.key) })
	return t
}

func union(a, b []schema.PortMapping) []schema.PortMapping {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b schema.PortMapping) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return slices.Compact(all)
}
