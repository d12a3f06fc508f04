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
// wrong; locate finds the position of one that has none, by its path. CUE tells
// a value that fits no branch of a disjunction by a headline and an error for
// each branch, all at the same path: those become one.
func (e *cueEvaluation) folded(err error, code Code, locate func(path []string) Pos) []Diagnostic {
	var out []Diagnostic
	var texts []string // of the last diagnostic
	var exact bool     // its position is CUE's
	for _, one := range errors.Errors(err) {
		if cause := errors.Error(nil); strings.HasPrefix(message(one), "import failed") && errors.As(errors.Unwrap(one), &cause) {
			one = cause // told where it is, as the imported package itself does
		}
		pos := e.errorPos(one)
		d := Diagnostic{Code: code, Severity: Error, Pos: pos, Path: cut(spellCUE(one.Path()))}
		if i := len(out) - 1; i >= 0 && d.Path != "" && out[i].Path == d.Path {
			if texts = append(texts, message(one)); exact {
				d.Pos = out[i].Pos
			}
			out = out[:i]
		} else {
			texts, exact = []string{message(one)}, false
		}
		if exact = exact || pos != (Pos{}); !exact {
			d.Pos = locate(one.Path())
		}
		if len(out) == maxCUEErrors {
			out[len(out)-1].Fix = "and there are more mistakes"
			break
		}
		d.What, d.Fix = explain(texts)
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
	noReference      = regexp.MustCompile(`^(?:.*: )?reference "(.+)" not found$`)
	notConcrete      = regexp.MustCompile(`^(?:invalid interpolation: )?(?:incomplete|non-concrete) value (.+?)(?: \(type .+\))?$`)
)

// explain says what is wrong with a value, of all that CUE says about it, and
// what to do where that is clear.
func explain(texts []string) (what, fix string) {
	if emptyDisjunction.MatchString(texts[0]) && len(texts) > 1 {
		return noneOf(texts[1:]), ""
	}
	switch text := texts[0]; {
	case text == notPresent:
		return "it is missing", "set it"
	case text == "field not allowed":
		return "the definition has no such field", "remove it"
	case strings.HasPrefix(text, "imported and not used"):
		return text, "remove the import"
	}
	if m := conflicting.FindStringSubmatch(texts[0]); m != nil {
		return "it is set to both " + m[1] + " and " + m[2], ""
	}
	if m := noReference.FindStringSubmatch(texts[0]); m != nil {
		return m[1] + " is not defined", "define it, or import what defines it"
	}
	if m := notConcrete.FindStringSubmatch(texts[0]); m != nil {
		return "it is not concrete: " + m[1], "give it a value"
	}
	return texts[0], ""
}

// noneOf words what the branches of a disjunction say: if each is another
// value than the one that is there, those are the choices.
func noneOf(branches []string) string {
	var choices []string
	var have string
	for i, text := range branches {
		m := conflicting.FindStringSubmatch(text)
		if m == nil {
			return "no alternative fits: " + cut(strings.Join(branches, "; "))
		}
		switch next := conflicting.FindStringSubmatch(branches[(i+1)%len(branches)]); {
		case next != nil && (m[2] == next[1] || m[2] == next[2]):
			have, choices = m[2], append(choices, m[1])
		default:
			have, choices = m[1], append(choices, m[2])
		}
	}
	return have + " is not one of " + cut(strings.Join(choices, ", "))
}

// message is an error's text with those of its causes, on one line.
func message(err error) string {
	var parts []string
	for ; err != nil; err = errors.Unwrap(err) {
		text := err.Error()
		if e, ok := err.(errors.Error); ok { // without the path
			format, args := e.Msg()
			text = fmt.Sprintf(format, args...)
		}
		if text = oneLine(text); text != "" && !slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(p, text) }) {
			parts = append(parts, text)
		}
	}
	return cut(strings.Join(parts, ": "))
}

// cut holds a text of CUE's to what can be read.
func cut(text string) string {
	const most = 300
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// spellCUE spells a path of CUE as diagnostics do: a.b[0].c.
func spellCUE(path []string) string {
	var b strings.Builder
	for _, part := range path {
		switch {
		case part == "let[]":
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
