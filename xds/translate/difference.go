package translate

import (
	"maps"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// difference is what differs between two specs: the resources that they do not
// share, and those that may mean something else because of that.
type difference struct {
	from, to          *schema.Spec
	changed, affected map[schema.Ref]bool
}

func compare(from, to *schema.Spec) difference {
	d := difference{from, to, map[schema.Ref]bool{}, map[schema.Ref]bool{}}
	var refs []schema.Ref
	for _, c := range schema.Diff(from, to) {
		refs = append(refs, c.Ref)
		d.changed[c.Ref] = true
	}
	if len(refs) > 0 {
		maps.Copy(d.affected, from.Dependents(refs))
		maps.Copy(d.affected, to.Dependents(refs))
	}
	return d
}

// identities returns those, of both specs, whose resources may differ.
func (d difference) identities() map[xds.Identity]bool {
	ids := map[xds.Identity]bool{}
	for _, spec := range []*schema.Spec{d.from, d.to} {
		for ref := range d.affected {
			if m := standsFor(spec, ref); m != nil {
				ids[xds.Identity{Mesh: m.Mesh, Kind: ref.Kind, Name: m.AWSName}] = true
			}
		}
	}
	return ids
}

// standsFor returns a virtual node or gateway, which proxies stand for; nil for
// anything else.
func standsFor(spec *schema.Spec, ref schema.Ref) *schema.Meta {
	switch ref.Kind {
	case schema.KindVirtualNode:
		if n := spec.VirtualNodes[ref.Key]; n != nil {
			return &n.Meta
		}
	case schema.KindVirtualGateway:
		if g := spec.VirtualGateways[ref.Key]; g != nil {
			return &g.Meta
		}
	}
	return nil
}

// renews reports whether more may differ of a proxy than what its backends are
// to it: what is said of its node, and what its listeners ask others for. Of a
// gateway that cannot be told.
func (d difference) renews(id xds.Identity) bool {
	was, is := d.from.VirtualNodeNamed(id.Mesh, id.Name), d.to.VirtualNodeNamed(id.Mesh, id.Name)
	if id.Kind != schema.KindVirtualNode || was == nil || is == nil || was.Ref != is.Ref || d.changed[is.Ref] || d.changed[d.to.MeshOf(is).Ref] {
		return true
	}
	for _, spec := range []*schema.Spec{d.from, d.to} {
		for _, p := range spec.PoliciesOf(is) {
			if d.affected[schema.MetaOf(p).Ref] {
				return true
			}
		}
	}
	return false
}
