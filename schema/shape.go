package schema

import (
	_ "embed"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

//go:embed schema.cue
var schemaCUE []byte

// shape is the rule for one value, read from the syntax of schema.cue. CUE
// itself would do, but takes about a millisecond a document, reports a part of
// the mistakes, and at the schema's positions; walking a shape takes
// microseconds and reports each mistake at the user's. Both give the same
// verdict, which a test holds.
//
// schema.cue keeps to the part of CUE that a shape can hold (see builder); the
// rest of the language is refused with a panic, when the shapes are first
// used, so that no rule is ever lost in silence.
type shape struct {
	name string // of the definition; empty for what is written in place
	doc  string
	kind shapeKind

	fields []shapeField // of a struct, at most 64
	rules  []rule       // of a struct: which fields go together
	elem   *shape       // of a list's items or a map's values
	enum   []string     // of a string: the values it may have
	form   *regexp.Regexp
	says   string // what form means, as "a path that starts with /"
	fix    string // how to write a text of that form

	min, max int64  // of an integer, of a number's hundredths, of a string's runes, of a list's items
	cents    bool   // a number has two decimals at most
	above    string // of an integer: the sibling field that it exceeds
}

type shapeKind uint8

const (
	anyShape shapeKind = iota
	stringShape
	intShape
	numberShape
	boolShape
	structShape
	mapShape // names are free
	listShape
)

func (k shapeKind) String() string {
	return [...]string{"anything", "a string", "an integer", "a number", "a boolean", "a map", "a map", "a list"}[k]
}

// shapeField is one field of a struct.
type shapeField struct {
	name     string
	doc      string
	required bool
	ignored  string // why nothing reads the field; empty: it is read
	shape    *shape
}

// rule says which fields of a struct go together.
type rule struct {
	fields []int // indexes
	of     fieldSet
	// At least min and at most max of the fields are set; or, if when is not
	// negative, all of them are where the field of that index is set.
	min, max, when int
}

// fieldSet is a set of indexes of a struct's fields.
type fieldSet uint64

func (s fieldSet) has(i int) bool { return s&(1<<i) != 0 }
func (s *fieldSet) add(i int)     { *s |= 1 << i }

// index returns the place of a field, -1 if there is none of that name.
func (s *shape) index(name string) int {
	for i := range s.fields {
		if s.fields[i].name == name {
			return i
		}
	}
	return -1
}

// shapes returns the shape of every definition, by name without #.
var shapes = sync.OnceValue(func() map[string]*shape {
	file, err := parser.ParseFile("schema.cue", schemaCUE, parser.ParseComments)
	if err != nil {
		panic(err)
	}
	return newShapes(file)
})

// newShapes reads the definitions of a file.
func newShapes(file *ast.File) map[string]*shape {
	b := &builder{defs: map[string]*ast.Field{}, done: map[string]*shape{}}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.Field); ok {
			b.defs[labelOf(f)] = f
		}
	}
	for name := range b.defs {
		b.definition(b.defs[name], name)
	}
	out := map[string]*shape{}
	for name, s := range b.done {
		out[strings.TrimPrefix(name, "#")] = s
	}
	return out
}

// builder turns expressions of CUE into shapes. It knows
//
//	string  bool  int  int64  number  _             types
//	"a" | "b"                                       strings to choose from
//	{a!: T, b?: T}  close({…})  [string]: T  [...T]  structs, maps, lists
//	#Name                                           definitions
//	int & >=1 & <=9 & >sibling                      ranges
//	number & >=0.1 & <=9.5 & math.MultipleOf(0.01)  the same, of two decimals at most
//	string & =~"…" & strings.MinRunes(1) & strings.MaxRunes(9)
//	[...T] & list.MinItems(1) & list.MaxItems(9)
//	close({…}) & matchN(1, [{a!: _}, {b!: _}])      exactly one of; also >=1, <=1
//	close({…}) & matchIf({a!: _}, {b!: _}, _)       a needs b
//
// and the attributes @form("…"), which says what a pattern means, @fix("…"),
// which says how to keep to it, and @ignored("…"), which says why a field is
// not read. A struct with rules is
// closed by hand, because a definition that unifies a struct with a validator
// is open in CUE.
type builder struct {
	defs map[string]*ast.Field
	done map[string]*shape
}

// unsupported ends the program: schema.cue is part of it.
func unsupported(n ast.Node, what string) {
	panic(fmt.Sprintf("%s: schema: %s is not supported in shapes (%T)", n.Pos(), what, n))
}

func labelOf(f *ast.Field) string {
	name, _, err := ast.LabelName(f.Label)
	if err != nil {
		unsupported(f, "this label")
	}
	return name
}

func (b *builder) definition(at *ast.Field, name string) *shape {
	if s, ok := b.done[name]; ok {
		if s == nil {
			unsupported(at, "a definition that contains itself")
		}
		return s
	}
	f, ok := b.defs[name]
	if !ok {
		unsupported(at, "the unknown definition "+name)
	}
	b.done[name] = nil
	s := b.expr(f.Value, f)
	s.name, s.doc = strings.TrimPrefix(name, "#"), docOf(f)
	if says, ok := attribute(f, "form"); ok {
		s.says = says
	}
	if fix, ok := attribute(f, "fix"); ok {
		s.fix = fix
	}
	b.done[name] = s
	return s
}

// expr builds the shape of an expression; f is the field it is the value of.
func (b *builder) expr(e ast.Expr, f *ast.Field) *shape {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		switch e.Op {
		case token.OR:
			left, right := b.expr(e.X, f), b.expr(e.Y, f)
			if left.enum == nil || right.enum == nil || left.name != "" {
				unsupported(e, "a choice of other things than strings")
			}
			left.enum = append(left.enum, right.enum...)
			return left
		case token.AND:
			s := *b.expr(e.X, f) // a copy: what follows narrows this use only
			s.name, s.doc = "", ""
			b.narrow(&s, e.Y)
			return &s
		}
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return &shape{kind: stringShape, max: math.MaxInt64, enum: []string{stringOf(e)}}
		}
	case *ast.Ident:
		switch e.Name {
		case "_":
			return &shape{kind: anyShape}
		case "string":
			return &shape{kind: stringShape, max: math.MaxInt64}
		case "bool":
			return &shape{kind: boolShape}
		case "number":
			return &shape{kind: numberShape, min: math.MinInt64, max: math.MaxInt64}
		case "int", "int64":
			return &shape{kind: intShape, min: math.MinInt64, max: math.MaxInt64}
		}
		if strings.HasPrefix(e.Name, "#") {
			return b.definition(f, e.Name)
		}
	case *ast.ListLit:
		if len(e.Elts) == 1 {
			if rest, ok := e.Elts[0].(*ast.Ellipsis); ok && rest.Type != nil {
				return &shape{kind: listShape, max: math.MaxInt64, elem: b.expr(rest.Type, f)}
			}
		}
	case *ast.StructLit:
		return b.structure(e)
	case *ast.CallExpr:
		if lit, ok := e.Args[0].(*ast.StructLit); ok && funcName(e) == "close" {
			return b.structure(lit)
		}
	}
	unsupported(e, "this expression")
	return nil
}

func (b *builder) structure(lit *ast.StructLit) *shape {
	s := &shape{kind: structShape}
	for _, d := range lit.Elts {
		f, ok := d.(*ast.Field)
		if !ok {
			unsupported(d, "this declaration")
		}
		if free, ok := f.Label.(*ast.ListLit); ok && len(free.Elts) == 1 && len(lit.Elts) == 1 {
			return &shape{kind: mapShape, elem: b.expr(f.Value, f)}
		}
		if f.Constraint == token.ILLEGAL {
			unsupported(f, "a field that is neither required (!) nor optional (?)")
		}
		field := shapeField{name: labelOf(f), doc: docOf(f), required: f.Constraint == token.NOT, shape: b.expr(f.Value, f)}
		field.ignored, _ = attribute(f, "ignored")
		if says, ok := attribute(f, "form"); ok {
			if field.shape.name != "" {
				unsupported(f, "@form beside a definition")
			}
			field.shape.says = says
		}
		s.fields = append(s.fields, field)
	}
	if len(s.fields) > 64 {
		unsupported(lit, "a struct of more than 64 fields")
	}
	for _, f := range s.fields {
		if f.shape.above != "" && s.index(f.shape.above) < 0 {
			unsupported(lit, "a bound that is no sibling")
		}
	}
	return s
}

// narrow adds a constraint to a shape.
func (b *builder) narrow(s *shape, e ast.Expr) {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		if e.Op == token.MAT && s.kind == stringShape {
			if s.form != nil {
				unsupported(e, "a second pattern")
			}
			s.form = regexp.MustCompile(stringOf(e.X))
			return
		}
		if id, ok := e.X.(*ast.Ident); ok && e.Op == token.GTR && s.kind == intShape {
			s.above = id.Name
			return
		}
		if s.kind == intShape && (e.Op == token.GEQ || e.Op == token.LEQ) {
			s.bound(e.Op == token.GEQ, intOf(e.X))
			return
		}
		if s.kind == numberShape && (e.Op == token.GEQ || e.Op == token.LEQ) {
			s.bound(e.Op == token.GEQ, centsOf(e.X))
			return
		}
	case *ast.CallExpr:
		switch name := funcName(e); {
		case s.kind == numberShape && name == "math.MultipleOf" && centsOf(e.Args[0]) == 1:
			s.cents = true
			return
		case s.kind == stringShape && (name == "strings.MinRunes" || name == "strings.MaxRunes"),
			s.kind == listShape && (name == "list.MinItems" || name == "list.MaxItems"):
			s.bound(strings.Contains(name, ".Min"), intOf(e.Args[0]))
			return
		case s.kind == structShape && name == "matchN":
			s.rules = append(slices.Clip(s.rules), matchN(s, e))
			return
		case s.kind == structShape && name == "matchIf":
			s.rules = append(slices.Clip(s.rules), matchIf(s, e))
			return
		}
	}
	unsupported(e, "this constraint")
}

func (s *shape) bound(lower bool, n int64) {
	if lower {
		s.min = max(s.min, n)
	} else {
		s.max = min(s.max, n)
	}
}

func matchN(s *shape, e *ast.CallExpr) rule {
	r := rule{when: -1}
	switch n := e.Args[0].(type) {
	case *ast.BasicLit:
		r.min, r.max = int(intOf(n)), int(intOf(n))
	case *ast.UnaryExpr:
		r.max = math.MaxInt
		if n.Op == token.LEQ {
			r.max = int(intOf(n.X))
		} else if n.Op == token.GEQ {
			r.min = int(intOf(n.X))
		} else {
			unsupported(n, "this number of matches")
		}
	default:
		unsupported(n, "this number of matches")
	}
	list, ok := e.Args[1].(*ast.ListLit)
	if !ok {
		unsupported(e, "this list of matches")
	}
	for _, alternative := range list.Elts {
		r.set(s, alternative)
	}
	return r
}

func matchIf(s *shape, e *ast.CallExpr) rule {
	when := rule{}
	when.set(s, e.Args[0])
	r := rule{when: when.fields[0]}
	r.set(s, e.Args[1])
	if id, ok := e.Args[2].(*ast.Ident); !ok || id.Name != "_" {
		unsupported(e, "this else")
	}
	return r
}

// set adds the field of {field!: _}.
func (r *rule) set(s *shape, e ast.Expr) {
	lit, ok := e.(*ast.StructLit)
	if !ok || len(lit.Elts) != 1 {
		unsupported(e, "this match")
	}
	f, ok := lit.Elts[0].(*ast.Field)
	if !ok || f.Constraint != token.NOT {
		unsupported(e, "this match")
	}
	if id, ok := f.Value.(*ast.Ident); !ok || id.Name != "_" {
		unsupported(e, "this match")
	}
	i := s.index(labelOf(f))
	if i < 0 {
		unsupported(f, "a match of an unknown field")
	}
	r.fields = append(r.fields, i)
	r.of.add(i)
}

func funcName(e *ast.CallExpr) string {
	switch f := e.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			name, _, _ := ast.LabelName(f.Sel)
			return x.Name + "." + name
		}
	}
	return ""
}

func stringOf(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		unsupported(e, "other than a string")
	}
	s, err := literal.Unquote(lit.Value)
	if err != nil {
		unsupported(e, "this string")
	}
	return s
}

func intOf(e ast.Expr) int64 {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.INT {
		unsupported(e, "other than an integer")
	}
	n, err := strconv.ParseInt(lit.Value, 10, 64)
	if err != nil {
		unsupported(e, "this integer")
	}
	return n
}

// centsOf is a number of two decimals at most, in hundredths.
func centsOf(e ast.Expr) int64 {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.INT && lit.Kind != token.FLOAT {
		unsupported(e, "other than a number")
	}
	f, _ := parseFloat(lit.Value)
	n, ok := hundredths(f)
	if !ok {
		unsupported(e, "a number of more than two decimals")
	}
	return n
}

// attribute returns the text of @key("text") on a field.
func attribute(f *ast.Field, key string) (string, bool) {
	for _, a := range f.Attrs {
		if name, body := a.Split(); name == key {
			text, err := strconv.Unquote(body)
			if err != nil {
				unsupported(f, "the attribute "+a.Text)
			}
			return text, true
		}
	}
	return "", false
}

// docOf returns the comment above a field, on one line.
func docOf(f *ast.Field) string {
	var words []string
	for _, group := range ast.Comments(f) {
		if group.Doc {
			words = append(words, strings.Fields(group.Text())...)
		}
	}
	return strings.Join(words, " ")
}
