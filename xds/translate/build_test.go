package translate_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/fixtures/scale"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// buildAll builds everything of a spec under both captures and checks it.
func buildAll(t testing.TB, spec *schema.Spec) {
	t.Helper()
	s := translate.New(translate.Inputs{Spec: spec}, nil)
	for _, id := range identities(spec) {
		for _, explicit := range []bool{false, true} {
			res, err := s.Resources(xds.Profile{Identity: id, Capture: xds.NewCapture(explicit, nil)})
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			check(t, res)
		}
	}
	translate.Unsupported(spec, nil)
}

// FuzzBuild: whatever loads translates without a panic to resources that pass
// Envoy's own validation of messages and whose references resolve.
func FuzzBuild(f *testing.F) {
	for _, c := range fixtures.Archives(f, "specs/translate_*.txtar") {
		for _, name := range []string{"shop.yaml", "appmesh-yelb-appserver.yaml"} {
			if data, err := fs.ReadFile(c.Files, name); err == nil {
				f.Add(data)
			}
		}
		mesh, _ := fs.ReadFile(c.Files, "mesh.yaml")
		if policies, err := fs.ReadFile(c.Files, "policies.yaml"); err == nil {
			f.Add(slices.Concat(mesh, []byte("---\n"), policies))
		}
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		files := fstest.MapFS{"shop.yaml": {Data: document}}
		r, err := schema.NewLoader(schema.Config{}).Load(context.Background(), files)
		if err != nil || r.Spec == nil {
			return
		}
		buildAll(t, r.Spec)
	})
}

var sizes = []int{10, 100, 1000}

// BenchmarkNew builds every proxy of a mesh from nothing.
func BenchmarkNew(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("%dnodes", n), func(b *testing.B) {
			spec := load(b, ring(n))
			b.ReportAllocs()
			bytes := 0
			for b.Loop() {
				bytes = 0
				for _, res := range resources(b, translate.New(translate.Inputs{Spec: spec}, nil), spec) {
					for typ := range res {
						for _, r := range res[typ] {
							bytes += len(r.Body.Value)
						}
					}
				}
			}
			b.ReportMetric(float64(bytes)/float64(n), "bytes/proxy")
		})
	}
}

// BenchmarkChangeOneWeight makes the next snapshot after one of a mesh's
// routers has changed, and asks it for every proxy.
func BenchmarkChangeOneWeight(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("%dnodes", n), func(b *testing.B) {
			l, files := newLoader(), ring(n)
			var specs []*schema.Spec
			for weight := range 2 {
				files["router5.yaml"] = router(n, 5, 50+weight, 50)
				specs = append(specs, l.load(b, files))
			}
			ids := identities(specs[0])
			s := translate.New(translate.Inputs{Spec: specs[0]}, nil)
			resources(b, s, specs[0])
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				s = translate.New(translate.Inputs{Spec: specs[i%2]}, s)
				for _, id := range ids {
					if _, err := s.Resources(xds.Profile{Identity: id}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkChangeOneInstance makes the next snapshot after one node's instances
// have changed, and asks it for every proxy.
func BenchmarkChangeOneInstance(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("%dnodes", n), func(b *testing.B) {
			spec := load(b, clouds(n))
			ids := identities(spec)
			both := [2]map[schema.Query]*schema.Found{found(spec, func(int) string { return "10.0.0.1" })}
			both[1] = maps.Clone(both[0])
			both[1][spec.Queries()[5]] = instances("10.0.0.2")
			s := translate.New(translate.Inputs{Spec: spec, Endpoints: both[0]}, nil)
			resources(b, s, spec)
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				s = translate.New(translate.Inputs{Spec: spec, Endpoints: both[i%2]}, s)
				for _, id := range ids {
					if _, err := s.Resources(xds.Profile{Identity: id}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkChangeSeenByAll makes the next snapshot after a weight has changed
// that a thousand proxies with the same hundred backends use, and asks it for
// each of them.
func BenchmarkChangeSeenByAll(b *testing.B) {
	l, mesh := newLoader(), scale.Mesh{Services: 100, Callers: 1000, Backends: 100}
	var specs []*schema.Spec
	for weight := range 2 {
		mesh.Weights = map[int]int{5: 50 + weight}
		specs = append(specs, l.load(b, mesh.FS()))
	}
	ids := identities(specs[0])
	for _, work := range []struct {
		name string
		next func(spec, before *schema.Spec, s *translate.Snapshot) *translate.Snapshot
	}{
		{"translate", func(spec, _ *schema.Spec, s *translate.Snapshot) *translate.Snapshot {
			s = translate.New(translate.Inputs{Spec: spec}, s)
			for _, id := range ids {
				if _, err := s.Resources(xds.Profile{Identity: id, VirtualHosts: true}); err != nil {
					b.Fatal(err)
				}
			}
			return s
		}},
		{"verify", func(spec, before *schema.Spec, s *translate.Snapshot) *translate.Snapshot {
			if found := translate.Verify(b.Context(), spec, before); len(found) > 0 {
				b.Fatal(found)
			}
			return s
		}},
	} {
		b.Run(work.name, func(b *testing.B) {
			s := work.next(specs[0], nil, nil)
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				s = work.next(specs[i%2], specs[(i+1)%2], s)
			}
		})
	}
}
