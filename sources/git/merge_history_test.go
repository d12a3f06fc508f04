package git_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
)

// A head that was branched off long ago, or that the merge queue made, comes
// with the history that it takes to merge it.
func TestMergeOfWhatWasFetched(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		hashes := o.history(300, "keep", "k")
		o.run(o.work, "fetch", "--quiet", "origin", "refs/heads/history")
		o.run(o.work, "checkout", "--quiet", hashes[299])
		o.push()
		r := open(t, git.Config{URL: url})
		mustFetch(t, r)

		for _, ref := range []string{"refs/pull/7/head", "refs/heads/gh-readonly-queue/main/pr-7-" + hashes[299]} {
			o.run(o.work, "checkout", "--quiet", hashes[50])
			head := o.commit("proposal "+ref, "b.yaml", ref)
			o.run(o.work, "push", "--quiet", "origin", "HEAD:"+ref)
			_, err := r.FetchCommit(t.Context(), head, ref)
			must(t, err)
			m, err := r.Merge(t.Context(), hashes[299], head)
			must(t, err)
			if m.Base != hashes[50] || !slices.Equal(m.Changed, []string{"b.yaml"}) || !slices.Equal(m.BaseChanged, []string{"a.yaml"}) || len(m.Conflicts) > 0 {
				t.Fatalf("merge = %+v", m)
			}
			wantFile(t, m.Revision, head, "a.yaml", "a300")
			wantFile(t, m.Revision, head, "b.yaml", ref)
		}

		o.run(o.work, "checkout", "--quiet", "--orphan", "unrelated")
		head := o.commit("unrelated", "a.yaml", "z")
		o.run(o.work, "push", "--quiet", "origin", "HEAD:refs/pull/8/head")
		_, err := r.FetchCommit(t.Context(), head, "refs/pull/8/head")
		must(t, err)
		_, err = r.Merge(t.Context(), hashes[299], head)
		if _, ok := errors.AsType[*sources.Permanent](err); !ok || !strings.Contains(err.Error(), "no common history; rebase it") {
			t.Errorf("no common history: %v", err)
		}
		if _, err = r.Merge(t.Context(), hashes[299], strings.Repeat("1", 40)); err == nil {
			t.Error("merged what is nowhere")
		} else if _, ok := errors.AsType[*sources.Permanent](err); ok {
			t.Errorf("a commit that is not in the store can still come: %v", err)
		}
	})
}

// The branch took in the first half of a pull request, and that then the
// branch: there are two merge bases. What neither side changed since either is
// no conflict, what a side changed since one of them is.
func TestMergeOfCrossedHistories(t *testing.T) {
	o := newOrigin(t)
	is := func(a, b, c string) map[string]string { return map[string]string{"a": a, "b": b, "c": c} }
	h := o.imported(
		snapshot{is("0", "0", "0"), nil},
		snapshot{is("1", "0", "0"), []string{":1"}},       // the branch
		snapshot{is("0", "1", "0"), []string{":1"}},       // the pull request
		snapshot{is("1", "1", "0"), []string{":2", ":3"}}, // the branch
		snapshot{is("1", "1", "0"), []string{":3", ":2"}}, // the pull request
		snapshot{is("1", "1", "1"), []string{":5"}},
		snapshot{is("2", "1", "1"), []string{":5"}},
	)
	o.move(h[3])
	r := open(t, git.Config{URL: o.bare, Path: "specs"})
	mustFetch(t, r)
	for _, c := range []struct {
		head      string
		conflicts []string
	}{{h[5], nil}, {h[6], []string{"a"}}} {
		_, err := r.FetchCommit(t.Context(), c.head, "")
		must(t, err)
		m, err := r.Merge(t.Context(), h[3], c.head)
		must(t, err)
		if !slices.Equal(m.Conflicts, c.conflicts) || (m.Revision == nil) != (c.conflicts != nil) || m.Base != h[1] && m.Base != h[2] {
			t.Errorf("merge = %+v; want conflicts %v", m, c.conflicts)
		}
	}
}

// Trees that would take for ever, or all of the stack, cost an error.
func TestHostileTrees(t *testing.T) { each(t, testHostileTrees) }

func testHostileTrees(t *testing.T, o *origin, url string) {
	base := o.commitAndPush("first", "specs/a.yaml", "a1")
	r := open(t, git.Config{URL: url, Path: "specs"})
	mustFetch(t, r)
	leaf := o.hashObject("blob", "x")
	head := func(entries string) string {
		specs := o.mktree(entries)
		root := o.mktree("040000 tree " + specs + "\tspecs")
		h := o.run(o.bare, "commit-tree", "-p", base, "-m", "hostile", root)
		o.run(o.bare, "update-ref", "refs/pull/7/head", h)
		return h
	}

	bomb := o.mktree("100644 blob " + leaf + "\tf")
	hollow := o.mktree("")
	for range 12 {
		var a, b strings.Builder
		for i := range 10 {
			fmt.Fprintf(&a, "040000 tree %s\t%d\n", bomb, i)
			fmt.Fprintf(&b, "040000 tree %s\t%d\n", hollow, i)
		}
		bomb, hollow = o.mktree(a.String()), o.mktree(b.String())
	}
	for name, tree := range map[string]string{"of files": bomb, "of folders": hollow} {
		h := head("040000 tree " + tree + "\tbomb")
		rev, err := r.FetchCommit(t.Context(), h, "")
		must(t, err)
		_, err = r.Merge(t.Context(), base, h)
		if _, ok := errors.AsType[*sources.Permanent](err); !ok || !strings.Contains(err.Error(), "more than 50000") {
			t.Errorf("a bomb %s: %v", name, err)
		}
		if name == "of files" {
			continue // loading looks at each, up to its own limit
		}
		res, err := schema.NewLoader(schema.Config{}).Load(t.Context(), rev.Files)
		must(t, err)
		if !strings.Contains(res.Diagnostics.String(), "more than 500000 files and folders") {
			t.Errorf("a bomb %s loads: %s", name, res.Diagnostics)
		}
	}

	deep := o.imported(snapshot{map[string]string{strings.Repeat("d/", 1500) + "f": "x"}, []string{base}})[0]
	o.run(o.bare, "update-ref", "refs/pull/7/head", deep)
	_, err := r.FetchCommit(t.Context(), deep, "")
	if _, ok := errors.AsType[*sources.Permanent](err); !ok || !strings.Contains(err.Error(), "more than 1000 deep") {
		t.Errorf("folders 1500 deep: %v", err)
	}

	id, err := hex.DecodeString(leaf)
	must(t, err)
	entry := "100644 b.yaml\x00" + string(id)
	h := head("040000 tree " + o.hashObject("tree", entry+entry) + "\ttwice")
	_, err = r.FetchCommit(t.Context(), h, "")
	must(t, err)
	_, err = r.Merge(t.Context(), base, h)
	if _, ok := errors.AsType[*sources.Permanent](err); !ok || !strings.Contains(err.Error(), `the folder "twice" holds "b.yaml" twice`) {
		t.Errorf("a name twice: %v", err)
	}

	if url == o.bare {
		return // the files that the next one names are nowhere
	}
	var many strings.Builder
	for i := range 50_001 {
		fmt.Fprintf(&many, "100644 blob %040x\t%d\n", i+1, i)
	}
	h = head("040000 tree " + o.pipe(many.String(), "mktree", "--missing") + "\tmany")
	_, err = r.FetchCommit(t.Context(), h, "")
	if _, ok := errors.AsType[*sources.Permanent](err); !ok || !strings.Contains(err.Error(), "more than 50000 files") {
		t.Errorf("too many files: %v", err)
	}
}

// A pull request that brings too much is refused, and leaves nothing of that behind.
func TestLargePullRequest(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		base := o.commitAndPush("first", "specs/a.yaml", "a1")
		dir := filepath.Join(t.TempDir(), "store")
		r := open(t, git.Config{URL: url, Path: "specs", Dir: dir, MaxPull: 100_000})
		mustFetch(t, r)
		before := diskUsage(t, dir)

		noise := make([]byte, 150_000)
		rand.NewChaCha8([32]byte{}).Read(noise)
		o.run(o.work, "checkout", "--quiet", "-b", "feature")
		head := o.commit("large", "specs/film.mp4", string(noise))
		o.run(o.work, "push", "--quiet", "origin", "HEAD:refs/pull/7/head")
		_, err := r.FetchCommit(t.Context(), head, "refs/pull/7/head")
		if _, ok := errors.AsType[*sources.Permanent](err); !ok || !strings.Contains(err.Error(), "more than 100000 bytes") {
			t.Errorf("error = %v", err)
		}
		if after := diskUsage(t, dir); after > before+5000 {
			t.Errorf("%d bytes of disk; before %d", after, before)
		}
		wantFile(t, mustFetch(t, r), base, "a.yaml", "a1")
		next := o.commitAndPush("the branch itself may", "specs/film.mp4", string(noise[1:]))
		wantFile(t, mustFetch(t, r), next, "a.yaml", "a1")
	})
}

// A file of zeros is small on the wire, and would fill the memory.
func TestInflatingPullRequest(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		o.commitAndPush("first", "specs/a.yaml", "a1")
		r := open(t, git.Config{URL: url, Path: "specs", MaxPull: 100_000})
		mustFetch(t, r)
		o.run(o.work, "checkout", "--quiet", "-b", "feature")
		for _, c := range []struct {
			files []string
			error string // empty: it is taken
		}{
			{[]string{"specs/zeros", strings.Repeat("0", 700_000)}, ""},
			{[]string{"specs/zeros", strings.Repeat("1", 700_000), "specs/more", strings.Repeat("2", 700_000)}, "its new objects have more than 800000 bytes"},
		} {
			head := o.commit("zeros", c.files...)
			o.run(o.work, "push", "--quiet", "--force", "origin", "HEAD:refs/pull/7/head")
			_, err := r.FetchCommit(t.Context(), head, "refs/pull/7/head")
			if c.error == "" {
				must(t, err)
			} else if _, ok := errors.AsType[*sources.Permanent](err); !ok || !strings.Contains(err.Error(), c.error) {
				t.Errorf("error = %v; want %s", err, c.error)
			}
		}
	})
}

// Many pull requests do not make many packs.
func TestManyPullRequests(t *testing.T) {
	o := newOrigin(t)
	base := o.commitAndPush("first", "specs/a.yaml", "a1")
	dir := filepath.Join(t.TempDir(), "store")
	r := open(t, git.Config{URL: o.bare, Path: "specs", Dir: dir})
	mustFetch(t, r)
	for i := range 100 {
		head := o.imported(snapshot{map[string]string{"a.yaml": fmt.Sprint(i)}, []string{base}})[0]
		rev, err := r.FetchCommit(t.Context(), head, "")
		must(t, err)
		wantFile(t, rev, head, "a.yaml", fmt.Sprint(i))
	}
	if n := len(matches(t, dir, "objects/pack/*.pack")); n > 40 {
		t.Errorf("%d packs", n)
	}
}

// hashObject writes an object.
func (o *origin) hashObject(kind, content string) string {
	return o.pipe(content, "hash-object", "-t", kind, "-w", "--stdin", "--literally")
}

// mktree writes a tree of lines as git ls-tree prints them.
func (o *origin) mktree(lines string) string { return o.pipe(lines, "mktree") }

func (o *origin) pipe(in string, args ...string) string {
	o.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = o.bare, strings.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out))
}
