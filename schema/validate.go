package schema

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// validate reports every mistake of one document against the shape of its
// kind, or of the settings. n is the whole document (apiVersion, kind, metadata, spec). A field
// that is null counts as absent, as Kubernetes prunes it. The diagnostics have
// no Resource yet.
func validate(kind Kind, n *node, report func(Diagnostic)) {
	s, ok := shapes()[string(kind)]
	if !ok {
		panic("schema: validate: no kind " + string(kind))
	}
	v := validation{report: report, trail: make([]step, 0, 16)}
	v.value(s, n)
}

// validation walks one document. Nothing is allocated for a good one but the
// trail.
type validation struct {
	report func(Diagnostic)
	trail  []step
}

// step leads from a value to one inside.
type step struct {
	field string // of a map; or
	item  int    // of a list
	in    *shape // what the value is that the step leads from
}

// path spells the trail and, unless it is empty, a field at its end.
func (v *validation) path(field string) string { return spell(v.trail, field) }

func spell(trail []step, field string) string {
	var b strings.Builder
	for _, s := range trail {
		switch {
		case s.in.kind == listShape:
			fmt.Fprintf(&b, "[%d]", s.item)
		case plainName(s.field):
			b.WriteByte('.')
			b.WriteString(s.field)
		default:
			fmt.Fprintf(&b, "[%q]", s.field) // labels, and what is no name at all
		}
	}
	if field != "" {
		b.WriteByte('.')
		b.WriteString(field)
	}
	return strings.TrimPrefix(b.String(), ".")
}

func plainName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

// bad reports a mistake at the end of the trail.
func (v *validation) bad(pos Pos, code Code, fix, what string, args ...any) {
	v.report(Diagnostic{Code: code, Severity: Error, Pos: pos, Path: v.path(""), What: fmt.Sprintf(what, args...), Fix: fix})
}

// badField reports a mistake of one field of the value at the end of the trail.
func (v *validation) badField(field string, pos Pos, code Code, fix, what string, args ...any) {
	v.report(Diagnostic{Code: code, Severity: Error, Pos: pos, Path: v.path(field), What: fmt.Sprintf(what, args...), Fix: fix})
}

func (v *validation) value(s *shape, n *node) {
	ok := false
	switch s.kind {
	case anyShape:
		return
	case stringShape:
		if ok = n.kind == stringNode; ok {
			v.text(s, n)
		}
	case intShape:
		if ok = n.kind == intNode || n.kind == floatNode && strings.Trim(n.text, "+-0123456789") == ""; ok { // one too long for 64 bits may come as a float
			v.integer(s, n)
		}
	case numberShape:
		if ok = n.kind == intNode || n.kind == floatNode; ok {
			v.number(s, n)
		}
	case boolShape:
		ok = n.kind == boolNode
	case structShape:
		if ok = n.kind == mapNode; ok {
			v.structure(s, n)
		}
	case mapShape:
		if ok = n.kind == mapNode; ok {
			v.free(s, n)
		}
	case listShape:
		if ok = n.kind == listNode; ok {
			v.list(s, n)
		}
	}
	if !ok {
		v.bad(n.pos, CodeType, asType(s, n), "%s where %s is wanted", n.kind, s.kind)
	}
}

func (v *validation) text(s *shape, n *node) {
	switch {
	case s.enum != nil:
		if slices.Contains(s.enum, n.text) {
			return
		}
		fix := s.fix
		if near := nearest(n.text, s.enum); s.fix == "" && near != "" {
			fix = "did you mean " + near + "?"
		}
		of := "one of " + strings.Join(s.enum, ", ")
		if len(s.enum) == 1 {
			of = s.enum[0]
		}
		v.bad(n.pos, CodeChoice, fix, "%s is not %s", quote(n.text), of)
		return
	case s.form != nil && !s.form.MatchString(n.text):
		v.bad(n.pos, CodeForm, cmp.Or(substitute(n.text), s.fix), "%s is not %s", quote(n.text), s.says)
	}
	if runes := int64(utf8.RuneCountInString(n.text)); runes < s.min || runes > s.max {
		v.bad(n.pos, CodeLength, "", "%s is %d characters long, not %s", quote(n.text), runes, span(s.min, s.max))
	}
}

func (v *validation) integer(s *shape, n *node) {
	if i, ok := parseInt(n.text); !ok || i < s.min || i > s.max {
		v.bad(n.pos, CodeRange, "", "%s is out of range (%s)", n.text, span(s.min, s.max))
	}
}

func (v *validation) number(s *shape, n *node) {
	f, finite := parseFloat(n.text)
	cents, exact := hundredths(f)
	switch low, high := float64(s.min)/100, float64(s.max)/100; {
	case !finite:
		v.bad(n.pos, CodeRange, "write its digits", "%s is no finite number", n.text)
	case s.min == math.MinInt64: // without a range
	case f < low || f > high:
		v.bad(n.pos, CodeRange, "", "%s is out of range (%s to %s percent)", n.text, Percent(s.min), Percent(s.max))
	case s.cents && !exact:
		v.bad(n.pos, CodeRange, "write "+Percent(cents).String(), "%s has more than two decimals", n.text)
	}
}

// parseFloat reads a number as YAML, JSON and CUE write it; not infinity.
func parseFloat(text string) (float64, bool) {
	if i, ok := parseInt(text); ok {
		return float64(i), true
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}

// hundredths returns the nearest number of them, and whether a number is that
// one to the digits it was written with.
func hundredths(f float64) (int64, bool) {
	if math.Abs(f) > 1e12 {
		return 0, false
	}
	n := math.Round(f * 100)
	return int64(n), n/100 == f
}

// parsePercent reads a number of percent.
func parsePercent(text string) (Percent, bool) {
	f, ok := parseFloat(text)
	n, exact := hundredths(f)
	return Percent(n), ok && exact && n >= 0 && n <= math.MaxUint32
}

// parseInt reads an integer as YAML and JSON write it: decimal, or with a
// prefix for another base, and maybe with underscores.
func parseInt(text string) (int64, bool) {
	i, err := strconv.ParseInt(strings.TrimPrefix(text, "+"), 10, 64)
	if err != nil || len(text) > 1 && text[0] == '0' {
		i, err = strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 0, 64)
	}
	return i, err == nil
}

func (v *validation) list(s *shape, n *node) {
	if items := int64(len(n.items)); items < s.min || items > s.max {
		v.bad(n.pos, CodeItems, "", "%s, not %s", Count(int(items), "item"), span(s.min, s.max))
	}
	for i, item := range n.items {
		v.trail = append(v.trail, step{item: i, in: s})
		v.value(s.elem, item)
		v.trail = v.trail[:len(v.trail)-1]
	}
}

func (v *validation) free(s *shape, n *node) {
	for i := range n.fields {
		f := &n.fields[i]
		for j := range n.fields[:i] {
			if n.fields[j].name == f.name {
				v.badField(f.name, f.pos, CodeDuplicateField, "keep one", "field %q is written twice", f.name)
				break
			}
		}
		if f.value.kind == nullNode {
			continue
		}
		v.trail = append(v.trail, step{field: f.name, in: s})
		v.value(s.elem, f.value)
		v.trail = v.trail[:len(v.trail)-1]
	}
}

func (v *validation) structure(s *shape, n *node) {
	var written, set, meant fieldSet // meant: misspelled, as far as we can guess
	for i := range n.fields {
		f := &n.fields[i]
		at := s.index(f.name)
		if at < 0 {
			v.unknown(s, n, i, &meant)
			continue
		}
		if written.has(at) {
			v.badField(f.name, f.pos, CodeDuplicateField, "keep one", "field %q is written twice", f.name)
			continue // the first is what all else goes by
		}
		written.add(at)
		if f.value.kind == nullNode {
			continue
		}
		set.add(at)
		def := &s.fields[at]
		if def.ignored != "" {
			v.report(Diagnostic{Code: CodeIgnored, Severity: Warning, Pos: f.pos, Path: v.path(f.name),
				What: "this field is ignored: " + def.ignored, Fix: "remove it"})
			continue
		}
		v.trail = append(v.trail, step{field: f.name, in: s})
		v.value(def.shape, f.value)
		if def.shape.above != "" {
			v.above(def.shape.above, n, f.value)
		}
		v.trail = v.trail[:len(v.trail)-1]
	}
	for i := range s.fields {
		if f := &s.fields[i]; f.required && !set.has(i) && !meant.has(i) {
			pos, fix := n.pos, ""
			if written.has(i) {
				pos, fix = n.get(f.name).pos, "give it a value"
			}
			v.badField(f.name, pos, CodeMissing, fix, "%s is missing", f.name)
		}
	}
	for i := range s.rules {
		v.rule(s, &s.rules[i], n, set, meant)
	}
}

// above holds an integer to be more than its sibling.
func (v *validation) above(sibling string, in, n *node) {
	least := in.get(sibling)
	if least == nil || least.kind != intNode || n.kind != intNode {
		return // told already
	}
	low, lowOK := parseInt(least.text)
	i, ok := parseInt(n.text)
	if ok && lowOK && i <= low {
		v.bad(n.pos, CodeRange, "", "%s is out of range (more than %s, which is %s)", n.text, sibling, least.text)
	}
}

func (v *validation) rule(s *shape, r *rule, n *node, set, meant fieldSet) {
	if r.when >= 0 {
		for _, i := range r.fields {
			if set.has(r.when) && !set.has(i) && !meant.has(i) {
				why, needed := s.fields[r.when].name, s.fields[i].name
				v.badField(needed, position(n, why), CodeNeeds, "set it", "%s is missing, and %s needs it", needed, why)
			}
		}
		return
	}
	together := bits.OnesCount64(uint64(set & r.of))
	switch {
	case together > r.max:
		var names []string
		var last Pos
		for i := range n.fields {
			if f := &n.fields[i]; f.value.kind != nullNode && s.index(f.name) >= 0 && r.of.has(s.index(f.name)) && !slices.Contains(names, f.name) {
				names, last = append(names, f.name), f.pos
			}
		}
		what := strings.Join(names, " and ") + " are both set"
		if len(names) > 2 {
			what = strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " are all set"
		}
		v.bad(last, CodeConflict, "keep one", "%s", what)
	case together < r.min && r.of&meant == 0:
		all := make([]string, len(r.fields))
		for i, at := range r.fields {
			all[i] = s.fields[at].name
		}
		what := "neither " + strings.Join(all, " nor ") + " is set"
		if len(all) > 2 {
			what = "none of " + strings.Join(all, ", ") + " is set"
		}
		v.bad(n.pos, CodeNone, "set one", "%s", what)
	}
}

// position is that of a map's field's name.
func position(n *node, name string) Pos {
	for i := range n.fields {
		if n.fields[i].name == name {
			return n.fields[i].pos
		}
	}
	return n.pos
}
