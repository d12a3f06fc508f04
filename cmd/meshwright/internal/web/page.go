package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

//go:embed page.html
var pageSource string

//go:embed page.js
var script string

// policy lets nothing in but the page's own style, and its one script by what
// that says.
var policy = func() string {
	sum := sha256.Sum256([]byte(script))
	return "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'"
}()

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"short":    func(commit string) string { return commit[:min(len(commit), 7)] },
	"count":    schema.Count,
	"notes":    notes,
	"pulls":    pulls,
	"commits":  commits,
	"first":    first,
	"rest":     func(n int, shown any, all int) int { return all - min(n, reflect.ValueOf(shown).Len()) },
	"ago":      ago,
	"stamp":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"refusals": refusals,
	"names":    names,
	"back":     back,
	"script":   func() template.JS { return template.JS(script) },
}).Parse(pageSource))

// writePage renders whole before it sends: a half page is worse than an error.
func writePage(w http.ResponseWriter, v *reconciler.View, now time.Time) {
	var b bytes.Buffer
	if err := page.Execute(&b, map[string]any{"View": v, "Now": now}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(b.Bytes())
}

// note is one line below a commit.
type note struct{ Class, Text, More string }

// notes are the first findings about a commit, and its statuses that do not
// stand on the git host.
func notes(c reconciler.CommitView) []note {
	var out []note
	for _, d := range c.Diagnostics[:min(len(c.Diagnostics), 5)] {
		class := "warning"
		if d.Severity == schema.Error {
			class = "bad"
		}
		out = append(out, note{Class: class, Text: d.String()})
	}
	if more := c.Errors + c.Warnings - len(out); more > 0 {
		out = append(out, note{Class: "dim", Text: fmt.Sprintf("and %d more", more), More: "/api/v1/commits?name=" + c.Commit})
	}
	for _, s := range c.Statuses {
		switch {
		case s.Error != "":
			out = append(out, note{Class: "bad", Text: s.Context + " was not taken: " + s.Error})
		case !s.Written:
			out = append(out, note{Class: "pending", Text: s.Context + " waits to be written"})
		}
	}
	return out
}

// pull is a row of the page: a pull request, with what there is to note of its
// head.
type pull struct {
	reconciler.PullView
	Notes []note
}

// PlanClass is how a plan is shown: one that may break something is not green.
func (p pull) PlanClass() string {
	if p.Report != nil && p.Report.Plan != nil && p.Plan.State == "success" && p.Report.Plan.HighRisks() > 0 {
		return "warning"
	}
	return string(p.Plan.State)
}

func pulls(v *reconciler.View) []pull {
	rows := make([]pull, 0, len(v.Pulls))
	for _, p := range v.Pulls {
		row := pull{PullView: p}
		if i := slices.IndexFunc(v.Commits, func(c reconciler.CommitView) bool { return c.Commit == p.Head && !c.Branch }); i >= 0 {
			row.Notes = notes(v.Commits[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// commits are those that are not shown as the head of a pull request.
func commits(v *reconciler.View) []reconciler.CommitView {
	return slices.DeleteFunc(slices.Clone(v.Commits), func(c reconciler.CommitView) bool {
		return !c.Branch && slices.ContainsFunc(v.Pulls, func(p reconciler.PullView) bool { return p.Head == c.Commit })
	})
}

// first returns the first n of a list: the page is for people.
func first(n int, list any) any {
	v := reflect.ValueOf(list)
	return v.Slice(0, min(n, v.Len())).Interface()
}

// back reports whether a rollout of the branch failed and went back: then what
// it governs is not what the branch has.
func back(r reconciler.RolloutView) bool {
	return r.Phase == canary.RolledBack && r.Start == schema.StartMerge && !r.Past
}

// names lets a browser break a line of names after a slash, not within a name.
func names(of fmt.Stringer) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(of.String()), "/", "/<wbr>"))
}

// ago is how long before now t was, in one unit.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	switch d := now.Sub(t); {
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// refusals are the NACKs that stand for a proxy, as text.
func refusals(p reconciler.ProxyView) []string {
	var out []string
	for t := range xds.Type(xds.NumTypes) {
		if n := p.Types[t].NACK; n != nil {
			out = append(out, fmt.Sprintf("%s of %.7s: %s", t, n.Commit, n.Message))
		}
	}
	return out
}
