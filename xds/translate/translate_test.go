package translate_test

import (
	"context"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// load loads a repository that must be good.
func load(t testing.TB, files fs.FS) *schema.Spec {
	t.Helper()
	r, err := schema.NewLoader(schema.Config{}).Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	if r.Spec == nil {
		t.Fatalf("the repository has mistakes:\n%s", r.Diagnostics.Errors())
	}
	return r.Spec
}

// The cases of fixtures/specs: a section want/xds/NAME.json (or
// NAME.explicit.json) is all that the proxy of a virtual node or gateway of
// that App Mesh name has, with the notices about it before. A real Envoy
// checks it too.
func TestCases(t *testing.T) {
	for _, c := range fixtures.Archives(t, "specs/translate_*.txtar") {
		t.Run(c.Name, func(t *testing.T) {
			spec := load(t, c.Files)
			c.Golden(t, "want/unsupported.txt", translate.Unsupported(spec).String())
			snapshot := translate.New(translate.Inputs{Spec: spec}, nil)
			for _, section := range c.Wants("want/xds/") {
				t.Run(path.Base(section), func(t *testing.T) {
					name, explicit := strings.CutSuffix(strings.TrimSuffix(path.Base(section), ".json"), ".explicit")
					profile := xds.Profile{Identity: identity(t, spec, name), Capture: xds.NewCapture(explicit, nil)}
					res, err := snapshot.Resources(profile)
					if err != nil {
						t.Fatal(err)
					}
					body, err := translate.JSON(res)
					if err != nil {
						t.Fatal(err)
					}
					var notices strings.Builder
					for _, n := range snapshot.Notices(profile) {
						notices.WriteString("// " + n + "\n")
					}
					c.Golden(t, section, notices.String()+string(body))
					check(t, res)
					static, err := translate.Static(res)
					if err != nil {
						t.Fatal(err)
					}
					if log := validate(t, static); log != "" {
						t.Errorf("Envoy warns:\n%s", log)
					}
				})
			}
		})
	}
}

// identity finds the virtual node or gateway of an App Mesh name.
func identity(t testing.TB, spec *schema.Spec, name string) xds.Identity {
	t.Helper()
	for _, id := range identities(spec) {
		if id.Name == name {
			return id
		}
	}
	t.Fatalf("no virtual node or gateway %s", name)
	return xds.Identity{}
}

// identities returns every identity of a spec.
func identities(spec *schema.Spec) []xds.Identity {
	var ids []xds.Identity
	for ref, r := range spec.All() {
		if ref.Kind == schema.KindVirtualNode || ref.Kind == schema.KindVirtualGateway {
			m := schema.MetaOf(r)
			ids = append(ids, xds.Identity{Mesh: m.Mesh, Kind: ref.Kind, Name: m.AWSName})
		}
	}
	return ids
}
