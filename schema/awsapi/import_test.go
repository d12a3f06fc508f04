package awsapi_test

import (
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
		imported(t, awsapi.Options{}, awsapi.File{Name: "input", Data: data, Named: true})
	})
}

// TestHostileInput: a few lines that stand for billions are an error. Were
// they written out, the test would not end.
func TestHostileInput(t *testing.T) {
	doubled := func(line string) string { // n lines, each of which names the one before twice
		var b strings.Builder
		for i := range 60 {
			fmt.Fprintf(&b, strings.ReplaceAll(line, "\t", "  ")+"\n", i+1, i, i)
		}
		return b.String()
	}
	node := "\nResources:\n  N0: {Type: AWS::AppMesh::VirtualNode, Properties: {MeshName: m, VirtualNodeName: n, Spec: {}}}\n"
	for name, text := range map[string]string{
		"aliases":    "a0: &a0 [x]\n" + doubled("a%d: &a%[1]d [*a%d, *a%d]") + "mesh: {meshName: m, spec: *a60}\n",
		"names":      "AWSTemplateFormatVersion: x" + node + doubled("\tN%d: {Type: AWS::AppMesh::VirtualNode, Properties: {MeshName: m, VirtualNodeName: !Sub \"${N%d}${N%d}\"}}"),
		"conditions": "AWSTemplateFormatVersion: x\nConditions:\n  C0: !Equals [a, a]\n" + doubled("\tC%d: !And [!Condition C%d, !Condition C%d]") + node,
		"circle":     "AWSTemplateFormatVersion: x\nResources:\n  A: {Type: AWS::AppMesh::Mesh, Properties: {MeshName: !Ref B}}\n  B: {Type: AWS::AppMesh::Mesh, Properties: {MeshName: !Ref A}}\n",
		"depth":      `{"mesh": {"meshName": "m", "spec": ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}}`,
		"text":       "AWSTemplateFormatVersion: x\nParameters: {P: {Default: \"" + strings.Repeat("p", 1000) + "\"}}\nResources:\n  A: {Type: AWS::AppMesh::Mesh, Properties: {MeshName: !Sub \"" + strings.Repeat("${P}", 1000) + "\"}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := imported(t, awsapi.Options{}, awsapi.File{Name: "hostile", Data: []byte(text), Named: true})
			if name != "conditions" && r.Errors() == 0 {
				t.Errorf("no error, %d documents", len(r.Documents))
			}
			for _, d := range r.Documents {
				if len(d.Data) > 1<<20 {
					t.Errorf("%s has %d bytes", d.Path, len(d.Data))
				}
			}
		})
	}
}
