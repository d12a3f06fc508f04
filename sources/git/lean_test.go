package git_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/sources/git"
)

// A host may lose, while we run, what a lean store relies on: what was left out
// is fetched all the same, for a pull request and for the branch.
func TestHostThatCanNoMore(t *testing.T) {
	for _, lost := range []string{"uploadpack.allowFilter", "uploadpack.allowReachableSHA1InWant"} {
		for _, remote := range []string{"http", "ssh"} {
			t.Run(remote+" "+lost, func(t *testing.T) {
				o := cornered(t, corner)
				cfg := git.Config{Path: "mesh", Dir: filepath.Join(t.TempDir(), "store")}
				if remote == "http" {
					cfg.URL = o.serve().repoURL()
				} else {
					key, signer := newKey(t)
					addr, known := serveSSH(t, signer.PublicKey())
					cfg.URL, cfg.Auth = "ssh://git@"+addr+o.bare, git.Auth{SSHKeyFile: key, KnownHostsFile: known}
				}
				r := open(t, cfg)
				tip := mustFetch(t, r)
				if k := o.kinds(cfg.Dir); k["blob"] > corner.Files {
					t.Fatalf("%v; the store is not lean", k)
				}
				o.run(o.bare, "config", lost, "false")
				head := o.add("main~20", "pull/7/head", "mesh/pull.yaml", "# pull\n")
				pull, err := r.FetchCommit(t.Context(), head, "refs/pull/7/head")
				must(t, err)
				wantFile(t, pull, head, "pull.yaml", "# pull\n")
				_, err = r.Merge(t.Context(), tip.Commit, head)
				must(t, err)
				old := o.run(o.bare, "rev-parse", "main~25")
				o.move(old)
				name := corner.Mesh.File(2)
				wantFile(t, mustFetch(t, r), old, name, o.run(o.bare, "show", old+":mesh/"+name)+"\n")
			})
		}
	}
}

// The repository is made anew, with nothing in it, while a pull request is looked for.
func TestEmptiedRemote(t *testing.T) {
	o := newOrigin(t)
	o.commitAndPush("one", "specs/a.yaml", "a")
	r := open(t, git.Config{URL: o.serve().repoURL(), Path: "specs"})
	mustFetch(t, r)
	head := o.commit("two", "specs/a.yaml", "b")
	must(t, os.RemoveAll(o.bare))
	o.run(o.work, "init", "--quiet", "--bare", "--initial-branch=main", o.bare)
	if _, err := r.FetchCommit(t.Context(), head, "refs/pull/1/head"); err == nil || !strings.Contains(err.Error(), "there is no refs/pull/1/head") {
		t.Errorf("the error is %v", err)
	}
}

// A folder on the way to the spec path, of which a lean store has not what else is
// in it, comes to stand below that path.
func TestFolderCopiedIntoTheCorner(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		o.commitAndPush("one", "a/mesh/x.yaml", "x", "a/other/y.yaml", "y")
		r := open(t, git.Config{URL: url, Path: "a/mesh"})
		mustFetch(t, r)
		head := o.commit("two", "a/mesh/old/mesh/x.yaml", "x", "a/mesh/old/other/y.yaml", "y")
		o.run(o.work, "push", "--quiet", "origin", "HEAD:refs/pull/1/head")
		pull, err := r.FetchCommit(t.Context(), head, "refs/pull/1/head")
		must(t, err)
		wantFile(t, pull, head, "old/other/y.yaml", "y")
	})
}

// Of a lean store, folders and files may be damaged and the commits whole.
func TestDamagedFolder(t *testing.T) {
	o := newOrigin(t)
	o.commitAndPush("one", "specs/a.yaml", "a", "specs/b.yaml", "b", "other", "c")
	dir := filepath.Join(t.TempDir(), "store")
	r := open(t, git.Config{URL: o.serve().repoURL(), Dir: dir, Path: "specs"})
	mustFetch(t, r)
	damaged := 0
	for _, index := range matches(t, dir, "objects/pack/*.idx") {
		if !strings.Contains(o.run(dir, "verify-pack", "-v", index), " commit ") {
			flip(t, dir, "objects/pack/"+strings.TrimSuffix(filepath.Base(index), ".idx")+".pack")
			damaged++
		}
	}
	if damaged == 0 {
		t.Fatal("all is in one pack")
	}
	tip := o.commitAndPush("two", "specs/a.yaml", "a2")
	wantFile(t, mustFetch(t, r), tip, "b.yaml", "b")
}
