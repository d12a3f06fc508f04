package schema

import (
	"bytes"
	"context"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/fixtures/scale"
)

func loadWith(t *testing.T, l *Loader, files fs.FS) *Result {
	t.Helper()
	r, err := l.Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What another process has validated gives the same tree as the files do, with
// every place; and the files of which something was found are read.
func TestRestoredIsAsValidated(t *testing.T) {
	all := map[string]fs.FS{"mesh": scale.Mesh{Services: 20, PerFile: 2}.FS()}
	for _, c := range fixtures.Archives(t, "specs/*.txtar") {
		all[c.Name] = c.Files
	}
	restored := 0
	for name, files := range all {
		first, second := NewLoader(Config{}), NewLoader(Config{})
		want := loadWith(t, first, files)
		v := first.Validated()
		if v == nil {
			continue // nothing but CUE
		}
		if first.Validated() != nil {
			t.Errorf("%s: there is news though nothing was validated since", name)
		}
		var out bytes.Buffer
		if err := v.Write(&out, "v1"); err != nil {
			t.Fatal(err)
		}
		if err := second.Restore(&out, "v1"); err != nil {
			t.Fatal(err)
		}
		got := loadWith(t, second, files)
		if diff := cmp.Diff(want.Diagnostics, got.Diagnostics, cmpopts.EquateEmpty()) + cmp.Diff(want, got, cmpopts.IgnoreFields(Result{}, "Spec", "Diagnostics")); diff != "" {
			t.Errorf("%s (-validated +restored):\n%s", name, diff)
		}
		if want.Spec == nil {
			continue
		}
		if diff := sameSpec(want.Spec, got.Spec); diff != "" {
			t.Errorf("%s (-validated +restored):\n%s", name, diff)
		}
		for ref, r := range want.Spec.All() {
			if w, g := MetaOf(r).At("spec"), MetaOf(got.Spec.Find(ref)).At("spec"); w != g {
				t.Errorf("%s: %s: its spec is at %s, not %s", name, ref, w, g)
			}
		}
		if len(want.Diagnostics) == 0 {
			if restored++; second.Validated() != nil {
				t.Errorf("%s: something was validated again", name)
			}
		}
	}
	if restored < 40 {
		t.Errorf("only %d trees were restored", restored)
	}
}

// What is damaged, or of another version, is not used, and a file that has
// changed since is read.
func TestRestoreKnowsWhatIsNotItsOwn(t *testing.T) {
	files := scale.Mesh{Services: 2}.FS()
	l := NewLoader(Config{})
	want := loadWith(t, l, files)
	var out bytes.Buffer
	if err := l.Validated().Write(&out, "v1"); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < out.Len(); at += 37 {
		broken := bytes.Clone(out.Bytes())
		broken[at] ^= 1
		if NewLoader(Config{}).Restore(bytes.NewReader(broken), "v1") == nil {
			t.Errorf("byte %d is another, and nobody sees it", at)
		}
		if NewLoader(Config{}).Restore(bytes.NewReader(out.Bytes()[:at]), "v1") == nil {
			t.Errorf("it ends after %d bytes, and nobody sees it", at)
		}
	}
	if NewLoader(Config{}).Restore(bytes.NewReader(out.Bytes()), "v2") == nil {
		t.Error("another version's is used")
	}
	other := NewLoader(Config{})
	if err := other.Restore(bytes.NewReader(out.Bytes()), "v1"); err != nil {
		t.Fatal(err)
	}
	changed := scale.Mesh{Services: 2, Weights: map[int]int{1: 77}}
	if diff := Diff(want.Spec, loadWith(t, other, fstest.MapFS(changed.FS())).Spec); len(diff) != 1 {
		t.Errorf("changed: %v", diff)
	}
}
