package schema

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the same time zones on every machine, also one that has none; 450 kB

	"github.com/robfig/cron/v3"
)

// Windows say when the canaries of a [Rollout] may go on: inside of an allow
// window, where there are any, and inside of no deny window.
type Windows []Window

// Window is open for Duration from each time of its schedule.
type Window struct {
	Kind     WindowKind    `json:"kind"`
	Schedule string        `json:"schedule"` // cron, of five fields
	Duration time.Duration `json:"duration"`
	Timezone string        `json:"timezone,omitempty"` // of the schedule, as Europe/Berlin; empty: UTC
	Running  Running       `json:"running,omitempty"`  // empty: RunningHold
}

// WindowKind says whether a window lets rollouts go on or keeps them.
type WindowKind string

// The kinds of windows.
const (
	Allow WindowKind = "allow"
	Deny  WindowKind = "deny"
)

// Running is what becomes of a rollout that has begun when a window keeps it:
// it stands at its step, or goes on.
type Running string

// What becomes of a rollout that has begun.
const (
	RunningHold     Running = "hold"
	RunningContinue Running = "continue"
)

// Running returns the windows that also keep a rollout that has begun.
func (w Windows) Running() Windows {
	var hold Windows
	for i := range w {
		if w[i].Running != RunningContinue {
			hold = append(hold, w[i])
		}
	}
	return hold
}

// Opening is what windows say of a moment.
type Opening struct {
	Open bool
	// Until is how long that is so at least: ask again then. Zero: for a year.
	Until time.Time
	// Reason says what keeps rollouts, and until when: "deny window until Mon 30
	// Nov 09:00 Europe/Berlin". Empty while open.
	Reason string
}

// The bounds of a look ahead, so that no windows cost more than milliseconds.
const (
	mostLooks   = 1600                 // at windows: two, of which one turns each day, for a year
	mostChained = 16                   // windows of one schedule that overlap
	farthest    = 366 * 24 * time.Hour // from now
)

// Open says whether rollouts may go on at a wall time. A window that cannot be
// read, which the checks tell, is none.
func (w Windows) Open(now time.Time) Opening {
	var schedules []*schedule
	for i := range w {
		if s, err := w[i].read(); err == nil {
			schedules = append(schedules, s)
		}
	}
	m := look(schedules, now)
	if m.open {
		return Opening{Open: true, Until: m.until}
	}
	var why []string
	for looks := 0; ; looks += len(schedules) {
		if len(why) < 3 && (len(why) == 0 || why[len(why)-1] != m.why) {
			why = append(why, m.why)
		}
		o := Opening{Until: m.until, Reason: strings.Join(why, ", then ")}
		if m.until.IsZero() || m.until.Sub(now) > farthest {
			return Opening{Reason: o.Reason + ", for a year"}
		}
		next := look(schedules, m.until)
		if next.open || looks > mostLooks {
			o.Reason += fmt.Sprintf(" until %s %s", m.until.In(m.by.zone).Format("Mon 2 Jan 15:04"), m.by.zone)
			return o
		}
		m = next
	}
}

// moment is what windows say of one time, and until when; zero: for good.
type moment struct {
	open  bool
	until time.Time
	why   string    // it is closed
	by    *schedule // whose turn until is
}

func look(schedules []*schedule, now time.Time) moment {
	var denied, allowed, denial, chance moment // denial and chance: the next ones
	restricted := false
	for _, s := range schedules {
		end, open := s.around(now)
		m := &allowed
		switch {
		case s.kind == Deny && open:
			m = &denied
		case s.kind == Deny:
			m = &denial
		case !open:
			m = &chance
		}
		restricted = restricted || s.kind == Allow
		later := end.After(m.until)
		if m.by == nil || !end.IsZero() && (m.until.IsZero() || later == open) { // the last end, or the first start
			*m = moment{open: open, until: end, by: s}
		}
	}
	switch {
	case denied.by != nil:
		return moment{until: denied.until, why: "deny window", by: denied.by}
	case restricted && allowed.by == nil:
		return moment{until: chance.until, why: "no allow window", by: chance.by}
	case allowed.by == nil || !denial.until.IsZero() && denial.until.Before(allowed.until):
		return moment{open: true, until: denial.until}
	}
	return moment{open: true, until: allowed.until}
}

// schedule is a window that has been read.
type schedule struct {
	kind     WindowKind
	cron     cron.Schedule
	zone     *time.Location
	duration time.Duration
}

// fields are those of a window's schedule: no seconds, no @words.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// read reads the window's schedule and time zone.
func (w *Window) read() (*schedule, error) {
	zone, err := zoneOf(w.Timezone)
	if err != nil {
		return nil, err
	}
	if strings.Contains(w.Schedule, "=") {
		return nil, errors.New("the time zone belongs in timezone")
	}
	times, err := fields.Parse(w.Schedule)
	if err != nil {
		return nil, err
	}
	return &schedule{w.Kind, times, zone, w.Duration}, nil
}

var zones sync.Map // name → *time.Location

// zoneOf returns a time zone by its name in the IANA database.
func zoneOf(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	if name == "Local" {
		return nil, errors.New("the zone of which machine?")
	}
	zone, err := time.LoadLocation(name) // UTC for none
	if err == nil {
		zones.Store(name, zone)
	}
	return zone, err
}

// around returns whether the window is open and the end of that; or that it is
// not, and when it begins (zero: never).
func (s *schedule) around(now time.Time) (turn time.Time, open bool) {
	turn = s.next(now.Add(-s.duration))
	if turn.IsZero() || turn.After(now) {
		return turn, false
	}
	end := turn.Add(s.duration)
	for range mostChained {
		again := s.next(end.Add(-s.duration))
		if again.IsZero() || again.After(end) {
			break
		}
		end = again.Add(s.duration)
	}
	return end, true
}

// next returns the first time of the schedule after another; zero: none in
// five years. The schedule is one of wall clocks: a time that a clock shows
// twice, when summer ends, counts once, and one that it skips is when it skips.
func (s *schedule) next(after time.Time) time.Time {
	clock := wallOf(after.In(s.zone))
	if start, end := after.In(s.zone).ZoneBounds(); after.Sub(start) < shift || !end.IsZero() && end.Sub(after) < shift {
		clock = clock.Add(-shift)
	}
	for {
		clock = s.cron.Next(clock)
		if clock.IsZero() {
			return time.Time{}
		}
		if t := s.real(clock); t.After(after) {
			return t
		}
	}
}

// shift is more than clocks are ever set forward or back by.
const shift = 3 * time.Hour

// wallOf is what a clock shows, as if in UTC, where clocks are not set.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// real is when the clock of the zone shows what another does.
func (s *schedule) real(clock time.Time) time.Time {
	t := time.Date(clock.Year(), clock.Month(), clock.Day(), clock.Hour(), clock.Minute(), 0, 0, s.zone)
	start, end := t.ZoneBounds()
	switch shows := wallOf(t); {
	case shows.After(clock):
		return start
	case shows.Before(clock):
		return end
	}
	return t
}
