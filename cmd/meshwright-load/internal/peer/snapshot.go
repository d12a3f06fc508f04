package peer

import (
	"context"
	"fmt"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/protobuf/proto"
)

// snapshots is the yardstick.
type snapshots struct {
	server.Server
	ctx   context.Context // of the process
	cache cache.SnapshotCache
	items []item
	nodes []Node
	made  int
}

func newSnapshots(ctx context.Context, w *World) (*snapshots, error) {
	items, err := w.items()
	if err != nil {
		return nil, err
	}
	c := cache.NewSnapshotCache(true, cache.IDHash{}, nil)
	s := &snapshots{Server: server.NewServer(ctx, c, nil), ctx: ctx, cache: c, items: items}
	for _, n := range w.Nodes {
		if w.Touched(n) {
			s.nodes = append(s.nodes, n)
		}
		if err := s.build(n, false); err != nil {
			return nil, err
		}
	}
	for i := range s.items { // what the world has of them is no part of a control plane
		s.items[i].Before, s.items[i].After = nil, nil
	}
	return s, nil
}

// change builds anew the snapshots of all that use what changes.
func (s *snapshots) change(after bool) error {
	for _, n := range s.nodes {
		if err := s.build(n, after); err != nil {
			return err
		}
	}
	return nil
}

// build makes a node's snapshot. Messages are copied in the place of being made
// from a spec, which costs about the same: each node has its own.
func (s *snapshots) build(n Node, after bool) error {
	resources := map[string][]types.Resource{}
	for _, place := range n.Has {
		it := &s.items[place]
		m := it.before
		if after {
			m = it.after
		}
		resources[it.Type.URL()] = append(resources[it.Type.URL()], proto.Clone(m))
	}
	s.made++
	snapshot, err := cache.NewSnapshot(fmt.Sprint(s.made), resources)
	if err != nil {
		return err
	}
	return s.cache.SetSnapshot(s.ctx, n.ID, snapshot)
}
