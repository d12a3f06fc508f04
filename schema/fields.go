package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// FieldChange is one field in which two versions of a resource differ. Before or
// After is empty where it is not set; a list or a map is written in one line, a
// duration as people do: 15s.
type FieldChange struct {
	Path          string // as in [Diagnostic].Path; of an item in its new place, if it has one
	Before, After string
	Pos           Pos // in the new file, or in the old where the field is gone
}

// Fields returns the fields of labels and spec in which two versions of a
// resource differ, by position: what their documents say, so that a default
// that is written out is a change too. Items of lists are the same item where
// they have one name (or refer to one resource, or are of one port), wherever
// they stand. A resource that was made by hand has no fields.
func Fields(from, to Resource) []FieldChange {
	d := fieldDiff{}
	if from.meta().doc == nil || to.meta().doc == nil {
		return nil
	}
	was, is := from.meta().doc.root(), to.meta().doc.root()
	d.values("metadata.labels", was.get("metadata").get("labels"), is.get("metadata").get("labels"))
	d.values("spec", was.get("spec"), is.get("spec"))
	slices.SortStableFunc(d.found, func(a, b FieldChange) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Path, b.Path))
	})
	return d.found
}

type fieldDiff struct{ found []FieldChange }

// values compares what stands at a path.
func (d *fieldDiff) values(path string, was, is *node) {
	was, is = set(was), set(is)
	switch {
	case was == nil && is == nil:
	case was != nil && is != nil && was.kind == mapNode && is.kind == mapNode && !isDuration(was) && !isDuration(is):
		for i := range is.fields {
			name := is.fields[i].name
			d.values(path+"."+name, was.get(name), is.fields[i].value)
		}
		for i := range was.fields {
			if name := was.fields[i].name; is.get(name) == nil {
				d.values(path+"."+name, was.fields[i].value, nil)
			}
		}
	case was != nil && is != nil && was.kind == listNode && is.kind == listNode && len(was.items)+len(is.items) > 0:
		for _, p := range pairs(was.items, is.items) {
			switch {
			case p[1] < 0:
				d.values(fmt.Sprintf("%s[%d]", path, p[0]), was.items[p[0]], nil)
			case p[0] < 0:
				d.values(fmt.Sprintf("%s[%d]", path, p[1]), nil, is.items[p[1]])
			default:
				d.values(fmt.Sprintf("%s[%d]", path, p[1]), was.items[p[0]], is.items[p[1]])
			}
		}
	default:
		if before, after := flow(was), flow(is); before != after {
			at := is
			if is == nil {
				at = was
			}
			d.found = append(d.found, FieldChange{path, before, after, at.pos})
		}
	}
}

// set is the value, nil where that is null: nothing written.
func set(n *node) *node {
	if n == nil || n.kind == nullNode {
		return nil
	}
	return n
}

// pairs says which items of two lists are the same: the index on each side, -1
// where it has none; in the order of the new list, then what is gone. Items that
// nothing names are the same where they are equal, or else stand in one place; a
// single one that has another name is still the same.
func pairs(was, is []*node) [][2]int {
	named, name := true, label
	if !distinct(was) || !distinct(is) {
		named, name = false, flow
	}
	at := map[string][]int{}
	for i, n := range was {
		at[name(n)] = append(at[name(n)], i)
	}
	out := make([][2]int, len(is))
	used := make([]bool, len(was))
	for i, n := range is {
		out[i] = [2]int{-1, i}
		if same := at[name(n)]; len(same) > 0 {
			out[i][0], at[name(n)], used[same[0]] = same[0], same[1:], true
		}
	}
	var gone []int
	for i := range was {
		if !used[i] {
			gone = append(gone, i)
		}
	}
	come := len(is) - len(was) + len(gone)
	for i := range out {
		if out[i][0] < 0 && len(gone) > 0 && (!named || come == 1 && len(gone) == 1) {
			out[i][0], gone = gone[0], gone[1:]
		}
	}
	for _, i := range gone {
		out = append(out, [2]int{i, -1})
	}
	return out
}

// distinct reports whether each item of a list has a label of its own.
func distinct(items []*node) bool {
	seen := map[string]bool{"": true}
	for _, n := range items {
		l := label(n)
		if seen[l] {
			return false
		}
		seen[l] = true
	}
	return true
}

// label is what identifies an item among others of its list; empty: nothing.
func label(n *node) string {
	if n.kind != mapNode {
		return ""
	}
	for _, inner := range []string{"virtualNodeRef", "virtualServiceRef", "virtualService", "portMapping"} {
		if v := set(n.get(inner)); v != nil {
			return label(v)
		}
	}
	var parts []string
	for _, field := range []string{"kind", "namespace", "name", "key", "address", "port"} {
		if v := set(n.get(field)); v != nil {
			parts = append(parts, v.text)
		}
	}
	return strings.Join(parts, " ")
}

// isDuration reports whether a map is {unit, value}.
func isDuration(n *node) bool {
	return len(n.fields) == 2 && set(n.get("unit")) != nil && set(n.get("value")) != nil
}

// flow writes a value in one line.
func flow(n *node) string {
	n = set(n)
	switch {
	case n == nil:
		return ""
	case n.kind == mapNode && isDuration(n):
		return n.get("value").text + n.get("unit").text
	case n.kind == mapNode:
		parts := make([]string, 0, len(n.fields))
		for i := range n.fields {
			if set(n.fields[i].value) != nil {
				parts = append(parts, n.fields[i].name+": "+flow(n.fields[i].value))
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case n.kind == listNode:
		parts := make([]string, len(n.items))
		for i := range n.items {
			parts[i] = flow(n.items[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case n.kind == stringNode && n.text == "":
		return `""`
	}
	return oneLine(n.text)
}
