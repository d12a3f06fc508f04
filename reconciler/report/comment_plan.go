package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
)

// planned is what a change does to traffic, and what may go wrong. Where no
// route changes, the resources say what it is about.
func planned(p *plan.Plan, files string) []section {
	if p == nil {
		return nil
	}
	sections := []section{routes("Routes", p.Routes[:min(len(p.Routes), mostRoutes)], routeNames(p.Routes)), steps(p), risks(p, files)}
	if inBrief(p) {
		sections[0] = resources(p, files)
	}
	return sections
}

// inBrief: a change of few resources and no route.
func inBrief(p *plan.Plan) bool { return len(p.Routes) == 0 && len(p.Resources) <= mostRoutes }

// folded is what somebody may want to know more of.
func folded(p *plan.Plan, files string) []section {
	if p == nil {
		return nil
	}
	sections := []section{moves(p), drains(p), graph(p)}
	if !inBrief(p) {
		more := routes("More routes", p.Routes[min(len(p.Routes), mostRoutes):], routeNames(p.Routes))
		all := resources(p, files)
		more.fold, more.most, all.fold, all.most = true, mostRows, true, mostRows
		sections = append(append([]section{more}, sections...), all)
	}
	return append(sections, proxies(p))
}

func routes(title string, list []plan.Route, name func(schema.Ref) string) section {
	var cells [][]string
	for _, r := range list {
		other := make([]string, len(r.Other))
		for i, o := range r.Other {
			other[i] = prose(o)
		}
		cells = append(cells, []string{routeName(r, name), prose(r.Match), shares(r.Before, name), shares(r.After, name), strings.Join(other, "<br>")})
	}
	return section{title: title, where: seePlan}.table([]string{"Route", "Requests", "Before", "After", "Also"}, cells)
}

// steps is how the routes that rollouts govern would move.
func steps(p *plan.Plan) section {
	var cells [][]string
	for _, r := range p.Rollouts {
		var moves, waits []string
		for _, m := range first(r.Moves, mostFields) {
			moves = append(moves, code(m))
		}
		for _, w := range first(r.Waits, mostFields) {
			waits = append(waits, code(w.String()))
		}
		cells = append(cells, []string{
			code(r.Ref.Name), strings.Join(moves, "<br>"), prose(r.How()), strings.Join(waits, "<br>"),
		})
	}
	return section{title: "Steps", where: seePlan}.table([]string{"Rollout", "Moves", "Steps", "Waits until then"}, cells)
}

// first returns so many items at most.
func first[T any](list []T, most int) []T { return list[:min(len(list), most)] }

// routeName is a route's name within its owner's, and what happens to it where
// that is more than a change.
func routeName(r plan.Route, name func(schema.Ref) string) string {
	text := code(name(r.Owner))
	if r.Name != "" && r.Name != r.Owner.Name {
		text += " " + code(r.Name)
	}
	if r.Op == schema.Added || r.Op == schema.Removed {
		text += "<br>" + string(r.Op)
	}
	return text
}

// shares lists who gets requests.
func shares(list []plan.Share, name func(schema.Ref) string) string {
	var out []string
	for _, s := range list {
		to := name(s.Target)
		if s.Port > 0 {
			to += fmt.Sprintf(":%d", s.Port)
		}
		out = append(out, code(to)+" "+percent(s.Percent))
	}
	return cmp.Or(strings.Join(out, "<br>"), "–")
}

// routeNames leaves out the namespace where all that routes name are in one.
func routeNames(list []plan.Route) func(schema.Ref) string {
	var refs []schema.Ref
	for _, r := range list {
		refs = append(refs, r.Owner)
		for _, s := range slices.Concat(r.Before, r.After) {
			refs = append(refs, s.Target)
		}
	}
	return naming(refs)
}

// naming names resources by their namespaces and names, or by names alone where
// all are in one namespace.
func naming(refs []schema.Ref) func(schema.Ref) string {
	one := !slices.ContainsFunc(refs, func(r schema.Ref) bool { return r.Namespace != refs[0].Namespace })
	return func(r schema.Ref) string {
		if one || r.Namespace == "" {
			return cmp.Or(r.Name, "(no name)")
		}
		return r.Namespace + "/" + cmp.Or(r.Name, "(no name)")
	}
}

func risks(p *plan.Plan, files string) section {
	s := section{title: "Risks", where: seePlan, most: mostErrors}
	gone := map[schema.Ref]bool{}
	for _, r := range p.Resources {
		gone[r.Ref] = r.Op == schema.Removed
	}
	for _, level := range []plan.Level{plan.High, plan.Low} {
		for _, r := range p.Risks {
			if r.Level != level {
				continue
			}
			at := code(r.Ref.String())
			switch {
			case r.Pos.File == "":
			case gone[r.Ref]:
				at = place(r.Pos, "") // the head has no such place
			default:
				at = place(r.Pos, files)
			}
			// Another mark than that of the list before it, or they would be one.
			s.rows = append(s.rows, fmt.Sprintf("* **%s risk** at %s: %s\n", level, at, prose(r.Text)))
		}
	}
	return s
}

func graph(p *plan.Plan) section {
	s := section{title: "Graph", count: "traffic before and after", where: "`meshwright plan -o json` has it", fold: true}
	if d := diagram(p.Graph); d != "" {
		s.rows = []string{d}
	}
	return s
}

func moves(p *plan.Plan) section {
	route := func(name string) string { return cmp.Or(prose(name), "no route") }
	s := section{title: "Requests that another route would take, or none", where: seePlan, fold: true, most: mostRows}
	for _, m := range p.Moves {
		s.rows = append(s.rows, fmt.Sprintf("- %s from %s: %s → %s\n", code(m.Request), code(m.From.Name), route(m.Before), route(m.After)))
	}
	return s
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
	s := section{title: "Resources", where: seePlan}
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
		connected := ""
		if p.Proxies.Connected > 0 {
			connected = strconv.Itoa(t.Connected)
		}
		cells = append(cells, []string{code(t.Identity.Name), connected, gets(t.Resources)})
	}
	s := section{title: "Proxies that get something new", where: seePlan, fold: true, most: mostRows}
	if p.Proxies.Connected > 0 {
		s.count = fmt.Sprintf("%d of %d", p.Proxies.Touched, p.Proxies.Connected)
	}
	return s.table([]string{"Proxies of", "Connected", "Get"}, cells)
}

// gets lists xDS resources, the type of neighbours once.
func gets(resources []string) string {
	var out []string
	last := ""
	for i, r := range resources {
		if i == mostFields {
			out = append(out, fmt.Sprintf("…and %d more", len(resources)-i))
			break
		}
		kind, name, _ := strings.Cut(r, " ")
		text := code(name)
		if kind != last {
			text = prose(kind) + " " + text
		}
		out, last = append(out, text), kind
	}
	return strings.Join(out, ", ")
}

// percent is a share to as many digits as people care for; it does not break.
func percent(p float64) string {
	text := strings.TrimSuffix(fmt.Sprintf("%.1f", p), ".0")
	switch {
	case p > 0 && p < 0.1:
		text = "under 0.1"
	case p > 99.9 && p < 100:
		text = "over 99.9"
	}
	return text + "\u00a0%"
}
