package plan_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/fixtures/scale"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestEveryPair: a plan from any spec of the fixtures to the next ones, and
// back, is made and holds.
func TestEveryPair(t *testing.T) {
	var specs []*schema.Spec
	l := schema.NewLoader(schema.Config{})
	for _, c := range fixtures.Archives(t, "specs/[lt]*.txtar") {
		if r, err := l.Load(context.Background(), c.Files); err == nil && r.Spec != nil {
			specs = append(specs, r.Spec)
		}
	}
	for _, name := range fixtures.Examples(t) {
		if r, err := l.Load(context.Background(), fixtures.Example(t, name)); err == nil && r.Spec != nil {
			specs = append(specs, r.Spec)
		}
	}
	if len(specs) < 40 {
		t.Fatalf("%d specs are no corpus", len(specs))
	}
	specs = append(specs, nil)
	for i, from := range specs {
		for _, j := range []int{i + 1, i + 7} {
			to := specs[j%len(specs)]
			holds(t, from, to, plan.New(plan.Side{Spec: from}, plan.Side{Spec: to}, busy(from)))
			holds(t, to, from, plan.New(plan.Side{Spec: to}, plan.Side{Spec: from}, busy(to)))
		}
	}
}

// busy is a mesh with a proxy for each node and gateway, each with traffic.
func busy(s *schema.Spec) plan.Observed {
	seen := plan.Observed{Traffic: map[schema.Ref]xds.Traffic{}}
	if s == nil {
		return seen
	}
	for ref, r := range s.All() {
		if ref.Kind == schema.KindVirtualNode || ref.Kind == schema.KindVirtualGateway {
			m := schema.MetaOf(r)
			seen.Proxies = append(seen.Proxies, xds.Proxy{ID: ref.Name, Identity: xds.Identity{Mesh: m.Mesh, Kind: ref.Kind, Name: m.AWSName}, Explicit: len(seen.Proxies)%2 == 1})
			seen.Traffic[ref] = xds.Traffic{Window: 60e9, Requests: 600, Latency: xds.Histogram{Counts: []uint64{0, 0, 600}}}
		}
	}
	return seen
}

// FuzzNew: whatever two documents say, if they load the plan is made.
func FuzzNew(f *testing.F) {
	for _, c := range fixtures.Archives(f, "plans/*.txtar") {
		_, after := c.Sides(f)
		if files := after.(fstest.MapFS); files["api.yaml"] != nil && files["edge.yaml"] != nil {
			f.Add(string(files["api.yaml"].Data), string(files["edge.yaml"].Data))
		}
	}
	base, _ := fixtures.Archives(f, "plans/none.txtar")[0].Sides(f)
	l := schema.NewLoader(schema.Config{})
	from := load(f, l, base)
	f.Fuzz(func(t *testing.T, api, edge string) {
		files := fstest.MapFS{"api.yaml": {Data: []byte(api)}, "edge.yaml": {Data: []byte(edge)}}
		for name, file := range base.(fstest.MapFS) {
			if files[name] == nil {
				files[name] = file
			}
		}
		r, err := l.Load(t.Context(), files)
		if err != nil || r.Spec == nil || len(translate.Verify(t.Context(), r.Spec, nil)) > 0 {
			return
		}
		holds(t, from, r.Spec, plan.New(plan.Side{Spec: from}, plan.Side{Spec: r.Spec}, busy(from)))
	})
}

// BenchmarkNew is the plan of one changed weight, and of one new route with a
// better priority, in meshes of many resources; what is served is there already.
func BenchmarkNew(b *testing.B) {
	for _, nodes := range []int{100, 500, 5000} {
		mesh := scale.Mesh{Services: nodes / 2}
		l := schema.NewLoader(schema.Config{})
		from := load(b, l, mesh.FS())
		mesh.Weights = map[int]int{7: 10}
		weight := load(b, l, mesh.FS())
		files := mesh.FS()
		files[mesh.File(7)].Data = []byte(string(files[mesh.File(7)].Data) + "---\n" + policy(mesh.Service(7)))
		served := translate.New(translate.Inputs{Spec: from}, nil)
		for name, to := range map[string]*schema.Spec{"weight": weight, "policy": load(b, l, files)} {
			b.Run(fmt.Sprintf("%s/%dresources", name, mesh.Resources()), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p := plan.New(plan.Side{Spec: from, State: served}, plan.Side{Spec: to}, plan.Observed{})
					if len(p.Routes) == 0 {
						b.Fatal(p)
					}
				}
			})
		}
	}
}

// TestThousandsOfRoutes of one router, which anybody may propose, cost seconds:
// what has not been tried by then is told.
func TestThousandsOfRoutes(t *testing.T) {
	router := func(routes int) fstest.MapFS {
		var b strings.Builder
		b.WriteString(`{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {matchLabels: {mesh: shop}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: web, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}],
  serviceDiscovery: {dns: {hostname: web.local}}, backends: [{virtualService: {virtualServiceRef: {name: web}}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: web, namespace: shop}, spec: {provider: {virtualRouter: {virtualRouterRef: {name: web}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: web, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [
`)
		for i := range routes {
			fmt.Fprintf(&b, "{name: r%d, httpRoute: {match: {prefix: /%d, headers: [{name: h%d, match: {exact: a}}]}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]}}},\n", i, i, i%50)
		}
		b.WriteString("]}}\n")
		return fstest.MapFS{"shop.yaml": {Data: []byte(b.String())}}
	}
	l := schema.NewLoader(schema.Config{})
	from, to := load(t, l, router(1)), load(t, l, router(3000))
	begin := time.Now()
	p := plan.New(plan.Side{Spec: from}, plan.Side{Spec: to}, plan.Observed{})
	if took := time.Since(begin); took > 30*time.Second { // one is usual
		t.Errorf("it took %s", took)
	}
	if !slices.ContainsFunc(p.Risks, func(r plan.Risk) bool { return r.Code == "moves-untried" }) || len(p.Routes) != 2999 {
		t.Errorf("%d routes, risks: %+v", len(p.Routes), p.Risks)
	}
}

func policy(router string) string {
	return "{apiVersion: meshwright.dev/v1alpha1, kind: RoutePolicy, metadata: {name: p, namespace: shop}, spec: {targets: [{kind: VirtualRouter, name: " + router + "}], rateLimit: {requests: 5}}}\n"
}
