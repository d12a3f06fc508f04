package translate_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// holds loads a case as it is now, with changes below some roots: it has
// mistakes, which are told, or else every proxy gets what holds.
func (c *corpusCase) holds(t testing.TB, changed ...*yaml.Node) (good bool) {
	t.Helper()
	r := c.load(t, changed...)
	if r.Spec == nil {
		if len(r.Diagnostics.Errors()) == 0 {
			t.Error("there is neither a spec nor an error")
		}
		return false
	}
	buildAll(t, r.Spec)
	return true
}

// hostileTexts are texts that somebody may write: each class of Unicode's, and
// what means something to Envoy, to YAML or to a regular expression.
func hostileTexts() []string {
	texts := []string{"", "*", "a*b", "%REQ(", "%", "a b", "a\nb", "a\x00b", "a\x7fb", "/", "//", "http://a:80/", "a:80", "[::1]", "::1", ".", "..", "-", "_",
		"(", "(?i)a", ".*", `\`, "ä.example", "A", strings.Repeat("a", 70000), strings.Repeat("a.", 200), "9999999999999999999"}
	soup := ""
	for _, name := range slices.Sorted(maps.Keys(unicode.Categories)) {
		if r, ok := first(unicode.Categories[name]); ok {
			soup += string(r)
			texts = append(texts, "a"+string(r))
		}
	}
	return append(texts, soup)
}

// first is a rune of a class; there is none of surrogates.
func first(class *unicode.RangeTable) (rune, bool) {
	switch {
	case len(class.R16) > 0 && class.R16[0].Lo != 0xd800:
		return rune(class.R16[0].Lo), true
	case len(class.R32) > 0:
		return rune(class.R32[0].Lo), true
	}
	return 0, false
}

// Every field of every kind, with a value of every wrong type and with texts
// and numbers at the edges, gets a diagnostic or is translated to what holds.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	fields := ourLeaves(t)
	_, places := corpus(t, "specs/translate_*.txtar", "specs/load_fields.txtar")
	texts := hostileTexts()
	tried, good := 0, 0
	for n, l := range slices.Sorted(maps.Keys(fields)) {
		if len(places[l]) == 0 {
			continue // TestFields tells
		}
		w := places[l][len(places[l])-1]
		values := []*yaml.Node{scalar("!!null", "null"), scalar("!!bool", "true"), scalar("!!float", "1.5"), {Kind: yaml.MappingNode}, {Kind: yaml.SequenceNode}}
		for _, i := range []string{"0", "-1", "1", "65536", "2147483648", "9223372036854775807", "18446744073709551616"} {
			values = append(values, scalar("!!int", i))
		}
		for i := range texts { // an eighth of them for each field, another eighth for the next
			if i%8 == n%8 {
				values = append(values, scalar("!!str", texts[i]))
			}
		}
		was := *w.node
		for _, v := range values {
			*w.node = *v
			tried++
			if w.in.holds(t, w.up[0]) {
				good++
			}
			if t.Failed() {
				t.Fatalf("%s: %s = %.60q", w.in.Name, l, v.Value)
			}
		}
		*w.node = was
		for i := len(w.up) - 1; i > 0; i-- { // wrong types at every depth
			up := *w.up[i]
			*w.up[i] = *scalar("!!str", "x")
			if w.in.holds(t, w.up[0]) {
				t.Errorf("%s: a text for what %s is in, and no mistake", w.in.Name, l)
			}
			*w.up[i] = up
		}
	}
	t.Logf("%d values, %d of them good", tried, good)
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// FuzzFields: whatever text a field has, loading tells a mistake, or every
// proxy gets what passes Envoy's own validation of messages.
func FuzzFields(f *testing.F) {
	fields := ourLeaves(f)
	_, places := corpus(f, "specs/translate_*.txtar")
	var all []written
	for _, l := range slices.Sorted(maps.Keys(fields)) {
		all = append(all, places[l]...)
	}
	for i, text := range hostileTexts() {
		f.Add(uint16(i*37), text, uint16(i*101), "1")
	}
	f.Fuzz(func(t *testing.T, at uint16, text string, other uint16, text2 string) {
		w, w2 := all[int(at)%len(all)], all[int(other)%len(all)]
		was, was2 := *w.node, *w2.node
		*w.node = yaml.Node{Kind: yaml.ScalarNode, Value: text, Style: was.Style}
		if w2.in == w.in {
			*w2.node = yaml.Node{Kind: yaml.ScalarNode, Value: text2, Style: was2.Style}
		}
		w.in.holds(t, w.up[0], w2.up[0])
		*w2.node = was2
		*w.node = was
	})
}

// Nodes that call each other in a ring, and through routers, groups and a
// gateway back, are no trouble; nor is what leads to itself.
func TestReferencesInARing(t *testing.T) {
	const head = "---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: "
	doc := "apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: shop}\nspec: {namespaceSelector: {}}\n"
	for i := range 3 {
		next := (i + 1) % 3
		doc += head + fmt.Sprintf("VirtualNode\nmetadata: {name: n%d, namespace: shop}\nspec: {listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: n%d}}, backends: [{virtualService: {virtualServiceRef: {name: s%d}}}, {virtualService: {virtualServiceRef: {name: s%d}}}], backendGroups: [{name: '*'}, {name: all}]}\n", i, i, next, i) +
			head + fmt.Sprintf("VirtualService\nmetadata: {name: s%d, namespace: shop}\nspec: {provider: {virtualRouter: {virtualRouterRef: {name: r%d}}}}\n", i, i) +
			head + fmt.Sprintf("VirtualRouter\nmetadata: {name: r%d, namespace: shop}\nspec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [{name: a, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: n%d}, weight: 1}, {virtualNodeRef: {name: n%d}, weight: 0}]}}}]}\n", i, next, i)
	}
	doc += head + "BackendGroup\nmetadata: {name: all, namespace: shop}\nspec: {virtualservices: [{name: s0}, {name: s1}, {name: s2}]}\n"
	buildAll(t, load(t, fstest.MapFS{"shop.yaml": {Data: []byte(doc)}}))
}

// 10,000 routes of one router load and translate in proportion to them; how
// long it takes is told, not held.
func TestManyRoutes(t *testing.T) {
	for _, n := range []int{1000, 10_000} {
		var b strings.Builder
		b.WriteString("apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: shop}\nspec: {namespaceSelector: {}}\n" +
			"---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\nmetadata: {name: web, namespace: shop}\nspec: {listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: web}}, backends: [{virtualService: {virtualServiceRef: {name: web}}}]}\n" +
			"---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualService\nmetadata: {name: web, namespace: shop}\nspec: {provider: {virtualRouter: {virtualRouterRef: {name: web}}}}\n" +
			"---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualRouter\nmetadata: {name: web, namespace: shop}\nspec:\n  listeners: [{portMapping: {port: 80, protocol: http}}]\n  routes:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {name: r%d, httpRoute: {match: {prefix: /%d}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]}}}\n", i, i)
		}
		start := time.Now()
		spec := load(t, fstest.MapFS{"shop.yaml": {Data: []byte(b.String())}})
		loaded := time.Now()
		buildAll(t, spec)
		t.Logf("%d routes: loaded in %v, built for four proxies' captures and checked in %v", n, loaded.Sub(start), time.Since(loaded))
	}
}
