package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/meshwright/meshwright/"

// rooms says which of our packages each package may import; it is the table in
// CONTRIBUTING.md. Do not change it to make a build pass: move the code.
var rooms = map[string][]string{
	"schema":                       {},
	"schema/awsapi":                {"schema"},
	"schema/cueeval":               {"schema"},
	"xds":                          {"schema"},
	"xds/translate":                {"schema", "xds"},
	"xds/ads":                      {"xds"},
	"xds/certs":                    {"schema", "xds"},
	"sources":                      {},
	"sources/git":                  {"schema", "sources"},
	"sources/github":               {"sources"},
	"sources/github/githubtest":    {},
	"sources/endpoints":            {"schema"},
	"reconciler":                   {"schema", "xds", "sources", "reconciler/canary", "reconciler/plan", "reconciler/report", "reconciler/store"},
	"reconciler/canary":            {"schema", "xds", "sources"},
	"reconciler/plan":              {"schema", "xds", "xds/translate", "reconciler/canary"},
	"reconciler/report":            {"schema", "xds", "sources", "reconciler/plan"},
	"reconciler/store":             {},
	"fixtures/app-mesh-examples":   {},
	"fixtures/scale":               {},
	"cmd/internal/process":         {},
	"cmd/meshwright/internal/lab":  {"cmd/internal/process"},
	"cmd/meshwright/internal/demo": {"fixtures/app-mesh-examples", "cmd/meshwright/internal/lab"},
	"cmd/meshwright/internal/web":  {"schema", "xds", "reconciler", "reconciler/canary"},
	"cmd/meshwright-load": {
		"schema", "xds", "xds/translate", "fixtures/scale", "cmd/internal/process", "cmd/meshwright-load/internal/envoys", "cmd/meshwright-load/internal/peer",
	},
	"cmd/meshwright-load/internal/envoys": {"xds"},
	"cmd/meshwright-load/internal/peer":   {"xds"},
	"cmd/meshwright": {
		"schema", "schema/awsapi", "schema/cueeval", "xds", "xds/ads", "xds/certs", "xds/translate",
		"sources", "sources/endpoints", "sources/git", "sources/github",
		"reconciler", "reconciler/canary", "reconciler/plan", "reconciler/report", "reconciler/store", "cmd/meshwright/internal/demo", "cmd/meshwright/internal/web",
	},
}

// pure names the packages and files that must not wait, listen, read the clock
// or touch the disk: the same arguments give the same result.
var pure = []string{
	"schema", "schema/awsapi", "xds", "xds/translate", "reconciler/canary", "reconciler/plan", "reconciler/report",
	"reconciler/decide*.go", "reconciler/serve.go", "reconciler/health.go", "reconciler/letters.go", "reconciler/command.go",
}

// impure are the imports by which a pure file would break its promise.
var impure = []string{"net", "net/http", "os", "os/exec", "math/rand", "math/rand/v2", "log", "log/slog", "google.golang.org/grpc", "github.com/prometheus/client_golang/prometheus"}

// TestRooms holds the import table. It reads the files itself: a sub-process
// would hide them from the test cache.
func TestRooms(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, file)
		rel = filepath.ToSlash(rel)
		if d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		room := path.Dir(rel)
		seen[room] = true
		imports, err := importsOf(file)
		if err != nil {
			return err
		}
		allowed, known := rooms[room]
		if !known && room != "fixtures" {
			t.Errorf("%s: package %s has no row in the import table", rel, room)
		}
		for _, imp := range imports {
			if ours, ok := strings.CutPrefix(imp, module); ok && !slices.Contains(allowed, ours) && room != "fixtures" {
				t.Errorf("%s: %s may not import %s", rel, room, ours)
			}
			if (slices.ContainsFunc(pure, matches(room)) || slices.ContainsFunc(pure, matches(rel))) && slices.Contains(impure, imp) {
				t.Errorf("%s: pure code may not import %s", rel, imp)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range rooms {
		if !seen[room] {
			t.Errorf("the import table has a row for %s, which is no package", room)
		}
	}
}

// matches reports whether a pattern is about a package or file.
func matches(name string) func(pattern string) bool {
	return func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	}
}

// TestPackagesHaveDocs: every package says what it owns.
func TestPackagesHaveDocs(t *testing.T) {
	for room := range rooms {
		files, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		documented := slices.ContainsFunc(files, func(file string) bool {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			return err == nil && f.Doc != nil
		})
		if !documented {
			t.Errorf("package %s has no package comment", room)
		}
	}
}

func importsOf(file string) ([]string, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
