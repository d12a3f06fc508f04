package schema

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Severity says whether a finding refuses the spec.
type Severity string

const (
	// Error refuses the spec: it is never served.
	Error Severity = "error"
	// Warning is told and served.
	Warning Severity = "warning"
)

// Code names a rule and never changes its meaning; docs/diagnostics.md lists
// them all.
type Code string

// Diagnostic is one finding about a spec.
type Diagnostic struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Pos      Pos      `json:"pos"`
	Resource Ref      `json:"resource,omitzero"` // zero: the finding is about the file
	Path     string   `json:"path,omitempty"`    // of the field, as spec.routes[0].name
	What     string   `json:"what"`              // what is wrong
	Also     Pos      `json:"also,omitzero"`     // another place that belongs to it
	Fix      string   `json:"fix,omitempty"`     // what to do about it
}

// String is the one line of the diagnostic:
// file:line:col: severity: Kind/namespace/name: path: what: also; what to do.
func (d Diagnostic) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: ", d.Pos, d.Severity)
	if d.Resource != (Ref{}) {
		fmt.Fprintf(&b, "%s: ", d.Resource)
	}
	if d.Path != "" {
		fmt.Fprintf(&b, "%s: ", d.Path)
	}
	b.WriteString(oneLine(d.What))
	if d.Also != (Pos{}) {
		b.WriteString(": " + d.Also.String())
	}
	if d.Fix != "" {
		b.WriteString("; " + oneLine(d.Fix))
	}
	return b.String()
}

// Within names the diagnostic's files from outside of the folder that they are
// in.
func (d Diagnostic) Within(folder string) Diagnostic {
	d.Pos.File = path.Join(folder, d.Pos.File)
	if d.Also != (Pos{}) {
		d.Also.File = path.Join(folder, d.Also.File)
	}
	return d
}

// oneLine keeps a text that quotes a user's document on its line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Diagnostics is what a load found, sorted by position, each finding once.
type Diagnostics []Diagnostic

// Errors returns those findings that refuse the spec.
func (ds Diagnostics) Errors() Diagnostics {
	var out Diagnostics
	for _, d := range ds {
		if d.Severity == Error {
			out = append(out, d)
		}
	}
	return out
}

// Sorted returns the findings by position, then path, code and the rest,
// without repetitions.
func (ds Diagnostics) Sorted() Diagnostics {
	out := slices.Clone(ds)
	slices.SortFunc(out, func(a, b Diagnostic) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Code, b.Code), cmp.Compare(a.What, b.What),
			a.Resource.Compare(b.Resource), cmp.Compare(a.Fix, b.Fix), cmp.Compare(a.Severity, b.Severity))
	})
	return slices.Compact(out)
}

// String is one line for each finding.
func (ds Diagnostics) String() string {
	var b strings.Builder
	for _, d := range ds {
		b.WriteString(d.String())
		b.WriteByte('\n')
	}
	return b.String()
}
