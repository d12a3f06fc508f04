package translate_test

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// odd are values that somebody may write anywhere, and that Envoy refuses in
// many places.
var odd = []string{"", "a\nb", "\x01", "\u007f", "a b", "ä→", "%", "*", "/", "http://a:80/", "0", "1", "9223372035", strings.Repeat("x", 300)}

// Whatever loads translates to messages that Envoy takes: each value of each
// field is replaced by odd ones, once in all cases together.
func TestWhatLoadsTranslates(t *testing.T) {
	t.Parallel()
	loaded, done := 0, map[string]bool{}
	for _, c := range fixtures.Archives(t, "specs/translate_*.txtar") {
		tree, l := texts(t, c.Files), schema.NewLoader(schema.Config{})
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			file := tree[name]
			var root yaml.Node
			if err := yaml.Unmarshal(file.Data, &root); err != nil {
				t.Fatal(err)
			}
			for path, value := range scalars(&root, "") {
				if done[path] {
					continue
				}
				done[path] = true
				was := *value
				for _, text := range odd {
					*value = yaml.Node{Kind: yaml.ScalarNode, Value: text, Tag: was.Tag, Style: was.Style}
					changed, err := yaml.Marshal(&root)
					if err != nil {
						continue // it is no number
					}
					tree[name] = &fstest.MapFile{Data: changed, Mode: 0o644}
					r, err := l.Load(context.Background(), tree)
					if err != nil {
						t.Fatal(err)
					}
					if r.Spec == nil {
						continue
					}
					loaded++
					s := translate.New(translate.Inputs{Spec: r.Spec}, nil)
					for _, id := range identities(r.Spec) {
						res, err := s.Resources(xds.Profile{Identity: id})
						if err != nil {
							t.Errorf("%s: %s: %q: %v", c.Name, path, text, err)
							continue
						}
						check(t, res)
					}
				}
				*value = was
			}
			tree[name] = file
		}
	}
	t.Logf("%d fields; %d values load", len(done), loaded)
	if len(done) < 100 || loaded < 500 {
		t.Error("too few")
	}
}

// texts reads the YAML files of a case, and makes each document a file of its
// own: a loader reads only the one anew that changes.
func texts(t *testing.T, files fs.FS) fstest.MapFS {
	t.Helper()
	tree := fstest.MapFS{}
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		for i, document := range strings.Split(string(data), "\n---\n") {
			tree[fmt.Sprintf("%d-%s", i, name)] = &fstest.MapFile{Data: []byte(document), Mode: 0o644}
		}
	}
	return tree
}

// scalars yields what is a text or a number in a document, with its path.
func scalars(n *yaml.Node, path string) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for i, c := range n.Content {
			at := path
			switch {
			case n.Kind == yaml.MappingNode && i%2 == 0:
				continue
			case n.Kind == yaml.MappingNode:
				at += "." + n.Content[i-1].Value
			case n.Kind == yaml.SequenceNode:
				at += "[]"
			}
			if c.Kind == yaml.ScalarNode {
				if !yield(at, c) {
					return
				}
				continue
			}
			for p, s := range scalars(c, at) {
				if !yield(p, s) {
					return
				}
			}
		}
	}
}
