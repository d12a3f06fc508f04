package plan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

// Summary is the plan in a few words: "3 routes, 12 of 40 proxies". Where no
// proxies are known it counts whom they would stand for.
func (p *Plan) Summary() string {
	if p.Empty() {
		return "no mesh changes"
	}
	what := schema.Count(len(p.Routes), "route")
	if len(p.Routes) == 0 {
		what = schema.Count(len(p.Resources), "resource")
	}
	whom := schema.Count(len(p.Proxies.Identities), "proxy identity")
	if p.Proxies.Connected > 0 {
		whom = fmt.Sprintf("%d of %s", p.Proxies.Touched, schema.Count(p.Proxies.Connected, "proxy"))
		if p.Proxies.Left > 0 {
			whom += fmt.Sprintf(" and %d left behind", p.Proxies.Left)
		}
	}
	s := what + ", " + whom
	if slices.ContainsFunc(p.Rollouts, func(r Rollout) bool { return r.Skips }) {
		s += ", at once without steps"
	}
	if high := p.HighRisks(); high > 0 {
		s += ", " + schema.Count(high, "high risk")
	}
	return s
}

// HighRisks counts the risks of the level [High].
func (p *Plan) HighRisks() (high int) {
	for _, r := range p.Risks {
		if r.Level == High {
			high++
		}
	}
	return high
}

// percent has at most one digit after the point.
func percent(p float64) string {
	return strconv.FormatFloat(math.Round(p*10)/10, 'f', -1, 64) + " %"
}

// signs of operations.
var signs = map[schema.Op]string{schema.Added: "+", schema.Changed: "~", schema.Removed: "-"}

// String is the plan as people read it in a terminal.
func (p *Plan) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s → %s: %s", p.From, p.To, p.Summary())
	part := func(title string, n int) bool {
		if n > 0 {
			line("\n%s", title)
		}
		return n > 0
	}
	if part("Risks", len(p.Risks)) {
		for _, r := range p.Risks {
			where := ""
			if r.Pos != (schema.Pos{}) {
				where = r.Pos.String() + ": "
			}
			line("  %s%s: %s (%s)", where, r.Level, r.Text, r.Code)
		}
	}
	if part("Traffic", len(p.Routes)) {
		for _, r := range p.Routes {
			line("  %s %s (%s)", signs[r.Op], called(r)+ofOwner(r), r.Match)
			for _, row := range shareRows(r) {
				line("      %s", row)
			}
			for _, o := range r.Other {
				line("      %s", o)
			}
		}
	}
	if part("Steps", len(p.Rollouts)) {
		for _, r := range p.Rollouts {
			for _, row := range r.lines() {
				line("  %s", row)
			}
		}
	}
	if part("Requests that take another route", len(p.Moves)) {
		for _, m := range p.Moves {
			line("  %s from %s", m.Request, m.From)
			line("      %s → %s", taken(m.Before), taken(m.After))
		}
	}
	if part("Connections that end within the drain time", len(p.Drains)) {
		for _, d := range p.Drains {
			line("  %s %s: %s", d.Identity, d.Listener, d.Why)
		}
	}
	if part("Resources", len(p.Resources)) {
		for _, r := range p.Resources {
			line("  %s %s (%s)", signs[r.Op], r.Ref, r.Pos)
			for _, f := range r.Fields {
				line("      %s: %s → %s", f.Path, orNone(f.Before), orNone(f.After))
			}
		}
	}
	if part("Proxies", len(p.Proxies.Identities)) {
		for _, t := range p.Proxies.Identities {
			who := t.Identity.String()
			if p.Proxies.Connected > 0 {
				who += fmt.Sprintf(", %d connected", t.Connected)
			}
			line("  %s: %s", who, listed(t.Resources))
		}
	}
	return b.String()
}

// ofOwner names the router of a route.
func ofOwner(r Route) string {
	if r.Owner.Kind == schema.KindVirtualRouter && r.Name != "" {
		return " of " + r.Owner.String()
	}
	if r.Owner.Kind == schema.KindVirtualService && r.Name != "" {
		return ", route " + r.Name
	}
	return ""
}

// shareRows is who gets what, a row for each target.
func shareRows(r Route) []string {
	type target struct {
		ref  schema.Ref
		port uint32
	}
	var order []target
	before, after := map[target]float64{}, map[target]float64{}
	for i, shares := range [][]Share{r.Before, r.After} {
		for _, s := range shares {
			t := target{s.Target, s.Port}
			if before[t] == 0 && after[t] == 0 {
				order = append(order, t)
			}
			[...]map[target]float64{before, after}[i][t] += s.Percent
		}
	}
	rows := make([]string, len(order))
	for i, t := range order {
		name := t.ref.String()
		if t.port != 0 {
			name += fmt.Sprintf(":%d", t.port)
		}
		switch {
		case r.Op == schema.Added:
			rows[i] = fmt.Sprintf("%s  %s", percent(after[t]), name)
		case r.Op == schema.Removed:
			rows[i] = fmt.Sprintf("%s  %s", percent(before[t]), name)
		case before[t] == after[t]:
			rows[i] = fmt.Sprintf("%s  %s", percent(before[t]), name)
		default:
			rows[i] = fmt.Sprintf("%s → %s  %s", percent(before[t]), percent(after[t]), name)
		}
	}
	return rows
}

// taken is who takes a request.
func taken(route string) string {
	if route == "" {
		return "no route"
	}
	return route
}

// listed is a list of which a few are enough.
func listed(names []string) string {
	const enough = 6
	if len(names) <= enough {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:enough], ", ") + fmt.Sprintf(" and %d more", len(names)-enough)
}
