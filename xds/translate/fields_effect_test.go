package translate_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// effect is what a field does, as far as a changed value shows it.
type effect struct {
	on string // "wire", "diagnostics", or empty: nothing
	in string // the case in whose golden sections it shows
	by string // the change
}

// effectOf changes a field wherever a case writes it, to one value after the
// other, until a golden section of the case would be another: one about the
// wire if there is one, else one about loading.
func effectOf(t testing.TB, schema map[string]any, places []written) effect {
	t.Helper()
	best := effect{}
	for _, w := range places {
		for _, change := range otherwise(w, schema, places) {
			was := w.in.before(t)
			undo := change.apply()
			is := w.in.look(t)
			undo()
			if was.good && is.good && was.wire != is.wire {
				return effect{"wire", w.in.Name, change.text}
			}
			if best.on == "" && was.diagnostics != is.diagnostics && !is.misshapen {
				best = effect{"diagnostics", w.in.Name, change.text}
			}
		}
	}
	return best
}

// change is one to the tree of a case.
type change struct {
	text  string
	apply func() (undo func())
}

// otherwise are ways to write a field otherwise, at last not at all.
func otherwise(w written, schema map[string]any, places []written) []change {
	var out []change
	set := func(value string) {
		out = append(out, change{w.node.Value + " → " + value, func() func() {
			was := w.node.Value
			w.node.Value = value
			return func() { w.node.Value = was }
		}})
	}
	if w.node.Kind == yaml.MappingNode { // labels
		for i := 1; i < len(w.node.Content); i += 2 {
			v := w.node.Content[i]
			out = append(out, change{"another label", func() func() {
				was := v.Value
				v.Value = "other"
				return func() { v.Value = was }
			}})
		}
	}
	switch enum, _ := schema["enum"].([]any); {
	case enum != nil:
		for _, v := range enum {
			if v != w.node.Value {
				set(v.(string))
			}
		}
	case schema["type"] == "integer":
		if n, err := strconv.Atoi(w.node.Value); err == nil {
			set(strconv.Itoa(n + 1))
			set(strconv.Itoa(n - 1))
			set(strconv.Itoa(n * 2))
		}
	case schema["type"] == "boolean":
		set(strconv.FormatBool(w.node.Value != "true"))
	case schema["type"] == "string":
		for _, v := range []string{w.node.Value + "x", "/x" + w.node.Value, "x" + w.node.Value} {
			set(v)
		}
		var others []string
		for _, p := range places {
			if p.in == w.in && p.node.Value != w.node.Value && !slices.Contains(others, p.node.Value) {
				others = append(others, p.node.Value)
			}
		}
		for _, docs := range w.in.docs {
			for _, doc := range docs {
				if len(doc.Content) == 0 {
					continue
				}
				for _, at := range []string{"metadata.name", "metadata.namespace", "spec.awsName"} {
					first, second, _ := strings.Cut(at, ".")
					if m := child(doc.Content[0], first); m != nil {
						if v := child(m, second); v != nil && v.Value != w.node.Value && !slices.Contains(others, v.Value) {
							others = append(others, v.Value)
						}
					}
				}
			}
		}
		for _, v := range others[:min(len(others), 12)] {
			set(v)
		}
	}
	return append(out, change{"left out", func() func() { return leaveOut(w.node, w.up) }})
}

// leaveOut takes a value out of what it is in; out of a list of one, the list.
func leaveOut(n *yaml.Node, up []*yaml.Node) (undo func()) {
	in := up[len(up)-1]
	was := in.Content
	i := slices.Index(was, n)
	switch {
	case in.Kind == yaml.SequenceNode && len(was) == 1:
		return leaveOut(in, up[:len(up)-1])
	case in.Kind == yaml.SequenceNode:
		in.Content = slices.Delete(slices.Clone(was), i, i+1)
	default:
		in.Content = slices.Delete(slices.Clone(was), i-1, i+1)
	}
	return func() { in.Content = was }
}
