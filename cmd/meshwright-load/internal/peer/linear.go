package peer

import (
	"context"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"

	"github.com/meshwright/meshwright/xds"
)

// linear has one cache for each type.
type linear struct {
	server.Server
	caches [xds.NumTypes]*cache.LinearCache
	items  []item // that change
}

func newLinear(ctx context.Context, w *World) (*linear, error) {
	items, err := w.items()
	if err != nil {
		return nil, err
	}
	var resources [xds.NumTypes]map[string]types.Resource
	for t := range resources {
		resources[t] = map[string]types.Resource{}
	}
	l := &linear{}
	for _, it := range items {
		resources[it.Type][it.Name] = it.before
		if it.After != nil {
			l.items = append(l.items, it)
		}
	}
	mux := &cache.MuxCache{
		Classify: func(r *cache.Request) string { return r.GetTypeUrl() }, ClassifyDelta: func(r *cache.DeltaRequest) string { return r.GetTypeUrl() },
		Caches: map[string]cache.Cache{},
	}
	for t := range l.caches {
		url := xds.Type(t).URL()
		l.caches[t] = cache.NewLinearCache(url, cache.WithInitialResources(resources[t]))
		mux.Caches[url] = l.caches[t]
	}
	l.Server = server.NewServer(ctx, mux, nil)
	return l, nil
}

func (l *linear) change(after bool) error {
	for _, it := range l.items {
		m := it.before
		if after {
			m = it.after
		}
		if err := l.caches[it.Type].UpdateResource(it.Name, m); err != nil {
			return err
		}
	}
	return nil
}
