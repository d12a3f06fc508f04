package schema_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	. "github.com/meshwright/meshwright/schema"
)

func load(t testing.TB, l *Loader, files fs.FS) *Result {
	t.Helper()
	r, err := l.Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// diagnostics spells findings as golden files hold them: with their codes.
func diagnostics(ds Diagnostics) string {
	var b strings.Builder
	for _, d := range ds {
		fmt.Fprintf(&b, "%s [%s]\n", d, d.Code)
	}
	return b.String()
}

// resources spells what a load gave: a line for each resource.
func resources(r *Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d files, %d resources, %d foreign documents\n", r.Files, r.Documents, r.Foreign)
	if r.Spec == nil {
		return b.String()
	}
	for ref, res := range r.Spec.All() {
		m := MetaOf(res)
		fmt.Fprintf(&b, "%s mesh=%s awsName=%s", ref, m.Mesh, m.AWSName)
		if g, ok := res.(*GatewayRoute); ok {
			fmt.Fprintf(&b, " gateway=%s/%s", g.Gateway.Namespace, g.Gateway.Name)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// cases are those about loading: what they say of the tree is golden.
func cases(t testing.TB) []*fixtures.Case {
	return slices.Concat(fixtures.Archives(t, "specs/load_*.txtar"), fixtures.Archives(t, "specs/diagnostics_*.txtar"))
}

func TestCases(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			r := load(t, NewLoader(Config{}), c.Files)
			c.Golden(t, "want/diagnostics.txt", diagnostics(r.Diagnostics))
			if strings.HasPrefix(c.Name, "load_") {
				c.Golden(t, "want/resources.txt", resources(r))
				if r.Spec == nil {
					t.Error("it does not load")
				}
			} else if len(r.Diagnostics) == 0 {
				t.Error("there is no diagnostic")
			}
		})
	}
}

// Every code is shown by a case or by TestValidate, and docs/diagnostics.md
// says what to do about it.
func TestCodesAreShownAndDocumented(t *testing.T) {
	var shown strings.Builder
	for _, c := range cases(t) {
		shown.WriteString(diagnostics(load(t, NewLoader(Config{}), c.Files).Diagnostics))
	}
	shape, err := os.ReadFile("validate_test.go")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(filepath.Join(fixtures.Dir(t), "..", "docs", "diagnostics.md"))
	if err != nil {
		t.Fatal(err)
	}
	last := Code("")
	for _, doc := range Codes() {
		theirs := strings.HasPrefix(string(doc.Code), "MW3") // the translator finds and shows these
		if !theirs && !strings.Contains(shown.String()+string(shape), "["+string(doc.Code)+"]") {
			t.Errorf("no case shows %s (%s)", doc.Code, doc.Summary)
		}
		if !strings.Contains(string(docs), "| "+string(doc.Code)+" | "+doc.Summary+" |") {
			t.Errorf("docs/diagnostics.md has no row for %s: %s", doc.Code, doc.Summary)
		}
		if doc.Code <= last || doc.Summary == "" {
			t.Errorf("%s: listed twice, or without a summary", doc.Code)
		}
		last = doc.Code
	}
}

// Every one of App Mesh's own examples gives exactly the findings that are
// written down. Each is right: v1beta1 is another schema; Yelb's Mesh is made
// by hand in AWS's walkthrough, and its router three times, one after the other;
// ARNs that the reader is to fill in are none.
func TestExamples(t *testing.T) {
	path := filepath.Join("testdata", "examples.txt")
	var b strings.Builder
	names := fixtures.Examples(t)
	names = append(names, // alone: what holds two clusters, or one in two ways
		"howto-k8s-cross-cluster/v1beta2/cluster1.yaml.template", "howto-k8s-cross-cluster/v1beta2/cluster2.yaml.template",
		"howto-k8s-ipv6/v1beta2/cloud", "howto-k8s-ipv6/v1beta2/dns")
	for _, name := range names {
		r := load(t, NewLoader(Config{}), fixtures.Example(t, name))
		fmt.Fprintf(&b, "# %s: %d resources, %d foreign documents\n%s\n", name, r.Documents, r.Foreign, diagnostics(r.Diagnostics))
	}
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (UPDATE=1 rewrites it) (-want +got):\n%s", path, diff)
	}
}
