package schema

import (
	"bytes"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"github.com/google/go-cmp/cmp"
)

// cueSchema evaluates schema.cue as the CUE that it is.
func cueSchema(t testing.TB, ctx *cue.Context) cue.Value {
	t.Helper()
	v := ctx.CompileBytes(CUE(), cue.Filename("schema.cue"))
	if err := v.Err(); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaIsCUE(t *testing.T) {
	v := cueSchema(t, cuecontext.New())
	for _, name := range namesOf("") {
		def := v.LookupPath(cue.ParsePath("#" + name))
		if err := def.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s := shapes()[name]; s == nil || s.kind != structShape {
			t.Errorf("%s: no shape", name)
		}
	}
	formatted, err := format.Source(CUE())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(formatted, CUE()) {
		t.Error("schema.cue is not formatted: cue fmt schema/schema.cue")
	}
}

// What a shape cannot hold must never be dropped in silence.
func TestUnsupportedCUEPanics(t *testing.T) {
	for _, src := range []string{
		`#A: float`,
		`#A: {a: string}`,
		`#A: {a?: string, ...}`,
		`#A: {a?: 1 | 2}`,
		`#A: {a?: *"x" | "y"}`,
		`#A: {a?: [string, int]}`,
		`#A: {a?: int & !=3}`,
		`#A: {a?: int & <5}`,
		`#A: {a?: string & strings.HasPrefix("x")}`,
		`#A: {a?: int & >b}`,
		`#A: close({a?: string}) & matchN(1, [{b!: _}])`,
		`#A: close({a?: string}) & matchN(2 | 3, [{a!: _}])`,
		`#A: close({a?: string}) & matchIf({a!: _}, {a!: _}, {a?: string})`,
		`#A: {#B}, #B: {a?: string}`,
		`#A: {if true {a?: string}}`,
		`#A: {a?: #A}`,
		`#A: #B`,
		`#A: [string]: float`,
		`#A: number & >=0.001`,
		`#A: number & math.MultipleOf(0.1)`,
		`#A: {a?: string & =~1}`,
	} {
		file, err := parser.ParseFile("a.cue", strings.ReplaceAll(src, ", #B", "\n#B"), parser.ParseComments)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		func() {
			defer func() {
				if said, _ := recover().(string); !strings.Contains(said, "a.cue:") {
					t.Errorf("%s: no panic with a position, but %q", src, said)
				}
			}()
			newShapes(file)
		}()
	}
}

// A rule of the settings may name every kind.
func TestSettingsKnowEveryKind(t *testing.T) {
	if diff := cmp.Diff(namesOf(""), shapes()["Kind"].enum); diff != "" {
		t.Errorf("#Kind of schema.cue (-kinds +there):\n%s", diff)
	}
}
