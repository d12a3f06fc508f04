package git_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
)

// What merging a pull request gives, by what each side did since their merge
// base. A file is what a cell says, "" is none.
func TestMerge(t *testing.T) {
	type tree = map[string]string
	for _, c := range []struct {
		name                       string
		base, ours, theirs, result tree
		changed, conflicts         []string
	}{
		{"changes of different files", tree{"a": "0", "b": "0"}, tree{"a": "1", "b": "0"}, tree{"a": "0", "b": "1"}, tree{"a": "1", "b": "1"}, []string{"b"}, nil},
		{"different files of one folder", tree{"d/a": "0", "d/b": "0"}, tree{"d/a": "1", "d/b": "0"}, tree{"d/a": "0", "d/b": "1"}, tree{"d/a": "1", "d/b": "1"}, []string{"d/b"}, nil},
		{"the same change", tree{"a": "0"}, tree{"a": "1"}, tree{"a": "1"}, tree{"a": "1"}, []string{"a"}, nil},
		{"other changes", tree{"a": "0"}, tree{"a": "1"}, tree{"a": "2"}, nil, []string{"a"}, []string{"a"}},
		{"deleted here, changed there", tree{"a": "0", "b": "0"}, tree{"b": "0"}, tree{"a": "1", "b": "0"}, nil, []string{"a"}, []string{"a"}},
		{"changed here, deleted there", tree{"a": "0", "b": "0"}, tree{"a": "1", "b": "0"}, tree{"b": "0"}, nil, []string{"a"}, []string{"a"}},
		{"deleted on both sides", tree{"a": "0", "b": "0"}, tree{"b": "0"}, tree{"b": "0"}, tree{"b": "0"}, []string{"a"}, nil},
		{"renamed", tree{"a": "0", "b": "0"}, tree{"a": "0", "b": "1"}, tree{"c": "0", "b": "0"}, tree{"c": "0", "b": "1"}, []string{"a", "c"}, nil},
		{"renamed here, changed there", tree{"a": "0"}, tree{"c": "0"}, tree{"a": "1"}, nil, []string{"a"}, []string{"a"}},
		{"added with other content", tree{"z": "0"}, tree{"z": "0", "a": "1"}, tree{"z": "0", "a": "2"}, nil, []string{"a"}, []string{"a"}},
		{"a file becomes a folder", tree{"a": "0", "b": "0"}, tree{"a": "0", "b": "1"}, tree{"a/x": "0", "b": "0"}, tree{"a/x": "0", "b": "1"}, []string{"a", "a/x"}, nil},
		{"a folder becomes a file that changed", tree{"a/x": "0"}, tree{"a/x": "1"}, tree{"a": "0"}, nil, []string{"a", "a/x"}, []string{"a/x"}},
		{"a file here, a folder there", tree{"z": "0"}, tree{"z": "0", "a": "0"}, tree{"z": "0", "a/x": "0"}, nil, []string{"a/x"}, []string{"a"}},
		{"the folder's last files go on both sides", tree{"d/a": "0", "d/b": "0", "z": "0"}, tree{"d/a": "0", "z": "0"}, tree{"d/b": "0", "z": "0"}, tree{"z": "0"}, []string{"d/a"}, nil},
		{"all of the specs go", tree{"a": "0"}, tree{"a": "0"}, tree{}, tree{}, []string{"a"}, nil},
		{"executable", tree{"a": "0", "b": "0"}, tree{"a": "0", "b": "1"}, tree{"a": "*0", "b": "0"}, tree{"a": "*0", "b": "1"}, []string{"a"}, nil},
		{"nothing", tree{"a": "0"}, tree{"a": "1"}, tree{"a": "0"}, tree{"a": "1"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOrigin(t)
			root := o.imported(snapshot{files: c.base})
			ours := o.imported(snapshot{c.ours, root})
			theirs := o.imported(snapshot{c.theirs, root})
			o.move(ours[0])
			r := open(t, git.Config{URL: o.bare, Path: "specs"})
			mustFetch(t, r)
			_, err := r.FetchCommit(t.Context(), theirs[0], "")
			if err != nil && !errors.Is(err, sources.ErrNoPath) {
				t.Fatal(err)
			}
			m, err := r.Merge(t.Context(), ours[0], theirs[0])
			must(t, err)
			if m.Base != root[0] || !slices.Equal(m.Changed, c.changed) || !slices.Equal(m.Conflicts, c.conflicts) {
				t.Errorf("base %s, changed %v, conflicts %v; want %s, %v, %v", m.Base, m.Changed, m.Conflicts, root[0], c.changed, c.conflicts)
			}
			if len(c.conflicts) > 0 {
				if m.Revision != nil {
					t.Error("a result with conflicts")
				}
				return
			}
			got := tree{}
			if m.Revision.Files != nil {
				must(t, fs.WalkDir(m.Revision.Files, ".", func(p string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() {
						return err
					}
					text, err := fs.ReadFile(m.Revision.Files, p)
					info, _ := d.Info()
					if _, ok := info.Sys().(schema.BlobID); !ok {
						t.Errorf("%s has no blob's hash", p)
					}
					if got[p] = string(text); info.Mode()&0o100 != 0 {
						got[p] = "*" + string(text)
					}
					return err
				}))
			}
			if diff := cmp.Diff(c.result, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if m.Revision.Commit != theirs[0] {
				t.Errorf("commit %s; want the head's", m.Revision.Commit)
			}
		})
	}
}

// snapshot is a commit to make: its files below specs, *content for one that is
// executable, and its parents.
type snapshot struct {
	files   map[string]string
	parents []string
}

// imported makes commits, a minute apart, and returns their hashes. Parents are
// hashes, or ":N" for the Nth commit of the list, from 1.
func (o *origin) imported(commits ...snapshot) []string {
	o.t.Helper()
	o.imports++ // no two commits are the same
	var b strings.Builder
	for i, c := range commits {
		fmt.Fprintf(&b, "reset refs/heads/imported\n\ncommit refs/heads/imported\nmark :%d\ncommitter Bo <bo@example.com> %d +0000\ndata 4\nstep\n", i+1, 1767323045+60*i+o.imports)
		for j, p := range c.parents {
			fmt.Fprintf(&b, "%s %s\n", []string{"from", "merge"}[min(j, 1)], p)
		}
		b.WriteString("deleteall\nM 644 inline README\ndata 1\nr\n")
		for name, text := range c.files {
			mode := "644"
			if rest, ok := strings.CutPrefix(text, "*"); ok {
				mode, text = "755", rest
			}
			fmt.Fprintf(&b, "M %s inline specs/%s\ndata %d\n%s\n", mode, name, len(text), text)
		}
	}
	marks := filepath.Join(o.t.TempDir(), "marks")
	cmd := exec.Command("git", "fast-import", "--quiet", "--force", "--export-marks="+marks)
	cmd.Dir, cmd.Stdin = o.bare, strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		o.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	data, err := os.ReadFile(marks)
	must(o.t, err)
	hashes := make([]string, len(commits))
	for line := range strings.Lines(string(data)) {
		var mark int
		var hash string
		if _, err := fmt.Sscanf(line, ":%d %s", &mark, &hash); err != nil {
			o.t.Fatal(err)
		}
		hashes[mark-1] = hash
	}
	return hashes
}

// Of random histories, git's own merge says the same: the same merge bases, and
// the same tree wherever neither finds a conflict. Where no two paths ever hold
// the same, so that git sees no renames, the same conflicts too, unless the
// histories cross (git then merges the bases first). A file is one line here,
// so that git cannot look into it.
func TestMergeIsGits(t *testing.T) {
	needGit(t)
	var clean, conflicts, crossed int
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		o := newOrigin(t)
		renames := seed%2 == 1
		hashes := o.imported(randomHistory(rnd, 40, renames)...)
		o.move(hashes[len(hashes)-1])
		r := open(t, git.Config{URL: o.bare, Path: "specs"})
		mustFetch(t, r)
		for range 25 {
			ours, theirs := hashes[rnd.IntN(len(hashes))], hashes[rnd.IntN(len(hashes))]
			for _, h := range []string{ours, theirs} {
				if _, err := r.FetchCommit(t.Context(), h, ""); err != nil {
					t.Fatal(err)
				}
			}
			bases := strings.Fields(o.try("merge-base", "--all", ours, theirs))
			m, err := r.Merge(t.Context(), ours, theirs)
			must(t, err)
			if !slices.Contains(bases, m.Base) {
				t.Errorf("seed %d: merge base of %s and %s is %s; git has %v", seed, ours, theirs, m.Base, bases)
			}
			tree, conflict := o.merged(ours, theirs)
			switch {
			case m.Revision != nil && !conflict:
				clean++
				if m.Revision.Tree != tree {
					t.Errorf("seed %d: merge of %s and %s is %s; git has %s", seed, ours, theirs, m.Revision.Tree, tree)
				}
			case conflict && m.Revision == nil:
				conflicts++
			case !renames && (conflict || len(bases) == 1):
				t.Errorf("seed %d: conflicts of %s and %s: %v; does git find any? %v", seed, ours, theirs, m.Conflicts, conflict)
			}
			crossed += min(len(bases)-1, 1)
		}
	}
	t.Logf("%d clean, %d with conflicts, %d crossed", clean, conflicts, crossed)
	if clean < 20 || conflicts < 20 || crossed < 1 {
		t.Error("the histories show too little")
	}
}

// try runs git and returns what it prints, whatever it thinks of it.
func (o *origin) try(args ...string) string {
	cmd := exec.Command("git", args...)
	cmd.Dir = o.bare
	out, _ := cmd.Output()
	return string(out)
}

// merged is git's own merge: the tree of the specs, and whether there are conflicts.
func (o *origin) merged(ours, theirs string) (tree string, conflicts bool) {
	o.t.Helper()
	cmd := exec.Command("git", "merge-tree", "--write-tree", ours, theirs)
	cmd.Dir = o.bare
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return "", true
	}
	must(o.t, err)
	return o.run(o.bare, "rev-parse", strings.TrimSpace(string(out))+":specs"), false
}

// randomHistory is a graph of commits that change, add, delete and rename a few
// files, branch and merge. With renames, files at several paths hold the same.
func randomHistory(rnd *rand.Rand, n int, renames bool) []snapshot {
	content := func(name, text string) string {
		if renames {
			return text
		}
		return fmt.Sprintf("%x\n", sha256.Sum256([]byte(name+text)))
	}
	names := []string{"a", "b", "c", "d", "d/a", "d/b", "d/c/a", "e/a", "e/b", "e.x"}
	all := []snapshot{{files: map[string]string{}}}
	for _, name := range []string{"a", "b", "d/a", "d/c/a", "e/a", "keep"} {
		all[0].put(name, content(name, "0"))
	}
	for i := 1; i < n; i++ {
		from := max(0, len(all)-1-rnd.IntN(5))
		c := snapshot{files: map[string]string{}, parents: []string{fmt.Sprint(":", from+1)}}
		maps.Copy(c.files, all[from].files)
		if rnd.IntN(3) == 0 {
			if with := rnd.IntN(len(all)); with != from { // a merge, whatever comes of it
				c.parents = append(c.parents, fmt.Sprint(":", with+1))
				for _, name := range slices.Sorted(maps.Keys(all[with].files)) {
					if rnd.IntN(2) == 0 {
						c.put(name, all[with].files[name])
					}
				}
			}
		}
		for range rnd.IntN(3) {
			name := names[rnd.IntN(len(names))]
			switch rnd.IntN(4) {
			case 0:
				delete(c.files, name)
			default:
				c.put(name, content(name, fmt.Sprint(rnd.IntN(4))))
			}
		}
		all = append(all, c)
	}
	return all
}

// put writes a file, and removes what stands in its way.
func (c *snapshot) put(name, text string) {
	for other := range c.files {
		if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
			delete(c.files, other)
		}
	}
	c.files[name] = text
}
