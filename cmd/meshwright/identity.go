package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// known is nil for an identity that the spec has.
func known(id xds.Identity, spec *schema.Spec) error {
	for _, ids := range called(spec) {
		if slices.Contains(ids, id) {
			return nil
		}
	}
	return meant(xds.UnknownIdentity{Identity: id}, spec)
}

// meant adds to an error about an identity that the spec has not, which may be
// meant: it is misspelled, of another mesh, or called as in Kubernetes where App
// Mesh's name is wanted.
func meant(err error, spec *schema.Spec) error {
	var unknown xds.UnknownIdentity
	if !errors.As(err, &unknown) {
		return err
	}
	ids := called(spec)
	near := schema.Nearest(unknown.Identity.Name, slices.Sorted(maps.Keys(ids)))
	if len(near) == 0 {
		return err
	}
	var all []string
	for _, id := range ids[near[0]] {
		all = append(all, id.String())
	}
	slices.Sort(all)
	return fmt.Errorf("%w; did you mean %s?", err, strings.Join(all[:min(3, len(all))], " or "))
}

// called are the identities of a spec by what people call them: the name in App
// Mesh, or the one in Kubernetes.
func called(spec *schema.Spec) map[string][]xds.Identity {
	ids := map[string][]xds.Identity{}
	add := func(m *schema.Meta) {
		id := xds.Identity{Mesh: m.Mesh, Kind: m.Ref.Kind, Name: m.AWSName}
		for _, name := range slices.Compact([]string{m.AWSName, m.Ref.Name}) {
			ids[name] = append(ids[name], id)
		}
	}
	for _, n := range spec.VirtualNodes {
		add(&n.Meta)
	}
	for _, g := range spec.VirtualGateways {
		add(&g.Meta)
	}
	return ids
}
