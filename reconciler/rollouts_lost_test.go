package reconciler_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/reconciler/store"
	"github.com/meshwright/meshwright/sources"
)

func TestBaseIsRefusedByANewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		first := w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		after(time.Minute)
		second := w.branch.push("good api=v2 web=v1 x=2")
		d.ring()
		after(10 * time.Second)
		d.end(t)
		w.branch.commits[first] = revisionOf(first, map[string]string{"mesh.txt": "bad by now"}, 0)
		d = w.start()
		defer d.end(t)
		after(time.Minute)
		w.serves("") // nothing is guessed
		w.branch.push("good api=v2 web=v1 x=3")
		d.ring()
		after(time.Minute)
		w.serves("") // nor is it good for being merged with something else
		w.branch.push("good api=v1 web=v1 x=3")
		d.ring()
		after(time.Minute)
		w.serves("api v1=100, web v1=100, x=3")
		w.stands(second, "canary", sources.Errored, "superseded")
		w.branch.push("good api=v2 web=v1 x=3")
		d.ring()
		after(10 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=3")
	})
}

// What was completed last is asked for as long as no good commit is known.
func TestStateIsLostBeforeABadCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRolloutWorld(t)
		w.branch.push("good api=v1 web=v1 x=1")
		d := w.start()
		after(time.Minute)
		w.branch.push("bad one")
		d.ring()
		after(time.Minute)
		d.end(t)
		w.disk.Store = store.Memory()
		d = w.start()
		after(time.Minute)
		d.end(t)
		d = w.start()
		defer d.end(t)
		after(time.Minute)
		w.branch.push("good api=v2 web=v1 x=1")
		d.ring()
		after(10 * time.Second)
		w.serves("api v1=90 v2=10, web v1=100, x=1")
	})
}
