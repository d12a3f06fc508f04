package translate

import (
	"fmt"
	"runtime"
	"sync"
	"weak"

	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/xds"
)

// memo lets equal resources be one, over all profiles and over all snapshots
// that follow each other: a thousand proxies that use a cluster share it, and
// it is marshalled once. It keeps nothing alive: a resource that no snapshot
// holds any more is forgotten.
type memo struct {
	mu sync.Mutex
	of map[memoKey]weak.Pointer[xds.Resource]
}

// memoKey says what a resource was made from: either its inputs, which spare
// the making, or (its version) the bytes themselves.
type memoKey struct {
	typ    xds.Type
	name   string
	inputs string
}

func newMemo() *memo { return &memo{of: map[memoKey]weak.Pointer[xds.Resource]{}} }

// derived returns the resource that was made from these inputs, which must
// determine it wholly, or makes it.
func (m *memo) derived(t xds.Type, name, inputs string, body func() proto.Message) (*xds.Resource, error) {
	k := memoKey{t, name, inputs}
	m.mu.Lock()
	r := m.of[k].Value()
	m.mu.Unlock()
	if r != nil {
		return r, nil
	}
	r, err := m.made(t, name, body())
	if err == nil {
		m.put(k, r)
	}
	return r, err
}

// made returns the resource with this content. What Envoy would refuse at first
// sight is an error: such a resource is never sent.
func (m *memo) made(t xds.Type, name string, msg proto.Message) (*xds.Resource, error) {
	if v, ok := msg.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, fmt.Errorf("make %s %s: %w", t, name, err)
		}
	}
	r, err := xds.NewResource(t, name, msg)
	if err != nil {
		return nil, err
	}
	r.Takes = takes(msg)
	return m.put(memoKey{t, name, r.Version}, r), nil
}

// put returns the resource that stands for the key: the one that was there
// first.
func (m *memo) put(k memoKey, r *xds.Resource) *xds.Resource {
	m.mu.Lock()
	defer m.mu.Unlock()
	if first := m.of[k].Value(); first != nil {
		return first
	}
	m.of[k] = weak.Make(r)
	runtime.AddCleanup(r, m.forget, k)
	return r
}

func (m *memo) forget(k memoKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[k].Value() == nil {
		delete(m.of, k)
	}
}
