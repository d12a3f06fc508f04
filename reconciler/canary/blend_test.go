package canary_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/fixtures/scale"
	. "github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// describe says where governed routes lead, and which resources are not those of
// the base.
func describe(base, spec *schema.Spec) string {
	var b strings.Builder
	for _, key := range slices.SortedFunc(maps.Keys(spec.VirtualRouters), schema.Key.Compare) {
		for _, route := range spec.VirtualRouters[key].Spec.Routes {
			fmt.Fprintf(&b, "%s %s:", key.Name, route.Name)
			if h := route.HTTPRoute; h != nil && len(h.Match.Headers) > 0 {
				fmt.Fprintf(&b, " with %s", h.Match.Headers[len(h.Match.Headers)-1].Name)
			}
			for _, t := range route.Targets() {
				fmt.Fprintf(&b, " %s=%d", t.VirtualNodeRef.Name, t.Weight)
			}
			if d := route.Derived; d != nil {
				for _, c := range d.Copies {
					fmt.Fprintf(&b, " copies %s=%s%%", c.VirtualNodeRef.Name, c.Share)
				}
				if d.Affinity != nil {
					b.WriteString(" sticky")
				}
			}
			b.WriteString("\n")
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(spec.GatewayRoutes), schema.Key.Compare) {
		g := spec.GatewayRoutes[key]
		fmt.Fprintf(&b, "%s:", key.Name)
		if g.Spec.Derived != nil {
			for _, branch := range g.Spec.Derived.Branches {
				fmt.Fprintf(&b, " %s=%s%%", branch.Target.VirtualService.VirtualServiceRef.Name, branch.Share)
			}
		}
		fmt.Fprintf(&b, " %s\n", g.Targets()[0].VirtualService.VirtualServiceRef.Name)
	}
	for _, c := range schema.Diff(base, spec) {
		fmt.Fprintf(&b, "%s %s\n", c.Op, c.Ref)
	}
	return b.String()
}

// TestBlend holds fixtures/canaries/blend_*.txtar to their want/ sections: what moves, what is
// served and what waits, for both starts.
func TestBlend(t *testing.T) {
	cases := fixtures.Archives(t, "canaries/blend_*.txtar")
	if len(cases) < 5 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			before, after := c.Sides(t)
			base, target := load(t, before), load(t, after)
			var text strings.Builder
			for _, start := range []schema.RolloutStart{schema.StartMerge, schema.StartPullRequest} {
				policy := onlyRollout(t, target).Policy()
				policy.Start = start
				ends := EndsOf(base, target, policy)
				if start == schema.StartMerge {
					fmt.Fprintf(&text, "moves %v\ncanary %v\nbase %v\ncallers %v\n", ends.Moves, ends.Canary, ends.Base, ends.Callers)
				}
				mix := Mix{Governed: ends.Governed, Start: start, Side: Between, Weight: 25_00, Mirror: 10_00, Header: &schema.HeaderMatch{Name: "x-preview"}, Affinity: &schema.Affinity{Header: "x-user"}}
				served := Blend(base, target, []Mix{mix})
				fmt.Fprintf(&text, "\n%s at 25 %%\n%s", start, describe(base, served))
				for _, w := range Waits(base, target, policy) {
					fmt.Fprintf(&text, "waits: %s\n", w)
				}
				for id := range identities(served) {
					if _, err := translate.New(translate.Inputs{Spec: served}, nil).Resources(xds.Profile{Identity: id}); err != nil {
						t.Error(err)
					}
				}
				for _, r := range served.VirtualRouters {
					for i := range r.Spec.Routes {
						for _, to := range r.Spec.Routes[i].Targets() {
							if served.TargetNode(r, to) == nil {
								t.Errorf("%s leads to %s, which is not served", r.Ref, to.VirtualNodeRef.Name)
							}
						}
					}
				}
				mix.Side = AtBase
				if Blend(base, target, []Mix{mix}) != base {
					t.Error("it is not the base")
				}
				mix.Side = AtTarget
				if Blend(base, target, []Mix{mix}) != target {
					t.Error("it is not the target")
				}
			}
			c.Golden(t, "want/blend.txt", text.String())
		})
	}
}

func onlyRollout(t testing.TB, s *schema.Spec) *schema.Rollout {
	t.Helper()
	for _, r := range s.Rollouts {
		return r
	}
	t.Fatal("no rollout")
	return nil
}

func identities(s *schema.Spec) map[xds.Identity]bool {
	all := map[xds.Identity]bool{}
	for _, n := range s.VirtualNodes {
		all[xds.Identity{Mesh: n.Mesh, Kind: schema.KindVirtualNode, Name: n.AWSName}] = true
	}
	for _, g := range s.VirtualGateways {
		all[xds.Identity{Mesh: g.Mesh, Kind: schema.KindVirtualGateway, Name: g.AWSName}] = true
	}
	return all
}

// routed is a mesh of one router with targets by weight.
func routed(t testing.TB, weights map[string]uint32) *schema.Spec {
	t.Helper()
	var b strings.Builder
	b.WriteString("{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: m}, spec: {namespaceSelector: {}}}\n")
	for i := range 5 {
		fmt.Fprintf(&b, "---\n{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: n%d, namespace: s}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: h}}}}\n", i)
	}
	b.WriteString("---\n{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: r, namespace: s}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [{name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [")
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		fmt.Fprintf(&b, "{virtualNodeRef: {name: %s}, weight: %d},", name, weights[name])
	}
	b.WriteString("]}}}]}}\n")
	return load(t, fstest.MapFS{"m.yaml": {Data: []byte(b.String())}})
}

// Shares sum to all, are within a hundredth of a percent of what they ought to
// be, and exact at both ends; who is the canary's stays so as it grows.
func TestBlendIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	draw := func() map[string]uint32 {
		for {
			weights := map[string]uint32{}
			sum := uint32(0)
			for i := range 5 {
				if w := r.Uint32N(101); r.IntN(2) == 0 {
					weights[fmt.Sprint("n", i)] = w
					sum += w
				}
			}
			if sum > 0 {
				return weights
			}
		}
	}
	key := schema.Key{Namespace: "s", Name: "r"}
	governed := []schema.Ref{{Kind: schema.KindVirtualRouter, Key: key}}
	policy := schema.RolloutSpec{Targets: []schema.RolloutTarget{{Kind: schema.KindVirtualRouter, Name: "r", Namespace: "s"}}}
	for range 150 {
		from, to := draw(), draw()
		base, target := routed(t, from), routed(t, to)
		ends := EndsOf(base, target, policy)
		if len(ends.Moves) == 0 {
			continue
		}
		part := func(weights map[string]uint32, node string) float64 {
			sum := uint32(0)
			for _, w := range weights {
				sum += w
			}
			return float64(weights[node]) / float64(sum)
		}
		last := uint32(0)
		for _, w := range []schema.Percent{0, 1, 10, 33_33, 50_00, 99_99, schema.Whole} {
			spec := Blend(base, target, []Mix{{Governed: governed, Side: Between, Weight: w}})
			got, sum, canary := map[string]uint32{}, uint32(0), uint32(0)
			inOrder := true
			for _, to := range spec.VirtualRouters[key].Spec.Routes[0].Targets() {
				got[to.VirtualNodeRef.Name] = to.Weight
				sum += to.Weight
				gains := slices.Contains(ends.Canary, schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Namespace: "s", Name: to.VirtualNodeRef.Name}})
				if gains {
					canary += to.Weight
				}
				if gains && !inOrder {
					t.Errorf("the canary does not come first: %v", spec.VirtualRouters[key].Spec.Routes[0].Targets())
				}
				inOrder = inOrder && gains
			}
			if w > 0 && w < schema.Whole {
				if sum != uint32(schema.Whole) {
					t.Fatalf("%v → %v at %s: they sum to %d", from, to, w, sum)
				}
				if canary < last {
					t.Errorf("%v → %v at %s: the canary shrinks from %d to %d", from, to, w, last, canary)
				}
				last = canary
			}
			for node, n := range got {
				want := (1-w.Fraction())*part(from, node) + w.Fraction()*part(to, node)
				off := math.Abs(float64(n)/float64(sum) - want)
				if off > 1.0/float64(schema.Whole) || (w == 0 || w == schema.Whole) && off > 1e-12 {
					t.Errorf("%v → %v at %s: %s has %d of %d, want %v", from, to, w, node, n, sum, want)
				}
			}
		}
	}
}

// Rollouts of one merge are independent: each is at a side of its own.
func TestBlendOfSeveral(t *testing.T) {
	base := load(t, scale.Mesh{Services: 4}.FS())
	target := load(t, scale.Mesh{Services: 4, Weights: map[int]int{0: 10, 1: 20, 2: 30, 3: 40}}.FS())
	var mixes []Mix
	for i, side := range []Side{AtBase, Between, AtTarget} { // and no rollout governs the fourth
		key := schema.Key{Namespace: scale.Namespace, Name: scale.Mesh{Services: 4}.Service(i)}
		mixes = append(mixes, Mix{Governed: []schema.Ref{{Kind: schema.KindVirtualRouter, Key: key}}, Side: side, Weight: 50_00})
	}
	for start, want := range map[schema.RolloutStart][]uint32{schema.StartMerge: {50, 35, 30, 40}, schema.StartPullRequest: {50, 35, 30, 50}} {
		for i := range mixes {
			mixes[i].Start = start
		}
		spec := Blend(base, target, mixes)
		for i, percent := range want {
			router := spec.VirtualRouters[schema.Key{Namespace: scale.Namespace, Name: scale.Mesh{Services: 4}.Service(i)}]
			var v1, sum uint32
			for _, to := range router.Spec.Routes[len(router.Spec.Routes)-1].Targets() {
				if sum += to.Weight; strings.HasSuffix(to.VirtualNodeRef.Name, "-v1") {
					v1 = to.Weight
				}
			}
			if v1*100 != percent*sum {
				t.Errorf("%s: router %d: v1 has %d of %d, want %d %%", start, i, v1, sum, percent)
			}
		}
	}
}

// Content tells a revert from a change.
func TestContent(t *testing.T) {
	governed := []schema.Ref{{Kind: schema.KindVirtualRouter, Key: schema.Key{Namespace: "s", Name: "r"}}}
	one, same, other := routed(t, map[string]uint32{"n0": 1, "n1": 3}), routed(t, map[string]uint32{"n1": 3, "n0": 1}), routed(t, map[string]uint32{"n0": 1, "n1": 4})
	if Content(one, governed) != Content(same, governed) || Content(one, governed) == Content(other, governed) {
		t.Error("equal contents differ, or others are equal")
	}
}

// BenchmarkBlend is what a step of a canary costs in a mesh of 1,000 resources.
func BenchmarkBlend(b *testing.B) {
	base := load(b, scale.Mesh{Services: 250}.FS())
	target := load(b, scale.Mesh{Services: 250, Weights: map[int]int{0: 17}}.FS())
	changes := schema.Diff(base, target)
	if len(changes) != 1 {
		b.Fatal(changes)
	}
	mix := Mix{Governed: []schema.Ref{changes[0].Ref}, Side: Between, Weight: 25_00}
	b.ReportAllocs()
	for b.Loop() {
		Blend(base, target, []Mix{mix})
	}
}
