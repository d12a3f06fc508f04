package schema_test

import (
	"context"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/meshwright/meshwright/fixtures"
	. "github.com/meshwright/meshwright/schema"
)

// Whatever a file holds: no panic, the same findings each time and through a
// loader that remembers, each with its place, sorted and once; and a spec only
// without errors, of resources that belong to a mesh.
func FuzzLoad(f *testing.F) {
	for _, c := range cases(f) {
		_ = fs.WalkDir(c.Files, ".", func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && len(p) > 5 && p[len(p)-4:] != ".cue" { // CUE has bounds in a child process only
				data, _ := fs.ReadFile(c.Files, p)
				f.Add(data, p[len(p)-5:] == ".json")
			}
			return nil
		})
	}
	example := fixtures.Example(f, "howto-k8s-http2/v1beta2")
	data, err := fs.ReadFile(example, "manifest.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, false)

	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		name := "a.yaml"
		if isJSON {
			name = "a.json"
		}
		fsys := fstest.MapFS{name: {Data: data, Mode: 0o644}, "mesh.yaml": {Data: []byte(meshDoc), Mode: 0o644}}
		l := NewLoader(Config{})
		r, err := l.Load(context.Background(), fsys)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []*Loader{l, NewLoader(Config{})} {
			if again := load(t, other, fsys); diagnostics(again.Diagnostics) != diagnostics(r.Diagnostics) || len(Diff(r.Spec, again.Spec)) > 0 {
				t.Errorf("a second load differs: %s\nfirst: %s", again.Diagnostics, r.Diagnostics)
			}
		}
		for i, d := range r.Diagnostics {
			if d.Pos.File == "" || d.Pos.Line < 1 || d.Pos.Col < 1 || d.Code == "" || d.What == "" {
				t.Errorf("incomplete: %+v", d)
			}
			if i > 0 && r.Diagnostics[i-1] == d {
				t.Errorf("told twice: %s", d)
			}
		}
		if !slices.Equal(r.Diagnostics, r.Diagnostics.Sorted()) {
			t.Errorf("not sorted: %s", r.Diagnostics)
		}
		if (r.Spec == nil) != (len(r.Diagnostics.Errors()) > 0) {
			t.Errorf("a spec with errors, or none without: %s", r.Diagnostics)
		}
		if r.Spec == nil {
			return
		}
		for ref, res := range r.Spec.All() {
			if r.Spec.MeshOf(res) == nil {
				t.Errorf("%s belongs to no mesh", ref)
			}
			for to := range r.Spec.Dependents(r.Spec.Refers(res)) {
				if to.Kind == "" {
					t.Errorf("%s: a dependent without a kind", ref)
				}
			}
		}
	})
}
