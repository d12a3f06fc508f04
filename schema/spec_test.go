package schema_test

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshwright/meshwright/fixtures"
	. "github.com/meshwright/meshwright/schema"
)

const (
	meshDoc   = "apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: shop}\nspec: {namespaceSelector: {}}\n---\n"
	docHead   = "apiVersion: appmesh.k8s.aws/v1beta2\nkind: "
	nodeSpec  = "\nspec:\n  listeners: [{portMapping: {port: 80, protocol: http}}]\n  serviceDiscovery: {dns: {hostname: x}}\n"
	routeSpec = "\nspec:\n  listeners: [{portMapping: {port: 80, protocol: http}}]\n  routes:\n  - name: r\n    httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: NODE}, weight: 1}]}}\n"
)

// doc writes a document of namespace shop.
func doc(kind, name, spec string) string {
	return docHead + kind + "\nmetadata: {name: " + name + ", namespace: shop}" + spec + "---\n"
}

func nodeDoc(name, more string) string { return doc("VirtualNode", name, nodeSpec+more) }

func routerDoc(name, node string) string {
	return doc("VirtualRouter", name, strings.Replace(routeSpec, "NODE", node, 1))
}

func serviceDoc(name, kind, provider string) string {
	return doc("VirtualService", name, "\nspec: {provider: {virtual"+kind+": {virtual"+kind+"Ref: {name: "+provider+"}}}}\n")
}

func endpointsDoc(node string) string {
	return "apiVersion: meshwright.dev/v1alpha1\nkind: Endpoints\nmetadata: {name: " + node + ", namespace: shop}\n" +
		"spec: {virtualNodeRef: {name: " + node + "}, endpoints: [{address: 10.0.0.1}]}\n---\n"
}

// files makes a tree of names and texts in turn.
func files(nameText ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for pair := range slices.Chunk(nameText, 2) {
		fsys[pair[0]] = &fstest.MapFile{Data: []byte(pair[1]), Mode: 0o644}
	}
	return fsys
}

// good loads a tree that has no mistakes.
func good(t testing.TB, l *Loader, fsys fs.FS) *Spec {
	t.Helper()
	r := load(t, l, fsys)
	if r.Spec == nil {
		t.Fatalf("it does not load:\n%s", r.Diagnostics)
	}
	return r.Spec
}

func refs(found map[Ref]bool) []string {
	var out []string
	for _, r := range slices.SortedFunc(maps.Keys(found), Ref.Compare) {
		out = append(out, strings.Replace(r.String(), "/shop/", "/", 1))
	}
	return out
}

func shopRef(kindName string) Ref {
	kind, name, _ := strings.Cut(kindName, "/")
	r := Ref{Kind: Kind(kind), Key: Key{Namespace: "shop", Name: name}}
	if r.Kind == KindMesh {
		r.Namespace = ""
	}
	return r
}

// One shop: edge → web (router: web-v1) → api (node) → db (node, its endpoints
// written in git); admin calls all, batch calls those of a group.
func shop(t testing.TB) fstest.MapFS {
	t.Helper()
	backend := func(name string) string {
		return "  backends: [{virtualService: {virtualServiceRef: {name: " + name + "}}}]\n"
	}
	return files("shop.yaml", meshDoc+
		nodeDoc("web-v1", backend("api"))+routerDoc("web", "web-v1")+serviceDoc("web", "Router", "web")+
		nodeDoc("api", backend("db"))+serviceDoc("api", "Node", "api")+
		nodeDoc("db", "")+serviceDoc("db", "Node", "db")+endpointsDoc("db")+
		nodeDoc("admin", "  backendGroups: [{name: '*'}]\n")+
		nodeDoc("batch", "  backendGroups: [{name: data}]\n")+
		doc("BackendGroup", "data", "\nspec: {virtualservices: [{name: db}]}\n")+
		doc("VirtualGateway", "edge", "\nspec: {namespaceSelector: {}, listeners: [{portMapping: {port: 8088, protocol: http}}]}\n")+
		doc("GatewayRoute", "all", "\nspec: {httpRoute: {match: {prefix: /}, action: {target: {virtualService: {virtualServiceRef: {name: web}}}}}}\n"))
}

func TestDependents(t *testing.T) {
	s := good(t, NewLoader(Config{}), shop(t))
	for changed, want := range map[string]string{
		// A node: who sends to it; not who sends to those.
		"VirtualNode/db": "BackendGroup/data Endpoints/db VirtualNode/admin VirtualNode/api VirtualNode/batch VirtualNode/db VirtualService/db",
		// Its endpoints: the same, but for the node itself.
		"Endpoints/db":           "BackendGroup/data Endpoints/db VirtualNode/admin VirtualNode/api VirtualNode/batch VirtualService/db",
		"VirtualNode/web-v1":     "GatewayRoute/all VirtualGateway/edge VirtualNode/admin VirtualNode/web-v1 VirtualRouter/web VirtualService/web",
		"VirtualRouter/web":      "GatewayRoute/all VirtualGateway/edge VirtualNode/admin VirtualRouter/web VirtualService/web",
		"VirtualService/api":     "VirtualNode/admin VirtualNode/web-v1 VirtualService/api",
		"BackendGroup/data":      "BackendGroup/data VirtualNode/batch",
		"GatewayRoute/all":       "GatewayRoute/all VirtualGateway/edge",
		"VirtualGateway/edge":    "VirtualGateway/edge",
		"VirtualNode/admin":      "VirtualNode/admin",
		"VirtualService/unheard": "VirtualService/unheard",
	} {
		if got := strings.Join(refs(s.Dependents([]Ref{shopRef(changed)})), " "); got != want {
			t.Errorf("%s: got\n%s, want\n%s", changed, got, want)
		}
	}
	everything := 0
	for range s.All() {
		everything++
	}
	if got := s.Dependents([]Ref{shopRef("Mesh/shop")}); len(got) != everything {
		t.Errorf("the mesh: got %s, want all %d", refs(got), everything)
	}
	// A node that only depends on the change does not carry it on; one that
	// changed itself does.
	got := refs(s.Dependents([]Ref{shopRef("VirtualService/api"), shopRef("VirtualNode/web-v1")}))
	want := strings.Fields("GatewayRoute/all VirtualGateway/edge VirtualNode/admin VirtualNode/web-v1 VirtualRouter/web VirtualService/api VirtualService/web")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("two (-want +got):\n%s", diff)
	}
}

// Dependents is the way back of Refers: a proxy's node or gateway depends on
// what it leads to, down to the nodes that it may call.
func TestDependentsAgreesWithRefers(t *testing.T) {
	pairs := 0
	agree := func(s *Spec) {
		byRef := map[Ref]Resource{}
		for ref, r := range s.All() {
			byRef[ref] = r
		}
		for top := range byRef {
			if top.Kind != KindVirtualNode && top.Kind != KindVirtualGateway {
				continue
			}
			down := map[Ref]bool{}
			var walk func(Ref)
			walk = func(at Ref) {
				for _, to := range s.Refers(byRef[at]) {
					if !down[to] {
						if down[to] = true; to.Kind != KindVirtualNode && to.Kind != KindVirtualGateway {
							walk(to)
						}
					}
				}
			}
			walk(top)
			down[top] = true
			for ref := range byRef {
				if got := s.Dependents([]Ref{ref})[top]; got != down[ref] {
					t.Errorf("%s depends on %s: Dependents says %v, Refers %v", top, ref, got, down[ref])
				} else if got {
					pairs++
				}
			}
		}
	}
	agree(good(t, NewLoader(Config{}), shop(t)))
	for _, c := range fixtures.Archives(t, "specs/*.txtar") {
		if r := load(t, NewLoader(Config{}), c.Files); r.Spec != nil {
			agree(r.Spec)
		}
	}
	if pairs < 100 {
		t.Errorf("only %d pairs", pairs)
	}
}

// What a gateway takes, and what a group has, the spec before the change knows.
func TestDependentsOfRemoved(t *testing.T) {
	l := NewLoader(Config{})
	before := good(t, l, shop(t))
	text := string(shop(t)["shop.yaml"].Data)
	at := strings.Index(text, docHead+"GatewayRoute")
	after := good(t, l, files("shop.yaml", text[:at]))
	changes := Diff(before, after)
	if len(changes) != 1 || changes[0].Op != Removed {
		t.Fatalf("got %v", changes)
	}
	gone := []Ref{changes[0].Ref}
	if got := before.Dependents(gone); !got[shopRef("VirtualGateway/edge")] {
		t.Errorf("before: got %v", refs(got))
	}
	if got := after.Dependents(gone); len(got) != 1 {
		t.Errorf("after: got %v", refs(got))
	}
}

// A spec stays as it was, whatever is loaded after it; what did not change is
// the same resource, and what only moved has the same digest.
func TestReload(t *testing.T) {
	const twoMeshes = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {mesh: LABEL}}\n---\n" +
		docHead + "Mesh\nmetadata: {name: one}\nspec: {namespaceSelector: {matchLabels: {mesh: one}}}\n---\n" +
		docHead + "Mesh\nmetadata: {name: two}\nspec: {namespaceSelector: {matchLabels: {mesh: two}}}\n"
	tree := func(label, web string) fstest.MapFS {
		return files("mesh.yaml", strings.Replace(twoMeshes, "LABEL", label, 1), "web.yaml", web, "db.yaml", nodeDoc("db", ""))
	}
	l := NewLoader(Config{})
	web, db := Key{Namespace: "shop", Name: "web"}, Key{Namespace: "shop", Name: "db"}
	one := good(t, l, tree("one", nodeDoc("web", "")))
	was := *one.VirtualNodes[web]
	if was.Mesh != "one" {
		t.Fatalf("mesh: got %s", was.Mesh)
	}

	moved := good(t, l, tree("one", "# moved\n\n"+nodeDoc("web", "")))
	if len(Diff(one, moved)) != 0 || moved.VirtualNodes[web].Pos.Line != 3 {
		t.Errorf("moved: got %v, at %s", Diff(one, moved), moved.VirtualNodes[web].Pos)
	}
	if moved.VirtualNodes[db] != one.VirtualNodes[db] {
		t.Error("a resource of an unchanged file is a new one")
	}

	two := good(t, l, tree("two", nodeDoc("web", "")))
	if got := two.VirtualNodes[web].Mesh; got != "two" {
		t.Errorf("mesh: got %s, want two", got)
	}
	if diff := cmp.Diff(was, *one.VirtualNodes[web], cmpopts.IgnoreUnexported(Meta{})); diff != "" {
		t.Errorf("the first spec changed (-was +is):\n%s", diff)
	}
	if one.VirtualNodes[db].Mesh != "one" {
		t.Error("the first spec changed")
	}
	want := []Change{{shopRef("VirtualNode/db"), Changed}, {shopRef("VirtualNode/web"), Changed}}
	if diff := cmp.Diff(want, Diff(moved, two)); diff != "" {
		t.Errorf("another mesh is another meaning (-want +got):\n%s", diff)
	}

	// A bad commit in between changes nothing.
	if r := load(t, l, tree("nobody", nodeDoc("web", ""))); r.Spec != nil {
		t.Error("a bad tree has a spec")
	}
	again := good(t, l, tree("two", nodeDoc("web", "")))
	if len(Diff(two, again)) != 0 {
		t.Errorf("after a bad commit: got %v", Diff(two, again))
	}
}

// A loader that has seen other trees gives what a new one does.
func TestLoaderRemembersRightly(t *testing.T) {
	l := NewLoader(Config{})
	archives := fixtures.Archives(t, "specs/*.txtar")
	for _, c := range slices.Concat(archives, archives[:3], archives[2:9]) {
		got, want := load(t, l, c.Files), load(t, NewLoader(Config{}), c.Files)
		if diff := cmp.Diff(diagnostics(want.Diagnostics)+resources(want), diagnostics(got.Diagnostics)+resources(got)); diff != "" {
			t.Errorf("%s (-new +old):\n%s", c.Name, diff)
		}
		if changes := Diff(want.Spec, got.Spec); len(changes) > 0 {
			t.Errorf("%s: digests differ: %v", c.Name, changes)
		}
	}
}

// A route that goes to another gateway changed, although its document did not.
func TestGatewayIsMeaning(t *testing.T) {
	gateways := func(label string) fstest.MapFS {
		gateway := func(name string) string {
			return doc("VirtualGateway", name, "\nspec: {namespaceSelector: {}, gatewayRouteSelector: {matchLabels: {edge: "+name+"}}, listeners: [{portMapping: {port: 8088, protocol: http}}]}\n")
		}
		route := strings.Replace(doc("GatewayRoute", "r", "\nspec: {httpRoute: {match: {prefix: /}, action: {target: {virtualService: {virtualServiceRef: {name: web}}}}}}\n"), "shop}", "shop, labels: {edge: a}}", 1)
		return files("mesh.yaml", meshDoc+nodeDoc("web", "")+serviceDoc("web", "Node", "web"), "route.yaml", route,
			"gateways.yaml", strings.Replace(gateway("a"), "{edge: a}", "{edge: "+label+"}", 1)+strings.Replace(gateway("b"), "{edge: b}", "{edge: "+map[string]string{"a": "b", "b": "a"}[label]+"}", 1))
	}
	l := NewLoader(Config{})
	a, b := good(t, l, gateways("a")), good(t, l, gateways("b"))
	key := Key{Namespace: "shop", Name: "r"}
	if got := [2]string{a.GatewayRoutes[key].Gateway.Name, b.GatewayRoutes[key].Gateway.Name}; got != [2]string{"a", "b"} {
		t.Errorf("gateways: got %v", got)
	}
	if got := Diff(a, b); !slices.Contains(got, Change{shopRef("GatewayRoute/r"), Changed}) {
		t.Errorf("got %v", got)
	}
}

func TestRefusedFiles(t *testing.T) {
	fsys := files("sub/.git/HEAD", "ref\n", "sub/a.yaml", "kind: Mesh\n\t", "big.yaml", strings.Repeat("# much\n", 1<<20), "latin.yaml", "a: \"\xe4\"\n", ".hidden/a.yaml", "\t")
	fsys["link.yaml"] = &fstest.MapFile{Data: []byte("a.yaml"), Mode: fs.ModeSymlink}
	fsys["module"] = &fstest.MapFile{Mode: fs.ModeIrregular}
	r := load(t, NewLoader(Config{}), fsys)
	const want = `big.yaml:1:1: error: 7340032 bytes are more than a spec file may have (4194304); split it [MW0001]
latin.yaml:1:5: error: the file is not UTF-8; save it as UTF-8 [MW0002]
link.yaml:1:1: error: this is a symbolic link, and those are not followed; put the file itself there [MW0001]
module:1:1: error: this is a submodule, and its files are not read; copy them into this repository [MW0001]
sub:1:1: error: this is another repository, and its files are not read; copy them into this one [MW0001]
`
	if diff := cmp.Diff(want, diagnostics(r.Diagnostics)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSelector(t *testing.T) {
	labels := map[string]string{"app": "web", "version": "v2"}
	expr := func(key, op string, values ...string) *Selector {
		return &Selector{MatchExpressions: []SelectorRequirement{{Key: key, Operator: op, Values: values}}}
	}
	for _, c := range []struct {
		name string
		s    *Selector
		want bool
	}{
		{"absent_picks_nothing", nil, false},
		{"empty_picks_all", &Selector{}, true},
		{"label", &Selector{MatchLabels: map[string]string{"app": "web"}}, true},
		{"other_value", &Selector{MatchLabels: map[string]string{"app": "api"}}, false},
		{"no_such_label", &Selector{MatchLabels: map[string]string{"tier": ""}}, false},
		{"in", expr("version", "In", "v1", "v2"), true},
		{"in_none", expr("tier", "In", ""), false},
		{"not_in", expr("version", "NotIn", "v2"), false},
		{"not_in_absent", expr("tier", "NotIn", "x"), true},
		{"exists", expr("app", "Exists"), true},
		{"exists_not", expr("tier", "Exists"), false},
		{"does_not_exist", expr("tier", "DoesNotExist"), true},
		{"does_not_exist_but_does", expr("app", "DoesNotExist"), false},
		{"all_must_hold", &Selector{MatchLabels: map[string]string{"app": "web"}, MatchExpressions: []SelectorRequirement{{Key: "version", Operator: "DoesNotExist"}}}, false},
	} {
		if got := c.s.Picks(labels); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}
