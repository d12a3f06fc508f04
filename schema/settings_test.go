package schema_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	. "github.com/meshwright/meshwright/schema"
)

func TestProtected(t *testing.T) {
	settings := &Settings{Protect: []Protection{
		{Paths: []string{"gateways/**", "prod/*.yaml"}, Label: "mesh-approved", Why: "gateways are\neveryone's front door"},
		{Kinds: []Kind{KindVirtualGateway, KindRoutePolicy}, Label: "gateway-owners"},
		{Paths: []string{"*.cue"}, Kinds: []Kind{KindMesh}, Label: "Core Team"},
		{Paths: []string{"**/secret-?[0-9].yaml", "meshwright.yaml"}, Label: "mesh-approved"},
	}}
	for _, c := range []struct {
		files, changes, labels string // separated by spaces
		want                   []string
	}{
		{"", "", "", nil},
		{"README.md prod/a/b.yaml prod/a.yml", "VirtualNode", "", nil},
		{"gateways/front.yaml", "", "", []string{"needs label mesh-approved: gateways/front.yaml: gateways are everyone's front door"}},
		{"gateways/a/b/c.txt prod/x.yaml z", "", "", []string{"needs label mesh-approved: gateways/a/b/c.txt, prod/x.yaml: gateways are everyone's front door"}},
		{"prod/1.yaml prod/2.yaml prod/3.yaml prod/4.yaml prod/5.yaml", "", "", []string{"needs label mesh-approved: prod/1.yaml, prod/2.yaml, prod/3.yaml and 2 more: gateways are everyone's front door"}},
		{"gateways/front.yaml", "", "other,Mesh-Approved", nil},
		{"x", "VirtualGateway Mesh", "mesh-approved", []string{"needs label gateway-owners: VirtualGateway/shop/a", "needs label Core Team: Mesh/shop/a"}},
		{"a.cue", "Mesh", "gateway-owners", []string{"needs label Core Team: a.cue, Mesh/shop/a"}},
		{"a.cue", "Mesh", "core team", nil},
		{"secret-a1.yaml", "", "", []string{"needs label mesh-approved: secret-a1.yaml"}},
		{"a/b/secret-x9.yaml meshwright.yaml", "", "", []string{"needs label mesh-approved: a/b/secret-x9.yaml, meshwright.yaml"}},
		{"a/secret-xx.yaml", "", "", nil},
		{"gateways/a\nb", "", "", []string{`needs label mesh-approved: "gateways/a\nb": gateways are everyone's front door`}},
	} {
		var changes []Change
		for _, kind := range strings.Fields(c.changes) {
			changes = append(changes, Change{Ref{Kind(kind), Key{"shop", "a"}}, Removed})
		}
		files, labels := strings.Split(c.files, " "), strings.Split(c.labels, ",")
		if diff := cmp.Diff(c.want, Protected(settings, files, changes, labels, "")); diff != "" {
			t.Errorf("%q %q %q (-want +got):\n%s", c.files, c.changes, c.labels, diff)
		}
		for i, line := range Protected(settings, files, changes, labels, "spec") {
			if file := strings.Contains(c.want[i], ".yaml") && !strings.Contains(c.want[i], `"`); file && !strings.Contains(line, ": spec/") {
				t.Errorf("%q names files from within their folder", line)
			}
		}
		if got := Protected(nil, files, changes, labels, "spec"); got != nil {
			t.Errorf("no settings protect %v", got)
		}
	}
}

// The settings of a tree are those of the commit, however they are written, and
// the loader does not remember others.
func TestSettings(t *testing.T) {
	for _, c := range fixtures.Archives(t, "specs/load_settings*.txtar") {
		r := load(t, NewLoader(Config{}), c.Files)
		text, err := json.MarshalIndent(r.Spec.Settings, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		c.Golden(t, "want/settings.json", string(text))
	}

	l := NewLoader(Config{})
	tree := fstest.MapFS{"mesh.yaml": {Data: []byte(meshDoc)}}
	if s := load(t, l, tree).Spec.Settings; s != nil {
		t.Errorf("no file, but settings: %+v", s)
	}
	for _, label := range []string{"a", "b", "b"} {
		for _, file := range []struct{ name, text string }{
			{"meshwright.yml", "protect: [{paths: [mesh.yaml], label: %s}]"},
			{"meshwright.json", `{"protect": [{"paths": ["mesh.yaml"], "label": %q}]}`},
			{"meshwright.cue", `protect: [{paths: ["mesh.yaml"], label: %q}]`},
		} {
			tree := fstest.MapFS{"mesh.yaml": {Data: []byte(meshDoc)}, file.name: {Data: fmt.Appendf(nil, file.text, label)}}
			for _, l := range []*Loader{l, NewLoader(Config{})} {
				r := load(t, l, tree)
				if len(r.Diagnostics) > 0 || r.Files != 1 || r.Documents != 1 || r.Spec.Settings == nil || r.Spec.Settings.Protect[0].Label != label {
					t.Errorf("%s, label %s: %+v", file.name, label, r)
				}
			}
		}
	}
	tree["meshwright.yaml"] = &fstest.MapFile{Data: []byte("# nothing yet\n")}
	if r := load(t, l, tree); r.Spec.Settings == nil || len(r.Spec.Settings.Protect) > 0 || len(r.Diagnostics) > 0 {
		t.Errorf("empty settings: %+v", r)
	}
}

// Whatever the settings file holds: no panic, complete findings, the same each
// time, and settings only without errors; they can be asked.
func FuzzSettings(f *testing.F) {
	f.Add([]byte("protect:\n- paths: ['gateways/**', '[a-z]*', '?']\n  label: x\n  why: y\n"), false)
	f.Add([]byte(`{"protect": [{"kinds": ["Mesh"], "paths": ["[", "../a", "**/**/a"], "label": "x"}]}`), true)
	f.Add([]byte("protect: []\n---\napiVersion: a\nkind: b\n"), false)
	f.Add([]byte("- a\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		name := "meshwright.yaml"
		if isJSON {
			name = "meshwright.json"
		}
		tree := fstest.MapFS{name: {Data: data}, "mesh.yaml": {Data: []byte(meshDoc)}}
		l := NewLoader(Config{})
		r, err := l.Load(context.Background(), tree)
		if err != nil {
			t.Fatal(err)
		}
		if again := load(t, l, tree); diagnostics(again.Diagnostics) != diagnostics(r.Diagnostics) {
			t.Errorf("a second load differs: %s\nfirst: %s", again.Diagnostics, r.Diagnostics)
		}
		for _, d := range r.Diagnostics {
			if d.Pos.File != name || d.Pos.Line < 1 || d.Pos.Col < 1 || d.Code == "" || d.What == "" {
				t.Errorf("incomplete: %+v", d)
			}
		}
		if r.Spec == nil {
			return
		}
		if r.Spec.Settings == nil || r.Documents != 1 {
			t.Fatalf("settings %v, %d documents", r.Spec.Settings, r.Documents)
		}
		for _, p := range r.Spec.Settings.Protect {
			if p.Label == "" || len(p.Paths)+len(p.Kinds) == 0 {
				t.Errorf("a rule that says nothing: %+v", p)
			}
		}
		all := Diff(nil, r.Spec)
		if lines := Protected(r.Spec.Settings, []string{"mesh.yaml", name}, all, nil, ""); len(lines) > len(r.Spec.Settings.Protect) {
			t.Errorf("more lines than rules: %v", lines)
		}
	})
}
