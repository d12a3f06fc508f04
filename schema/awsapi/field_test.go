package awsapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/schema"
)

// bookkeeping are the fields in which AWS kept its books: they say nothing about
// traffic. (An owner that is not the mesh's comes through as spec.meshOwner.)
var bookkeeping = []string{"metadata.createdAt", "metadata.lastUpdatedAt", "metadata.uid", "metadata.version", "metadata.resourceOwner", "status.status"}

// TestEveryFieldOfTheAPI: the value of each field is in the documents, at a place
// that the schema knows, or a note says that it is not.
func TestEveryFieldOfTheAPI(t *testing.T) {
	for _, leaf := range leaves() {
		kind, path, _ := strings.Cut(leaf.path, ".")
		if slices.Contains(bookkeeping, path) {
			continue
		}
		t.Run(leaf.path, func(t *testing.T) {
			o := example(kind)
			set(o, path, leaf.sample())
			im := &importer{byIdentity: map[identity]*object{}}
			im.answer("api.json", put(mapNode(), kind, o))
			w, err := newWriter(im)
			if err != nil {
				t.Fatal(err)
			}
			docs, err := w.write()
			if err != nil {
				t.Fatal(err)
			}
			text, files := "", fstest.MapFS{}
			for _, d := range docs {
				text += string(d.Data)
				files[d.Path] = &fstest.MapFile{Data: d.Data}
			}
			told := slices.ContainsFunc(im.notes, func(n Note) bool {
				return strings.HasPrefix(n.Path, strings.ReplaceAll(path, "[]", "[0]")) && strings.Contains(n.What, "left out")
			})
			carried := strings.Contains(text, leaf.sample().Value)
			if carried == told {
				t.Errorf("carried: %v, told: %v\n%s\n%v", carried, told, text, im.notes)
			}
			r, err := schema.NewLoader(schema.Config{}).Load(t.Context(), files)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range r.Diagnostics {
				if d.Code == schema.CodeUnknownField || d.Code == schema.CodeType || d.Code == schema.CodeDuplicateField {
					t.Error(d)
				}
			}
		})
	}
}

// TestDialects: an object with every field is the same, however it is spelled.
func TestDialects(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.key, func(t *testing.T) {
			o := example(k.key)
			for _, leaf := range leaves() {
				if path, ok := strings.CutPrefix(leaf.path, k.key+".spec."); ok {
					set(o, "spec."+path, leaf.sample())
				}
			}
			want := marshal(t, readBy(t, o, func(im *importer, o *yaml.Node) { im.answer("f", o) }))
			if n := strings.Count(want, "\n"); n < 3 {
				t.Fatalf("an object with every field has %d lines", n)
			}
			stack := marshal(t, readBy(t, o, func(im *importer, o *yaml.Node) {
				r := put(put(mapNode(), "Type", textNode("AWS::AppMesh::"+string(k.name))), "Properties", pascal(o))
				im.templates([]*template{templateOf("f", put(mapNode(), "Resources", put(mapNode(), "R", r)))})
			}))
			if diff := cmp.Diff(want, stack); diff != "" {
				t.Errorf("CloudFormation (-API +CloudFormation):\n%s", diff)
			}
			state := marshal(t, readBy(t, o, func(im *importer, o *yaml.Node) {
				values := put(blocks(o), "name", get(o, k.field()))
				r := put(put(mapNode(), "type", textNode("aws_appmesh_"+spell(k.key, '_'))), "values", values)
				im.modules("f", put(mapNode(), "resources", listNode(r)))
			}))
			if diff := cmp.Diff(want, state); diff != "" {
				t.Errorf("Terraform (-API +Terraform):\n%s", diff)
			}
		})
	}
}

// readBy returns the spec of the one object that is read.
func readBy(t *testing.T, o *yaml.Node, read func(*importer, *yaml.Node)) *yaml.Node {
	t.Helper()
	im := &importer{byIdentity: map[identity]*object{}}
	read(im, o)
	if len(im.objects) != 1 || len(im.notes) > 0 {
		t.Fatalf("%d objects, notes %v", len(im.objects), im.notes)
	}
	return im.objects[0].spec
}

// pascal spells an object as CloudFormation does.
func pascal(n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value}
	for i, item := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			out.Content = append(out.Content, textNode(strings.ToUpper(item.Value[:1])+item.Value[1:]))
		} else {
			out.Content = append(out.Content, pascal(item))
		}
	}
	return out
}

// blocks spells an object as a state of Terraform does: objects are lists of
// one, and lists of objects have the name of one.
func blocks(n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value}
	for _, item := range itemsOf(n) {
		out.Content = append(out.Content, blocks(item))
	}
	for key, value := range fieldsOf(n) {
		name := spell(key, '_')
		switch {
		case name == "attributes":
			first := value.Content[0]
			put(out, name, put(mapNode(), textOf(get(first, "key")), get(first, "value")))
			continue
		case isList(value) && isMap(value.Content[0]) && name != "metadata" && name != "json":
			name = strings.TrimSuffix(name, "s")
		}
		value = blocks(value)
		if isMap(value) {
			value = listNode(value)
		}
		put(out, name, value)
	}
	return out
}

func marshal(t *testing.T, n *yaml.Node) string {
	t.Helper()
	out, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// leaf is one line of fields.txt.
type leaf struct{ path, typ string }

func leaves() []leaf {
	var all []leaf
	for line := range strings.Lines(fieldsText) {
		if path, typ, _ := strings.Cut(strings.TrimSpace(line), " "); path != "#" {
			all = append(all, leaf{path, typ})
		}
	}
	return all
}

// sample is a value that nothing else in an object has.
func (l leaf) sample() *yaml.Node {
	switch l.typ {
	case "integer":
		return intNode(4242)
	case "boolean":
		return boolNode(true)
	}
	return textNode("sample")
}

// example is an object with no more than names.
func example(kind string) *yaml.Node {
	k := kindNamed(kind)
	o := put(mapNode(), "meshName", textNode("m"))
	if k.name != schema.KindMesh {
		put(o, k.field(), textNode("n"))
	}
	if k.parent != "" {
		put(o, k.parentField(), textNode("p"))
	}
	return put(o, "spec", mapNode())
}

// set sets the value at a path of an object, through lists of one.
func set(at *yaml.Node, path string, value *yaml.Node) {
	names := strings.Split(path, ".")
	for i, name := range names {
		name, list := strings.CutSuffix(name, "[]")
		next := get(at, name)
		last := i == len(names)-1
		switch {
		case next != nil && last:
			*next = *value
			return
		case next != nil && list:
			next = next.Content[0]
		case next != nil:
		case last && list:
			put(at, name, listNode(value))
			return
		case last:
			put(at, name, value)
			return
		default:
			next = mapNode()
			if list {
				put(at, name, listNode(next))
			} else {
				put(at, name, next)
			}
		}
		at = next
	}
}

// TestFieldsAreWhole: the list is as it was written.
func TestFieldsAreWhole(t *testing.T) {
	if got := fmt.Sprint(len(leaves()), len(model.fields)); got != "333 7" {
		t.Errorf("fields.txt has %s fields and kinds, want 333 7: write it anew with fields.py", got)
	}
}
