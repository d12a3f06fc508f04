package schema

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
)

// rolloutCase returns the rollouts of the case that says everything.
func rolloutCase(t testing.TB, name string) *Rollout {
	t.Helper()
	r, err := NewLoader(Config{}).Load(context.Background(), fixtures.Archives(t, "specs/load_rollouts.txtar")[0].Files)
	if err != nil || r.Spec == nil {
		t.Fatal(err, r.Diagnostics)
	}
	for key, rollout := range r.Spec.Rollouts {
		if key.Name == name {
			return rollout
		}
	}
	t.Fatalf("no rollout %s", name)
	return nil
}

func TestRolloutAsWritten(t *testing.T) {
	of := func(p Percent) *Percent { return &p }
	number := func(f float64) *float64 { return &f }
	want := RolloutSpec{
		Targets: []RolloutTarget{{Kind: KindVirtualRouter, Name: "web"}},
		Start:   StartPullRequest,
		Steps: []RolloutStep{
			{Header: &HeaderMatch{Name: "x-preview", Match: &HeaderValue{Exact: "yes"}}, Gate: &Gate{Approval: true}},
			{Mirror: of(1250), Hold: 5 * time.Minute},
			{Weight: of(10), Hold: 90 * time.Second},
			{Weight: of(3333), Hold: 90 * time.Minute, Mirror: of(100), Header: &HeaderMatch{Name: "x-preview", Invert: true}},
			{Weight: of(5000), Hold: 30 * time.Minute},
			{Weight: of(Whole), Hold: 10 * time.Minute, Gate: &Gate{Status: "ci/load-test"}},
		},
		Analysis: &Analysis{
			Interval: time.Minute, InitialDelay: 20 * time.Second,
			SuccessRate: &SuccessRate{Min: of(9995), NotWorseThanBase: of(0)},
			Latency:     &Latency{P50: 20 * time.Millisecond, P95: 100 * time.Millisecond, P99: 1500 * time.Millisecond, NotWorseThanBase: of(15000)},
			MinRequests: 50, OnInsufficient: InsufficientPass, FailureLimit: 3, ErrorLimit: 10, DryRun: true,
			Prometheus: []PrometheusRule{{Name: "queue", Query: "sum(queue_length)", Min: number(-1.5), Max: number(1.5e9)}},
		},
		Affinity: &Affinity{Cookie: &AffinityCookie{Name: "side", TTL: time.Hour}},
		Windows: Windows{
			{Kind: Allow, Schedule: "0 9 * * MON-FRI", Duration: 8 * time.Hour, Timezone: "Europe/Berlin", Running: RunningContinue},
			{Kind: Deny, Schedule: "0 0 24 12 *", Duration: 192 * time.Hour},
		},
		Hold:             &Hold{Reason: "the warehouse counts", Until: "2026-12-31T23:59:59+01:00"},
		OnFailure:        HoldStill,
		ProgressDeadline: 2 * time.Hour,
		MeshRef:          &MeshReference{Name: "shop"},
	}
	got := rolloutCase(t, "web").Spec
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var weights []string
	for i := range got.Steps {
		weights = append(weights, got.WeightAt(i).String())
	}
	if is := strings.Join(weights, " "); is != "0 0 0.1 33.33 50 100" {
		t.Errorf("weights: got %s", is)
	}
	if end := got.Hold.End(); !end.Equal(time.Date(2026, 12, 31, 22, 59, 59, 0, time.UTC)) {
		t.Errorf("the hold ends %s", end)
	}
	var cue []Percent
	for _, s := range rolloutCase(t, "cue").Spec.Steps {
		cue = append(cue, *s.Weight)
	}
	if diff := cmp.Diff([]Percent{250, 500, 9999}, cue); diff != "" {
		t.Errorf("from CUE (-want +got):\n%s", diff)
	}
}

// Where nothing is said the defaults hold, and the spec stays as it is written.
func TestRolloutDefaults(t *testing.T) {
	r := &Rollout{Meta: Meta{Ref: Ref{KindRollout, Key{"shop", "web"}}}, Spec: RolloutSpec{
		Targets:  []RolloutTarget{{Kind: KindVirtualRouter, Name: "web"}, {Kind: KindGatewayRoute, Name: "in", Namespace: "edge"}},
		Steps:    []RolloutStep{{Hold: 5 * time.Minute}, {Hold: 20 * time.Minute}},
		Analysis: &Analysis{}, Affinity: &Affinity{Cookie: &AffinityCookie{Name: "side"}},
		Windows: Windows{{Kind: Deny}},
	}}
	want := RolloutSpec{
		Targets:          []RolloutTarget{{Kind: KindVirtualRouter, Name: "web", Namespace: "shop"}, {Kind: KindGatewayRoute, Name: "in", Namespace: "edge"}},
		Start:            StartMerge,
		Steps:            r.Spec.Steps,
		Analysis:         &Analysis{Interval: 10 * time.Second, MinRequests: 100, OnInsufficient: InsufficientHold, FailureLimit: 2, ErrorLimit: 5},
		Affinity:         &Affinity{Cookie: &AffinityCookie{Name: "side", TTL: 24 * time.Hour}},
		Windows:          Windows{{Kind: Deny, Timezone: "UTC", Running: RunningHold}},
		OnFailure:        RollBack,
		ProgressDeadline: 80 * time.Minute,
	}
	if diff := cmp.Diff(want, r.Policy()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Spec.Start != "" || r.Spec.Analysis.Interval != 0 || r.Spec.Affinity.Cookie.TTL != 0 || r.Spec.Windows[0].Timezone != "" || r.Spec.Targets[0].Namespace != "" {
		t.Errorf("what is written changed: %+v", r.Spec)
	}
	header := Rollout{Spec: RolloutSpec{Affinity: &Affinity{Header: "x-user"}}}
	if diff := cmp.Diff(&Affinity{Header: "x-user"}, header.Policy().Affinity); diff != "" {
		t.Errorf("affinity by header (-want +got):\n%s", diff)
	}
}

// A rollout is known by what it governs. It depends on that, and nothing that
// proxies get depends on it.
func TestRolloutDependsAndIsNotDependedOn(t *testing.T) {
	r, err := NewLoader(Config{}).Load(context.Background(), fixtures.Archives(t, "specs/load_rollouts.txtar")[0].Files)
	if err != nil || r.Spec == nil {
		t.Fatal(err, r.Diagnostics)
	}
	router, route := Ref{KindVirtualRouter, Key{"shop", "web"}}, Ref{KindGatewayRoute, Key{"shop", "public"}}
	if got := r.Spec.RolloutOf(router); got == nil || got.Ref.Name != "web" {
		t.Errorf("%s: got %v", router, got)
	}
	if got := r.Spec.RolloutOf(route); got == nil || got.Ref != (Ref{KindRollout, Key{"other", "public"}}) {
		t.Errorf("%s: got %v", route, got)
	}
	if got := r.Spec.RolloutOf(Ref{KindVirtualRouter, Key{"shop", "other"}}); got != nil {
		t.Errorf("nobody governs it: got %v", got.Ref)
	}
	for _, rollout := range r.Spec.Rollouts {
		if diff := cmp.Diff(map[Ref]bool{rollout.Ref: true}, r.Spec.Dependents([]Ref{rollout.Ref})); diff != "" {
			t.Errorf("%s is depended on (-want +got):\n%s", rollout.Ref, diff)
		}
	}
	if !r.Spec.Dependents([]Ref{router})[Ref{KindRollout, Key{"shop", "web"}}] {
		t.Error("the rollout does not depend on the router")
	}
}

// Numbers, and what says that they are percent, have one verdict with us and
// with CUE, however they are spelled.
func TestNumbersAgreeWithCUE(t *testing.T) {
	ctx := cuecontext.New()
	schema := ctx.CompileBytes(schemaCUE)
	if err := schema.Err(); err != nil {
		t.Fatal(err)
	}
	for _, definition := range []string{"Part", "Bound"} {
		for text, want := range map[string]bool{
			"5": true, "5.0": true, "5.25": true, "99.99": true, "100": true, "1e1": true, "0.1": true, "33.33": true, "12.3": true, "0.29": true, "0.57": true, "1.15": true,
			"100.01": false, "101": false, "-1": false, "5.001": false, "33.333": false, "99.999": false, "1e3": false,
			"0.05": definition == "Bound", "0": definition == "Bound", "0.0": definition == "Bound",
		} {
			n := &node{}
			n.number(text)
			var found Diagnostics
			v := validation{report: func(d Diagnostic) { found = append(found, d) }}
			v.value(shapes()[definition], n)
			theirs := ctx.CompileString(text).Unify(schema.LookupPath(cue.ParsePath("#"+definition))).Validate(cue.Concrete(true)) == nil
			if got := len(found) == 0; got != want || theirs != want {
				t.Errorf("#%s %s: we say %v, CUE says %v, want %v", definition, text, got, theirs, want)
			}
			written, _ := parseFloat(text)
			if p, ok := parsePercent(text); want && (!ok || float64(p)/100 != written) {
				t.Errorf("%s: got %s, %v", text, p, ok)
			}
		}
	}
}

// Every field of a rollout has its words in docs/rollouts.md, and the examples
// there are good.
func TestRolloutIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fixtures.Dir(t), "..", "docs", "rollouts.md"))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(path string, s *shape)
	walk = func(path string, s *shape) {
		switch {
		case s.kind == structShape && s.name != "HeaderMatch":
			for _, f := range s.fields {
				walk(strings.TrimPrefix(path+"."+f.name, "."), f.shape)
			}
		case s.kind == listShape:
			walk(path+"[]", s.elem)
		case !strings.Contains(string(text), "`"+path+"`"):
			t.Errorf("docs/rollouts.md has no %s", path)
		}
	}
	walk("", shapes()["RolloutSpec"])

	examples := 0
	for i, block := range strings.Split(string(text), "```yaml\n") {
		block, _, _ = strings.Cut(block, "```")
		if i == 0 {
			continue
		}
		switch {
		case strings.HasPrefix(block, "spec:"):
			block = strings.Replace(block, "spec:", "apiVersion: "+ourVersion+"\nkind: Rollout\nmetadata: {name: a}\nspec:", 1)
		case !strings.HasPrefix(block, "apiVersion:"):
			block = "  " + strings.ReplaceAll(block, "\n", "\n  ")
			if !strings.Contains(block, "steps:") {
				block += "\n  steps: [{weight: 5, hold: 5m}]"
			}
			block = "apiVersion: " + ourVersion + "\nkind: Rollout\nmetadata: {name: a}\nspec:\n  targets: [{kind: VirtualRouter, name: a}]\n" + block
		}
		r, err := NewLoader(Config{}).Load(context.Background(), fstest.MapFS{"a.yaml": {Data: []byte(block)}})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Diagnostics.Errors() {
			if d.Code != CodeNoMesh && d.Code != CodeDangling {
				t.Errorf("example %d: %s\n%s", i, d, block)
			}
		}
		if examples++; r.Documents != 1 {
			t.Errorf("example %d: %d documents\n%s", i, r.Documents, block)
		}
	}
	if examples < 6 {
		t.Errorf("only %d examples", examples)
	}
}
