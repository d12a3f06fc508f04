package report

import (
	"cmp"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// verdict is the first line of a comment: what matters most, and the rest after
// a mark of ours: ", ".
type verdict struct{ strong, mark, rest string }

func (v verdict) String() string { return v.strong + v.mark + v.rest }

func (v verdict) markdown() string {
	return "**" + prose(v.strong) + "**" + v.mark + prose(v.rest)
}

// Verdict is one line that says of a pull request what matters most, as plain
// text: "3 routes, 12 of 40 proxies; 1 high risk".
func Verdict(p Pull) string { return clean(verdictOf(p).String(), maxText) }

func verdictOf(p Pull) verdict {
	switch {
	case p.After != nil:
		return merged(*p.After)
	case p.Head == "":
		return verdict{strong: "Not checked yet"}
	case len(p.Conflicts) > 0:
		return verdict{"Needs a rebase", ": ", schema.Count(len(p.Conflicts), "file") + " changed on both sides"}
	case p.Errors > 0:
		return verdict{schema.Count(p.Errors, "error"), ", ", "nothing of it would be served"}
	case p.Check.State == sources.Errored:
		return verdict{"Not checked", ": ", p.Check.Description}
	case p.Check.State == sources.Pending:
		return verdict{strong: "Being checked"}
	case p.Check.State == sources.Failure && len(p.Protected) == 0:
		return verdict{"Not valid", ": ", p.Check.Description}
	case p.Plan == nil && p.PlanStatus.State == sources.Pending:
		return verdict{"Valid", ", ", "being planned"}
	case p.Plan == nil && (p.PlanStatus.State == sources.Errored || p.PlanStatus.State == sources.Failure):
		return verdict{"Valid, but not planned", ": ", p.PlanStatus.Description}
	case len(p.Protected) > 0:
		v := changes(p).String()
		return verdict{"Needs a label", "; ", strings.ToLower(v[:1]) + v[1:]}
	}
	return changes(p)
}

// changes says what a valid change does, in numbers.
func changes(p Pull) verdict {
	v := verdict{strong: "No mesh changes"}
	if p.Plan != nil && !p.Plan.Empty() {
		v.strong, v.rest, _ = strings.Cut(p.Plan.Summary(), ", ")
		v.mark = ", "
	}
	if p.Warnings > 0 {
		v.mark, v.rest = cmp.Or(v.mark, "; "), strings.TrimPrefix(v.rest+"; "+schema.Count(p.Warnings, "warning"), "; ")
	}
	return v
}

// merged says what became of a change on the proxies.
func merged(a After) verdict {
	v := verdict{"Merged as " + Short(a.Commit), ": ", a.Applied.Description}
	if a.By != "" {
		v.strong += ", superseded by " + Short(a.By)
	}
	switch a.Applied.State {
	case sources.Success:
		v.rest = "applied, " + v.rest
	case sources.Failure:
		v.strong += ", but not applied"
	case "", sources.Pending:
		v.rest = strings.TrimSuffix("being applied, "+v.rest, ", ")
	}
	switch divergence := strings.HasPrefix(a.Health.Description, diverged); {
	case a.Health.State != sources.Failure, divergence && a.Applied.State == sources.Failure:
	case divergence:
		v.strong += ", and proxies have something else"
	default:
		v.strong += ", and traffic got worse"
	}
	if d := a.Health.Description; d != "" {
		v.rest += "; health: " + d
	}
	return v
}
