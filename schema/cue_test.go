package schema

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"github.com/google/go-cmp/cmp"
)

// repo is a file system of texts.
func repo(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// watched is an evaluator that notes which packages it was asked for, by
// folder, and is stopped at those whose folder is named bomb.
type watched struct {
	asked []string
	err   error
}

func (w *watched) Evaluate(ctx context.Context, request []byte) ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	var r cueRequest
	if err := gob.NewDecoder(bytes.NewReader(request)).Decode(&r); err != nil {
		return nil, err
	}
	stopped := error(nil)
	for i, p := range r.Packages {
		w.asked = append(w.asked, p.Dir)
		if strings.HasPrefix(p.Dir, "bomb") {
			r.Packages, stopped = r.Packages[:i], Stopped("it takes more than 10s")
			break
		}
	}
	var shorter bytes.Buffer
	if err := gob.NewEncoder(&shorter).Encode(r); err != nil {
		return nil, err
	}
	answer, err := InProcess{}.Evaluate(ctx, shorter.Bytes())
	return answer, errors.Join(err, stopped)
}

func (w *watched) load(t *testing.T, l *Loader, files map[string]string) *Result {
	t.Helper()
	w.asked = nil
	r, err := l.Load(t.Context(), repo(files))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const cueNode = `
apiVersion: "appmesh.k8s.aws/v1beta2"
kind: "VirtualNode"
metadata: {namespace: "shop", name: NAME}
`

const yamlMesh = "apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: shop}\nspec: {namespaceSelector: {}}\n"

// Only packages of which something changed are evaluated: their own files,
// those of folders around them, those they import, by whichever way.
func TestEvaluateWhatChanged(t *testing.T) {
	files := map[string]string{
		"mesh.yaml":           yamlMesh,
		"cue.mod/module.cue":  `module: "example.com/shop"`,
		"lib/lib.cue":         "package lib\nweb: \"web\"",
		"web/web.cue":         "package web\nimport \"example.com/shop/lib\"\n" + strings.ReplaceAll(cueNode, "NAME", "lib.web"),
		"db/db.cue":           "package db\n" + strings.ReplaceAll(cueNode, "NAME", "db") + "let db = \"db\"\n",
		"db/b/db.cue":         "package db\nmetadata: namespace: \"shop\"\n",
		"cue.mod/usr/a/a.cue": "package a\n",
	}
	w := &watched{}
	l := NewLoader(Config{Eval: w})
	asked := func(change string, want ...string) *Result {
		t.Helper()
		r := w.load(t, l, files)
		if slices.Sort(w.asked); !slices.Equal(w.asked, want) {
			t.Errorf("%s: evaluated %v, want %v", change, w.asked, want)
		}
		if r.Documents != 3 {
			t.Errorf("%s: %d resources, want 3:\n%v", change, r.Documents, r.Diagnostics)
		}
		return r
	}
	asked("all", "db", "db/b", "lib", "web")
	asked("nothing")
	files["mesh.yaml"] += "# a comment\n"
	asked("YAML")
	files["cue.mod/usr/a/a.cue"] += "x: 1\n"
	asked("what nobody imports")
	files["db/b/db.cue"] += "// a comment\n"
	asked("an inner folder", "db/b")
	files["db/db.cue"] += "// a comment\n"
	asked("an outer folder", "db", "db/b")
	files["lib/lib.cue"] = "package lib\nweb: \"front\"\n"
	if r := asked("an import", "lib", "web"); r.Spec == nil || r.Spec.VirtualNodes[Key{"shop", "front"}] == nil {
		t.Errorf("the import's change has no effect: %v", r.Diagnostics)
	}
	files["cue.mod/module.cue"] = `module: "example.com/market"`
	if r := w.load(t, l, files); r.Spec != nil {
		t.Error("an import of a module that is gone still loads")
	}
}

// A tree without CUE never starts the evaluator.
func TestNoCUENoEvaluator(t *testing.T) {
	w := &watched{err: errors.New("it was started")}
	w.load(t, NewLoader(Config{Eval: w}), map[string]string{"mesh.yaml": yamlMesh})
}

// What is stopped hides itself and what imports it, and nothing else; it is
// not remembered.
func TestEvaluateStopped(t *testing.T) {
	files := map[string]string{
		"mesh.yaml":          yamlMesh,
		"cue.mod/module.cue": `module: "example.com/shop@v0"`,
		"bomb/a.cue":         "package bomb\nx: 1",
		"uses/a.cue":         "package uses\nimport \"example.com/shop/bomb\"\nx: bomb.x",
		"z/a.cue":            "package z\n" + strings.ReplaceAll(cueNode, "NAME", `"z"`),
	}
	w := &watched{}
	l := NewLoader(Config{Eval: w})
	r := w.load(t, l, files)
	want := "bomb/a.cue:1:1: error: CUE is not evaluated: it takes more than 10s; make it smaller\n"
	if diff := cmp.Diff(want, r.Diagnostics.String()); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
	if r.Documents != 2 {
		t.Errorf("%d resources, want 2", r.Documents)
	}
	if w.load(t, l, files); !slices.Equal(w.asked, []string{"bomb"}) {
		t.Errorf("then evaluated %v, want the bomb again", w.asked)
	}
	for _, dir := range []string{"bomb2", "bomb3", "bomb4", "bomb5"} {
		files[dir+"/a.cue"] = "package a\n" + strings.Repeat("// long\n", len(dir))
	}
	r = w.load(t, NewLoader(Config{Eval: w}), files)
	if got := strings.Count(r.Diagnostics.String(), "it takes more than 10s"); got != maxStops {
		t.Errorf("%d were stopped, want %d:\n%v", got, maxStops, r.Diagnostics)
	}
	if got := strings.Count(r.Diagnostics.String(), "since the evaluation of others was stopped"); got != 3 {
		t.Errorf("%d were given up, want 3:\n%v", got, r.Diagnostics)
	}
}

// An evaluator that cannot run is no mistake of the user's.
func TestEvaluatorFails(t *testing.T) {
	failure := errors.New("no such program")
	l := NewLoader(Config{Eval: &watched{err: failure}})
	if _, err := l.Load(t.Context(), repo(map[string]string{"a.cue": "x: 1"})); !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
}

// An answer that is cut short at any byte gives the packages before it.
func TestAnswerCutShort(t *testing.T) {
	l := NewLoader(Config{})
	files := []*file{
		{path: "a/a.cue", text: []byte("package a\n" + strings.ReplaceAll(cueNode, "NAME", `"a"`))},
		{path: "b/b.cue", text: []byte("package b\nx: 1\nx: 2\n" + strings.ReplaceAll(cueNode, "NAME", `"b"`))},
	}
	trees := newCUETree(files)
	packages := trees.packages()
	answer, err := l.cfg.Eval.Evaluate(t.Context(), trees.request(packages))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for i := range len(answer) + 1 {
		got := trees.read(answer[:i], packages)
		if len(got) < last {
			t.Fatalf("%d bytes give %d packages, fewer than %d", i, len(got), last)
		}
		last = len(got)
	}
	if last != 2 {
		t.Errorf("the whole answer gives %d packages, want 2", last)
	}
}

// Values have the positions of what the user wrote, also behind references,
// comprehensions and the schema.
func TestPositions(t *testing.T) {
	files := []*file{{path: "a.cue", text: []byte(`package a

import "meshwright.dev/schema"

_port: 8080
a: {
	apiVersion: "appmesh.k8s.aws/v1beta2"
	kind:       "VirtualNode"
	metadata: name: "ä", metadata: labels: {for k in ["x"] {(k): "y"}}
	spec: schema.#VirtualNodeSpec & {
		listeners: [{portMapping: {port: _port, protocol: "http"}}]
		serviceDiscovery: dns: hostname: "a-\(_port)"
	}
	status: [*1 | 2, 1.5, null, true, '\x00a', 1e3]
}
`)}}
	trees := newCUETree(files)
	answer, err := InProcess{}.Evaluate(t.Context(), trees.request(trees.packages()))
	if err != nil {
		t.Fatal(err)
	}
	var a cueAnswer
	if err := gob.NewDecoder(bytes.NewReader(answer)).Decode(&a); err != nil || len(a.Diagnostics) > 0 {
		t.Fatal(err, a.Diagnostics)
	}
	n, rest := unflatten(trees.files, a.Values)
	if len(rest) > 0 {
		t.Errorf("%d values are left", len(rest))
	}
	for path, want := range map[string]string{
		"":                                     "a.cue:6:4: a map ",
		"kind":                                 "a.cue:8:14: a string VirtualNode",
		"metadata.name":                        "a.cue:9:18: a string ä",
		"metadata.labels.x":                    "a.cue:9:63: a string y",
		"spec":                                 "a.cue:10:8: a map ",
		"spec.listeners[0].portMapping.port":   "a.cue:5:8: an integer 8080",
		"spec.serviceDiscovery.dns.hostname":   "a.cue:12:36: a string a-8080",
		"status[0]":                            "a.cue:14:11: an integer 1",
		"status[1]":                            "a.cue:14:19: a number 1.5",
		"status[2]":                            "a.cue:14:24: null ",
		"status[3]":                            "a.cue:14:30: a boolean true",
		"status[4]":                            "a.cue:14:36: a string AGE=",
		"spec.listeners[0].portMapping":        "a.cue:11:29: a map ",
		"spec.listeners[0].portMapping.unseen": "a.cue:11:29",
	} {
		v, pos := n.at(path)
		got := pos.String()
		if v != nil {
			got += ": " + v.kind.String() + " " + v.text
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// The embedded schema builds as CUE, by itself and as the module it is
// published as.
func TestModule(t *testing.T) {
	for name, text := range Module() {
		if !strings.HasSuffix(name, ".cue") {
			t.Errorf("%s is no CUE", name)
		}
		file, err := parser.ParseFile(name, text)
		if err != nil {
			t.Fatal(err)
		}
		inst := build.NewContext().NewInstance("", nil)
		if err := inst.AddSyntax(file); err != nil {
			t.Fatal(err)
		}
		if v := cuecontext.New().BuildInstance(inst); v.Err() != nil {
			t.Errorf("%s: %v", name, v.Err())
		}
	}
	// In a tree it imports like any other module, in place of the embedded one.
	files := map[string]string{"web.cue": "package web\nimport \"meshwright.dev/schema\"\nweb: schema.#VirtualNode & {" + strings.ReplaceAll(cueNode, "NAME", `"web"`) + "}\n", "mesh.yaml": yamlMesh}
	for name, text := range Module() {
		if name == "schema.cue" {
			files["cue.mod/module.cue"] = `module: "example.com/shop@v0"`
			files["cue.mod/pkg/meshwright.dev/schema/schema.cue"] = string(text)
		}
	}
	if r := (&watched{}).load(t, NewLoader(Config{}), files); r.Documents != 2 || r.Spec == nil {
		t.Errorf("%d resources: %v", r.Documents, r.Diagnostics)
	}
}

func TestTooDeep(t *testing.T) {
	for text, want := range map[string]Pos{
		"a: [" + strings.Repeat("[", maxNesting-1):     {},
		"a: [" + strings.Repeat("[", maxNesting):       {"a", 1, 4 + maxNesting},
		strings.Repeat("{\n", maxNesting) + "(":        {"a", maxNesting + 1, 1},
		strings.Repeat("[]", 10*maxNesting):            {},
		"@if(" + strings.Repeat("(", 100*maxNesting):   {"a", 1, maxNesting + 4},
		strings.Repeat(")", maxNesting) + "((" + "a:1": {},
	} {
		if got := tooDeep("a", text); got != want {
			t.Errorf("%.20q: got %v, want %v", text, got, want)
		}
	}
}
