package store

import (
	"context"
	"strings"
	"sync"
)

// watches are the channels of [Store.Watch], for stores of one process.
type watches struct {
	mu       sync.Mutex
	prefixes map[chan struct{}]string
}

func (w *watches) add(ctx context.Context, prefix string) <-chan struct{} {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.prefixes == nil {
		w.prefixes = map[chan struct{}]string{}
	}
	w.prefixes[c] = prefix
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.prefixes, c)
		close(c)
	})
	return c
}

// changed tells who watches the key that it was set or deleted.
func (w *watches) changed(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, prefix := range w.prefixes {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		select {
		case c <- struct{}{}:
		default: // one is waiting, and whoever takes it has yet to read
		}
	}
}
