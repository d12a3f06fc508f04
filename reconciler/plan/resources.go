package plan

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/meshwright/meshwright/schema"
)

// valueLimit is how many runes of a field's value are kept: enough to tell what
// it is, and no more of a key set or a policy that stands in one line.
const valueLimit = 200

// resources are those that differ, with their fields.
func (c *change) resources() []Resource {
	out := make([]Resource, len(c.diff))
	for i, d := range c.diff {
		was, is := c.from.Spec.Find(d.Ref), c.to.Spec.Find(d.Ref)
		switch d.Op {
		case schema.Removed:
			out[i] = Resource{Change: d, Pos: schema.MetaOf(was).Pos}
		case schema.Added:
			out[i] = Resource{Change: d, Pos: schema.MetaOf(is).Pos}
		default:
			out[i] = Resource{Change: d, Pos: schema.MetaOf(is).Pos, Fields: fields(was, is)}
		}
	}
	return out
}

// fields are what two versions of a resource do not share, and what others
// decide about it: which mesh and which gateway it belongs to.
func fields(was, is schema.Resource) []Field {
	var out []Field
	for _, f := range schema.Fields(was, is) {
		out = append(out, Field{Path: f.Path, Before: cut(f.Before), After: cut(f.After), Pos: f.Pos})
	}
	before, after := schema.MetaOf(was), schema.MetaOf(is)
	if before.Mesh != after.Mesh {
		out = append(out, Field{Path: "mesh", Before: before.Mesh, After: after.Mesh, Pos: after.Pos})
	}
	if g, ok := was.(*schema.GatewayRoute); ok && g.Gateway != is.(*schema.GatewayRoute).Gateway {
		out = append(out, Field{Path: "virtualGateway", Before: gatewayOf(g).String(), After: gatewayOf(is.(*schema.GatewayRoute)).String(), Pos: after.Pos})
	}
	return out
}

// gatewayOf is the gateway whose selectors pick a route.
func gatewayOf(g *schema.GatewayRoute) schema.Ref {
	return schema.Ref{Kind: schema.KindVirtualGateway, Key: g.Gateway}
}

// cut is a value as it fits in a line, without what a terminal would obey.
func cut(s string) string {
	s = printable(s)
	if utf8.RuneCountInString(s) <= valueLimit {
		return s
	}
	return string([]rune(s)[:valueLimit-1]) + "…"
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}
