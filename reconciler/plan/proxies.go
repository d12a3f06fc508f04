package plan

import (
	"cmp"
	"slices"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// proxies compares what proxies get before and after, of those identities whose
// resources may differ: by the captures of the connected ones or, where none is
// connected, by iptables.
func (c *change) proxies() (Proxies, []Drain) {
	out, drains := Proxies{Connected: len(c.seen.Proxies), Identities: []Touched{}}, []Drain{}
	connected := map[xds.Identity]map[xds.Capture]int{}
	for _, p := range c.seen.Proxies {
		if connected[p.Identity] == nil {
			connected[p.Identity] = map[xds.Capture]int{}
		}
		connected[p.Identity][xds.Capture{Explicit: p.Explicit, Proxyless: p.Proxyless}]++
	}
	for _, id := range c.identities() {
		captures := connected[id]
		if captures == nil {
			captures = map[xds.Capture]int{{}: 0}
		}
		t := Touched{Identity: id}
		for capture, n := range captures {
			profile := xds.Profile{Identity: id, Capture: capture}
			is, err := c.to.State.Resources(profile)
			if err != nil {
				out.Left += n // it is gone: they keep what they have
				continue
			}
			was, _ := c.from.State.Resources(profile) // nil: it is new
			differ, ended := compareResources(was, is)
			if len(differ) == 0 {
				continue
			}
			t.Connected += n
			t.Resources = append(t.Resources, differ...)
			for _, d := range ended {
				d.Identity = id
				drains = append(drains, d)
			}
		}
		if len(t.Resources) == 0 {
			continue
		}
		slices.Sort(t.Resources)
		t.Resources = slices.Compact(t.Resources)
		out.Touched += t.Connected
		out.Identities = append(out.Identities, t)
	}
	slices.SortFunc(drains, func(a, b Drain) int {
		return cmp.Or(a.Identity.Compare(b.Identity), cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Why, b.Why))
	})
	return out, slices.Compact(drains)
}

// compareResources returns which resources differ, and the listeners among them
// that end connections.
func compareResources(was, is *xds.Resources) (differ []string, ended []Drain) {
	if was == nil {
		was = &xds.Resources{}
	}
	for t := range is {
		typ := xds.Type(t)
		for name, pair := range pairs(was[t], is[t]) {
			if pair[0] != nil && pair[1] != nil && pair[0].Version == pair[1].Version {
				continue
			}
			differ = append(differ, typ.String()+" "+name)
			if typ != xds.Listener {
				continue
			}
			if why, err := translate.Drained(pair[0], pair[1]); err == nil && why != "" {
				ended = append(ended, Drain{Listener: name, Why: why})
			}
		}
	}
	return differ, ended
}

// pairs are the resources of two sides by name.
func pairs(was, is []*xds.Resource) map[string][2]*xds.Resource {
	out := make(map[string][2]*xds.Resource, len(is))
	for _, r := range was {
		out[r.Name] = [2]*xds.Resource{r}
	}
	for _, r := range is {
		out[r.Name] = [2]*xds.Resource{out[r.Name][0], r}
	}
	return out
}

// standing counts the connected proxies of an identity.
func (c *change) standing(m *schema.Meta) int {
	n, id := 0, identity(m)
	for _, p := range c.seen.Proxies {
		if p.Identity == id {
			n++
		}
	}
	return n
}
