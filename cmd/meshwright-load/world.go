package main

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/envoys"
	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/peer"
	"github.com/meshwright/meshwright/fixtures/scale"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// nodes are the proxies of a row, one after the other over the identities.
func nodes(row Row) []envoys.Node {
	identities := row.Mesh.Identities()
	list := make([]envoys.Node, row.Streams)
	for i := range list {
		list[i] = envoys.Node{ID: fmt.Sprintf("proxy-%05d", i), Identity: identities[i%len(identities)]}
	}
	return list
}

// touched are the places of the nodes for which a service's weight is a change,
// as the shape of the mesh has it.
func touched(row Row, service int) []int {
	uses := map[int]bool{}
	for _, i := range row.Mesh.Users(service) {
		uses[i] = true
	}
	identities := len(row.Mesh.Identities())
	var list []int
	for i := range row.Streams {
		if uses[i%identities] {
			list = append(list, i)
		}
	}
	return list
}

// newWorld makes what the peers serve: what the translator makes for the nodes,
// with two weights of a service.
func newWorld(ctx context.Context, row Row, nodes []envoys.Node, service int, percents [2]int) (*peer.World, error) {
	mesh := row.Mesh
	mesh.CUE = false // both forms are the same mesh, and this one needs no evaluator
	var states [2]*translate.Snapshot
	loader := schema.NewLoader(schema.Config{})
	for i, percent := range percents {
		mesh.Weights = map[int]int{service: percent}
		spec, err := load(ctx, loader, mesh)
		if err != nil {
			return nil, err
		}
		states[i] = translate.New(translate.Inputs{Spec: spec}, states[0])
	}
	w := &peer.World{}
	places := map[*xds.Resource]int{}
	for _, n := range nodes {
		id, err := xds.ParseIdentity(n.Identity)
		if err != nil {
			return nil, err
		}
		var had [2]*xds.Resources
		for i, s := range states {
			if had[i], err = s.Resources(xds.Profile{Identity: id}); err != nil {
				return nil, err
			}
		}
		node := peer.Node{ID: n.ID}
		for t := range had[0] {
			for _, r := range had[0][t] {
				place, ok := places[r]
				if !ok {
					item := peer.Resource{Type: r.Type, Name: r.Name, Before: r.Body.Value}
					if after := had[1].Get(r.Type, r.Name); after == nil {
						return nil, fmt.Errorf("a weight takes %s away", r)
					} else if after.Version != r.Version {
						item.After = after.Body.Value
					}
					place = len(w.Resources)
					places[r] = place
					w.Resources = append(w.Resources, item)
				}
				node.Has = append(node.Has, place)
			}
		}
		w.Nodes = append(w.Nodes, node)
	}
	return w, nil
}

func load(ctx context.Context, loader *schema.Loader, mesh scale.Mesh) (*schema.Spec, error) {
	var files fs.FS = mesh.FS()
	r, err := loader.Load(ctx, files)
	if err != nil {
		return nil, err
	}
	if errs := r.Diagnostics.Errors(); len(errs) > 0 {
		return nil, fmt.Errorf("the generated mesh is refused: %s", errs[0])
	}
	return r.Spec, nil
}
