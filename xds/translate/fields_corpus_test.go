package translate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
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

// leaf is a field that holds a value, not further fields: its kind and its
// path below spec, as "VirtualRouter routes[].name".
type leaf string

// leaves lists the fields of a JSON Schema (ours, or that of a
// CustomResourceDefinition) below a path.
func leaves(s, defs map[string]any, at string) map[leaf]map[string]any {
	if ref, ok := s["$ref"].(string); ok {
		return leaves(defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), defs, at)
	}
	out := map[leaf]map[string]any{}
	properties, _ := s["properties"].(map[string]any)
	for name, p := range properties {
		field := p.(map[string]any)
		if field["deprecated"] == true {
			continue // no field of App Mesh's: a mistake that its examples make
		}
		inner := at + "." + name
		if strings.HasSuffix(at, " ") {
			inner = at + name
		}
		maps.Copy(out, leaves(field, defs, inner))
	}
	if items, ok := s["items"].(map[string]any); ok {
		return leaves(items, defs, at+"[]")
	}
	if len(properties) == 0 {
		out[leaf(at)] = s
	}
	return out
}

// ourLeaves are the fields of every kind, with what the schema says of each.
func ourLeaves(t testing.TB) map[leaf]map[string]any {
	t.Helper()
	var s struct {
		Defs map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(schema.JSONSchema(), &s); err != nil {
		t.Fatal(err)
	}
	out := map[leaf]map[string]any{}
	for name, def := range s.Defs {
		properties, _ := def.(map[string]any)["properties"].(map[string]any)
		if properties["apiVersion"] != nil && name != string(schema.KindRollout) { // a spec means the same without
			maps.Copy(out, leaves(properties["spec"].(map[string]any), s.Defs, name+" "))
		}
	}
	return out
}

// written is a place of a case where a field is written.
type written struct {
	in   *corpusCase
	leaf leaf
	node *yaml.Node   // its value
	up   []*yaml.Node // what it is in, from the document down
}

// corpusCase is a case as a tree of YAML, which can be changed and looked at
// again.
type corpusCase struct {
	*fixtures.Case
	docs map[string][]*yaml.Node // by file
	seen *seen                   // once looked at

	loader *schema.Loader    // of the documents, each a file of its own
	texts  map[string][]byte // of those, as they were read
}

// corpus reads the cases that are all YAML, and where they write which field.
func corpus(t testing.TB, globs ...string) (cases []*corpusCase, places map[leaf][]written) {
	t.Helper()
	places = map[leaf][]written{}
	for _, glob := range globs {
		for _, c := range fixtures.Archives(t, glob) {
			cc := &corpusCase{Case: c, docs: map[string][]*yaml.Node{}}
			if err := cc.read(); err != nil {
				continue // not all YAML, or broken on purpose
			}
			cases = append(cases, cc)
			for _, file := range slices.Sorted(maps.Keys(cc.docs)) {
				for _, doc := range cc.docs[file] {
					cc.places(doc, places)
				}
			}
		}
	}
	return cases, places
}

func (c *corpusCase) read() error {
	return fs.WalkDir(c.Files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if path.Ext(p) == ".settings" {
			return nil
		}
		if e := path.Ext(p); e != ".yaml" && e != ".yml" {
			return fmt.Errorf("%s is not YAML", p)
		}
		data, err := fs.ReadFile(c.Files, p)
		if err != nil {
			return err
		}
		for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
			doc := &yaml.Node{}
			if err := d.Decode(doc); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			c.docs[p] = append(c.docs[p], doc)
		}
	})
}

// places adds where a document writes which field.
func (c *corpusCase) places(doc *yaml.Node, to map[leaf][]written) {
	if len(doc.Content) == 0 {
		return
	}
	root := doc.Content[0]
	kind, spec := child(root, "kind"), child(root, "spec")
	if kind == nil || spec == nil {
		return
	}
	var walk func(n *yaml.Node, l string, up []*yaml.Node)
	walk = func(n *yaml.Node, l string, up []*yaml.Node) {
		if n.Kind == yaml.ScalarNode || strings.HasSuffix(l, ".matchLabels") {
			at := leaf(kind.Value + " " + strings.TrimPrefix(l, "."))
			to[at] = append(to[at], written{c, at, n, slices.Clone(up)})
			return
		}
		up = append(up, n)
		for i := range n.Content {
			switch {
			case n.Kind == yaml.SequenceNode:
				walk(n.Content[i], l+"[]", up)
			case n.Kind == yaml.MappingNode && i%2 == 1:
				walk(n.Content[i], l+"."+n.Content[i-1].Value, up)
			}
		}
	}
	walk(spec, "", []*yaml.Node{root})
}

// kind is that of the document it is written in.
func (w written) kind() schema.Kind {
	kind, _, _ := strings.Cut(string(w.leaf), " ")
	return schema.Kind(kind)
}

// child returns a field of a map, nil if it is not there.
func child(n *yaml.Node, name string) *yaml.Node {
	for i := 1; i < len(n.Content); i += 2 {
		if n.Kind == yaml.MappingNode && n.Content[i-1].Value == name {
			return n.Content[i]
		}
	}
	return nil
}

// seen is what a case's golden sections say.
type seen struct {
	wire        string // what its proxies are sent, and the notices about it
	diagnostics string // what loading tells, and which resource belongs where
	warnings    schema.Diagnostics
	good        bool // it loads
	misshapen   bool // a value is none that its field may have
}

// before is what the golden sections say of the case as it is.
func (c *corpusCase) before(t testing.TB) *seen {
	if c.seen == nil {
		c.seen = c.look(t)
	}
	return c.seen
}

// files are the case's as they are now.
func (c *corpusCase) files(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for name, docs := range c.docs {
		var b bytes.Buffer
		e := yaml.NewEncoder(&b)
		for _, doc := range docs {
			if err := e.Encode(doc); err != nil {
				t.Fatal(err)
			}
		}
		files[name] = &fstest.MapFile{Data: b.Bytes(), Mode: 0o644}
	}
	return files
}

// load loads the case as it is now, with changes below the root of some of its
// documents. The others are known already.
func (c *corpusCase) load(t testing.TB, changed ...*yaml.Node) *schema.Result {
	t.Helper()
	if c.loader == nil {
		c.loader, c.texts = schema.NewLoader(schema.Config{}), map[string][]byte{}
	}
	files := fstest.MapFS{}
	for name, docs := range c.docs {
		for i, doc := range docs {
			name := name
			if i > 0 {
				name = fmt.Sprintf("%d-%s", i, name)
			}
			text, is := c.texts[name], len(doc.Content) > 0 && slices.Contains(changed, doc.Content[0])
			if text == nil || is {
				var err error
				if text, err = yaml.Marshal(doc); err != nil {
					t.Fatal(err)
				}
			}
			if !is {
				c.texts[name] = text
			}
			files[name] = &fstest.MapFile{Data: text, Mode: 0o644}
		}
	}
	r, err := c.loader.Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// look loads and translates the case as it is now.
func (c *corpusCase) look(t testing.TB) *seen {
	t.Helper()
	r, err := schema.NewLoader(schema.Config{}).Load(context.Background(), c.files(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &seen{good: r.Spec != nil, warnings: r.Diagnostics}
	var b strings.Builder
	for _, d := range r.Diagnostics {
		s.misshapen = s.misshapen || d.Severity == schema.Error && strings.HasPrefix(string(d.Code), "MW1")
		d.Pos = schema.Pos{}
		fmt.Fprintln(&b, d)
	}
	if r.Spec == nil {
		s.diagnostics = b.String()
		return s
	}
	for ref, res := range r.Spec.All() {
		fmt.Fprintln(&b, ref, schema.MetaOf(res).Mesh, schema.MetaOf(res).AWSName)
		if g, ok := res.(*schema.GatewayRoute); ok {
			fmt.Fprintln(&b, g.Gateway)
		}
	}
	for _, q := range r.Spec.Queries() {
		fmt.Fprintln(&b, "asked for", q)
	}
	s.diagnostics = b.String()
	own := specimens(t, c.Case, r.Spec)
	s.warnings = append(s.warnings, translate.Unsupported(r.Spec, own.Rules())...)
	s.wire = c.wire(t, translate.New(translate.Inputs{Spec: r.Spec, Certificates: own}, nil), identities(r.Spec))
	return s
}

// wire is what the proxies of the case's golden sections are sent.
func (c *corpusCase) wire(t testing.TB, snapshot *translate.Snapshot, ids []xds.Identity) string {
	var b strings.Builder
	for _, section := range c.Wants("want/xds/") {
		name, explicit := strings.CutSuffix(strings.TrimSuffix(path.Base(section), ".json"), ".explicit")
		name, grpc := strings.CutSuffix(name, ".grpc")
		for _, id := range ids {
			if id.Name != name {
				continue
			}
			profile := xds.Profile{Identity: id, Capture: xds.Capture{Explicit: explicit, Proxyless: grpc}}
			res, err := snapshot.Resources(profile)
			if err != nil {
				t.Fatal(err)
			}
			for _, list := range res {
				for _, r := range list {
					fmt.Fprintln(&b, r.Name, r.Version)
				}
			}
			fmt.Fprintln(&b, section, snapshot.Notices(profile))
		}
	}
	return b.String()
}
