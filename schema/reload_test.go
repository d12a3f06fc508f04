package schema

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/fixtures/scale"
)

// A loader that goes on from what it has loaded before finds what one finds
// that sees the tree for the first time: in every case, and in meshes of YAML
// and of CUE, while their files change at random, break and are mended.
func TestReloadIsAsLoaded(t *testing.T) {
	trees := map[string]fstest.MapFS{
		"mesh/yaml": scale.Mesh{Services: 12, Backends: 3, PerFile: 3}.FS(),
		"mesh/cue":  scale.Mesh{Services: 6, Backends: 3, PerFile: 2, CUE: true}.FS(),
	}
	for _, c := range fixtures.Archives(t, "specs/*.txtar") {
		trees[c.Name] = fstest.MapFS{}
		err := fs.WalkDir(c.Files, ".", func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && slices.Contains(extensions, path.Ext(p)) && !strings.HasPrefix(p, "want/") {
				data, err := fs.ReadFile(c.Files, p)
				if path.Ext(p) != ".yaml" || isSettings(p) {
					trees[c.Name][p] = &fstest.MapFile{Data: data, Mode: 0o644}
					return err
				}
				for i, one := range splitYAML(string(data)) { // so that a change is one of one document
					trees[c.Name][fmt.Sprintf("%s.%d.yaml", p, i)] = &fstest.MapFile{Data: []byte(one.text), Mode: 0o644}
				}
				return err
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	good, kept := 0, 0
	for n, name := range slices.Sorted(maps.Keys(trees)) {
		if len(trees[name]) == 0 {
			continue
		}
		steps := 10 + 5*len(trees[name])
		if slices.ContainsFunc(slices.Collect(maps.Keys(trees[name])), func(p string) bool { return path.Ext(p) == ".cue" }) {
			steps = 12 // evaluated in full each time
		}
		c := changing{tree: maps.Clone(trees[name]), whole: trees[name], Rand: rand.New(rand.NewPCG(7, uint64(n)))}
		l := NewLoader(Config{})
		for step := range steps {
			was := l.last
			got, err := l.Load(context.Background(), c.tree)
			want, wantErr := NewLoader(Config{}).Load(context.Background(), c.tree)
			if err != nil || wantErr != nil {
				t.Fatal(err, wantErr)
			}
			diff := cmp.Diff(want.Diagnostics, got.Diagnostics, cmpopts.EquateEmpty()) + cmp.Diff(want, got, cmpopts.IgnoreFields(Result{}, "Spec", "Diagnostics"))
			if (want.Spec == nil) != (got.Spec == nil) {
				diff += "one of them is no spec"
			} else if got.Spec != nil && step%4 == 3 { // what is wrong once stays so
				diff += sameSpec(want.Spec, got.Spec)
			}
			if diff != "" {
				t.Fatalf("%s, step %d, %s (-loaded +reloaded):\n%s", name, step, c.did, diff)
			}
			if got.Spec != nil {
				good++
				if was != nil && fmt.Sprintf("%p", was.spec.names) == fmt.Sprintf("%p", got.Spec.names) {
					kept++ // it did not link all of it anew
				}
			}
			c.change()
		}
	}
	if good < 700 || kept < 500 {
		t.Errorf("only %d good trees, of which %d went on from what was", good, kept)
	}
}

// sameSpec compares two specs with their places, which digests do not have.
func sameSpec(want, got *Spec) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(Spec{}, named{}), cmpopts.IgnoreUnexported(Meta{}, Settings{}), cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b Ref) bool { return a.Compare(b) < 0 }))
}

// changing is a tree whose files change at random.
type changing struct {
	*rand.Rand
	tree, whole fstest.MapFS
	did         string
}

// change breaks the tree, or mends it.
func (c *changing) change() {
	name := slices.Sorted(maps.Keys(c.whole))[c.IntN(len(c.whole))]
	mended := c.whole[name]
	lines := strings.Split(string(mended.Data), "\n")
	at := c.IntN(len(lines))
	switch c.IntN(12) {
	default:
		c.did = "mended " + name
		c.tree[name] = mended
		delete(c.tree, "z"+path.Base(name))
		return
	case 0:
		c.did = "removed " + name
		delete(c.tree, name)
		return
	case 1:
		c.did = "moved " + name
		delete(c.tree, name)
		c.tree["z"+path.Base(name)] = mended
		return
	case 2:
		c.did = "put a line before " + name
		lines = slices.Insert(lines, 0, "")
	case 3:
		c.did = fmt.Sprintf("removed line %d of %s", at+1, name)
		lines = slices.Delete(lines, at, at+1)
	case 4, 6: // as with weights, ports and timeouts
		c.did = fmt.Sprintf("changed the numbers of line %d of %s", at+1, name)
		lines[at] = strings.Map(func(r rune) rune {
			if r >= '0' && r <= '8' {
				return r + 1
			}
			return r
		}, lines[at])
	case 5, 7: // as with names and references
		other := c.whole[slices.Sorted(maps.Keys(c.whole))[c.IntN(len(c.whole))]]
		key, _, _ := strings.Cut(lines[at], ":")
		for _, l := range strings.Split(string(other.Data), "\n") {
			if k, _, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == strings.TrimSpace(key) && c.IntN(3) == 0 {
				lines[at] = key + l[len(k):]
				break
			}
		}
		c.did = fmt.Sprintf("wrote line %d of %s as %s", at+1, name, lines[at])
	}
	c.tree[name] = &fstest.MapFile{Data: []byte(strings.Join(lines, "\n")), Mode: mended.Mode}
}
