package schema

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/fixtures/scale"
)

// goodSpecs loads all cases that have no mistakes, by name.
func goodSpecs(t testing.TB) map[string]*Spec {
	t.Helper()
	specs := map[string]*Spec{}
	for _, c := range fixtures.Archives(t, "specs/*.txtar") {
		r, err := NewLoader(Config{}).Load(context.Background(), c.Files)
		if err != nil {
			t.Fatal(err)
		}
		if r.Spec != nil {
			specs[c.Name] = r.Spec
		}
	}
	if len(specs) < 40 {
		t.Fatalf("only %d specs", len(specs))
	}
	return specs
}

// sameIndexes compares all that resources make of a spec, but for the order of
// users.
func sameIndexes(want, got *Spec) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(Spec{}, named{}), cmpopts.IgnoreUnexported(Meta{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Meta{}, "Pos"), cmpopts.IgnoreFields(Spec{}, "Settings"), cmpopts.SortSlices(func(a, b Ref) bool { return a.Compare(b) < 0 }))
}

// Of any spec any other can be derived, and is then as if loaded.
func TestDeriveIsAsLoaded(t *testing.T) {
	specs := goodSpecs(t)
	names := slices.Sorted(maps.Keys(specs))
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range names {
		from, to := specs[name], specs[names[random.IntN(len(names))]]
		before := maps.Clone(from.users)
		var put []Resource
		var drop []Ref
		for _, c := range Diff(from, to) {
			if c.Op == Removed {
				drop = append(drop, c.Ref)
			} else {
				put = append(put, to.Find(c.Ref))
			}
		}
		got := from.Derive(put, drop)
		if diff := sameIndexes(to, got); diff != "" {
			t.Errorf("from %s (-loaded +derived):\n%s", name, diff)
		}
		if len(Diff(to, got)) > 0 {
			t.Errorf("from %s: digests differ: %v", name, Diff(to, got))
		}
		if got.Settings != from.Settings {
			t.Errorf("from %s: other settings", name)
		}
		if !maps.EqualFunc(before, from.users, slices.Equal) {
			t.Errorf("%s itself changed", name)
		}
	}
}

// A change of routes alone, which costs less, gives what all indexes made anew
// would; also when it is made of another such.
func TestDeriveOfRoutesIsAsLoaded(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	changed := 0
	for name, spec := range goodSpecs(t) {
		nodes := slices.SortedFunc(maps.Keys(spec.VirtualNodes), Key.Compare)
		services := slices.SortedFunc(maps.Keys(spec.VirtualServices), Key.Compare)
		if len(nodes) == 0 || len(services) == 0 {
			continue
		}
		base, last := spec.Derive(nil, nil), spec
		for range 3 {
			var put []Resource
			for _, r := range last.VirtualRouters {
				c := *r
				c.Spec.Routes = nil
				for i := range r.Spec.Routes {
					if random.IntN(3) == 0 {
						continue // and the node may lose its last user
					}
					to := nodes[random.IntN(len(nodes))]
					c.Spec.Routes = append(c.Spec.Routes, Route{Name: r.Spec.Routes[i].Name, HTTPRoute: &HTTPRoute{
						Action: RouteAction{WeightedTargets: []WeightedTarget{{VirtualNodeRef: &Reference{to.Name, to.Namespace}, Weight: 1}, {VirtualNodeRef: &Reference{to.Name, to.Namespace}}}},
					}})
				}
				c.Digest = Digest(&c)
				put = append(put, r, &c) // the last one holds
			}
			for _, r := range last.GatewayRoutes {
				c := *r
				to := services[random.IntN(len(services))]
				c.Spec = GatewayRouteSpec{HTTPRoute: &GatewayHTTPRoute{}}
				c.Spec.HTTPRoute.Action.Target.VirtualService.VirtualServiceRef = &Reference{to.Name, to.Namespace}
				c.Digest = Digest(&c)
				put = append(put, &c)
			}
			changed += len(put)
			got := last.Derive(put, nil)
			want := NewSpec().Derive(slices.Collect(got.resources()), nil)
			if diff := sameIndexes(want, got); diff != "" {
				t.Fatalf("%s (-linked +derived):\n%s", name, diff)
			}
			last = got
		}
		if diff := sameIndexes(base, spec); diff != "" {
			t.Errorf("%s itself changed (-was +is):\n%s", name, diff)
		}
	}
	if changed < 100 {
		t.Errorf("only %d changes", changed)
	}
}

// The digest of a loaded resource is that of its content, wherever it was
// made; a copy that differs has another.
func TestDigest(t *testing.T) {
	for name, spec := range goodSpecs(t) {
		for ref, r := range spec.All() {
			if got := Digest(r); got != r.meta().Digest {
				t.Errorf("%s: %s: got %s, loaded %s", name, ref, got, r.meta().Digest)
			}
			if router, ok := r.(*VirtualRouter); ok {
				c := *router
				c.Mesh += "x"
				if Digest(&c) == r.meta().Digest {
					t.Errorf("%s: %s: a mesh is no meaning", name, ref)
				}
			}
		}
	}
}

// BenchmarkDerive changes one router of many resources, as each step of a
// canary does, and one node, which calls somebody less.
func BenchmarkDerive(b *testing.B) {
	for _, nodes := range []int{500, 5000} {
		r, err := NewLoader(Config{}).Load(context.Background(), scale.Mesh{Services: nodes / 2}.FS())
		if err != nil || r.Spec == nil {
			b.Fatal(err, r.Diagnostics)
		}
		for _, kind := range []Kind{KindVirtualRouter, KindVirtualNode} {
			b.Run(fmt.Sprintf("%dresources/%s", 2*nodes, kind), func(b *testing.B) {
				var put []Resource
				for _, one := range rowOf(kind).each(r.Spec) {
					switch one := one.(type) {
					case *VirtualRouter:
						c := *one
						c.Spec.Routes = slices.Clone(c.Spec.Routes[1:])
						put = []Resource{&c}
					case *VirtualNode:
						c := *one
						if len(c.Spec.Backends) == 0 {
							continue
						}
						c.Spec.Backends = c.Spec.Backends[1:]
						put = []Resource{&c}
					}
					MetaOf(put[0]).Digest = Digest(put[0])
					break
				}
				b.ReportAllocs()
				for b.Loop() {
					r.Spec.Derive(put, nil)
				}
			})
		}
	}
}
