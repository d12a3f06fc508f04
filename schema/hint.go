package schema

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unknown reports field i of n, which the shape s has not. What the user may
// have meant is added to meant, so that it is not reported as missing too.
func (v *validation) unknown(s *shape, n *node, i int, meant *fieldSet) {
	f := &n.fields[i]
	fix := v.hint(s, n, f, meant)
	for j := range n.fields[:i] {
		if n.fields[j].name == f.name {
			fix = "and it is written twice"
		}
	}
	v.badField(f.name, f.pos, CodeUnknownField, fix, "unknown field %q", f.name)
}

// hint says what to do about an unknown field: it is misspelled, or stands at
// the wrong depth, or is nothing we know.
func (v *validation) hint(s *shape, n *node, f *field, meant *fieldSet) string {
	var free []string // the fields that are not written yet
	for j := range s.fields {
		if s.fields[j].ignored == "" && n.get(s.fields[j].name) == nil {
			free = append(free, s.fields[j].name)
		}
	}
	if near := nearest(f.name, free); near != "" {
		meant.add(s.index(near))
		return "did you mean " + near + "?"
	}
	for up := len(v.trail) - 1; up >= 0; up-- {
		if in := v.trail[up].in; in.kind == structShape && in.index(f.name) >= 0 {
			if path := spell(v.trail[:up], ""); path != "" {
				return "it belongs in " + path + ", further out"
			}
			return "it belongs at the top of the document"
		}
	}
	for _, inner := range s.fields {
		if inner.shape.kind == structShape && inner.shape.index(f.name) >= 0 {
			return "it belongs in " + inner.name
		}
	}
	if len(free) > 0 && len(s.fields) <= 12 {
		return "what may stand here: " + strings.Join(free, ", ")
	}
	return "remove it"
}

// asType says how to write a value as the type that is wanted.
func asType(s *shape, n *node) string {
	switch {
	case s.kind == stringShape && s.fix != "" && s.form != nil && (n.kind == intNode || n.kind == floatNode) && !s.form.MatchString(n.text):
		return s.fix
	case s.kind == stringShape && (n.kind == intNode || n.kind == floatNode || n.kind == boolNode):
		return "put it in quotes: " + strconv.Quote(n.text)
	case s.kind == intShape && n.kind == stringNode:
		if _, ok := parseInt(n.text); ok {
			return "write it without quotes: " + n.text
		}
		return substitute(n.text)
	case s.kind == intShape && n.kind == floatNode:
		return "write it without a fraction or an exponent"
	case s.kind == numberShape && n.kind == stringNode:
		if number := strings.TrimSpace(strings.TrimSuffix(n.text, "%")); number != n.text {
			return "write it without %: " + number
		} else if _, ok := parseFloat(n.text); ok {
			return "write it without quotes: " + n.text
		}
		return substitute(n.text)
	case s.kind == boolShape:
		switch strings.ToLower(n.text) {
		case "yes", "on", "y", "true", "1":
			return "write true"
		case "no", "off", "n", "false", "0":
			return "write false"
		}
		return "write true or false"
	case s.kind == listShape && n.kind != nullNode:
		return "start each item with -"
	case (s.kind == structShape || s.kind == mapShape) && n.kind == listNode:
		return "write its fields without -"
	}
	return ""
}

// substitute asks for the value of a template's variable, if one is left in
// the text.
func substitute(text string) string {
	if _, rest, ok := strings.Cut(text, "${"); ok {
		if name, _, ok := strings.Cut(rest, "}"); ok {
			return "put in the value of ${" + name + "}"
		}
	}
	return ""
}

// span spells the range of a shape: "1 to 10", "at least 1".
func span(low, high int64) string {
	const lowest, highest = -1 << 63, 1<<63 - 1
	switch {
	case low == high:
		return "exactly " + strconv.FormatInt(low, 10)
	case high == highest && low != lowest:
		return "at least " + strconv.FormatInt(low, 10)
	case high != highest && low == lowest:
		return "at most " + strconv.FormatInt(high, 10)
	}
	return strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(high, 10)
}

// quote quotes a user's text, cut to what fits on a line.
func quote(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return strconv.Quote(s)
}

// meant asks whether a misspelled word is one of the candidates: the nearest, or
// two that are as near; empty if none is near, or too many are.
func meant(word string, candidates []string) string {
	switch near := Nearest(word, candidates); len(near) {
	case 1:
		return "did you mean " + near[0] + "?"
	case 2:
		return "did you mean " + near[0] + " or " + near[1] + "?"
	}
	return ""
}

// nearest returns the candidate that a misspelled word most likely means, the
// first of those that are as near; empty if none is.
func nearest(word string, candidates []string) string {
	if near := Nearest(word, candidates); len(near) > 0 {
		return near[0]
	}
	return ""
}

// Nearest returns the candidates that are nearest to a misspelled word: the
// same but for case, or a third of its letters away.
func Nearest(word string, candidates []string) (near []string) {
	least := max(1, min(len(word), 12)/3) + 1
	for _, c := range candidates {
		if strings.EqualFold(word, c) {
			return []string{c}
		}
		switch d := distance(strings.ToLower(word), strings.ToLower(c)); {
		case d >= len(c) || slices.Contains(near, c):
		case d < least:
			near, least = []string{c}, d
		case d == least && near != nil:
			near = append(near, c)
		}
	}
	return near
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour between two words (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := slices.Repeat([]int{i}, len(b)+1)
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
