package schema

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// cueWalk collects the resources of one package.
type cueWalk struct {
	*cueEvaluation
	cueAnswer
	root cue.Value
	file int // the package's first, where nothing better is known
}

const (
	maxCUEDepth = 100       // of a value
	maxCUENodes = 1_000_000 // of a package
)

// value looks for resources: values that carry apiVersion and kind. around is
// the position of what v stands in.
func (w *cueWalk) value(v cue.Value, around flatPos, depth int) {
	if depth > maxCUEDepth {
		return
	}
	v, _ = v.Default()
	pos := w.place(v, around)
	switch kind := v.IncompleteKind(); {
	case kind == cue.ListKind:
		items, _ := v.List()
		for items.Next() {
			w.value(items.Value(), pos, depth+1)
		}
	case kind == cue.StructKind || v.Err() != nil:
		fields := fieldsOfCUE(v)
		if isResource(fields) {
			w.resource(v, pos)
			return
		}
		if err := v.Err(); err != nil && incomplete(v) && opensStruct(v) {
			d := w.folded(err, CodeUnseen, func([]string) Pos { return w.unflat(pos) })[0]
			d.Severity, d.What, d.Fix = Warning, "this value is not complete, so resources in it are not seen: "+d.What, "complete it, or make it a definition (#name) or hidden (_name)"
			w.Diagnostics = append(w.Diagnostics, d)
		}
		for _, f := range fields {
			w.value(f.value, pos, depth+1)
		}
	}
}

// cueField is a regular field of a struct.
type cueField struct {
	name  string
	value cue.Value
}

func fieldsOfCUE(v cue.Value) []cueField {
	it, err := v.Fields()
	if err != nil {
		return nil // reported by Validate, or incomplete
	}
	var out []cueField
	for it.Next() {
		out = append(out, cueField{it.Selector().Unquoted(), it.Value()})
	}
	return out
}

// isResource reports whether a struct carries apiVersion and kind, or has to
// (by a definition of the schema) and does not.
func isResource(fields []cueField) bool {
	carried := 0
	for _, f := range fields {
		if f.name != "apiVersion" && f.name != "kind" {
			continue
		}
		if v, _ := f.value.Default(); v.Kind() == cue.StringKind || absent(v) {
			carried++
		}
	}
	return carried == 2
}

// absent reports whether a value is a field that is required and absent.
func absent(v cue.Value) bool {
	err := v.Err()
	return err != nil && strings.Contains(err.Error(), notPresent)
}

// incomplete reports whether more information could mend a value.
func incomplete(v cue.Value) bool { return v.Err() != nil && v.Validate() == nil }

// opensStruct reports whether a value is written as a struct or list, and not
// as an expression that gives a string, say.
func opensStruct(v cue.Value) bool {
	src := v.Source()
	if f, ok := src.(*ast.Field); ok {
		src = f.Value
	}
	switch src.(type) {
	case *ast.StructLit, *ast.ListLit, *ast.Comprehension, *ast.File:
		return true
	}
	return false
}

// resource adds a resource, if it is whole.
func (w *cueWalk) resource(v cue.Value, pos flatPos) {
	if err := v.Validate(cue.Concrete(true)); err != nil {
		w.fold(err)
		return
	}
	before := len(w.Values)
	if !w.node(v, "", pos, pos, 0) {
		w.Values = w.Values[:before]
		w.Diagnostics = append(w.Diagnostics, Diagnostic{Code: CodeStopped, Severity: Error, Pos: w.unflat(pos),
			What: fmt.Sprintf("this is nested more than %d deep, or its package has more than %d values", maxCUEDepth, maxCUENodes), Fix: "make it smaller"})
	}
}

// node appends a concrete value.
func (w *cueWalk) node(v cue.Value, name string, namePos, pos flatPos, depth int) bool {
	if depth > maxCUEDepth || len(w.Values) >= maxCUENodes {
		return false
	}
	v, _ = v.Default()
	at := len(w.Values)
	w.Values = append(w.Values, flatNode{Name: name, NamePos: namePos, Pos: pos})
	n := flatNode{Name: name, NamePos: namePos, Pos: pos}
	switch v.Kind() {
	case cue.StructKind:
		n.Kind = mapNode
		for _, f := range fieldsOfCUE(v) {
			child := w.place(f.value, pos)
			label, ok := w.flat(labelPos(f.value))
			if !ok {
				label = child
			}
			if n.Children++; !w.node(f.value, f.name, label, child, depth+1) {
				return false
			}
		}
	case cue.ListKind:
		n.Kind = listNode
		items, _ := v.List()
		for items.Next() {
			if n.Children++; !w.node(items.Value(), "", flatPos{}, w.place(items.Value(), pos), depth+1) {
				return false
			}
		}
	default:
		n.Kind, n.Text = scalar(v)
	}
	w.Values[at] = n
	return true
}

func scalar(v cue.Value) (nodeKind, string) {
	switch v.Kind() {
	case cue.StringKind:
		s, _ := v.String()
		return stringNode, s
	case cue.BoolKind:
		b, _ := v.Bool()
		return boolNode, fmt.Sprint(b)
	case cue.IntKind:
		text, _ := v.AppendInt(nil, 10)
		return intNode, string(text)
	case cue.FloatKind, cue.NumberKind:
		text, _ := v.AppendFloat(nil, 'g', -1)
		return floatNode, string(text)
	case cue.BytesKind:
		text, _ := v.MarshalJSON() // base64, as exports have it
		return stringNode, strings.Trim(string(text), `"`)
	}
	return nullNode, ""
}

// place returns the position of a value: where the user wrote it, also if it
// is a reference; of a struct that several parts make, that of the first part
// (patterns come last); around, if only the schema is left.
func (w *cueWalk) place(v cue.Value, around flatPos) flatPos {
	var candidates []token.Pos
	switch v.Kind() {
	case cue.StructKind, cue.ListKind, cue.BottomKind:
		if v.Source() == nil {
			if op, parts := v.Expr(); op == cue.AndOp {
				for _, part := range parts {
					candidates = append(candidates, valuePos(part))
				}
			}
		}
	default:
		candidates = append(candidates, valuePos(v.Eval()))
	}
	for _, p := range append(candidates, valuePos(v), v.Pos()) {
		if at, ok := w.flat(p); ok {
			return at
		}
	}
	return around
}

// valuePos is the position of a value's expression, invalid if it has several.
func valuePos(v cue.Value) token.Pos {
	switch src := v.Source().(type) {
	case nil:
		return token.NoPos
	case *ast.Field:
		return src.Value.Pos()
	default:
		return src.Pos()
	}
}

// labelPos is the position of the name of a value's field, if it has one.
func labelPos(v cue.Value) token.Pos {
	if f, ok := v.Source().(*ast.Field); ok {
		return f.Label.Pos()
	}
	return token.NoPos
}

// flat turns a position in a file of the tree into ours: columns in runes.
func (e *cueEvaluation) flat(p token.Pos) (flatPos, bool) {
	if !p.IsValid() {
		return flatPos{}, false
	}
	at := p.Position()
	i, ok := e.index[at.Filename]
	if !ok {
		return flatPos{}, false
	}
	line := e.tree.files[i].text[at.Offset-(at.Column-1) : at.Offset]
	return flatPos{i, at.Line, 1 + len([]rune(string(line)))}, true
}

func (e *cueEvaluation) unflat(p flatPos) Pos { return Pos{e.tree.files[p.File].path, p.Line, p.Col} }

// pos is a position in a file of the tree, zero for others.
func (e *cueEvaluation) pos(p token.Pos) Pos {
	if at, ok := e.flat(p); ok {
		return e.unflat(at)
	}
	return Pos{}
}
