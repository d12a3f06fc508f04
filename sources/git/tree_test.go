package git_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
)

func TestTreeIsAFileSystem(t *testing.T) {
	o := newOrigin(t)
	o.commitAndPush("first", "specs/a.yaml", "a1", "specs/sub/deep/b.yaml", "b1", "specs/sub/empty.yaml", "", "specs/run.sh", "#!", "README.md", "r",
		"specs/big.yaml", strings.Repeat("0123456789abcdef", 10_000))
	must(t, os.Chmod(filepath.Join(o.work, "specs/run.sh"), 0o755))
	o.commitAndPush("executable")
	rev := mustFetch(t, open(t, git.Config{URL: o.bare, Path: "specs"}))
	if err := fstest.TestFS(rev.Files, "a.yaml", "sub/deep/b.yaml", "sub/empty.yaml", "run.sh", "big.yaml"); err != nil {
		t.Fatal(err)
	}
	info, err := fs.Stat(rev.Files, "a.yaml")
	must(t, err)
	if got, want := info.Sys(), schema.BlobID(o.run(o.work, "rev-parse", "HEAD:specs/a.yaml")); got != want {
		t.Errorf("Sys() = %v; want %v", got, want)
	}
	if got, want := rev.Tree, o.run(o.work, "rev-parse", "HEAD:specs"); got != want {
		t.Errorf("tree = %s; want %s", got, want)
	}
}

// TestEntriesThatAreNoFiles: links and submodules are listed as what they are,
// so that the loader can refuse them, and are never followed.
func TestEntriesThatAreNoFiles(t *testing.T) {
	o := newOrigin(t)
	o.write("specs/a.yaml", "a1", "secret", "s")
	must(t, os.Symlink("../secret", filepath.Join(o.work, "specs/link.yaml")))
	must(t, os.Symlink("..", filepath.Join(o.work, "specs/up")))
	o.commitAndPush("links")
	r := open(t, git.Config{URL: o.bare, Path: "specs"})
	if err := fstest.TestFS(mustFetch(t, r).Files, "a.yaml"); err != nil {
		t.Error(err)
	}
	o.run(o.work, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",specs/vendored")
	o.run(o.work, "commit", "--quiet", "-m", "odd entries")
	o.push()
	rev := mustFetch(t, r)
	for name, want := range map[string]fs.FileMode{"link.yaml": fs.ModeSymlink, "up": fs.ModeSymlink, "vendored": fs.ModeIrregular} {
		info, err := fs.Lstat(rev.Files, name)
		must(t, err)
		if info.Mode().Type() != want {
			t.Errorf("%s: mode %v; want %v", name, info.Mode(), want)
		}
		if data, err := fs.ReadFile(rev.Files, name); err == nil {
			t.Errorf("%s was read: %q", name, data)
		}
	}
	if _, err := fs.ReadFile(rev.Files, "up/secret"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("through a link: %v", err)
	}
	if target, err := fs.ReadLink(rev.Files, "link.yaml"); target != "../secret" || err != nil {
		t.Errorf("target = %q, %v", target, err)
	}
}

// TestHostileNames: git's object format takes names that no file can have.
func TestHostileNames(t *testing.T) {
	o := newOrigin(t)
	blob := o.run(o.work, "hash-object", "-w", "-t", "blob", os.DevNull)
	raw := make([]byte, 0, 20)
	for i := 0; i < 40; i += 2 {
		var b byte
		for _, c := range blob[i : i+2] {
			b = b<<4 | byte(strings.IndexRune("0123456789abcdef", c))
		}
		raw = append(raw, b)
	}
	var tree []byte
	for _, name := range []string{".", "..", "../../etc/passwd", "bad\xffutf8", "fine.yaml", "twice.yaml", "twice.yaml"} {
		tree = append(tree, "100644 "+name+"\x00"...)
		tree = append(tree, raw...)
	}
	file := filepath.Join(t.TempDir(), "tree")
	must(t, os.WriteFile(file, tree, 0o666))
	hash := o.run(o.work, "hash-object", "-w", "-t", "tree", "--literally", file)
	commit := o.run(o.work, "commit-tree", "-m", "hostile", hash)

	rev, _, err := git.OpenLocal(o.work, commit)
	if err != nil {
		t.Skip("refused already: ", err) // go-git may come to refuse such trees itself
	}
	list, err := fs.ReadDir(rev.Files, ".")
	must(t, err)
	for _, e := range list {
		if !fs.ValidPath(e.Name()) || strings.ContainsAny(e.Name(), "/") {
			t.Errorf("listed: %q", e.Name())
		}
		if e.Type().IsRegular() != (e.Name() == "fine.yaml" || e.Name() == "twice.yaml") {
			t.Errorf("%q: %v", e.Name(), e.Type())
		}
	}
}

// TestReadingWhileFetching is for the race detector.
func TestReadingWhileFetching(t *testing.T) {
	o := newOrigin(t)
	hashes := o.history(20, manyFiles(50)...)
	o.move(hashes[0])
	r := open(t, git.Config{URL: o.bare})
	rev := mustFetch(t, r)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	read := func(rev *sources.Revision) {
		err := fs.WalkDir(rev.Files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			_, err = fs.ReadFile(rev.Files, name)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					read(rev)
				}
			}
		})
	}
	for _, h := range hashes[1:] {
		o.move(h)
		read(mustFetch(t, r))
	}
	close(stop)
	wg.Wait()
}
