package store

import (
	"bytes"
	"context"
	"strings"
	"sync"
)

// Memory returns a store that forgets with the process: for tests, and for
// daemons that shall leave no trace.
func Memory() Store { return &memory{values: map[string]versioned{}} }

type memory struct {
	mu      sync.Mutex
	last    uint64
	values  map[string]versioned
	watches watches
}

type versioned struct {
	value   []byte
	version uint64
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[key]
	return bytes.Clone(v.value), v.version, ctx.Err()
}

func (m *memory) CompareAndSet(ctx context.Context, key string, value []byte, version uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if m.values[key].version != version {
		return 0, ErrConflict
	}
	m.last++
	m.values[key] = versioned{append([]byte{}, value...), m.last}
	m.watches.changed(key)
	return m.last, nil
}

func (m *memory) Delete(ctx context.Context, key string, version uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.values[key].version != version {
		return ErrConflict
	}
	delete(m.values, key)
	m.watches.changed(key)
	return nil
}

func (m *memory) List(ctx context.Context, prefix string) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string][]byte{}
	for key, v := range m.values {
		if strings.HasPrefix(key, prefix) {
			out[key] = bytes.Clone(v.value)
		}
	}
	return out, ctx.Err()
}

func (m *memory) Watch(ctx context.Context, prefix string) <-chan struct{} {
	return m.watches.add(ctx, prefix)
}

func (m *memory) Close() error { return nil }
