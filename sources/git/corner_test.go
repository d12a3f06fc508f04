package git_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/fixtures/scale"
	"github.com/meshwright/meshwright/sources/git"
)

// corner is a repository of which the specs are a corner.
var corner = scale.Corner{Mesh: scale.Mesh{Services: 10, Backends: 2}, Files: 500, Bytes: 5 << 20, Commits: 50}

// cornered is an origin with the history of a corner on main.
func cornered(t testing.TB, c scale.Corner) *origin {
	t.Helper()
	o := newOrigin(t)
	o.run(o.bare, "config", "core.compression", "0")
	o.run(o.bare, "config", "fastimport.unpackLimit", "0")
	cmd := exec.Command("git", "fast-import", "--quiet", "--done")
	cmd.Dir = o.bare
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	imported := make(chan error, 1)
	go func() { imported <- c.Import(in, "main"); in.Close() }()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	if err := <-imported; err != nil {
		t.Fatal(err)
	}
	return o
}

// add commits files (path, content …) on top of a branch of the bare repository,
// as the new tip of another, and returns the commit.
func (o *origin) add(from, branch string, files ...string) string {
	o.t.Helper()
	parent := o.run(o.bare, "rev-parse", from)
	var b strings.Builder
	fmt.Fprintf(&b, "reset refs/%s\nfrom %s\n\n", branch, parent)
	fmt.Fprintf(&b, "commit refs/%s\ncommitter Bo <bo@example.com> 1800000000 +0000\ndata 3\nadd\nfrom %s\n", branch, parent)
	for i := 0; i < len(files); i += 2 {
		fmt.Fprintf(&b, "M 644 inline %s\ndata %d\n%s\n", files[i], len(files[i+1]), files[i+1])
	}
	cmd := exec.Command("git", "fast-import", "--quiet", "--force")
	cmd.Dir, cmd.Stdin = o.bare, strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		o.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	return o.run(o.bare, "rev-parse", "refs/"+branch)
}

// noise is n bytes that nothing compresses, in files of the given size.
func noise(folder string, n, size int) []string {
	c := scale.Corner{Files: n / size, Bytes: int64(n)}
	var files []string
	for i := range c.Files {
		files = append(files, folder+"/"+c.Ballast(i), string(c.Noise(i, 1_000_000)))
	}
	return files
}

// kinds counts the objects that a store has, by kind.
func (o *origin) kinds(dir string) map[string]int {
	o.t.Helper()
	count := map[string]int{}
	for line := range strings.Lines(o.run(dir, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)")) {
		count[strings.TrimSpace(line)]++
	}
	return count
}

// Of a repository of which the specs are a corner, the files elsewhere are never
// fetched, neither at first nor later; all that is done with commits goes on as
// with a whole store.
func TestCorner(t *testing.T) {
	for _, remote := range []string{"path", "http", "ssh"} {
		t.Run(remote, func(t *testing.T) {
			corner := corner
			if remote != "path" {
				corner.Path = "a/b/mesh"
			}
			mesh, o := corner.Folder(), cornered(t, corner)
			cfg := git.Config{URL: o.bare, Path: mesh, Dir: filepath.Join(t.TempDir(), "store"), MaxPull: 100_000}
			switch remote {
			case "http":
				cfg.URL = o.serve().repoURL()
			case "ssh":
				key, signer := newKey(t)
				addr, known := serveSSH(t, signer.PublicKey())
				cfg.URL, cfg.Auth = "ssh://git@"+addr+o.bare, git.Auth{SSHKeyFile: key, KnownHostsFile: known}
			}
			r := open(t, cfg)
			first := mustFetch(t, r)
			specs := 1 + corner.Mesh.Services
			count := func(want int, when string) {
				t.Helper()
				if k := o.kinds(cfg.Dir); k["blob"] != want || k["commit"] == 0 || k["tree"] == 0 {
					t.Errorf("%s: %v; want %d blobs", when, k, want)
				}
			}
			count(specs, "first clone")
			if k, folders := o.kinds(cfg.Dir), 3+strings.Count(mesh, "/"); k["tree"] != folders || k["commit"] != 1+corner.Commits {
				t.Errorf("first clone: %v; want %d trees, all commits", k, folders)
			}

			o.move(o.add("main", "spare/note", mesh+"/note.yaml", "# a note\n"))
			rev := mustFetch(t, r)
			wantFile(t, rev, o.run(o.bare, "rev-parse", "main"), "note.yaml", "# a note\n")
			count(specs+1, "a commit of the specs")

			elsewhere := o.add("main", "spare/more", noise("more", 1<<20, 1<<16)...)
			o.move(elsewhere)
			if rev := mustFetch(t, r); rev.Commit != elsewhere {
				t.Errorf("tip %s; want %s", rev.Commit, elsewhere)
			}
			count(specs+1, "a commit elsewhere")

			// Much more elsewhere than a pull request may bring is no matter.
			files := append(noise("film", 1<<20, 1<<16), mesh+"/pull.yaml", "# pull\n")
			head := o.add("main~20", "pull/7/head", files...)
			_, err := r.FetchCommit(t.Context(), head, "refs/pull/7/head")
			must(t, err)
			count(specs+4, "a pull request, and two files as they were where it branched off")
			merge, err := r.Merge(t.Context(), elsewhere, head)
			must(t, err)
			wantFile(t, merge.Revision, head, "pull.yaml", "# pull\n")
			wantFile(t, merge.Revision, head, "note.yaml", "# a note\n")

			// A commit of the past was never the tip: its files come when they are asked for.
			old := o.run(o.bare, "rev-parse", first.Commit+"~25")
			past, err := r.FetchCommit(t.Context(), old, "")
			must(t, err)
			name := corner.Mesh.File(2)
			wantFile(t, past, old, name, o.run(o.bare, "show", old+":"+mesh+"/"+name)+"\n")
			undo, err := r.Revert(t.Context(), first.Commit, o.run(o.bare, "rev-parse", first.Commit+"~45"), elsewhere)
			must(t, err)
			if len(undo.Files) == 0 {
				t.Error("there is nothing to revert")
			}

			// What is kept is enough for the next process, without the host.
			again, err := open(t, cfg).Last()
			must(t, err)
			wantFile(t, again, elsewhere, "note.yaml", "# a note\n")
		})
	}
}

// A host that promises single objects and then refuses them is one that cannot.
func TestRefusedObjects(t *testing.T) {
	o := cornered(t, corner)
	s := o.serve()
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		must(t, err)
		if bytes.Contains(body, []byte("filter ")) && !bytes.Contains(body, []byte("want "+o.run(o.bare, "rev-parse", "main"))) {
			line := "ERR upload-pack: not our ref"
			fmt.Fprintf(w, "%04x%s", len(line)+4, line)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.backend.ServeHTTP(w, r)
	})
	dir := filepath.Join(t.TempDir(), "store")
	log, text := logger()
	r := open(t, git.Config{URL: s.repoURL(), Path: "mesh", Dir: dir, Logger: log})
	mustFetch(t, r) // as long as it keeps its promise
	s.handler.Store(refuse)
	for _, what := range []string{"mesh/a.yaml", "mesh/b.yaml"} {
		o.move(o.add("main", "spare/next", what, "# a\n"))
		wantFile(t, mustFetch(t, r), o.run(o.bare, "rev-parse", "main"), strings.TrimPrefix(what, "mesh/"), "# a\n")
		if k := o.kinds(dir); k["blob"] < corner.Files {
			t.Errorf("%v; want all of them", k)
		}
	}
	// Or one whose filters are switched off one by one.
	s.handler.Store(http.HandlerFunc(nil))
	o.run(o.bare, "config", "uploadpackfilter.tree.allow", "false")
	cfg := git.Config{URL: s.repoURL(), Path: "mesh", Dir: filepath.Join(t.TempDir(), "store")}
	mustFetch(t, open(t, cfg))
	if k := o.kinds(cfg.Dir); k["blob"] < corner.Files {
		t.Errorf("%v; want all of them", k)
	}
	if n := strings.Count(text.String(), "git host did not leave anything out"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, text)
	}
}

// A force-push back to what was never the tip brings its files.
func TestCornerForcePush(t *testing.T) {
	o := cornered(t, corner)
	r := open(t, git.Config{URL: o.serve().repoURL(), Path: "mesh"})
	mustFetch(t, r)
	old := o.run(o.bare, "rev-parse", "main~25")
	o.move(old)
	rev := mustFetch(t, r)
	name := corner.Mesh.File(2)
	wantFile(t, rev, old, name, o.run(o.bare, "show", old+":mesh/"+name)+"\n")
	if !rev.Forced {
		t.Error("it was forced")
	}
}

// Where the remote cannot leave files out, or is not to, all is fetched; another
// spec path then finds its files, and one of a lean store is cloned for.
func TestWhole(t *testing.T) {
	o := cornered(t, corner)
	s := o.serve()
	blobs := 0
	count := func(cfg git.Config) int {
		mustFetch(t, open(t, cfg))
		return o.kinds(cfg.Dir)["blob"]
	}
	for line := range strings.Lines(o.run(o.bare, "rev-list", "--objects", "--filter=object:type=blob", "--filter-provided-objects", "main")) {
		if strings.TrimSpace(line) != "" {
			blobs++
		}
	}
	cfg := git.Config{URL: s.repoURL(), Path: "mesh", Dir: filepath.Join(t.TempDir(), "store")}
	cfg.Whole = true
	if n := count(cfg); n != blobs {
		t.Errorf("told to fetch all: %d blobs; want %d", n, blobs)
	}
	cfg.Whole, cfg.Dir = false, filepath.Join(t.TempDir(), "store")
	o.run(o.bare, "config", "uploadpack.allowFilter", "false")
	if n := count(cfg); n != blobs {
		t.Errorf("no filters there: %d blobs; want %d", n, blobs)
	}
	o.run(o.bare, "config", "uploadpack.allowFilter", "true")
	s.handler.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "down", http.StatusBadGateway) }))
	cfg.Path = "mesh/services"
	if rev, err := open(t, cfg).Last(); err != nil || rev == nil {
		t.Errorf("another path of a whole store: %v, %v", rev, err)
	}
	s.handler.Store(http.HandlerFunc(nil))

	cfg.Path, cfg.Dir = "mesh", filepath.Join(t.TempDir(), "store")
	count(cfg)
	cfg.Path = "ballast/000/001"
	if rev, err := open(t, cfg).Last(); err != nil || rev != nil {
		t.Errorf("another path of a lean store: %v, %v", rev, err)
	}
	if n := count(cfg); n != 100 {
		t.Errorf("another path of a lean store: %d blobs; want its 100", n)
	}
}
