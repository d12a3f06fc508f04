package reconciler

import (
	"cmp"
	"slices"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// PullView is a pull request: one that is open, or one of the last that were
// merged or closed and have a comment of ours.
type PullView struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Head   string `json:"head"` // its commit
	Open   bool   `json:"open"`
	Merged bool   `json:"merged,omitempty"` // as far as its comment tells
	Draft  bool   `json:"draft,omitempty"`
	Fork   bool   `json:"fork,omitempty"`
	// Verdict is one line of what matters most.
	Verdict string `json:"verdict"`
	// Check and Plan are what should stand beside its head; their states are empty
	// before there is anything to say, or when it is forgotten.
	Check sources.Status `json:"check"`
	Plan  sources.Status `json:"plan"`
	// Report has all that is told of it: check, plan with its risks, diagnostics,
	// answers, what a merge did; missing where nothing of the mesh changes.
	Report *report.Pull `json:"report,omitempty"`
}

// keepClosedViews is how many pull requests are shown that are not open.
const keepClosedViews = 20

func pullViews(environment string, s State, open *Open) []PullView {
	views := []PullView{}
	known := map[int]bool{}
	if open != nil {
		for _, p := range open.Pulls {
			known[p.Number] = true
			v := PullView{Number: p.Number, Title: p.Title, Author: p.Author, Head: p.Head, Open: true, Draft: p.Draft, Fork: p.Fork}
			views = append(views, v.with(environment, s))
		}
	}
	newest := func(a, b PullView) int { return cmp.Compare(b.Number, a.Number) }
	slices.SortFunc(views, newest)
	var past []PullView
	for n, p := range s.Pulls {
		if !known[n] {
			past = append(past, PullView{Number: n, Title: p.Title, Author: p.Author, Head: p.Report.Head, Merged: p.Report.After != nil}.with(environment, s))
		}
	}
	slices.SortFunc(past, newest)
	return append(views, past[:min(len(past), keepClosedViews)]...)
}

// with fills in what is known of the pull request and its head.
func (v PullView) with(environment string, s State) PullView {
	if rec := s.find(v.Head); rec != nil {
		v.Title, v.Author = cmp.Or(v.Title, rec.Title), cmp.Or(v.Author, rec.Author)
		v.Check = rec.Statuses[report.Context(environment, report.KindCheck)].Want.Status
		v.Plan = rec.Statuses[report.Context(environment, report.KindPlan)].Want.Status
	}
	v.Verdict = cmp.Or(v.Check.Description, "being checked")
	if p := s.Pulls[v.Number]; p != nil && p.Report.Head == v.Head {
		v.Report, v.Verdict = &p.Report, report.Verdict(p.Report)
	}
	return v
}
