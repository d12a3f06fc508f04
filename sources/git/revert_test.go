package git_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
)

// What takes a branch back, by what there was before, what the commit made of
// it, and what has become of that. A file is what a cell says, "" is none; of a
// file to be written, what it is to be and what it was.
func TestRevert(t *testing.T) {
	type tree = map[string]string
	for _, c := range []struct {
		name            string
		to, commit, tip tree
		files           tree
		left            []string
	}{
		{"changed", tree{"a": "0"}, tree{"a": "1"}, tree{"a": "1"}, tree{"a": "1→0"}, nil},
		{"added", tree{"z": "0"}, tree{"z": "0", "d/a": "1"}, tree{"z": "0", "d/a": "1"}, tree{"d/a": "1→"}, nil},
		{"deleted", tree{"a": "0", "z": "0"}, tree{"z": "0"}, tree{"z": "0"}, tree{"a": "→0"}, nil},
		{"renamed", tree{"a": "0"}, tree{"b": "0"}, tree{"b": "0"}, tree{"a": "→0", "b": "0→"}, nil},
		{"made executable", tree{"a": "*0", "z": "0"}, tree{"a": "0", "z": "0"}, tree{"a": "0", "z": "0"}, tree{"a": "0→*0"}, nil},
		{"other files changed since", tree{"a": "0", "b": "0"}, tree{"a": "1", "b": "0"}, tree{"a": "1", "b": "1", "c": "1"}, tree{"a": "1→0"}, nil},
		{"changed again since", tree{"a": "0", "b": "0"}, tree{"a": "1", "b": "1"}, tree{"a": "2", "b": "1"}, tree{"b": "1→0"}, []string{"specs/a"}},
		{"deleted since", tree{"a": "0", "z": "0"}, tree{"a": "1", "z": "0"}, tree{"z": "0"}, tree{}, []string{"specs/a"}},
		{"taken back already", tree{"a": "0", "b": "0"}, tree{"a": "1", "b": "1"}, tree{"a": "0", "b": "1"}, tree{"b": "1→0"}, nil},
		{"all of the specs were new", tree{}, tree{"a": "1"}, tree{"a": "1", "b": "1"}, tree{"a": "1→"}, nil},
		{"a file that is a folder now", tree{"a": "0", "z": "0"}, tree{"z": "0"}, tree{"a/x": "1", "z": "0"}, tree{}, []string{"specs/a"}},
		{"a folder that is a file now", tree{"a/x": "0", "z": "0"}, tree{"z": "0"}, tree{"a": "1", "z": "0"}, tree{}, []string{"specs/a", "specs/a/x"}},
		{"a file that was a folder, where one more is now", tree{"a": "0"}, tree{"a/x": "0"}, tree{"a/x": "1"}, tree{}, []string{"specs/a", "specs/a/x"}},
		{"nothing", tree{"a": "0"}, tree{"a": "0"}, tree{"a": "1"}, tree{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOrigin(t)
			all := o.imported(snapshot{files: c.to}, snapshot{c.commit, []string{":1"}}, snapshot{c.tip, []string{":2"}})
			o.move(all[2])
			r := open(t, git.Config{URL: o.bare, Path: "specs"})
			if _, err := r.Fetch(t.Context()); err != nil && !errors.Is(err, sources.ErrNoPath) {
				t.Fatal(err)
			}
			got, err := r.Revert(t.Context(), all[1], all[0], all[2])
			must(t, err)
			files := tree{}
			for _, f := range got.Files {
				was, is := "", string(f.Content)
				if f.Was != "" {
					was = o.run(o.bare, "cat-file", "blob", f.Was)
				}
				if f.Blob != "" && o.run(o.bare, "cat-file", "blob", f.Blob) != is {
					t.Errorf("%s: the content is not that of %s", f.Path, f.Blob)
				}
				switch f.Mode {
				case "100755":
					is = "*" + is
				case "100644":
				default:
					if f.Blob != "" {
						t.Errorf("%s: mode %q", f.Path, f.Mode)
					}
				}
				files[strings.TrimPrefix(f.Path, "specs/")] = was + "→" + is
			}
			if diff := cmp.Diff(c.files, files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if root := o.run(o.bare, "rev-parse", all[2]+"^{tree}"); got.Root != root {
				t.Errorf("root %s; want %s", got.Root, root)
			}
			if !slices.Equal(got.Left, c.left) || got.Commit != all[1] || got.To != all[0] || got.Tip != all[2] {
				t.Errorf("%+v; want %v left", got, c.left)
			}
		})
	}
}

// Of random commits, git's own three-way reading of trees says the same: what
// was changed again since, and the tree of everything else.
func TestRevertIsGits(t *testing.T) {
	var clean, left, nothing int
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		o := newOrigin(t)
		hashes := o.imported(randomHistory(rnd, 30, seed%2 == 1)...)
		o.move(hashes[len(hashes)-1])
		r := open(t, git.Config{URL: o.bare, Path: "specs"})
		mustFetch(t, r)
		for range 25 {
			var of [3]string // whose changes, since when, on what
			for i := range of {
				of[i] = hashes[rnd.IntN(len(hashes))]
				if _, err := r.FetchCommit(t.Context(), of[i], ""); err != nil {
					t.Fatal(err)
				}
			}
			got, err := r.Revert(t.Context(), of[0], of[1], of[2])
			must(t, err)
			index := index{o, filepath.Join(t.TempDir(), "index")}
			index.run("", "read-tree", "-i", "-m", "--aggressive", of[0], of[2], of[1])
			unmerged := index.paths("ls-files", "-u")
			want := index.paths("ls-files", "-s")
			index.run("", "read-tree", of[2])
			var changes strings.Builder
			for _, f := range got.Files {
				if f.Blob == "" {
					f.Mode, f.Blob = "0", strings.Repeat("0", 40)
				}
				fmt.Fprintf(&changes, "%s %s\t%s\n", f.Mode, f.Blob, f.Path)
			}
			index.run(changes.String(), "update-index", "--index-info")
			is := index.paths("ls-files", "-s")
			for path := range unmerged {
				// Git gives up on each name that is a file here and a folder there.
				if !slices.Contains(got.Left, path) && path != "specs/d" && !strings.HasPrefix(path, "specs/d/") {
					t.Errorf("seed %d, %v: %s is not left", seed, of, path)
				}
			}
			for _, path := range got.Left {
				delete(want, path)
				delete(is, path)
			}
			if diff := cmp.Diff(want, is); diff != "" {
				t.Errorf("seed %d, %v: left %q (-git's +ours)\n%s", seed, of, got.Left, diff)
			}
			switch {
			case len(got.Left) > 0:
				left++
			case len(got.Files) > 0:
				clean++
			default:
				nothing++
			}
		}
	}
	t.Logf("%d clean, %d with files left, %d with nothing to do", clean, left, nothing)
	if clean < 20 || left < 20 || nothing < 1 {
		t.Error("the histories show too little")
	}
}

// index is one of git's, apart from any work tree.
type index struct {
	*origin
	file string
}

func (i index) run(in string, args ...string) string {
	i.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = i.bare, append(os.Environ(), "GIT_INDEX_FILE="+i.file), strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		i.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// paths are the mode and the hash of what a command lists, by path.
func (i index) paths(args ...string) map[string]string {
	i.t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(i.run("", args...)) {
		what, path, _ := strings.Cut(strings.TrimSpace(line), "\t")
		all[path] = strings.Join(strings.Fields(what)[:2], " ")
	}
	return all
}

// What a pull request could not write is left.
func TestRevertLeavesWhatIsNoFile(t *testing.T) {
	o := newOrigin(t)
	to := o.commit("before", "specs/a.yaml", "0")
	must(t, os.Symlink("a.yaml", o.work+"/specs/link"))
	o.run(o.work, "update-index", "--add", "--cacheinfo", "160000,"+to+",specs/module")
	o.run(o.work, "update-index", "--add", "--cacheinfo", "100644,"+o.run(o.work, "rev-parse", "HEAD:specs/a.yaml")+",specs/\xff.yaml")
	o.write("specs/a.yaml", "1")
	o.run(o.work, "add", "specs/a.yaml", "specs/link")
	o.run(o.work, "commit", "--quiet", "-m", "odd")
	odd := o.run(o.work, "rev-parse", "HEAD")
	o.push()
	r := open(t, git.Config{URL: o.bare, Path: "specs"})
	mustFetch(t, r)
	got, err := r.Revert(t.Context(), odd, to, odd)
	must(t, err)
	var files []string
	for _, f := range got.Files {
		files = append(files, f.Path)
	}
	if want := []string{"specs/a.yaml", "specs/link"}; !slices.Equal(files, want) || len(got.Left) != 2 || got.Left[1] != "specs/module" {
		t.Errorf("files %q, left %q; want %q, the module and the name that is none", files, got.Left, want)
	}
	for _, args := range [][3]string{{"main", to, odd}, {odd, strings.Repeat("1", 40), odd}} {
		if _, err := r.Revert(t.Context(), args[0], args[1], args[2]); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

func TestHistory(t *testing.T) {
	o := newOrigin(t)
	one := o.commit("one", "specs/a.yaml", "1")
	o.run(o.work, "checkout", "--quiet", "-b", "topic")
	o.commit("aside", "specs/b.yaml", "1")
	o.run(o.work, "checkout", "--quiet", "-")
	two := o.commit("two", "specs/a.yaml", "2")
	o.run(o.work, "merge", "--quiet", "--no-ff", "-m", "merge topic", "topic")
	merge := o.run(o.work, "rev-parse", "HEAD")
	o.push()
	r := open(t, git.Config{URL: o.bare, Path: "specs"})
	if got, err := r.History(t.Context(), 9); len(got) > 0 || err != nil {
		t.Errorf("before the first fetch: %v, %v", got, err)
	}
	mustFetch(t, r)
	must(t, os.RemoveAll(o.bare)) // without network
	for n, want := range map[int][]string{0: nil, 2: {merge, two}, 9: {merge, two, one}} {
		got, err := r.History(t.Context(), n)
		must(t, err)
		var hashes []string
		for _, rev := range got {
			hashes = append(hashes, rev.Commit)
		}
		if !slices.Equal(hashes, want) {
			t.Errorf("the last %d: %v; want %v", n, hashes, want)
		}
		if n == 2 && (got[0].Title != "merge topic" || got[1].Author != "Ada" || got[0].Files != nil) {
			t.Errorf("%+v", got)
		}
	}
}
