package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

// maxCUEErrors is how many mistakes of one evaluation are told.
const maxCUEErrors = 50

// notPresent is how CUE says that a required field is absent.
const notPresent = "field is required but not present"

// fold reports errors of the package. An error about something absent has no position: it is shown where that should be.
func (w *cueWalk) fold(err error) {
	w.Diagnostics = append(w.Diagnostics, w.folded(err, CodeCUE, func(path []string) Pos {
		v, at := w.root, flatPos{w.file, 1, 1}
		for _, part := range path {
			sel := cue.ParsePath(part)
			if i, err := strconv.Atoi(part); err == nil && v.IncompleteKind() == cue.ListKind {
				sel = cue.MakePath(cue.Index(i))
			}
			if v = v.LookupPath(sel); !v.Exists() {
				break
			}
			at = w.place(v, at)
		}
		return w.unflat(at)
	})...)
}

// folded turns CUE's errors into diagnostics, one for each value that is
// wrong. CUE tells a value that fits no branch of a disjunction by a headline
// and an error for each branch, all at the same path: the branches are joined.
// locate finds a position by the path, for an error that has none.
func (e *cueEvaluation) folded(err error, code Code, locate func(path []string) Pos) []Diagnostic {
	var out []Diagnostic
	for _, one := range errors.Errors(err) {
		d := Diagnostic{Code: code, Severity: Error, Pos: e.errorPos(one), Path: spellCUE(one.Path())}
		d.What, d.Fix = explain(one)
		if d.Pos == (Pos{}) {
			d.Pos = locate(one.Path())
		}
		if i := len(out) - 1; i >= 0 && d.Path != "" && out[i].Path == d.Path {
			out[i].What = join(out[i].What, d.What)
			continue
		}
		if len(out) == maxCUEErrors {
			out[len(out)-1].Fix = "and there are more mistakes"
			break
		}
		out = append(out, d)
	}
	return out
}

// errorPos is the position of an error in the user's files: the last that is
// known, for CUE names what was already there first.
func (e *cueEvaluation) errorPos(err errors.Error) Pos {
	var found []Pos
	for _, p := range append([]token.Pos{err.Position()}, err.InputPositions()...) {
		if at := e.pos(p); at != (Pos{}) {
			found = append(found, at)
		}
	}
	if len(found) == 0 {
		return Pos{}
	}
	return slices.MaxFunc(found, Pos.Compare)
}

var (
	emptyDisjunction = regexp.MustCompile(`^\d+ errors in empty disjunction:?$`)
	conflicting      = regexp.MustCompile(`^conflicting values (.+) and (.+)$`)
	noReference      = regexp.MustCompile(`^reference "(.+)" not found$`)
	notConcrete      = regexp.MustCompile(`^incomplete value (.+)$`)
)

// explain says what is wrong, and what to do about it where that is clear.
func explain(err errors.Error) (what, fix string) {
	format, args := err.Msg()
	what = strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	what = strings.TrimPrefix(what, "invalid interpolation: ")
	switch {
	case emptyDisjunction.MatchString(what):
		return "no alternative fits", ""
	case what == notPresent:
		return "it is missing", "set it"
	case what == "field not allowed":
		return "the definition has no such field", "remove it"
	case strings.HasPrefix(what, "imported and not used"):
		return what, "remove the import"
	}
	if m := conflicting.FindStringSubmatch(what); m != nil {
		return "it is set to both " + m[1] + " and " + m[2], ""
	}
	if m := noReference.FindStringSubmatch(what); m != nil {
		return m[1] + " is not defined", "define it, or import what defines it"
	}
	if m := notConcrete.FindStringSubmatch(what); m != nil {
		return "it is not concrete: " + m[1], "give it a value"
	}
	return what, ""
}

// join adds what one more branch of a disjunction says.
func join(what, more string) string {
	const most = 300
	switch {
	case strings.Contains(what, more) || len(what)+len(more) > most:
		return what
	case what == "no alternative fits":
		return what + ": " + more
	}
	return what + "; " + more
}

// spellCUE spells a path of CUE as diagnostics do: a.b[0].c.
func spellCUE(path []string) string {
	var b strings.Builder
	for _, part := range path {
		switch {
		case part != "" && strings.Trim(part, "0123456789") == "":
			fmt.Fprintf(&b, "[%s]", part)
		case ast.IsValidIdent(part):
			b.WriteString("." + part)
		default:
			b.WriteString("[" + strings.TrimSpace(part) + "]")
		}
	}
	return strings.TrimPrefix(b.String(), ".")
}
