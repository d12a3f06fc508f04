package translate_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// examples are App Mesh's own, and the parts of those that hold two clusters,
// or one in two ways.
func examples(t testing.TB) []string {
	return append(fixtures.Examples(t), "howto-k8s-cross-cluster/v1beta2/cluster2.yaml.template",
		"howto-k8s-ipv6/v1beta2/cloud", "howto-k8s-ipv6/v1beta2/dns")
}

// example loads one; where its reader was to make the Mesh by hand, with that;
// of what it has in several stages, with the first (translate_yelb_*.txtar of
// fixtures/specs are those of the walkthrough). The first error, if there is
// one that is not so mended.
func example(t testing.TB, name string) (*schema.Spec, string) {
	t.Helper()
	files := fstest.MapFS{}
	from := fixtures.Example(t, name)
	err := fs.WalkDir(from, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, p)
		files[p] = &fstest.MapFile{Data: []byte(fills.Replace(string(data)))}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // a mistake is mended each time
		r, err := schema.NewLoader(schema.Config{}).Load(context.Background(), files)
		if err != nil {
			t.Fatal(err)
		}
		if r.Spec != nil {
			return r.Spec, ""
		}
		switch first := r.Diagnostics.Errors()[0]; {
		case first.Code == schema.CodeNoMesh && files["mesh.yaml"] == nil:
			files["mesh.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: example}\nspec: {namespaceSelector: {}}\n")}
		case first.Code == schema.CodeDuplicate:
			file := files[first.Pos.File]
			file.Data = without(file.Data, first.Pos.Line)
		default:
			return nil, first.String()
		}
	}
	return nil, "it has too many mistakes"
}

// without is a file of YAML without the document that has a line.
func without(data []byte, line int) []byte {
	docs := bytes.SplitAfter(data, []byte("\n---"))
	for i, doc := range docs {
		if line -= bytes.Count(doc, []byte("\n")); line <= 1 {
			docs[i] = []byte("\n---")
			break
		}
	}
	return bytes.Join(docs, nil)
}

// fills are what the examples tell their readers to put in.
var fills = strings.NewReplacer(
	"<yelb-appserver virtualServiceARN>", "arn:aws:appmesh:us-east-1:111122223333:mesh/example/virtualService/yelb-appserver",
	"colorapp-service-ARN", "arn:aws:appmesh:us-east-1:111122223333:mesh/example/virtualService/colorapp.example.svc.cluster.local",
)

// What every one of App Mesh's own examples became, proxy by proxy, is golden;
// resources hold, and a real Envoy takes them all.
func TestExamples(t *testing.T) {
	file := filepath.Join("testdata", "examples.txt")
	var b strings.Builder
	configs := map[string][]byte{}
	for _, name := range examples(t) {
		fmt.Fprintf(&b, "# %s\n", name)
		spec, mistake := example(t, name)
		if spec == nil {
			fmt.Fprintf(&b, "%s\n\n", mistake)
			continue
		}
		buildAll(t, spec)
		b.WriteString(translate.Unsupported(spec, nil).String())
		snapshot := translate.New(translate.Inputs{Spec: spec}, nil)
		for _, id := range identities(spec) {
			profile := xds.Profile{Identity: id}
			res, err := snapshot.Resources(profile)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "\n%s\n", id)
			for _, n := range snapshot.Notices(profile) {
				fmt.Fprintf(&b, "  // %s\n", n)
			}
			b.WriteString(summary(t, res))
			static, err := translate.Static(id, res)
			if err != nil {
				t.Fatal(err)
			}
			configs[name+" "+id.String()] = static
		}
		b.WriteByte('\n')
	}
	if len(configs) < 40 {
		t.Errorf("only %d proxies", len(configs))
	}
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want, err := os.ReadFile(file); err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (UPDATE=1 rewrites it) (-want +got):\n%s", file, diff)
	}
	dir := certificates(t)
	seen := map[string]bool{} // versions of an example often say the same
	for name, static := range configs {
		static = withCertificates(static, dir)
		if seen[string(static)] {
			continue
		}
		seen[string(static)] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel() // as many Envoys as processors
			if log := validate(t, static); log != "" {
				t.Errorf("Envoy warns:\n%s", log)
			}
		})
	}
}

var (
	certificateFile = regexp.MustCompile(`("filename": )"[^"]*"`)
	certificateDir  = regexp.MustCompile(`("watched_directory": \{\s*"path": )"[^"]*"`)
)

// withCertificates puts ours in the place of an example's.
func withCertificates(static []byte, dir string) []byte {
	static = certificateDir.ReplaceAll(static, []byte(`$1"`+dir+`"`))
	return certificateFile.ReplaceAllFunc(static, func(path []byte) []byte {
		name := "chain.pem"
		switch {
		case bytes.Contains(path, []byte("key")):
			name = "key.pem"
		case bytes.Contains(path, []byte("ca")):
			name = "ca.pem"
		}
		return []byte(`"filename": "` + filepath.Join(dir, name) + `"`)
	})
}
