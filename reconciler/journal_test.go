package reconciler_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestForgottenPullRequests leave nothing in the store, nor does what nobody
// can read there.
func TestForgottenPullRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		w.open(7, map[string]string{"mesh.txt": "good two"})
		if _, err := w.disk.CompareAndSet(t.Context(), "pull/3", nil, 0); err != nil {
			t.Fatal(err)
		}
		d := w.start(t)
		defer d.end(t)
		kept := func(want ...string) {
			t.Helper()
			after(time.Minute)
			all, err := w.disk.List(t.Context(), "pull/")
			if err != nil {
				t.Fatal(err)
			}
			var keys []string
			for key := range all {
				keys = append(keys, key)
			}
			expect(t, "keys", sorted(keys), want...)
		}
		kept("pull/7")
		w.closed(7)
		d.Poke()
		kept("pull/7")
		time.Sleep(8 * 24 * time.Hour)
		d.Poke()
		kept()
		w.open(7, map[string]string{"mesh.txt": "good three"})
		d.Poke()
		kept("pull/7")
	})
}
