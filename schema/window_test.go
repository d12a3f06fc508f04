package schema

import (
	"testing"
	"time"
)

// clock reads a wall time, as "2026-03-27 12:00 Europe/Berlin".
func clock(t testing.TB, text string) time.Time {
	t.Helper()
	zone, err := zoneOf(text[len("2026-03-27 12:00 "):])
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", text[:len("2026-03-27 12:00")], zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWindows(t *testing.T) {
	const berlin = "Europe/Berlin"
	window := func(kind WindowKind, schedule string, hours float64, zone string) Window {
		return Window{Kind: kind, Schedule: schedule, Duration: time.Duration(hours * float64(time.Hour)), Timezone: zone}
	}
	office := window(Allow, "0 9 * * MON-FRI", 8, berlin)
	weekend := window(Deny, "0 17 * * FRI", 64, berlin) // until Monday, 9:00
	christmas := window(Deny, "0 0 24 12 *", 8*24, berlin)
	for _, c := range []struct {
		name    string
		windows Windows
		at      string
		open    bool
		until   string // empty: for a year
		reason  string
	}{
		{"none", nil, "2026-11-25 03:00 UTC", true, "", ""},

		{"inside", Windows{office}, "2026-11-25 12:00 " + berlin, true, "2026-11-25 17:00 " + berlin, ""},
		{"its_first_minute", Windows{office}, "2026-11-25 09:00 " + berlin, true, "2026-11-25 17:00 " + berlin, ""},
		{"its_end", Windows{office}, "2026-11-25 17:00 " + berlin, false, "2026-11-26 09:00 " + berlin, "no allow window until Thu 26 Nov 09:00 Europe/Berlin"},
		{"before_the_weekend", Windows{office}, "2026-11-27 18:00 " + berlin, false, "2026-11-30 09:00 " + berlin, "no allow window until Mon 30 Nov 09:00 Europe/Berlin"},
		{"asked_elsewhere", Windows{office}, "2026-11-25 10:00 America/New_York", true, "2026-11-25 11:00 America/New_York", ""},
		{"two_allow", Windows{office, window(Allow, "0 20 * * *", 1, "UTC")}, "2026-11-25 20:30 UTC", true, "2026-11-25 21:00 UTC", ""},
		{"the_next_of_two", Windows{office, window(Allow, "0 20 * * *", 1, "UTC")}, "2026-11-25 18:00 UTC", false, "2026-11-25 20:00 UTC", "no allow window until Wed 25 Nov 20:00 UTC"},
		{"two_that_overlap", Windows{office, window(Allow, "0 12 * * *", 8, berlin)}, "2026-11-25 13:00 " + berlin, true, "2026-11-25 20:00 " + berlin, ""},
		{"one_that_overlaps_itself", Windows{window(Allow, "0 9-16 * * *", 2, berlin)}, "2026-11-25 09:30 " + berlin, true, "2026-11-25 18:00 " + berlin, ""},

		{"no_deny_yet", Windows{weekend}, "2026-11-27 16:59 " + berlin, true, "2026-11-27 17:00 " + berlin, ""},
		{"deny", Windows{weekend}, "2026-11-27 17:00 " + berlin, false, "2026-11-30 09:00 " + berlin, "deny window until Mon 30 Nov 09:00 Europe/Berlin"},
		{"deny_is_over", Windows{weekend}, "2026-11-30 09:00 " + berlin, true, "2026-12-04 17:00 " + berlin, ""},
		{"two_deny", Windows{weekend, window(Deny, "0 8 * * MON", 4, "UTC")}, "2026-11-28 12:00 " + berlin, false, "2026-11-30 12:00 UTC", "deny window until Mon 30 Nov 12:00 UTC"},

		{"deny_beats_allow", Windows{office, christmas}, "2026-12-24 10:00 " + berlin, false, "2027-01-01 09:00 " + berlin, "deny window, then no allow window until Fri 1 Jan 09:00 Europe/Berlin"},
		{"allow_ends_at_deny", Windows{office, window(Deny, "0 12 * * *", 1, berlin)}, "2026-11-25 10:00 " + berlin, true, "2026-11-25 12:00 " + berlin, ""},
		{"between", Windows{office, window(Deny, "0 8 * * *", 3, berlin)}, "2026-11-25 07:00 " + berlin, false, "2026-11-25 11:00 " + berlin, "no allow window, then deny window until Wed 25 Nov 11:00 Europe/Berlin"},
		{"shut", Windows{office, window(Deny, "0 8 * * *", 12, berlin)}, "2026-11-25 10:00 " + berlin, false, "", "deny window, then no allow window, then deny window, for a year"},
		{"as_far_as_is_looked", Windows{window(Deny, "* * * * *", 1, "")}, "2026-11-25 10:00 UTC", false, "2026-12-14 07:54 UTC", "deny window until Mon 14 Dec 07:54 UTC"},
		{"beyond_a_year", Windows{window(Allow, "0 0 29 2 *", 24, "")}, "2026-11-25 10:00 UTC", false, "", "no allow window, for a year"},
		{"never", Windows{window(Allow, "0 0 30 2 *", 24, "")}, "2026-11-25 10:00 UTC", false, "", "no allow window, for a year"},

		// On 29 March 2026 the clocks of Berlin skip from 2:00 to 3:00.
		{"summer_nine_is_nine", Windows{window(Allow, "0 9 * * *", 8, berlin)}, "2026-03-28 20:00 UTC", false, "2026-03-29 07:00 UTC", "no allow window until Sun 29 Mar 09:00 Europe/Berlin"},
		{"skipped_is_at_the_skip", Windows{window(Deny, "30 2 * * *", 1, berlin)}, "2026-03-28 20:00 UTC", true, "2026-03-29 01:00 UTC", ""},
		{"skipped_is_not_left_out", Windows{window(Deny, "30 2 * * *", 1, berlin)}, "2026-03-29 01:30 UTC", false, "2026-03-29 02:00 UTC", "deny window until Sun 29 Mar 04:00 Europe/Berlin"},
		{"a_night_is_as_long_as_it_says", Windows{window(Deny, "0 22 * * SAT", 8, berlin)}, "2026-03-29 00:00 UTC", false, "2026-03-29 05:00 UTC", "deny window until Sun 29 Mar 07:00 Europe/Berlin"},
		{"skipped_in_america", Windows{window(Deny, "30 2 * * *", 1, "America/New_York")}, "2026-03-08 07:10 UTC", false, "2026-03-08 08:00 UTC", "deny window until Sun 8 Mar 04:00 America/New_York"},
		// On 25 October they show 2:00 to 3:00 twice.
		{"winter_nine_is_nine", Windows{window(Allow, "0 9 * * *", 8, berlin)}, "2026-10-24 20:00 UTC", false, "2026-10-25 08:00 UTC", "no allow window until Sun 25 Oct 09:00 Europe/Berlin"},
		{"twice_counts_once", Windows{window(Deny, "30 2 * * *", 0.25, berlin)}, "2026-10-25 00:20 UTC", true, "2026-10-25 01:30 UTC", ""},
		{"twice_and_over", Windows{window(Deny, "30 2 * * *", 0.25, berlin)}, "2026-10-25 01:50 UTC", true, "2026-10-26 01:30 UTC", ""},
		{"twice_in_america", Windows{window(Deny, "30 1 * * *", 0.25, "America/New_York")}, "2026-11-01 05:20 UTC", true, "2026-11-01 05:30 UTC", ""},
		{"twice_in_america_and_over", Windows{window(Deny, "30 1 * * *", 0.25, "America/New_York")}, "2026-11-01 06:20 UTC", true, "2026-11-02 06:30 UTC", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.windows.Open(clock(t, c.at))
			until := time.Time{}
			if c.until != "" {
				until = clock(t, c.until)
			}
			if got.Open != c.open || !got.Until.Equal(until) || got.Reason != c.reason {
				t.Errorf("got %v until %s, %q; want %v until %s, %q", got.Open, got.Until.UTC(), got.Reason, c.open, until.UTC(), c.reason)
			}
		})
	}
}

// An answer holds until the time that it names, and there it is another, or
// asked again; whatever the windows are. No question costs more than some
// milliseconds.
func FuzzWindows(f *testing.F) {
	f.Add("0 9 * * MON-FRI", "Europe/Berlin", int64(8*3600), "30 2 * * *", "America/New_York", int64(900), int64(1_774_746_000))
	f.Add("* * * * *", "", int64(3600), "*/7 1-3 * * *", "Australia/Lord_Howe", int64(3600), int64(1_774_746_000))
	f.Add("TZ=", "Local", int64(0), "@every 1s", "../x", int64(-1), int64(0))
	f.Add("0 0 29 2 *", "Pacific/Apia", int64(86400*366), "0 0 30 2 *", "Africa/Casablanca", int64(1), int64(1_325_200_000))
	f.Fuzz(func(t *testing.T, allow, allowZone string, allowed int64, deny, denyZone string, denied, at int64) {
		w := Windows{
			{Kind: Allow, Schedule: allow, Timezone: allowZone, Duration: time.Duration(allowed%(366*86400)) * time.Second},
			{Kind: Deny, Schedule: deny, Timezone: denyZone, Duration: time.Duration(denied%(366*86400)) * time.Second, Running: RunningContinue},
		}
		now := time.Unix(at%(1<<33), 0)
		for range 3 {
			begin := time.Now()
			o := w.Open(now)
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("it took %s", took)
			}
			if o.Open != (o.Reason == "") {
				t.Errorf("open: %v, because %q", o.Open, o.Reason)
			}
			if o.Until.IsZero() {
				return
			}
			if !o.Until.After(now) {
				t.Fatalf("at %s until %s", now, o.Until)
			}
			for _, later := range []time.Time{now.Add(o.Until.Sub(now) / 3), o.Until.Add(-1)} {
				if w.Open(later).Open != o.Open {
					t.Errorf("%v at %s until %s, and not at %s", o.Open, now, o.Until, later)
				}
			}
			now = o.Until
		}
		if got := w.Running(); len(got) != 1 || got[0].Kind != Allow {
			t.Errorf("running: got %v", got)
		}
	})
}

func BenchmarkWindows(b *testing.B) {
	w := Windows{
		{Kind: Allow, Schedule: "0 9 * * MON-FRI", Timezone: "Europe/Berlin", Duration: 8 * time.Hour},
		{Kind: Deny, Schedule: "0 0 24 12 *", Timezone: "Europe/Berlin", Duration: 8 * 24 * time.Hour},
	}
	for name, at := range map[string]string{"open": "2026-11-25 12:00 UTC", "shut": "2026-12-24 12:00 UTC"} {
		now := clock(b, at)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Open(now)
			}
		})
	}
}
