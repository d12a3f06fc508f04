package schema

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/fixtures"
)

// Documents made from the CustomResourceDefinitions, for the tests that compare
// verdicts. A document is a tree of map[string]any, []any, string, bool, nil
// and json.Number; everything in it follows from the seed.

type tree = map[string]any

// crd is the part of a CustomResourceDefinition that says what a document is.
type crd struct {
	kind   Kind
	schema tree // openAPIV3Schema
}

// crds reads the CustomResourceDefinitions of App Mesh.
func crds(t testing.TB) []crd {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(fixtures.Dir(t), "app-mesh-crds", "*.yaml"))
	if err != nil || len(paths) != len(namesOf(appMeshVersion)) {
		t.Fatalf("%d CustomResourceDefinitions, want %d (%v)", len(paths), len(namesOf(appMeshVersion)), err)
	}
	var out []crd
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Spec struct {
				Names    struct{ Kind Kind }
				Versions []struct {
					Schema struct {
						OpenAPI tree `yaml:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		out = append(out, crd{doc.Spec.Names.Kind, doc.Spec.Versions[0].Schema.OpenAPI})
	}
	return out
}

// maker makes documents. where is the kind and the path of a value, without
// the numbers of items, as "VirtualRouter spec.routes[].name".
type maker struct {
	*rand.Rand
	fill  float64        // how likely an optional field is set: 0 minimal, 1 maximal
	rules []stricterRule // to keep; nil: the CustomResourceDefinition is all there is
}

func newMaker(seed uint64, fill float64, rules []stricterRule) *maker {
	return &maker{rand.New(rand.NewPCG(seed, 0)), fill, rules}
}

// document makes one whole document.
func (m *maker) document(c crd) tree {
	doc := tree{
		"apiVersion": "appmesh.k8s.aws/v1beta2",
		"kind":       string(c.kind),
		"metadata":   tree{"name": "a", "namespace": "b", "labels": tree{"app": "c"}},
	}
	if spec := property(c.schema, "spec"); m.fill > 0 || m.rules != nil {
		doc["spec"] = m.value(string(c.kind)+" spec", spec)
	}
	return doc
}

func property(s tree, name string) tree {
	props, _ := s["properties"].(tree)
	p, _ := props[name].(tree)
	return p
}

func required(s tree) []string {
	var names []string
	list, _ := s["required"].([]any)
	for _, name := range list {
		names = append(names, name.(string))
	}
	return names
}

func number(i int64) json.Number { return json.Number(strconv.FormatInt(i, 10)) }

// limit returns a number of a schema, or what holds without one.
func limit(s tree, key string, without int64) int64 {
	if n, ok := s[key].(int); ok {
		return int64(n)
	}
	return without
}

func (m *maker) value(where string, s tree) any {
	for i := range m.rules {
		if r := &m.rules[i]; r.value != nil && r.covers(where) {
			return r.value(m)
		}
	}
	switch s["type"] {
	case "object":
		return m.object(where, s)
	case "array":
		low := limit(s, "minItems", 0)
		high := limit(s, "maxItems", low+3)
		items := make([]any, low+m.Int64N(min(high, 3)-low+1))
		if m.fill == 1 && len(items) == 0 {
			items = make([]any, 1)
		}
		for i := range items {
			items[i] = m.value(where+"[]", s["items"].(tree))
		}
		return items
	case "string":
		if enum, ok := s["enum"].([]any); ok {
			return enum[m.IntN(len(enum))]
		}
		low := limit(s, "minLength", 0)
		high := limit(s, "maxLength", 30)
		length := low + m.Int64N(min(high, 30)-low+1)
		if m.IntN(20) == 0 {
			length = high
		}
		return m.letters(int(length))
	case "integer":
		low := limit(s, "minimum", -1000)
		high := limit(s, "maximum", low+1000)
		switch m.IntN(10) {
		case 0:
			return number(low)
		case 1:
			return number(high)
		}
		return number(low + m.Int64N(high-low+1))
	case "boolean":
		return m.IntN(2) == 0
	}
	panic(fmt.Sprintf("%s: a schema of type %v", where, s["type"]))
}

func (m *maker) object(where string, s tree) tree {
	v := tree{}
	if free, ok := s["additionalProperties"].(tree); ok {
		for range m.IntN(3) {
			v[m.letters(5)] = m.value(where+".*", free)
		}
		return v
	}
	props, _ := s["properties"].(tree)
	must := required(s)
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if slices.Contains(must, name) || m.Float64() < m.fill {
			v[name] = m.value(where+"."+name, props[name].(tree))
		}
	}
	for i := range m.rules {
		if r := &m.rules[i]; r.covers(where) {
			r.keep(m, where, s, v)
		}
	}
	return v
}

// letters makes a text of so many runes, some of several bytes.
func (m *maker) letters(n int) string {
	const from = "abcdefghij klmno-pqrs/tuvw.xyzäß→"
	runes := []rune(from)
	text := make([]rune, n)
	for i := range text {
		text[i] = runes[m.IntN(len(runes))]
	}
	if n > 0 && m.rules == nil && m.IntN(30) == 0 { // wild
		text[m.IntN(n)] = '\n'
	}
	return string(text)
}

// hostname makes one.
func (m *maker) hostname() string {
	names := []string{"web", "web.example.com", "a_b.example.com.", "10.0.0.1", "Web-2.example.com"}
	return names[m.IntN(len(names))]
}

// removed stands for the absence of a field in replace.
var removed = new(int)

// replace returns the document with another value at a path of names and
// numbers; what is not on the path is shared.
func replace(v any, path []any, by any) any {
	if len(path) == 0 {
		return by
	}
	switch at := path[0].(type) {
	case string:
		out := maps.Clone(v.(tree))
		if len(path) == 1 && by == any(removed) {
			delete(out, at)
		} else {
			out[at] = replace(out[at], path[1:], by)
		}
		return out
	default:
		out := slices.Clone(v.([]any))
		out[at.(int)] = replace(out[at.(int)], path[1:], by)
		return out
	}
}

// mutations yields the document with one change each: every place of it, every
// way in which it could be broken there, and some that break nothing. The text
// says where and what.
func (m *maker) mutations(c crd, doc tree) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		var walk func(path []any, where string, s tree, v any) bool
		walk = func(path []any, where string, s tree, v any) bool {
			change := func(what string, by any, more ...any) bool {
				return yield(where+": "+what, replace(doc, append(slices.Clone(path), more...), by))
			}
			for _, other := range []struct {
				of    string
				value any
			}{
				{"string", "x"}, {"string", "1"}, {"string", "yes"}, {"integer", number(1)}, {"number", json.Number("1.5")}, {"number", json.Number("1.0")},
				{"boolean", true}, {"object", tree{}}, {"array", []any{}}, {"null", nil},
			} {
				if other.of != s["type"] && !change(fmt.Sprintf("%s %v", other.of, other.value), other.value) {
					return false
				}
			}
			switch v := v.(type) {
			case tree:
				props, _ := s["properties"].(tree)
				for _, name := range slices.Sorted(maps.Keys(v)) {
					if len(path) == 0 && name != "spec" {
						continue // metadata below; the rest says which schema holds
					}
					if !change("without "+name, removed, name) {
						return false
					}
					inner, ok := props[name].(tree)
					if !ok {
						inner, _ = s["additionalProperties"].(tree)
					}
					if !walk(append(path, name), where+"."+name, inner, v[name]) {
						return false
					}
				}
				for _, name := range slices.Sorted(maps.Keys(props)) {
					if _, set := v[name]; !set && name != "status" && !change("with "+name, m.value(where+"."+name, props[name].(tree)), name) {
						return false
					}
				}
				return s["additionalProperties"] != nil || change("unknown field", "x", "unknownField")
			case []any:
				low, high := limit(s, "minItems", 0), limit(s, "maxItems", 0)
				item := m.value(where+"[]", s["items"].(tree))
				if low > 0 && !change("too few items", slices.Repeat([]any{item}, int(low-1))) ||
					high > 0 && !change("most items", slices.Repeat([]any{item}, int(high))) ||
					high > 0 && !change("too many items", slices.Repeat([]any{item}, int(high+1))) {
					return false
				}
				for i := range v {
					if !walk(append(path, i), where+"[]", s["items"].(tree), v[i]) {
						return false
					}
				}
			case string:
				if s["enum"] != nil {
					return change("no choice", "nonsense") && change("other case", strings.ToLower(v)+"X") && change("empty choice", "")
				}
				low, high := limit(s, "minLength", 0), limit(s, "maxLength", 0)
				return (low == 0 || change("too short", strings.Repeat("ä", int(low-1)))) &&
					(high == 0 || change("longest", strings.Repeat("ä", int(high))) && change("too long", strings.Repeat("ä", int(high+1))))
			case json.Number:
				low, high := limit(s, "minimum", -1<<40), limit(s, "maximum", 1<<40)
				for _, n := range []int64{low - 1, low, high, high + 1, 0, -1, 1 << 62} {
					if !change("number "+string(number(n)), number(n)) {
						return false
					}
				}
			}
			return true
		}
		_ = walk(nil, string(c.kind)+" ", c.schema, doc) && yieldMetadata(doc, yield)
	}
}

// yieldMetadata yields mutations of metadata, of which the
// CustomResourceDefinitions say nothing but that it is an object.
func yieldMetadata(doc tree, yield func(string, any) bool) bool {
	for _, meta := range []any{
		nil, "x", []any{}, tree{}, tree{"name": nil}, tree{"name": number(5)}, tree{"name": ""}, tree{"name": "A_b"}, tree{"name": strings.Repeat("a", 254)},
		tree{"name": "a", "namespace": "B"}, tree{"name": "a", "labels": tree{"a": number(1)}}, tree{"name": "a", "annotations": []any{}},
		tree{"name": "a", "uid": "x", "creationTimestamp": nil, "finalizers": []any{"x"}, "generation": number(1)}, tree{"name": "a", "nmae": "x"},
	} {
		if !yield(fmt.Sprintf("metadata: %v", meta), replace(doc, []any{"metadata"}, meta)) {
			return false
		}
	}
	return true
}

// nodeOf is the document as the loader would read it.
func nodeOf(v any) *node {
	switch v := v.(type) {
	case tree:
		n := &node{kind: mapNode}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			n.fields = append(n.fields, field{name: name, value: nodeOf(v[name])})
		}
		return n
	case []any:
		n := &node{kind: listNode}
		for _, item := range v {
			n.items = append(n.items, nodeOf(item))
		}
		return n
	case string:
		return &node{kind: stringNode, text: v}
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return &node{kind: floatNode, text: string(v)}
		}
		return &node{kind: intNode, text: string(v)}
	case bool:
		return &node{kind: boolNode, text: strconv.FormatBool(v)}
	}
	return &node{kind: nullNode}
}

// itemNumber is what where has not and the path of a diagnostic has.
var itemNumber = regexp.MustCompile(`\[\d+\]`)

// errorsOf returns the errors that validate finds in a document.
func errorsOf(kind Kind, n *node) Diagnostics {
	var ds Diagnostics
	validate(kind, n, func(d Diagnostic) { ds = append(ds, d) })
	return ds.Errors()
}

// duplicates yields the document with one field written twice, for every field
// that a rule reads; the text is the field's path.
func duplicates(doc *node) iter.Seq2[string, *node] {
	return func(yield func(string, *node) bool) {
		var walk func(path string, n *node) bool
		walk = func(path string, n *node) bool {
			for i, f := range n.fields {
				n.fields = append(n.fields, f)
				ok := yield(path+"."+f.name, doc)
				n.fields = n.fields[:len(n.fields)-1]
				if !ok || !walk(path+"."+f.name, n.fields[i].value) {
					return false
				}
			}
			for _, item := range n.items {
				if !walk(path+"[]", item) {
					return false
				}
			}
			return true
		}
		walk("", doc)
	}
}
