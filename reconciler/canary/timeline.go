package canary

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// Timeline tells how a rollout came to where it is, a row for each transition:
// when, at which weight and what happened; the evidence for it is a row of its
// own below, for where lines are not wrapped. Times are in UTC.
func Timeline(s State) []string {
	var rows []string
	day := ""
	for _, e := range s.History {
		at := e.At.UTC()
		if d := at.Format("Mon 2 Jan"); d != day {
			rows, day = append(rows, d), d
		}
		rows = append(rows, fmt.Sprintf("%s  %7s  %-12s  %s", at.Format("15:04:05"), percent(e.Weight), e.Phase, cut(e.Reason, 200)))
		if e.Evidence != nil {
			rows = append(rows, "          "+e.Evidence.String())
		}
	}
	return rows
}

// String is the evidence in one line, with its sources.
func (e *Evidence) String() string {
	parts := readings(e.Canary, e.Base)
	if e.Base.Requests > 0 {
		parts = append(parts, fmt.Sprintf("base %s of %s", rate(e.Base.Requests, e.Base.Errors), count(e.Base.Requests)))
	}
	for _, n := range e.Numbers {
		switch {
		case n.Error != "":
			parts = append(parts, n.Name+" unknown (Prometheus)")
		default:
			parts = append(parts, fmt.Sprintf("%s %.4g (Prometheus)", n.Name, n.Value))
		}
	}
	return strings.Join(append(parts, schema.Count(e.Proxies, "proxy")+", "+span(e.Window)), " · ")
}

// chartWidth is that of a full bar, in characters.
const chartWidth = 20

// Chart draws the weight over the steps: a bar for each weight that was served,
// and for how long. It is monospaced text.
func Chart(s State, now time.Time) []string {
	type bar struct {
		weight schema.Percent
		from   time.Time
		phase  Phase
	}
	var bars []bar
	for _, e := range s.History {
		w := e.Weight
		switch e.Phase {
		case Waiting, RollingBack, RolledBack, Superseded, Withdrawn:
			w = 0
		}
		if n := len(bars); n > 0 && bars[n-1].weight == w {
			bars[n-1].phase = e.Phase
			continue
		}
		bars = append(bars, bar{w, e.At, e.Phase})
	}
	var rows []string
	for i, b := range bars {
		until := now
		if i+1 < len(bars) {
			if until = bars[i+1].from; until.Sub(b.from) < time.Second/2 {
				continue // it waited for nothing
			}
		}
		full := (int(min(b.weight, schema.Whole))*chartWidth + int(schema.Whole) - 1) / int(schema.Whole) // what is not nothing shows
		row := fmt.Sprintf("%7s ▕%s%s▏", percent(b.weight), strings.Repeat("█", full), strings.Repeat("░", chartWidth-full))
		if i+1 < len(bars) || !s.Phase.Ended() {
			row += " " + span(until.Sub(b.from))
		}
		if i+1 == len(bars) {
			row += " " + string(s.Phase)
		}
		rows = append(rows, row)
	}
	return rows
}
