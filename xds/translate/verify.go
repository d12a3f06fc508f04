package translate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Verify makes what the proxies of a spec should have, for every way of
// capture, and reports what cannot be made as errors: such a spec must not be
// accepted, or its proxies would be held back and new ones get nothing. What is
// as it was in a spec verified before (nil: none) costs nothing. When ctx ends,
// so does the work, and what is returned says nothing.
//
// A node is made in parts: itself without a backend, and each backend as its
// only one, once for all nodes that call it alike. No rule of Envoy's is about two
// of them. So a backend that gives way to another on its port is refused, too.
//
// What a person got wrong the schema tells better, at the field; this is for
// what it lets through.
func Verify(ctx context.Context, spec, before *schema.Spec) schema.Diagnostics {
	if before == nil {
		before = schema.NewSpec()
	}
	v := verifier{
		maker:      maker{Inputs: Inputs{Spec: spec}, shared: newMemo(), known: newCallees()},
		difference: compare(before, spec), backends: map[*callee]error{},
	}
	var found schema.Diagnostics
	for _, id := range slices.SortedFunc(maps.Keys(v.identities()), xds.Identity.Compare) {
		if ctx.Err() != nil {
			return nil
		}
		meta, err := v.verify(id)
		if err != nil {
			found = append(found, schema.Diagnostic{
				Code: schema.CodeUntranslatable, Severity: schema.Error, Pos: meta.Pos, Resource: meta.Ref,
				What: "its proxies cannot be given what it asks for: " + cause(err), Fix: "mend the value that this names",
			})
		}
	}
	return found.Sorted()
}

type verifier struct {
	maker
	difference
	backends map[*callee]error // what came of those that are verified
}

// verify makes what may have changed for an identity, and returns what it
// stands for; nil where it is of the spec before only.
func (v *verifier) verify(id xds.Identity) (*schema.Meta, error) {
	if id.Kind == schema.KindVirtualGateway {
		if g := v.to.VirtualGatewayNamed(id.Mesh, id.Name); g != nil {
			return &g.Meta, v.build(xds.Profile{Identity: id}, nil).err
		}
	} else if n := v.to.VirtualNodeNamed(id.Mesh, id.Name); n != nil {
		if err := v.node(id, n); err != nil {
			return &n.Meta, fmt.Errorf("translate %s: %w", id, err)
		}
	}
	return nil, nil
}

func (v *verifier) node(id xds.Identity, n *schema.VirtualNode) error {
	all := v.renews(id)
	if all {
		if err := v.part(id, n); err != nil {
			return err
		}
	}
	for _, g := range n.Spec.BackendGroups {
		all = all || v.changed[schema.Ref{Kind: schema.KindBackendGroup, Key: g.In(n.Ref.Namespace)}]
	}
	links := v.to.BackendsOf(n)
	if !all {
		links = slices.DeleteFunc(links, func(l schema.BackendLink) bool { return !v.affected[l.Service.Ref] })
	}
	b := v.builder(xds.Profile{Identity: id})
	b.mesh = v.to.MeshOf(n)
	for _, c := range b.callees(links) {
		err, done := v.backends[c]
		if !done {
			err = v.part(id, n, c)
			v.backends[c] = err
		}
		if err != nil {
			return err
		}
	}
	return b.err
}

// part makes what proxies of a node would have if these were its backends.
func (v *verifier) part(id xds.Identity, n *schema.VirtualNode, called ...*callee) error {
	for _, capture := range []xds.Capture{{}, {Explicit: true}, {Proxyless: true}} {
		b := v.builder(xds.Profile{Identity: id, Capture: capture})
		b.mesh = v.to.MeshOf(n)
		if b.node(n, called); b.err != nil {
			return b.err
		}
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
