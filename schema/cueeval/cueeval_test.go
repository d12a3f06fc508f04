package cueeval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// TestMain lets the tests run this binary as the child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "eval-cue":
			// A third of the time, so that the bombs of all tests take less.
			short := bounds{each: 3 * time.Second, all: 20 * time.Second, memory: usual.memory}
			if err := short.serve(os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		case "flood": // a child that answers without end
			for {
				if _, err := os.Stdout.Write(make([]byte, 1<<20)); err != nil {
					os.Exit(1)
				}
			}
		case "sleep":
			time.Sleep(time.Hour)
		case "where":
			dir, err := os.Getwd()
			fmt.Print(os.Environ(), dir, err, syscall.Getpgrp() == os.Getpid())
			return
		case "die":
			fmt.Println("half an answer")
			fmt.Fprintln(os.Stderr, "panic: a mistake of CUE's\n\ngoroutine 1 [running]:")
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

func child(t testing.TB, command string) *Child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Child{Exe: exe, Args: []string{command}, Timeout: time.Minute}
}

// load loads a tree with the evaluator.
func load(t testing.TB, eval schema.Evaluator, files map[string]string) *schema.Result {
	t.Helper()
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	r, err := schema.NewLoader(schema.Config{Eval: eval}).Load(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const mesh = `apiVersion: "appmesh.k8s.aws/v1beta2"
kind: "Mesh"
metadata: name: "shop"
spec: namespaceSelector: {}
`

// TestBombs: a hostile package costs seconds and one error about it; the
// packages beside it are evaluated, and the memory of the parent stays small.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	// Each of a dozen fields takes the one before it several times.
	laughs := func(field, format string) string {
		var b strings.Builder
		for i := range 30 {
			fmt.Fprintf(&b, "%s%d: "+strings.ReplaceAll(format, "PREV", field+strconv.Itoa(i))+"\n", field, i+1)
		}
		return b.String()
	}
	for _, bomb := range []struct{ name, text, want string }{
		{"laughing_strings", `a0: "ha"` + "\n" + laughs("a", `"\(PREV)\(PREV)\(PREV)\(PREV)"`), "memory"},
		{"laughing_lists", `a0: ["ha"]` + "\n" + laughs("a", `[PREV, PREV, PREV, PREV, PREV]`), ""},
		{"laughing_structs", `a0: {x: "ha"}` + "\n" + laughs("a", `{a: PREV, b: PREV, c: PREV, d: PREV}`), ""},
		{"huge_answer", "import \"strings\"\n_a: strings.Repeat(\"ha\", 1000000)\nx: [for _ in strings.Split(strings.Repeat(\"a\", 50), \"\") {apiVersion: \"a/v1\", kind: \"B\", a: _a}]", hugeAnswer},
		{"huge_list", "import \"list\"\na: [for i in list.Range(0, 1000000000, 1) {i}]", ""},
		{"huge_string", "import \"strings\"\na: strings.Repeat(\"ha\", 1500000000)", "strings.Repeat"},
		{"huge_number", "import \"math\"\na: math.Pow(10, 100000000)", ""},
		{"nested_loops", "import \"list\"\n_l: list.Range(0, 3000, 1)\na: {for x in _l for y in _l for z in _l {\"\\(x)-\\(y)-\\(z)\": 1}}", ""},
		{"disjunctions", laughs("a", `{p: 1, q: 2} | {p: 2, r: 3} | {s: string}`) + "b: " + strings.Repeat("({x: 1} | {y: 1} | {z: 1}) & ", 25) + "{}", ""},
		{"deep_brackets", "a: " + strings.Repeat("[", 1_000_000), "nested"},
		{"deep_operators", "a: " + strings.Repeat("!", 3_000_000) + "true", ""},
		{"deep_selectors", "a: b" + strings.Repeat(".b", 1_000_000), ""},
		{"many_operands", "a: 1" + strings.Repeat("+1", 1_500_000), ""},
		{"recursion", "#f: {n: int, r: #f & {n: n + 1}}\na: #f & {n: 1}", ""},
	} {
		t.Run(bomb.name, func(t *testing.T) {
			before := time.Now()
			eval := child(t, "eval-cue")
			r := load(t, eval, map[string]string{
				"bad/bomb.cue":  "package bomb\n" + bomb.text,
				"good/mesh.cue": "package good\n" + mesh + "x: y: 1\nx: y: 2\n",
			})
			took := time.Since(before)
			var bombs, others int
			for _, d := range r.Diagnostics {
				switch d.Pos.File {
				case "bad/bomb.cue":
					bombs++
					if text := d.String(); !strings.Contains(text, bomb.want) || len(text) > 500 {
						t.Errorf("got %.600s; want it to name %q", text, bomb.want)
					}
				case "good/mesh.cue":
					others++
				}
			}
			t.Logf("%.1f s: %.300v", took.Seconds(), r.Diagnostics)
			if bombs > 1 || others != 1 {
				t.Errorf("%d diagnostics of the bomb and %d of the other package; want at most 1, and 1", bombs, others)
			}
			if took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
	var mem runtime.MemStats
	if runtime.ReadMemStats(&mem); mem.Sys > 512<<20 {
		t.Errorf("the parent took %d MB", mem.Sys>>20)
	}
}

// TestChild: whatever the child does, the parent gets what it answered and
// goes on.
func TestChild(t *testing.T) {
	evaluate := func(command string) (string, error) {
		c := child(t, command)
		if command == "sleep" {
			c.Timeout = time.Second
		}
		answer, err := c.Evaluate(t.Context(), make([]byte, 1<<20))
		return string(answer[:min(len(answer), 1000)]), err
	}
	t.Run("sees_nothing", func(t *testing.T) {
		t.Setenv("CUE_REGISTRY", "registry.example.com")
		if got, err := evaluate("where"); got != "[]/<nil> true" || err != nil {
			t.Errorf("got %q, %v; want no environment, /, its own process group", got, err)
		}
	})
	t.Run("answers_half", func(t *testing.T) {
		got, err := evaluate("die")
		if want := "the evaluator broke down (exit status 2: panic: a mistake of CUE's)"; got != "half an answer\n" || !errors.Is(err, schema.Stopped(want)) {
			t.Errorf("got %q, %v; want half an answer and %q", got, err, want)
		}
	})
	t.Run("answers_without_end", func(t *testing.T) {
		if _, err := evaluate("flood"); !errors.Is(err, schema.Stopped("it gives more than 64 MB")) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("sleeps", func(t *testing.T) {
		if _, err := evaluate("sleep"); !errors.Is(err, schema.Stopped("it takes more than 1s")) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("is_cancelled", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := child(t, "sleep").Evaluate(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("does_not_exist", func(t *testing.T) {
		var stopped schema.Stopped
		c := Child{Exe: filepath.Join(t.TempDir(), "none")}
		if _, err := c.Evaluate(t.Context(), nil); !errors.Is(err, os.ErrNotExist) || errors.As(err, &stopped) {
			t.Errorf("got %v, want that it does not exist", err)
		}
	})
}

// FuzzEvaluate: any text costs a second at most, and is either resources or
// lines that point into the file; the same text says the same.
func FuzzEvaluate(f *testing.F) {
	for _, seed := range []string{
		mesh,
		"a: b: c: 1\na: b: c: 2",
		"import \"strings\"\nx: strings.ToUpper(\"a\")",
		"import \"meshwright.dev/schema\"\nx: schema.#Mesh & {kind: \"Mesh\"}",
		"#x: [=~\"a\"]: {y!: int, z?: *1 | 2}\nx: #x & {a: y: 1}",
		"package p\n@if(a || !b)\nx: [for i, v in [1, 2] if v > i {\"\\(v)\": i}]",
		"l: [...{apiVersion: \"a\", kind: string | *\"b\"}] & [{}]",
		"x: y\ny: x\nz: close({a: 1}) & {b: 2}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		eval := child(t, "eval-cue")
		eval.Timeout = 5 * time.Second
		first := load(t, eval, map[string]string{"a/a.cue": text})
		for _, d := range first.Diagnostics {
			if d.Code == schema.CodeStopped {
				if strings.Contains(d.What, "broke down") {
					t.Skip(d.String()) // a panic of CUE's own: contained, and not ours
				}
				return
			}
			line := d.String()
			if strings.Count(line, "\n") > 0 || d.Pos.File != "a/a.cue" || d.Pos.Line < 1 || d.Pos.Line > 1+strings.Count(text, "\n") || d.Pos.Col < 1 {
				t.Errorf("it points nowhere: %q", line)
			}
		}
		second := load(t, eval, map[string]string{"a/a.cue": text})
		if len(second.Diagnostics) > 0 && second.Diagnostics[0].Code == schema.CodeStopped {
			return
		}
		if a, b := first.Diagnostics.String(), second.Diagnostics.String(); a != b || first.Documents != second.Documents {
			t.Errorf("once %d resources and\n%s\nthen %d and\n%s", first.Documents, a, second.Documents, b)
		}
	})
}
