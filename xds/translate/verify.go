package translate

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Verify makes what the proxies of a spec should have, for every way of
// capture, and reports what cannot be made as errors: such a spec must not be
// accepted, or its proxies would be held back and new ones get nothing. Proxies
// that are as they were in a spec verified before (nil: none) cost nothing. When
// ctx ends, so does the work, and what is returned says nothing.
//
// What a person got wrong the schema tells better, at the field; this is for
// what it lets through.
func Verify(ctx context.Context, spec, before *schema.Spec) schema.Diagnostics {
	if before == nil {
		before = schema.NewSpec()
	}
	var found schema.Diagnostics
	m := &maker{Inputs: Inputs{Spec: spec}, shared: newMemo(), known: newCallees()}
	for _, id := range slices.SortedFunc(maps.Keys(compare(before, spec).identities()), xds.Identity.Compare) {
		if ctx.Err() != nil {
			return nil
		}
		meta := metaOf(spec, id)
		if meta == nil {
			continue // it is of the spec before only
		}
		captures := []xds.Capture{{}, {Explicit: true}}
		if id.Kind == schema.KindVirtualNode {
			captures = append(captures, xds.Capture{Proxyless: true})
		}
		for _, capture := range captures {
			made := m.build(xds.Profile{Identity: id, Capture: capture}, nil)
			if made.err != nil {
				found = append(found, schema.Diagnostic{
					Code: schema.CodeUntranslatable, Severity: schema.Error, Pos: meta.Pos, Resource: meta.Ref,
					What: "its proxies cannot be given what it asks for: " + cause(made.err), Fix: "mend the value that this names",
				})
				break
			}
		}
	}
	return found.Sorted()
}

// metaOf returns the resource that an identity stands for, nil if there is none.
func metaOf(spec *schema.Spec, id xds.Identity) *schema.Meta {
	if id.Kind == schema.KindVirtualGateway {
		if g := spec.VirtualGatewayNamed(id.Mesh, id.Name); g != nil {
			return &g.Meta
		}
	} else if n := spec.VirtualNodeNamed(id.Mesh, id.Name); n != nil {
		return &n.Meta
	}
	return nil
}

// cause is the innermost cause of an error: Envoy's validation rules tell one
// for each message around the value.
func cause(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "caused by: "); i >= 0 {
		return text[i+len("caused by: "):]
	}
	return text
}
