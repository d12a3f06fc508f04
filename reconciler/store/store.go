// Package store keeps small values by key through crashes. It knows keys and
// bytes, not their meaning.
//
// The one rule: a value is replaced only by who has read it
// ([Store.CompareAndSet]), so two writers never overwrite each other unseen.
package store

import (
	"context"
	"errors"
)

// Store is a key-value store. It is safe for concurrent use, and a value that
// was set is on disk when CompareAndSet returns.
type Store interface {
	// Get returns a key's value and version; a key that was never set has
	// version 0 and no value, which is not an error.
	Get(ctx context.Context, key string) (value []byte, version uint64, err error)
	// CompareAndSet sets a key whose version is still the given one (0: not set
	// yet) and returns its new version, which is greater than any before. It
	// returns ErrConflict, and changes nothing, when the version is another.
	CompareAndSet(ctx context.Context, key string, value []byte, version uint64) (uint64, error)
	// Delete forgets a key whose version is still the given one: it was never set
	// then, and the next who sets it gets a version greater than any before. It
	// returns ErrConflict, and changes nothing, when the version is another.
	Delete(ctx context.Context, key string, version uint64) error
	// List returns the values of all keys that start with prefix.
	List(ctx context.Context, prefix string) (map[string][]byte, error)
	// Watch returns a channel that receives after a key that starts with prefix
	// was set or deleted, and is closed when ctx ends. It has capacity 1 and carries
	// nothing: many changes may make one wake-up, and who is woken reads anew.
	Watch(ctx context.Context, prefix string) <-chan struct{}
	// Close releases the store; nothing may be called after it.
	Close() error
}

// ErrConflict is returned by CompareAndSet and Delete when somebody else has set
// or deleted the key.
var ErrConflict = errors.New("the key was set by another writer")
