package ads

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestNews: what comes alone is told at once, what comes by the thousand in the
// pace of it, and the last of it is told.
func TestNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNews()
		began := time.Now()
		var told []time.Duration
		for at := time.Duration(0); at < 200*time.Millisecond; at += time.Millisecond {
			if at < 60*time.Millisecond || at == 150*time.Millisecond {
				n.tell()
			}
			synctest.Wait()
			select {
			case <-n.heard:
				told = append(told, time.Since(began))
			default:
			}
			time.Sleep(time.Millisecond)
		}
		want := []time.Duration{0, pace, 2 * pace, 3 * pace, 150 * time.Millisecond}
		if len(told) != len(want) {
			t.Fatalf("told at %v, want %v", told, want)
		}
		for i := range want {
			if late := told[i] - want[i]; late < 0 || late > time.Millisecond {
				t.Errorf("told at %v, want %v", told, want)
			}
		}
	})
}
