package report

import (
	"fmt"
	"strings"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/sources"
)

// verdict is the first line of a comment: what matters most, and the rest.
type verdict struct{ strong, rest string }

func (v verdict) String() string { return v.strong + v.rest }

func (v verdict) markdown() string {
	// The rest begins with its punctuation, which is no word.
	i := strings.IndexFunc(v.rest, func(r rune) bool { return !strings.ContainsRune(",;: ", r) })
	if i < 0 {
		return "**" + words(clean(v.strong, maxText)) + "**"
	}
	return "**" + words(clean(v.strong, maxText)) + "**" + v.rest[:i] + prose(v.rest[i:])
}

// Verdict is one line that says of a pull request what matters most, as plain
// text: "3 routes, 12 of 40 proxies; 1 high risk".
func Verdict(p Pull) string { return clean(verdictOf(p).String(), maxText) }

func verdictOf(p Pull) verdict {
	switch {
	case p.After != nil:
		return merged(*p.After)
	case len(p.Conflicts) > 0:
		return verdict{"Needs a rebase", ": " + count(len(p.Conflicts), "file") + " changed on both sides"}
	case p.Errors > 0:
		return verdict{count(p.Errors, "error"), ", nothing of it would be served"}
	case p.Check.State == sources.Errored:
		return verdict{"Not checked", ": " + p.Check.Description}
	case p.Check.State == sources.Pending:
		return verdict{"Being checked", ""}
	case p.Plan == nil && p.PlanStatus.State == sources.Errored:
		return verdict{"Valid, but not planned", ": " + p.PlanStatus.Description}
	}
	v := changes(p)
	if n := len(p.Protected); n > 0 {
		return verdict{"Needs a label", "; " + lower(v.String())}
	}
	return v
}

func changes(p Pull) verdict {
	if p.Plan == nil || p.Plan.Empty() {
		return verdict{"No mesh changes", warned(p)}
	}
	strong, rest, _ := strings.Cut(summary(p.Plan), ", ")
	if rest != "" {
		rest = ", " + rest
	}
	levels := map[plan.Level]int{}
	for _, r := range p.Plan.Risks {
		levels[r.Level]++
	}
	for _, l := range []plan.Level{plan.High, plan.Low} {
		if n := levels[l]; n > 0 {
			rest += "; " + count(n, string(l)+" risk")
		}
	}
	return verdict{strong, rest + warned(p)}
}

func warned(p Pull) string {
	if p.Warnings == 0 {
		return ""
	}
	return "; " + count(p.Warnings, "warning")
}

func merged(a After) verdict {
	v := verdict{strong: "Merged as " + Short(a.Commit)}
	switch d := a.Applied.Description; a.Applied.State {
	case sources.Success:
		v.rest = ": applied, " + d
	case sources.Failure:
		v.strong += ", but not applied"
		v.rest = ": " + d
	case sources.Errored:
		v.rest = ": " + d
	default:
		v.rest = ": being applied"
		if d != "" {
			v.rest += ", " + d
		}
	}
	switch d := a.Health.Description; a.Health.State {
	case "":
	case sources.Success:
		v.rest += "; health: " + d
	case sources.Failure:
		v.strong += ", and it does harm"
		v.rest += "; health: " + d
	default:
		v.rest += "; health: " + d
	}
	return v
}

// lower begins a verdict within a line; they all begin with a word of ours.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// summary is what a plan changes, in numbers.
func summary(p *plan.Plan) string {
	what := count(len(p.Resources), "resource")
	if n := len(p.Routes); n > 0 {
		what = count(n, "route")
	}
	return fmt.Sprintf("%s, %d of %s", what, p.Proxies.Touched, count(p.Proxies.Connected, "proxy"))
}
