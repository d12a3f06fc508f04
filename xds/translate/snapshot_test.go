package translate_test

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// ring makes a mesh of n nodes, each a service behind a router that splits
// between it and the next, and each calling the next ten.
func ring(n int) fstest.MapFS {
	files := fstest.MapFS{"mesh.yaml": {Data: []byte("{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {}}}\n")}}
	for i := range n {
		var backends strings.Builder
		for j := 1; j <= 10; j++ {
			fmt.Fprintf(&backends, "  - virtualService: {virtualServiceRef: {name: s%d}}\n", (i+j)%n)
		}
		files[fmt.Sprintf("node%d.yaml", i)] = &fstest.MapFile{Data: []byte(fmt.Sprintf(`apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: n%[1]d, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  serviceDiscovery: {dns: {hostname: n%[1]d.example.com}}
  backends:
%[2]s---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: s%[1]d, namespace: shop}
spec: {provider: {virtualRouter: {virtualRouterRef: {name: r%[1]d}}}}
`, i, backends.String()))}
		files[fmt.Sprintf("router%d.yaml", i)] = router(n, i, 50, 50)
	}
	return files
}

func router(n, i, weight, other int) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(fmt.Sprintf(`apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: r%[1]d, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  routes:
  - name: all
    httpRoute:
      match: {prefix: /}
      action:
        weightedTargets:
        - {virtualNodeRef: {name: n%[1]d}, weight: %[3]d}
        - {virtualNodeRef: {name: n%[2]d}, weight: %[4]d}
`, i, (i+1)%n, weight, other))}
}

// loader loads one version of a repository after another.
type loader struct{ *schema.Loader }

func newLoader() loader { return loader{schema.NewLoader(schema.Config{})} }

func (l loader) load(t testing.TB, files fs.FS) *schema.Spec {
	t.Helper()
	r, err := l.Load(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	return r.Spec
}

// resources builds everything that a snapshot has.
func resources(t testing.TB, s *translate.Snapshot, spec *schema.Spec) map[xds.Identity]*xds.Resources {
	t.Helper()
	all := map[xds.Identity]*xds.Resources{}
	for _, id := range identities(spec) {
		res, err := s.Resources(xds.Profile{Identity: id})
		if err != nil {
			t.Fatal(err)
		}
		all[id] = res
	}
	return all
}

// A changed weight makes anew one RouteConfiguration of each node that calls
// the router's service, and nothing else: everything that is the same is the
// same pointer.
func TestChangeOfOneWeight(t *testing.T) {
	const n = 1000
	l, files := newLoader(), ring(n)
	spec := l.load(t, files)
	first := translate.New(translate.Inputs{Commit: "1", Spec: spec}, nil)
	before := resources(t, first, spec)

	files["router500.yaml"] = router(n, 500, 49, 51)
	spec = l.load(t, files)
	second := translate.New(translate.Inputs{Commit: "2", Spec: spec}, first)
	after := resources(t, second, spec)

	var changed []string
	for id, res := range after {
		if res == before[id] {
			continue
		}
		changed = append(changed, id.Name)
		for typ := range res {
			for _, r := range res[typ] {
				old := before[id].Get(xds.Type(typ), r.Name)
				if r != old && (r.Type != xds.Route || r.Name != "rds_egress_http_8080") {
					t.Errorf("%s: %s %s was made anew", id, r.Type, r.Name)
				} else if r != old && r.Version == old.Version {
					t.Errorf("%s: %s %s is the same and was made anew", id, r.Type, r.Name)
				}
			}
		}
	}
	slices.Sort(changed)
	var callers []string
	for i := 490; i < 500; i++ {
		callers = append(callers, fmt.Sprintf("n%d_shop", i))
	}
	if !slices.Equal(changed, callers) {
		t.Errorf("changed are %v, want the callers of s500: %v", changed, callers)
	}
	if second.Commit() != "2" {
		t.Errorf("the commit is %s", second.Commit())
	}
}

// Resources of one content are one, whoever has them.
func TestClustersAreShared(t *testing.T) {
	spec := load(t, ring(40))
	s := translate.New(translate.Inputs{Spec: spec}, nil)
	pointers := map[string]*xds.Resource{}
	for id, res := range resources(t, s, spec) {
		for _, r := range res[xds.Cluster] {
			if first := pointers[r.Name]; first != nil && first != r {
				t.Errorf("%s has a cluster %s of its own", id, r.Name)
			}
			pointers[r.Name] = r
		}
	}
}

// Nodes that may all call the whole mesh have one RouteConfiguration and one
// outbound listener between them: memory does not grow with the square.
func TestWholeMeshIsShared(t *testing.T) {
	const n = 60
	files := ring(n)
	for i := range n {
		f := files[fmt.Sprintf("node%d.yaml", i)]
		head, rest, _ := strings.Cut(string(f.Data), "  backends:")
		_, tail, _ := strings.Cut(rest, "---")
		f.Data = []byte(head + "  backendGroups: [{name: \"*\"}]\n---" + tail)
	}
	spec := load(t, files)
	distinct := map[*xds.Resource]bool{}
	for _, res := range resources(t, translate.New(translate.Inputs{Spec: spec}, nil), spec) {
		if got := len(res[xds.Cluster]); got != n+1 {
			t.Fatalf("%d clusters, want one for each node and the application", got)
		}
		for typ := range res {
			for _, r := range res[typ] {
				distinct[r] = true
			}
		}
	}
	// A cluster out and one in and the inbound routes for each node; two
	// listeners and the outbound routes for all.
	if want := 3*n + 3; len(distinct) != want {
		t.Errorf("%d distinct resources, want %d", len(distinct), want)
	}
}

// The same input gives the same bytes, in whatever order it is asked for, and
// by whomever at the same time.
func TestDeterminism(t *testing.T) {
	files := ring(40)
	var want map[xds.Identity]string
	for range 4 {
		spec := load(t, files)
		s := translate.New(translate.Inputs{Spec: spec}, nil)
		ids := identities(spec)
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for _, id := range ids {
					_, _ = s.Resources(xds.Profile{Identity: id})
				}
			})
		}
		asking.Wait()
		got := map[xds.Identity]string{}
		for id, res := range resources(t, s, spec) {
			got[id] = fingerprint(res)
		}
		if want != nil && !maps.Equal(got, want) {
			t.Fatal("two builds differ")
		}
		want = got
	}
}

func fingerprint(r *xds.Resources) string {
	var b strings.Builder
	for typ := range r {
		for _, res := range r[typ] {
			fmt.Fprintf(&b, "%s %s %s %x\n", res.Type, res.Name, res.Version, res.Body.Value)
		}
	}
	return b.String()
}

// everything is all that a snapshot has for any kind of proxy.
func everything(t testing.TB, s *translate.Snapshot, spec *schema.Spec) map[xds.Profile]*xds.Resources {
	t.Helper()
	all := map[xds.Profile]*xds.Resources{}
	for _, id := range identities(spec) {
		for _, p := range []xds.Profile{{}, {VirtualHosts: true}, {Capture: xds.Capture{Explicit: true}, VirtualHosts: true}, {Capture: xds.Capture{Proxyless: true}}} {
			p.Identity = id
			res, err := s.Resources(p)
			if err != nil {
				t.Fatal(err)
			}
			all[p] = res
		}
	}
	return all
}

// twins are nodes with the same backends.
func twins(n int) *fstest.MapFile {
	var text strings.Builder
	for i := range 3 {
		fmt.Fprintf(&text, "---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\nmetadata: {name: twin%d, namespace: shop}\nspec:\n  listeners: [{portMapping: {port: 8080, protocol: http}}]\n"+
			"  serviceDiscovery: {dns: {hostname: twin.example.com}}\n  backends:\n", i)
		for j := range n {
			fmt.Fprintf(&text, "  - virtualService: {virtualServiceRef: {name: s%d}}\n", j)
		}
	}
	return &fstest.MapFile{Data: []byte(text.String())}
}

// After any history of edits a snapshot holds what one made from nothing
// would, and takes over every proxy that did not change.
func TestHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			const n = 12
			l, files := newLoader(), ring(n)
			files["twins.yaml"] = twins(n)
			var prev *translate.Snapshot
			had := map[xds.Profile]*xds.Resources{}
			edits, moved := 0, 0
			for range 25 {
				good := maps.Clone(files)
				edit(rnd, n, files)
				spec := l.load(t, files)
				if spec == nil { // the edit broke the repository
					files = good
					continue
				}
				edits++
				if rnd.IntN(2) == 0 {
					moved = rnd.IntN(n)
				}
				in := translate.Inputs{Spec: spec, Endpoints: found(spec, func(i int) string { return fmt.Sprintf("10.0.%d.%d", i/(moved+1), i) })}
				next := translate.New(in, prev)
				got := everything(t, next, spec)
				anew := translate.New(in, nil)
				fresh := everything(t, anew, spec)
				if d := cmp.Diff(anew.Targets(), next.Targets()); d != "" {
					t.Fatalf("targets (-from nothing +with a history):\n%s", d)
				}
				for id, res := range got {
					if fingerprint(res) != fingerprint(fresh[id]) {
						t.Fatalf("%v differs from a build from nothing", id)
					}
					if d := cmp.Diff(anew.Notices(id), next.Notices(id)); d != "" {
						t.Fatalf("notices of %v (-from nothing +with a history):\n%s", id, d)
					}
					for typ := range res {
						for _, r := range res[typ] {
							if old := had[id]; old != nil {
								if was := old.Get(r.Type, r.Name); was != nil && was.Version == r.Version && was != r {
									t.Fatalf("%v: %s %s is the same and was made anew", id, r.Type, r.Name)
								}
							}
						}
					}
				}
				prev, had = next, got
			}
			if edits < 15 {
				t.Errorf("only %d edits were good", edits)
			}
		})
	}
}

// policy is a document of one of our own kinds.
func policy(kind, spec string, args ...any) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, "{apiVersion: meshwright.dev/v1alpha1, kind: %s, metadata: {name: p, namespace: shop}, spec: {%s}}\n", kind, fmt.Sprintf(spec, args...))}
}

// edit changes a repository of ring at random.
func edit(rnd *rand.Rand, n int, files fstest.MapFS) {
	i := rnd.IntN(n)
	replace := func(name, old, now string) {
		if f := files[name]; f != nil {
			files[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(f.Data), old, now, 1))}
		}
	}
	node := fmt.Sprintf("node%d.yaml", i)
	switch rnd.IntN(14) {
	case 0, 1:
		files[fmt.Sprintf("router%d.yaml", i)] = router(n, i, rnd.IntN(100), 1+rnd.IntN(100))
	case 2:
		replace(node, "example.com", "example.org")
	case 3:
		replace(node, "protocol: http}", "protocol: http2}")
	case 4:
		replace(node, "- virtualService: {virtualServiceRef: {name: s", "- virtualService: {virtualServiceRef: {name: t")
	case 5:
		replace(node, "{virtualRouter: {virtualRouterRef: {name: r", "{virtualNode: {virtualNodeRef: {name: n")
	case 6:
		replace("mesh.yaml", "namespaceSelector: {}", "namespaceSelector: {}, egressFilter: {type: ALLOW_ALL}")
	case 7:
		files["group.yaml"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("{apiVersion: appmesh.k8s.aws/v1beta2, kind: BackendGroup, metadata: {name: g, namespace: shop}, spec: {virtualservices: [{name: s%d}]}}\n", i))}
		replace(node, "  backends:", "  backendGroups: [{name: g}]\n  backends:")
	case 9:
		if files[node] != nil {
			toCloud(files, i)
		}
	case 10:
		files["endpoints.yaml"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("{apiVersion: meshwright.dev/v1alpha1, kind: Endpoints, metadata: {name: e, namespace: shop}, spec: {virtualNodeRef: {name: n%d}, endpoints: [{address: 10.1.0.%d}]}}\n", i, rnd.IntN(4)))}
	case 11:
		files["routes.yaml"] = policy("RoutePolicy", "targets: [{kind: VirtualRouter, name: r%d}], mirror: {virtualNodeRef: {name: n%d}}, timeout: {perRequest: {unit: s, value: %d}}", i, (i+5)%n, 1+rnd.IntN(4))
	case 12:
		files["listeners.yaml"] = policy("ListenerPolicy", "targets: [{kind: VirtualNode, name: n%d}], externalAuthorization: {virtualServiceRef: {name: s%d}, path: /check}, loadBalancing: {algorithm: RING_HASH, hashOn: [{header: x-%d}]}", i, (i+3)%n, rnd.IntN(3))
	case 13:
		delete(files, []string{"routes.yaml", "listeners.yaml", "group.yaml", "endpoints.yaml"}[rnd.IntN(4)])
	case 8:
		replace(node, "{name: n"+fmt.Sprint(i)+", namespace: shop}", "{name: n"+fmt.Sprint(i)+", namespace: shop, labels: {a: b}}")
	}
}

func TestUnknownIdentity(t *testing.T) {
	s := translate.New(translate.Inputs{}, nil)
	id := xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "nobody"}
	if _, err := s.Resources(xds.Profile{Identity: id}); err != (xds.UnknownIdentity{Identity: id}) {
		t.Errorf("the error is %v", err)
	}
}

// A changed policy touches the proxies that it is for, and nothing of them but
// what it is about.
func TestChangeOfOnePolicy(t *testing.T) {
	between := func(first, end int) (ids []string) {
		for i := first; i < end; i++ {
			ids = append(ids, fmt.Sprintf("n%d_shop", i))
		}
		return ids
	}
	const routes = "kind: RoutePolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  targets: [{kind: VirtualRouter, name: r50}]\n  "
	const listeners = "kind: ListenerPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  targets: [{kind: VirtualNode, name: n50}]\n  "
	l, files := newLoader(), ring(100)
	for _, change := range []struct {
		name, policy string
		touched      []string // in the order of their names
		kept         xds.Type
	}{
		{"mirror added", routes + "mirror: {virtualNodeRef: {name: n90}, percent: 10}", between(40, 50), xds.Listener},
		{"mirror changed", routes + "mirror: {virtualNodeRef: {name: n90}, percent: 20}", between(40, 50), xds.Listener},
		{"mirror to another", routes + "mirror: {virtualNodeRef: {name: n91}, percent: 20}", between(40, 50), xds.Listener},
		{"removed", "", between(40, 50), xds.Listener},
		{"limit at a listener", listeners + "rateLimit: {requests: 1}", []string{"n50_shop"}, xds.Route},
		{"balancing", listeners + "rateLimit: {requests: 1}\n  loadBalancing: {algorithm: RANDOM}", between(39, 50), xds.Route},
		{"balancing removed", listeners + "rateLimit: {requests: 1}", between(39, 50), xds.Listener},
	} {
		before := l.load(t, files)
		first := translate.New(translate.Inputs{Spec: before}, nil)
		was := resources(t, first, before)
		files["policy.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: meshwright.dev/v1alpha1\n" + change.policy)}
		if change.policy == "" {
			delete(files, "policy.yaml")
		}
		after := l.load(t, files)
		is := resources(t, translate.New(translate.Inputs{Spec: after}, first), after)
		var touched []string
		for id := range is {
			same := true
			for typ := range is[id] {
				for _, r := range is[id][typ] {
					if was[id].Get(r.Type, r.Name) == r {
						continue
					}
					if same = false; r.Type == change.kept {
						t.Errorf("%s: %s: %s %s was made anew", change.name, id, r.Type, r.Name)
					}
				}
			}
			if !same {
				touched = append(touched, id.Name)
			}
		}
		slices.Sort(touched)
		if !slices.Equal(touched, change.touched) {
			t.Errorf("%s: touched are %v, want %v", change.name, touched, change.touched)
		}
	}
}
