package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
)

// planned is what a change does to traffic, and what may go wrong.
func planned(p *plan.Plan, files string) []section {
	if p == nil {
		return nil
	}
	return []section{routes(p), risks(p, files)}
}

// folded is what somebody may want to know more of.
func folded(p *plan.Plan, files string) []section {
	if p == nil {
		return nil
	}
	return []section{graph(p), moves(p), drains(p), resources(p, files), proxies(p)}
}

func routes(p *plan.Plan) section {
	var cells [][]string
	for _, r := range p.Routes {
		other := make([]string, len(r.Other))
		for i, o := range r.Other {
			other[i] = prose(o)
		}
		cells = append(cells, []string{routeName(r), prose(r.Match), shares(r.Before, r.Owner), shares(r.After, r.Owner), strings.Join(other, "; ")})
	}
	return section{title: "Routes", where: seePlan, most: mostRoutes}.table([]string{"Route", "Requests", "Before", "After", "Also"}, cells)
}

// routeName is a route's name within its owner's, and what happens to it where
// that is more than a change.
func routeName(r plan.Route) string {
	name := ref(r.Owner)
	if r.Name != "" && r.Name != r.Owner.Name {
		name += " " + code(r.Name)
	}
	if r.Op == schema.Added || r.Op == schema.Removed {
		name += " " + string(r.Op)
	}
	return name
}

// shares lists who gets requests; a namespace is told where it is not the owner's.
func shares(list []plan.Share, owner schema.Ref) string {
	var out []string
	for _, s := range list {
		to := s.Target
		if to.Namespace == owner.Namespace {
			to.Namespace = ""
		}
		if s.Port > 0 {
			to.Name = fmt.Sprintf("%s:%d", to.Name, s.Port)
		}
		out = append(out, ref(to)+" "+percent(s.Percent))
	}
	return cmp.Or(strings.Join(out, "<br>"), "–")
}

func risks(p *plan.Plan, files string) section {
	s := section{title: "Risks", where: seePlan, most: mostErrors}
	for _, level := range []plan.Level{plan.High, plan.Low} {
		for _, r := range p.Risks {
			if r.Level == level {
				s.rows = append(s.rows, fmt.Sprintf("- **%s risk** %s %s: %s\n", level, ref(r.Ref), place(r.Pos, files), prose(r.Text)))
			}
		}
	}
	return s
}

func graph(p *plan.Plan) section {
	s := section{title: "Graph", where: "`meshwright plan -o json` has it", fold: true}
	if d := diagram(p.Graph); d != "" {
		s.rows = []string{d}
	}
	return s
}

func moves(p *plan.Plan) section {
	route := func(name string) string {
		if name == "" {
			return "no route"
		}
		return code(name)
	}
	var cells [][]string
	for _, m := range p.Moves {
		cells = append(cells, []string{code(m.From.Name), code(m.Request), route(m.Before), route(m.After)})
	}
	return section{title: "Requests that another route would take", where: seePlan, fold: true, most: mostRows}.
		table([]string{"From", "Request", "Before", "After"}, cells)
}

func drains(p *plan.Plan) section {
	var cells [][]string
	for _, d := range p.Drains {
		cells = append(cells, []string{code(d.Identity.Name), code(d.Listener), prose(d.Why)})
	}
	return section{title: "Listeners that drain their connections", where: seePlan, fold: true, most: mostRows}.
		table([]string{"Proxies of", "Listener", "Why"}, cells)
}

func resources(p *plan.Plan, files string) section {
	s := section{title: "Resources", where: seePlan, fold: true, most: mostRows}
	for _, r := range p.Resources {
		at := place(r.Pos, files)
		if r.Op == schema.Removed {
			at = place(r.Pos, "") // the head has no such place
		}
		var b strings.Builder
		fmt.Fprintf(&b, "- %s %s %s\n", prose(string(r.Op)), code(r.Ref.String()), at)
		for i, f := range r.Fields {
			if i == mostFields {
				fmt.Fprintf(&b, "  - …and %d more\n", len(r.Fields)-i)
				break
			}
			fmt.Fprintf(&b, "  - %s: %s → %s\n", code(f.Path), code(f.Before), code(f.After))
		}
		s.rows = append(s.rows, b.String())
	}
	return s
}

func proxies(p *plan.Plan) section {
	var cells [][]string
	for _, t := range p.Proxies.Identities {
		var gets []string
		for i, r := range t.Resources {
			if i == mostFields {
				gets = append(gets, fmt.Sprintf("…and %d more", len(t.Resources)-i))
				break
			}
			gets = append(gets, code(r))
		}
		cells = append(cells, []string{code(t.Identity.Name), thousands(t.Connected), strings.Join(gets, ", ")})
	}
	return section{title: "Whose proxies get something new", where: seePlan, fold: true, most: mostRows}.
		table([]string{"Proxies of", "Connected", "Get"}, cells)
}

// percent is a share to as many digits as people care for.
func percent(p float64) string {
	switch {
	case p > 0 && p < 0.1:
		return "under 0.1 %"
	case p > 99.9 && p < 100:
		return "over 99.9 %"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", p), ".0") + " %"
}
