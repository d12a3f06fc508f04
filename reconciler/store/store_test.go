package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meshwright/meshwright/reconciler/store"
)

// TestStores holds every implementation to the contract.
func TestStores(t *testing.T) {
	stores := []struct {
		name string
		open func(t *testing.T) store.Store
	}{
		{"memory", func(*testing.T) store.Store { return store.Memory() }},
		{"bolt", func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "state.db")) }},
	}
	cases := []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"unset_key_has_version_zero", unset},
		{"set_then_get", setThenGet},
		{"stale_version_conflicts", stale},
		{"versions_grow_over_all_keys", versionsGrow},
		{"delete", remove},
		{"list_by_prefix", list},
		{"values_are_copies", copies},
		{"one_of_many_writers_wins", race},
		{"ended_context", ended},
		{"watch_by_prefix", watch},
	}
	for _, s := range stores {
		for _, c := range cases {
			t.Run(s.name+"/"+c.name, func(t *testing.T) { c.run(t, s.open(t)) })
		}
	}
}

func open(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func set(t *testing.T, s store.Store, key, value string, version uint64) uint64 {
	t.Helper()
	v, err := s.CompareAndSet(t.Context(), key, []byte(value), version)
	if err != nil {
		t.Fatalf("set %s: %v", key, err)
	}
	return v
}

func get(t *testing.T, s store.Store, key string) (string, uint64) {
	t.Helper()
	b, v, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	return string(b), v
}

func unset(t *testing.T, s store.Store) {
	value, version, err := s.Get(t.Context(), "state")
	if value != nil || version != 0 || err != nil {
		t.Errorf("Get = %q, %d, %v; want nothing", value, version, err)
	}
}

func setThenGet(t *testing.T, s store.Store) {
	v1 := set(t, s, "state", "one", 0)
	v2 := set(t, s, "state", "two", v1)
	if value, version := get(t, s, "state"); value != "two" || version != v2 {
		t.Errorf("Get = %q, %d; want two, %d", value, version, v2)
	}
	v := set(t, s, "empty", "", 0)
	if value, version := get(t, s, "empty"); value != "" || version != v {
		t.Errorf("empty value: %q, %d; want version %d", value, version, v)
	}
}

func stale(t *testing.T, s store.Store) {
	v1 := set(t, s, "state", "one", 0)
	for _, version := range []uint64{0, v1 + 1} {
		if _, err := s.CompareAndSet(t.Context(), "state", []byte("two"), version); !errors.Is(err, store.ErrConflict) {
			t.Errorf("set with version %d: %v; want a conflict", version, err)
		}
	}
	if _, err := s.CompareAndSet(t.Context(), "other", nil, v1); !errors.Is(err, store.ErrConflict) {
		t.Errorf("set of an unset key with a version: %v; want a conflict", err)
	}
	if value, version := get(t, s, "state"); value != "one" || version != v1 {
		t.Errorf("a conflict changed the value: %q, %d", value, version)
	}
}

func versionsGrow(t *testing.T, s store.Store) {
	a := set(t, s, "a", "", 0)
	b := set(t, s, "b", "", 0)
	c := set(t, s, "a", "", a)
	if !(0 < a && a < b && b < c) {
		t.Errorf("versions %d, %d, %d do not grow", a, b, c)
	}
}

func remove(t *testing.T, s store.Store) {
	ctx := t.Context()
	v := set(t, s, "pull/7", "one", 0)
	changed := s.Watch(ctx, "pull/")
	for _, version := range []uint64{0, v + 1} {
		if err := s.Delete(ctx, "pull/7", version); !errors.Is(err, store.ErrConflict) {
			t.Errorf("delete with version %d: %v; want a conflict", version, err)
		}
	}
	if n := len(changed); n != 0 {
		t.Errorf("%d wake-ups wait after conflicts", n)
	}
	if err := s.Delete(ctx, "pull/7", v); err != nil {
		t.Fatal(err)
	}
	if n := len(changed); n != 1 {
		t.Errorf("%d wake-ups wait after the delete", n)
	}
	if value, version := get(t, s, "pull/7"); value != "" || version != 0 {
		t.Errorf("Get = %q, %d; want nothing", value, version)
	}
	if all, err := s.List(ctx, "pull/"); len(all) != 0 || err != nil {
		t.Errorf("List = %q, %v; want nothing", all, err)
	}
	if err := s.Delete(ctx, "pull/7", v); !errors.Is(err, store.ErrConflict) {
		t.Errorf("deleted twice: %v; want a conflict", err)
	}
	if next := set(t, s, "pull/7", "two", 0); next <= v {
		t.Errorf("version %d after %d: it does not grow over a delete", next, v)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Delete(ended, "pull/7", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("delete with an ended context: %v", err)
	}
}

func list(t *testing.T, s store.Store) {
	for _, key := range []string{"commit/a", "commit/b", "commits", "state", "\xff\xff"} {
		set(t, s, key, "value of "+key, 0)
	}
	for prefix, want := range map[string][]string{
		"commit/": {"commit/a", "commit/b"},
		"":        {"commit/a", "commit/b", "commits", "state", "\xff\xff"},
		"\xff":    {"\xff\xff"},
		"none":    nil,
	} {
		got, err := s.List(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, want) {
			t.Errorf("List(%q) = %q, want %q", prefix, keys, want)
		}
		for key, value := range got {
			if string(value) != "value of "+key {
				t.Errorf("List(%q)[%q] = %q", prefix, key, value)
			}
		}
	}
}

func copies(t *testing.T, s store.Store) {
	in := []byte("one")
	if _, err := s.CompareAndSet(t.Context(), "state", in, 0); err != nil {
		t.Fatal(err)
	}
	in[0] = 'X'
	out, _, err := s.Get(t.Context(), "state")
	if err != nil {
		t.Fatal(err)
	}
	out[1] = 'X'
	if value, _ := get(t, s, "state"); value != "one" {
		t.Errorf("the store shares its bytes: %q", value)
	}
}

func race(t *testing.T, s store.Store) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins []string
	)
	for i := range 8 {
		wg.Go(func() {
			value := fmt.Sprint("writer ", i)
			if _, err := s.CompareAndSet(t.Context(), "leader", []byte(value), 0); err == nil {
				mu.Lock()
				defer mu.Unlock()
				wins = append(wins, value)
			} else if !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if value, _ := get(t, s, "leader"); len(wins) != 1 || value != wins[0] {
		t.Errorf("winners %q, value %q", wins, value)
	}
}

func ended(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.CompareAndSet(ctx, "state", nil, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("set: %v", err)
	}
	if _, version := get(t, s, "state"); version != 0 {
		t.Error("an ended context set the key")
	}
}

func watch(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changed := s.Watch(ctx, "commit/")
	set(t, s, "state", "", 0)
	v := set(t, s, "commit/a", "", 0)
	set(t, s, "commit/a", "", v)
	if _, err := s.CompareAndSet(t.Context(), "commit/a", nil, v); !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	if n := len(changed); n != 1 {
		t.Errorf("%d wake-ups wait, want the one of both sets", n)
	}
	<-changed
	set(t, s, "commits", "", 0)
	if n := len(changed); n != 0 {
		t.Errorf("%d wake-ups wait after the set of another key", n)
	}
	cancel()
	if _, open := <-changed; open {
		t.Error("a wake-up after the end of the watch")
	}
	set(t, s, "commit/b", "", 0) // must not send on the closed channel
}

func TestBoltSurvivesReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "dir", "state.db")
	s := open(t, path)
	version := set(t, s, "state", "one", 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file's mode is %o, want 600", mode)
	}
	s = open(t, path)
	if value, v := get(t, s, "state"); value != "one" || v != version {
		t.Errorf("after reopening: %q, %d; want one, %d", value, v, version)
	}
}

func TestBoltIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path)
	_, err := store.Open(path)
	if err == nil || !strings.HasPrefix(err.Error(), "another meshwright holds "+path) {
		t.Errorf("second Open: %v", err)
	}
}
