package canary

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// mostRunes is how long a commit status may be.
const mostRunes = 140

// Status is what stands beside the target's commit, as meshwright/canary.
func (s State) Status() sources.Status {
	state := sources.Pending
	switch {
	case s.Phase == Completed || s.Phase == Passed:
		state = sources.Success
	case s.Phase == RolledBack || s.Phase == RollingBack || s.Phase == Held || s.Phase == Waiting && s.Failed != "":
		state = sources.Failure
	case s.Phase == Superseded || s.Phase == Withdrawn:
		state = sources.Errored
	}
	return sources.Status{State: state, Description: Line(s)}
}

// Line says in one line of a commit status where a rollout stands:
// "25 % · 99.97 % of 12,480 requests · p99 41 ms (base 38 ms) · 3 m 10 s left".
func Line(s State) string {
	at := percent(s.Weight)
	var parts []string
	switch s.Phase {
	case Waiting:
		parts = []string{"waits", s.Reason}
		if rest, ok := strings.CutPrefix(s.Reason, "waits for "); ok {
			parts = []string{"waits for " + rest}
		}
	case Moving:
		parts = []string{at, s.Reason}
	case Watching, Paused:
		parts = append([]string{at}, numbers(&s)...)
		if s.Failing > 0 {
			parts = append(parts, schema.Count(int(s.Failing), "interval")+" failed")
		}
		parts = append(parts, s.Reason)
	case Passed:
		next := "merge to complete it"
		if s.Live.Landing {
			next = "merged, its commit is awaited"
		}
		parts = append([]string{"passed: " + next}, numbers(&s)...)
	case Promoting:
		parts = []string{"100 %", s.Reason}
	case Completed:
		parts = []string{"completed", s.Reason}
	case Held:
		parts = []string{"failed at " + at + ", held: " + s.Failure}
		if s.PromotedBy != "" { // which takes the failure back
			parts = []string{at, s.Reason}
		}
	case RollingBack:
		parts = []string{"rolling back from " + at + ": " + s.Failure, s.Reason}
	case RolledBack:
		parts = []string{"rolled back from " + at + ": " + s.Reason}
	case Superseded, Withdrawn:
		parts = []string{s.Reason}
	}
	line := ""
	for _, p := range parts {
		switch {
		case p == "":
		case line == "":
			line = p
		default:
			line += " · " + p
		}
	}
	return cut(line, mostRunes)
}

// numbers are those of the step, as far as they are known.
func numbers(s *State) []string {
	if s.Live.Sum.Requests == 0 {
		return nil
	}
	return readings(readingOf(s.Live.Sum), readingOf(s.Live.SumBase))
}

// readings tells a canary's numbers beside a base's.
func readings(canary, base Reading) []string {
	out := []string{fmt.Sprintf("%s of %s", rate(canary.Requests, canary.Errors), requests(canary.Requests))}
	if canary.P99 > 0 {
		p99 := "p99 " + millis(canary.P99)
		if base.P99 > 0 {
			p99 += " (base " + millis(base.P99) + ")"
		}
		out = append(out, p99)
	}
	return out
}

func cut(s string, most int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:most-1]), " ") + "…"
}

func percent(p schema.Percent) string { return p.String() + " %" }

// rate is the share of requests without an error, in percent. It never rounds
// up to all.
func rate(requests, errors uint64) string {
	if requests == 0 {
		return "none"
	}
	hundredths := (requests - min(errors, requests)) * 10000 / requests
	return strconv.FormatFloat(float64(hundredths)/100, 'f', -1, 64) + " %"
}

// count spells a number with commas.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func requests(n uint64) string {
	if n == 1 {
		return "1 request"
	}
	return count(n) + " requests"
}

// span spells a length of time: 3 m 10 s.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	switch h, min, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60; {
	case d < 0:
		return "0 s"
	case h >= 48:
		return fmt.Sprintf("%d d %d h", h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%d h %d m", h, min)
	case min > 0:
		return fmt.Sprintf("%d m %d s", min, s)
	default:
		return fmt.Sprintf("%d s", s)
	}
}

// millis spells a latency.
func millis(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case ms < 9.95:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	case ms < 9999:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	default:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	}
}
