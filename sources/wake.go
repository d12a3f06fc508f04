package sources

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Wake says that the watched repository may have moved: at the times of a
// schedule, and whenever somebody pokes. It carries no payload. Whoever is
// woken reads everything anew, so that many reasons make one wake-up, and one
// that comes while the last is still being worked on is kept.
type Wake struct {
	schedule cron.Schedule
	c        chan struct{}
}

// shortest is the least time between two looks: less would only burn a core.
const shortest = 10 * time.Millisecond

// NewWake returns a Wake with a schedule: a duration such as 50ms or 1m, five
// fields of cron such as */5 * * * *, or a word of cron's such as @hourly.
// CRON_TZ=Europe/Berlin before the fields names their time zone; without one it
// is the machine's.
func NewWake(schedule string) (*Wake, error) {
	s, err := parseSchedule(strings.TrimSpace(schedule))
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", schedule, err)
	}
	return &Wake{s, make(chan struct{}, 1)}, nil
}

// C receives the wake-ups. Its capacity is 1.
func (w *Wake) C() <-chan struct{} { return w.c }

// Interval is the time between the next two wake-ups of the schedule.
func (w *Wake) Interval() time.Duration {
	next := w.schedule.Next(time.Now())
	return w.schedule.Next(next).Sub(next)
}

// Poke wakes up without waiting for the schedule. It never blocks, and is safe
// for concurrent use.
func (w *Wake) Poke() {
	select {
	case w.c <- struct{}{}:
	default: // one is waiting, and whoever takes it has yet to look
	}
}

// Run pokes at the times of the schedule until ctx ends. It returns nil.
func (w *Wake) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(time.Until(w.schedule.Next(time.Now())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
			w.Poke()
		}
	}
}

// every is a schedule of a fixed interval. cron has one too, of whole seconds.
type every time.Duration

func (e every) Next(t time.Time) time.Time { return t.Add(time.Duration(e)) }

func parseSchedule(s string) (cron.Schedule, error) {
	if d, err := time.ParseDuration(s); err == nil {
		if d < shortest {
			return nil, fmt.Errorf("the shortest interval is %s", shortest)
		}
		return every(d), nil
	}
	fields := strings.Fields(s)
	if len(fields) < 2 && !strings.HasPrefix(s, "@") { // cron's parser panics on a lone time zone
		return nil, errors.New("write a duration with its unit (50ms, 30s), or a cron schedule (*/5 * * * *)")
	}
	schedule, err := cron.ParseStandard(strings.Join(fields, " "))
	if err != nil {
		return nil, fmt.Errorf("%w; write a duration (50ms, 30s) or a cron schedule (*/5 * * * *)", err)
	}
	if schedule.Next(time.Now()).IsZero() {
		return nil, errors.New("that day never comes; mend the day and the month")
	}
	return schedule, nil
}
