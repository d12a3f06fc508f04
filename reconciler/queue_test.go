package reconciler_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAMergeQueueThatIsNotReadable keeps nobody from the pull requests, is logged
// once, and ends no group, also over a restart.
func TestAMergeQueueThatIsNotReadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.branch.push("good one")
		group := w.branch.files(map[string]string{"mesh.txt": "good two"})
		w.forge.groups = []string{group}
		cfg, wake := w.config()
		d := run(t, cfg, wake)
		after(time.Minute)
		w.stands(t, group, "check", "success: 1 resource")
		waits := func(d *daemon) (found bool) {
			for _, c := range d.View().Commits {
				found = found || c.Commit == group && c.Group
			}
			return found
		}
		for i := range 2 {
			var log bytes.Buffer
			if i > 0 {
				cfg, wake = w.config()
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				d = run(t, cfg, wake)
			}
			for k := range 3 {
				w.forge.set(func(f *fakeForge) { f.queue = fmt.Errorf("try %d: %w", k, errors.New("no permission")) })
				head := w.open(7, map[string]string{"mesh.txt": fmt.Sprintf("good %d %d", i, k)})
				d.Poke()
				after(time.Minute)
				w.stands(t, head, "check", "success: 1 resource")
			}
			if !waits(d) {
				t.Error("the group has ended")
			}
			if got := strings.Count(log.String(), "merge queue not readable"); got != i {
				t.Errorf("logged %d times: %s", got, log.String())
			}
			if i > 0 {
				w.forge.set(func(f *fakeForge) { f.queue, f.groups = nil, nil })
				d.Poke()
				after(time.Minute)
				if waits(d) {
					t.Error("the group has not ended")
				}
			}
			d.end(t)
		}
	})
}
