package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long Open waits for a daemon that is just going down:
// short, so that whoever starts a second one by mistake is told at once.
const lockTimeout = 250 * time.Millisecond

var bucket = []byte("meshwright")

// Open opens the store in the file path and makes it, and its folder, when it
// is not there; only the own user may read either. One process holds the file
// at a time: the error says so when another does.
//
// The file is a bbolt database with one bucket, "meshwright": a value is its
// version (8 bytes, big endian) followed by the bytes that were set.
func Open(path string) (Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("another meshwright holds %s; stop it, or give this one a --state-dir of its own", path)
	}
	var disk *fs.PathError
	switch {
	case errors.As(err, &disk):
		return nil, fmt.Errorf("open store: %w", err)
	case err != nil: // removing it is not ours to decide: it says what was written back
		return nil, fmt.Errorf("open store %s: it is damaged (%w); remove it to start from the newest commit, the specs are in git", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), db.Close())
	}
	return &boltStore{db: db}, nil
}

type boltStore struct {
	db      *bolt.DB
	watches watches
}

func (b *boltStore) Get(ctx context.Context, key string) (value []byte, version uint64, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	err = b.db.View(func(tx *bolt.Tx) error {
		value, version, err = decode(key, tx.Bucket(bucket).Get([]byte(key)))
		return err
	})
	return value, version, err
}

func (b *boltStore) CompareAndSet(ctx context.Context, key string, value []byte, version uint64) (next uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	err = b.db.Update(func(tx *bolt.Tx) error {
		bkt := tx.Bucket(bucket)
		if err := standing(bkt, key, version); err != nil {
			return err
		}
		if next, err = bkt.NextSequence(); err != nil {
			return err
		}
		return bkt.Put([]byte(key), append(binary.BigEndian.AppendUint64(nil, next), value...))
	})
	if err != nil {
		return 0, err
	}
	b.watches.changed(key)
	return next, nil
}

func (b *boltStore) Delete(ctx context.Context, key string, version uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := b.db.Update(func(tx *bolt.Tx) error {
		bkt := tx.Bucket(bucket)
		if err := standing(bkt, key, version); err != nil {
			return err
		}
		return bkt.Delete([]byte(key))
	})
	if err == nil {
		b.watches.changed(key)
	}
	return err
}

func (b *boltStore) List(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	err := b.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for k, v := c.Seek([]byte(prefix)); bytes.HasPrefix(k, []byte(prefix)) && k != nil; k, v = c.Next() {
			value, _, err := decode(string(k), v)
			if err != nil {
				return err
			}
			out[string(k)] = value
		}
		return nil
	})
	return out, err
}

// Watch needs no word from the file: no other process can write it.
func (b *boltStore) Watch(ctx context.Context, prefix string) <-chan struct{} {
	return b.watches.add(ctx, prefix)
}

func (b *boltStore) Close() error { return b.db.Close() }

// standing returns ErrConflict unless a key has this version.
func standing(bkt *bolt.Bucket, key string, version uint64) error {
	_, is, err := decode(key, bkt.Get([]byte(key)))
	if err == nil && is != version {
		err = ErrConflict
	}
	return err
}

// decode copies: bbolt's bytes are its own once the transaction is over.
func decode(key string, stored []byte) (value []byte, version uint64, err error) {
	if stored == nil {
		return nil, 0, nil
	}
	if len(stored) < 8 {
		return nil, 0, fmt.Errorf("value of %q is damaged: no version", key)
	}
	return append([]byte{}, stored[8:]...), binary.BigEndian.Uint64(stored), nil
}
