package translate_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/fixtures"
)

// Every field of every kind is in docs/app-mesh-fields.md, with its state and
// what proves it, and it is as that says: a changed value of a field that works
// changes a golden section of the case beside it; where nothing is sent of the
// field, what loading tells; and one that has no effect is warned of.
func TestFields(t *testing.T) {
	t.Parallel()
	fields := ourLeaves(t)
	_, places := corpus(t, "specs/translate_*.txtar", "specs/load_*.txtar", "specs/diagnostics_*.txtar")
	_, traffic := corpus(t, "traffic/*.txtar")
	used := make([]bool, len(fieldRows))
	var doc strings.Builder
	kind := ""
	for _, l := range slices.Sorted(maps.Keys(fields)) {
		at := slices.IndexFunc(fieldRows, func(r fieldRow) bool { return r.fields.MatchString(string(l)) })
		if at < 0 {
			t.Errorf("%s has no state: add a row to fieldRows", l)
			continue
		}
		row := fieldRows[at]
		used[at] = true
		proof := ""
		if row.state == warned {
			if proof = warnedIn(t, places[l]); proof == "" {
				t.Errorf("%s is said to be warned of, and no case that writes it has a warning at it", l)
			}
		} else if e := effectOf(t, fields[l], places[l]); e.on == "" && len(places[l]) == 0 {
			t.Errorf("%s is in no case: write one, as translate_fields_*.txtar", l)
		} else if e.on != row.on && (row.on == wire || e.on == "") {
			t.Errorf("%s is ignored in silence: another value changes %q, want %s", l, e.on, row.on)
		} else {
			proof = e.in
		}
		if k, _, _ := strings.Cut(string(l), " "); k != kind {
			kind = k
			fmt.Fprintf(&doc, "\n## %s\n\n| field | state | becomes | golden case | on traffic |\n| --- | --- | --- | --- | --- |\n", kind)
		}
		fmt.Fprintf(&doc, "| `%s` | %s | %s | %s | %s |\n", strings.TrimPrefix(string(l), kind+" "), row.state, row.becomes, proof, onTraffic(row, l, traffic))
	}
	for i, r := range fieldRows {
		if !used[i] {
			t.Errorf("no field is in the row %s", r.fields)
		}
	}
	compareDoc(t, doc.String())
}

// warnedIn returns a case that writes a field and has a warning at it, or at
// what it is in.
func warnedIn(t *testing.T, places []written) string {
	for _, w := range places {
		for _, d := range w.in.before(t).warnings {
			in := strings.ReplaceAll(number.ReplaceAllString(d.Path, "[]"), "spec.", "")
			_, field, _ := strings.Cut(string(w.leaf), " ")
			if d.Resource.Kind == w.kind() && in != "spec" && (field == in || strings.HasPrefix(field, in+".") || strings.HasPrefix(field, in+"[")) && d.Fix != "" {
				return w.in.Name
			}
		}
	}
	return ""
}

// onTraffic names cases of traffic that write a field, three at most. What
// http2Route has is that of httpRoute.
func onTraffic(row fieldRow, l leaf, traffic map[leaf][]written) string {
	var shown []string
	for _, glob := range strings.Fields(row.traffic) {
		for _, w := range traffic[l] {
			if ok, _ := path.Match(glob, w.in.Name); ok && !slices.Contains(shown, w.in.Name) {
				shown = append(shown, w.in.Name)
			}
		}
	}
	if like := leaf(strings.Replace(string(l), "http2Route", "httpRoute", 1)); len(shown) == 0 && like != l {
		if same := onTraffic(row, like, traffic); same != "" {
			return same + " (of `httpRoute`)"
		}
	}
	return strings.Join(shown[:min(len(shown), 3)], ", ")
}

var number = regexp.MustCompile(`\[\d+\]`)

// compareDoc holds docs/app-mesh-fields.md to what the test found.
func compareDoc(t *testing.T, got string) {
	t.Helper()
	file := filepath.Join(fixtures.Dir(t), "..", "docs", "app-mesh-fields.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin = "<!-- UPDATE=1 go test ./xds/translate -run TestFields writes the rest -->\n"
	before, table, ok := strings.Cut(string(text), begin)
	if !ok {
		t.Fatalf("%s has no place for the table", file)
	}
	if os.Getenv("UPDATE") == "1" && !t.Failed() {
		if err := os.WriteFile(file, []byte(before+begin+got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(table, got); diff != "" {
		t.Errorf("%s (UPDATE=1 rewrites it) (-want +got):\n%s", file, diff)
	}
}

// The fields are those of App Mesh's CustomResourceDefinitions, for its kinds.
func TestFieldsAreAppMeshs(t *testing.T) {
	ours, theirs := ourLeaves(t), map[leaf]bool{}
	files, err := filepath.Glob(filepath.Join(fixtures.Dir(t), "app-mesh-crds", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CustomResourceDefinitions (%v)", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Schema struct {
						OpenAPI struct {
							Properties struct{ Spec map[string]any }
						} `yaml:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatal(err)
		}
		for l := range leaves(crd.Spec.Versions[0].Schema.OpenAPI.Properties.Spec, nil, crd.Spec.Names.Kind+" ") {
			theirs[l] = true
			if ours[l] == nil {
				t.Errorf("App Mesh has %s", l)
			}
		}
	}
	kinds := map[string]bool{}
	for l := range theirs {
		kind, _, _ := strings.Cut(string(l), " ")
		kinds[kind] = true
	}
	for l := range ours {
		if kind, _, _ := strings.Cut(string(l), " "); kinds[kind] && !theirs[l] {
			t.Errorf("App Mesh has no %s", l)
		}
	}
	if got := cmp.Compare(len(theirs), 300); got < 0 {
		t.Errorf("only %d fields", len(theirs))
	}
}
