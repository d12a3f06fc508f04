package reconciler

import (
	"context"
	"time"
)

// bell wakes one goroutine. It carries nothing: who wakes reads the whole
// state, so rings coalesce and none is lost.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// sleep waits until the bell rings or d is over (negative: only the bell);
// false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, b bell) bool {
	var timeout <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-b:
	case <-timeout:
	}
	return ctx.Err() == nil
}

// backoff is how long to wait after so many failures in a row: nothing after
// none, then 1 s, 2 s, 4 s … to a minute.
func backoff(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(time.Second<<min(failures-1, 10), time.Minute)
}
