package sources_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/sources"
)

func newWake(t *testing.T, schedule string) *sources.Wake {
	t.Helper()
	w, err := sources.NewWake(schedule)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// woken reports whether a wake-up waits, and takes it.
func woken(w *sources.Wake) bool {
	select {
	case <-w.C():
		return true
	default:
		return false
	}
}

// TestSchedules: the times of the first wake-ups, counted from the start of a
// synctest bubble: Saturday, 1 January 2000, 00:00 UTC.
func TestSchedules(t *testing.T) {
	for schedule, want := range map[string][]time.Duration{
		"50ms":                               {50 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond},
		" 1m30s ":                            {90 * time.Second, 180 * time.Second},
		"CRON_TZ=UTC */5 * * * *":            {5 * time.Minute, 10 * time.Minute},
		"TZ=UTC  30 9  * * MON-FRI":          {57*time.Hour + 30*time.Minute, 81*time.Hour + 30*time.Minute},
		"CRON_TZ=Europe/Berlin 0 9 * * *":    {8 * time.Hour, 32 * time.Hour},
		"CRON_TZ=UTC @hourly":                {time.Hour, 2 * time.Hour},
		"@every 90s":                         {90 * time.Second, 180 * time.Second},
		"CRON_TZ=America/New_York @midnight": {5 * time.Hour, 29 * time.Hour},
	} {
		t.Run(schedule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWake(t, schedule)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- w.Run(ctx) }()
				start := time.Now()
				for _, after := range want {
					<-w.C()
					if got := time.Since(start); got != after {
						t.Errorf("woken after %s; want %s", got, after)
					}
				}
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Run = %v", err)
				}
			})
		})
	}
}

func TestBadSchedules(t *testing.T) {
	for schedule, want := range map[string]string{
		"":                           "write a duration with its unit",
		"30":                         "write a duration with its unit",
		"soon":                       "write a duration with its unit",
		"CRON_TZ=UTC":                "write a duration with its unit",
		"0s":                         "the shortest interval is 10ms",
		"-1m":                        "the shortest interval is 10ms",
		"1ns":                        "the shortest interval is 10ms",
		"* * * *":                    "expected exactly 5 fields",
		"* * * * * *":                "expected exactly 5 fields",
		"61 * * * *":                 "61",
		"@reboot":                    "@reboot",
		"CRON_TZ=No/Where * * * * *": "No/Where",
		"0 0 31 2 *":                 "never comes",
	} {
		_, err := sources.NewWake(schedule)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want one line with %q", schedule, err, want)
		}
	}
}

// TestBurstsCoalesce: however many pokes come before somebody looks, they are
// one wake-up; one that comes after it was taken is another.
func TestBurstsCoalesce(t *testing.T) {
	w := newWake(t, "1h")
	if woken(w) {
		t.Error("woken before anything happened")
	}
	for range 100 {
		w.Poke()
	}
	if !woken(w) || woken(w) {
		t.Error("a burst: want one wake-up")
	}
	w.Poke() // while the first is worked on
	if !woken(w) {
		t.Error("the poke after the wake-up is lost")
	}
}

// TestTicksWait: the schedule goes on while nobody looks, and blocks nothing.
func TestTicksWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWake(t, "1s")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.Run(ctx)
		time.Sleep(time.Hour)
		synctest.Wait()
		if !woken(w) || woken(w) {
			t.Error("an hour of ticks: want one wake-up")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !woken(w) {
			t.Error("the schedule has stopped")
		}
	})
}

// TestNoChangeIsMissed: whoever changes something and then pokes is seen: the
// reader that is woken last reads the last value.
func TestNoChangeIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWake(t, "1h")
		var mu sync.Mutex
		value, read := 0, 0
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-w.C():
				}
				mu.Lock()
				read = value
				mu.Unlock()
				time.Sleep(3 * time.Millisecond) // the work
			}
		}()
		for range 1000 {
			mu.Lock()
			value++
			mu.Unlock()
			w.Poke()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if read != value {
			t.Errorf("read %d; the last value is %d", read, value)
		}
	})
}

func TestInterval(t *testing.T) {
	for schedule, want := range map[string]time.Duration{"50ms": 50 * time.Millisecond, "*/5 * * * *": 5 * time.Minute, "@hourly": time.Hour} {
		w, err := sources.NewWake(schedule)
		if err != nil || w.Interval() != want {
			t.Errorf("%s: %v, %v", schedule, w.Interval(), err)
		}
	}
}
