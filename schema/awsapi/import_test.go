package awsapi_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/schema/awsapi"
)

// TestImport holds fixtures/import/*.txtar: what is written and what is told.
// What is imported without an error loads without one.
func TestImport(t *testing.T) {
	for _, c := range fixtures.Archives(t, "import/*.txtar") {
		t.Run(c.Name, func(t *testing.T) {
			o := awsapi.Options{Format: awsapi.Format(c.Options["format"]), Namespace: c.Options["namespace"], Parameters: map[string]string{}}
			for _, p := range strings.Fields(c.Options["parameters"]) {
				key, value, _ := strings.Cut(p, "=")
				o.Parameters[key] = value
			}
			r := imported(t, o, inputs(t, c.Files)...)
			var notes, specs strings.Builder
			for _, n := range r.Notes {
				fmt.Fprintln(&notes, n)
			}
			for _, d := range r.Documents {
				fmt.Fprintf(&specs, "--- # %s\n%s", d.Path, d.Data)
			}
			c.Golden(t, "want/notes.txt", notes.String())
			c.Golden(t, "want/specs.yaml", specs.String())
			if strings.HasPrefix(c.Name, "mistakes_") {
				if r.Errors() == 0 {
					t.Error("a case of mistakes has no error")
				}
			} else if r.Errors() > 0 {
				t.Error("an import that should be whole has errors")
			}
		})
	}
}

// inputs are the files of a case; those in a folder were found there, the
// others named.
func inputs(t *testing.T, tree fs.FS) []awsapi.File {
	t.Helper()
	var files []awsapi.File
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, path)
		files = append(files, awsapi.File{Name: path, Data: data, Named: !strings.Contains(path, "/")})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// imported imports files, and holds the result to what every import promises:
// the same again, and documents that load unless an error says why not.
func imported(t testing.TB, o awsapi.Options, files ...awsapi.File) *awsapi.Result {
	t.Helper()
	r, err := awsapi.Import(t.Context(), files, o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := awsapi.Import(t.Context(), files, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Fatalf("the same files import otherwise (-first +second):\n%s", diff)
	}
	if errs := loaded(t, r).Diagnostics.Errors(); len(errs) > 0 && r.Errors() == 0 {
		t.Fatalf("no note tells of what does not load:\n%s", errs)
	}
	return r
}

// loaded loads what an import wrote.
func loaded(t testing.TB, r *awsapi.Result) *schema.Result {
	t.Helper()
	files := fstest.MapFS{}
	for _, d := range r.Documents {
		if !fs.ValidPath(d.Path) || files[d.Path] != nil {
			t.Fatalf("%q is no path of a document, or one of two", d.Path)
		}
		files[d.Path] = &fstest.MapFile{Data: d.Data}
	}
	s, err := schema.NewLoader(schema.Config{}).Load(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOptionsThatDoNotGo: what cannot be done as asked, is not done otherwise.
func TestOptionsThatDoNotGo(t *testing.T) {
	two := awsapi.File{Name: "meshes.json", Data: []byte(`{"mesh": {"meshName": "a"}} {"mesh": {"meshName": "b"}}`)}
	for _, c := range []struct {
		namespace, want string
	}{
		{"Not_A_Name", "no name of lower-case letters"},
		{"shop", "is for one mesh, and there are 2 (a, b)"},
	} {
		_, err := awsapi.Import(t.Context(), []awsapi.File{two}, awsapi.Options{Namespace: c.namespace})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("namespace %q: %v, want %q", c.namespace, err, c.want)
		}
	}
}

// FuzzImport: whatever a file holds, an import ends, gives the same again, and
// says what does not load.
func FuzzImport(f *testing.F) {
	for _, c := range fixtures.Archives(f, "import/*.txtar") {
		_ = fs.WalkDir(c.Files, ".", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				data, _ := fs.ReadFile(c.Files, path)
				f.Add(data)
			}
			return err
		})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Count(data, []byte("*")) > 20 {
			return // aliases upon aliases take their time, within their limit
		}
		imported(t, awsapi.Options{}, awsapi.File{Name: "input", Data: data, Named: true})
	})
}
