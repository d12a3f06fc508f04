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
	Draft  bool   `json:"draft,omitempty"`
	Fork   bool   `json:"fork,omitempty"`
	// Verdict is one line of what matters most; empty before there is one, and
	// where nothing of the mesh changes.
	Verdict string `json:"verdict,omitempty"`
	// Report has all that is told of it: check, plan with its risks, diagnostics,
	// answers, what a merge did; missing where nothing of the mesh changes.
	Report *report.Pull `json:"report,omitempty"`
}

// keepClosedViews is how many pull requests are shown that are not open.
const keepClosedViews = 20

func pullViews(s State, open *Open) []PullView {
	views := []PullView{}
	known := map[int]sources.PullRequest{}
	if open != nil {
		for _, p := range open.Pulls {
			known[p.Number] = p
			v := PullView{Number: p.Number, Title: p.Title, Author: p.Author, Head: p.Head, Open: true, Draft: p.Draft, Fork: p.Fork}
			views = append(views, v.with(s.Pulls[p.Number]))
		}
	}
	newest := func(a, b PullView) int { return cmp.Compare(b.Number, a.Number) }
	slices.SortFunc(views, newest)
	var past []PullView
	for n, p := range s.Pulls {
		if _, is := known[n]; is {
			continue
		}
		v := PullView{Number: n, Head: p.Report.Head}
		if rec := s.find(v.Head); rec != nil {
			v.Title, v.Author = rec.Title, rec.Author
		}
		past = append(past, v.with(p))
	}
	slices.SortFunc(past, newest)
	return append(views, past[:min(len(past), keepClosedViews)]...)
}

func (v PullView) with(p *Pull) PullView {
	if p != nil {
		v.Report, v.Verdict = &p.Report, report.Verdict(p.Report)
	}
	return v
}
