package git_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
)

// each runs a test against the origin by path and over HTTP.
func each(t *testing.T, test func(t *testing.T, o *origin, url string)) {
	t.Run("path", func(t *testing.T) { o := newOrigin(t); test(t, o, o.bare) })
	t.Run("http", func(t *testing.T) { o := newOrigin(t); test(t, o, o.serve().repoURL()) })
}

func TestFetchFollowsTheBranch(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		first := o.commitAndPush("first\n\nwhy", "specs/a.yaml", "a1", "README.md", "r1")
		r := open(t, git.Config{URL: url, Path: "specs"})
		if rev, err := r.Last(); rev != nil || err != nil {
			t.Fatalf("before the first fetch: %v, %v", rev, err)
		}
		one := mustFetch(t, r)
		wantFile(t, one, first, "a.yaml", "a1")
		if one.Title != "first" || one.Author != "Ada" || !one.When.Equal(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)) || one.Forced {
			t.Errorf("revision = %+v", one)
		}
		if again := mustFetch(t, r); again != one {
			t.Error("nothing is new: want the same revision again")
		}

		outside := o.commitAndPush("outside of the specs", "README.md", "r2")
		two := mustFetch(t, r)
		wantFile(t, two, outside, "a.yaml", "a1")
		if two.Tree != one.Tree {
			t.Error("the specs did not change; the tree's hash did")
		}

		third := o.commitAndPush("third", "specs/a.yaml", "a2", "specs/sub/b.yaml", "b1")
		three := mustFetch(t, r)
		wantFile(t, three, third, "a.yaml", "a2")
		wantFile(t, three, third, "sub/b.yaml", "b1")
		if three.Tree == one.Tree || three.Forced {
			t.Errorf("tree equal: %v, forced: %v", three.Tree == one.Tree, three.Forced)
		}
		wantFile(t, one, first, "a.yaml", "a1") // handed out before, still what it was
		if last, err := r.Last(); last != three || err != nil {
			t.Errorf("last = %v, %v", last, err)
		}
		back, err := r.Commit(first)
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, back, first, "a.yaml", "a1")
		if _, err := r.Commit(strings.Repeat("1", 40)); err == nil {
			t.Error("a commit that is nowhere was found")
		}
	})
}

func TestStoreOutlivesTheProcess(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		dir := filepath.Join(t.TempDir(), "store")
		h := o.commitAndPush("first", "a.yaml", "a1")
		mustFetch(t, open(t, git.Config{URL: url, Dir: dir}))

		r := open(t, git.Config{URL: url, Dir: dir})
		rev, err := r.Last()
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, rev, h, "a.yaml", "a1")
		if again := mustFetch(t, r); again != rev {
			t.Error("nothing is new: want the same revision")
		}

		// The same store for another repository holds nothing of it.
		other := newOrigin(t)
		oh := other.commitAndPush("other", "a.yaml", "other")
		r = open(t, git.Config{URL: other.bare, Dir: dir})
		if rev, err := r.Last(); rev != nil || err != nil {
			t.Fatalf("last of another repository = %v, %v", rev, err)
		}
		wantFile(t, mustFetch(t, r), oh, "a.yaml", "other")
	})
}

// TestLanded: commits that came to the branch between two looks are named, those
// of the branches that were merged are not.
func TestLanded(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		first := o.commitAndPush("first", "a.yaml", "a1")
		r := open(t, git.Config{URL: url})
		if rev := mustFetch(t, r); rev.Landed != nil {
			t.Errorf("with the first look landed %q", rev.Landed)
		}
		branch := strings.TrimSpace(o.run(o.work, "branch", "--show-current"))
		second := o.commitAndPush("second", "a.yaml", "a2")
		o.run(o.work, "checkout", "--quiet", "-b", "topic", first)
		o.commit("aside", "b.yaml", "b1")
		o.run(o.work, "checkout", "--quiet", branch)
		o.run(o.work, "merge", "--quiet", "--no-ff", "-m", "merge", "topic")
		merge := strings.TrimSpace(o.run(o.work, "rev-parse", "HEAD"))
		tip := o.commitAndPush("tip", "a.yaml", "a3")
		rev := mustFetch(t, r)
		if want := []string{merge, second}; rev.Commit != tip || !slices.Equal(rev.Landed, want) {
			t.Errorf("with %.7s landed %q, want %q", rev.Commit, rev.Landed, want)
		}
		o.run(o.work, "reset", "--quiet", "--hard", first)
		o.push()
		if rev := mustFetch(t, r); rev.Landed != nil {
			t.Errorf("with a force-push landed %q", rev.Landed)
		}
	})
}

func TestForcePush(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		first := o.commitAndPush("first", "a.yaml", "a1")
		second := o.commitAndPush("second", "a.yaml", "a2")
		r := open(t, git.Config{URL: url})
		mustFetch(t, r)

		o.run(o.work, "reset", "--quiet", "--hard", first)
		o.push()
		rev := mustFetch(t, r)
		wantFile(t, rev, first, "a.yaml", "a1")
		if !rev.Forced {
			t.Error("back to an older commit: want Forced")
		}
		rewritten := o.commitAndPush("rewritten", "a.yaml", "a3")
		if rev = mustFetch(t, r); rev.Forced {
			t.Error("forward again: Forced")
		}
		wantFile(t, rev, rewritten, "a.yaml", "a3")

		o.run(o.work, "checkout", "--quiet", "--orphan", "fresh")
		unrelated := o.commitAndPush("unrelated", "a.yaml", "a4")
		rev = mustFetch(t, r)
		wantFile(t, rev, unrelated, "a.yaml", "a4")
		if !rev.Forced {
			t.Error("an unrelated history: want Forced")
		}
		back, err := r.Commit(second) // the last good one may be a commit that git let go
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, back, second, "a.yaml", "a2")
	})
}

func TestBranchThatIsNotThere(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		r := open(t, git.Config{URL: url})
		if rev, err := r.Fetch(t.Context()); !errors.Is(err, sources.ErrNoBranch) || rev != nil {
			t.Errorf("empty repository: %v, %v; want ErrNoBranch", rev, err)
		}
		h := o.commitAndPush("first", "a.yaml", "a1")
		wantFile(t, mustFetch(t, r), h, "a.yaml", "a1")

		o.run(o.work, "push", "--quiet", "origin", "HEAD:refs/heads/other")
		o.run(o.bare, "update-ref", "-d", "refs/heads/main")
		if _, err := r.Fetch(t.Context()); !errors.Is(err, sources.ErrNoBranch) {
			t.Errorf("deleted branch: %v; want ErrNoBranch", err)
		}
		last, err := r.Last()
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, last, h, "a.yaml", "a1")

		o.push()
		wantFile(t, mustFetch(t, r), h, "a.yaml", "a1")
	})
}

func TestSpecPathThatIsNotThere(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		h := o.commitAndPush("first", "a.yaml", "a1", "specs", "a file")
		dir := filepath.Join(t.TempDir(), "store")
		r := open(t, git.Config{URL: url, Path: "./specs/", Dir: dir})
		for range 2 { // the second is answered from memory
			rev, err := r.Fetch(t.Context())
			if !errors.Is(err, sources.ErrNoPath) || !strings.Contains(err.Error(), `commit `+h[:7]+` has no folder "specs"`) {
				t.Errorf("err = %v", err)
			}
			if rev == nil || rev.Commit != h || rev.Files != nil {
				t.Errorf("revision = %+v; want %s without files", rev, h)
			}
		}
		if rev, err := open(t, git.Config{URL: url, Path: "specs", Dir: dir}).Last(); !errors.Is(err, sources.ErrNoPath) || rev == nil {
			t.Errorf("last = %v, %v", rev, err)
		}
		o.run(o.work, "rm", "--quiet", "specs")
		h = o.commitAndPush("a folder", "specs/b.yaml", "b1")
		wantFile(t, mustFetch(t, r), h, "b.yaml", "b1")
	})
}

// TestBrokenStore: whatever happens to the store, it is noticed, never served,
// and replaced by a fresh clone.
func TestBrokenStore(t *testing.T) {
	harms := map[string]func(t *testing.T, dir string){
		"truncated pack":   func(t *testing.T, dir string) { truncate(t, dir, "objects/pack/*.pack") },
		"truncated index":  func(t *testing.T, dir string) { truncate(t, dir, "objects/pack/*.idx") },
		"flipped bytes":    func(t *testing.T, dir string) { flip(t, dir, "objects/pack/*.pack") },
		"no packs":         func(t *testing.T, dir string) { remove(t, dir, "objects/pack/*") },
		"no objects":       func(t *testing.T, dir string) { remove(t, dir, "objects") },
		"no index":         func(t *testing.T, dir string) { remove(t, dir, "objects/pack/*.idx") },
		"garbage in ref":   func(t *testing.T, dir string) { overwrite(t, dir, "refs/heads/main", "garbage\n") },
		"empty ref":        func(t *testing.T, dir string) { overwrite(t, dir, "refs/heads/main", "") },
		"ref to nowhere":   func(t *testing.T, dir string) { overwrite(t, dir, "refs/heads/main", strings.Repeat("1", 40)+"\n") },
		"garbage in HEAD":  func(t *testing.T, dir string) { overwrite(t, dir, "HEAD", "garbage") },
		"garbage config":   func(t *testing.T, dir string) { overwrite(t, dir, "config", "[garb") },
		"empty store":      func(t *testing.T, dir string) { remove(t, dir, "*") },
		"store is gone":    func(t *testing.T, dir string) { remove(t, dir, "") },
		"killed in a swap": func(t *testing.T, dir string) { must(t, os.Rename(dir, dir+".old")) },
		"half a clone":     func(t *testing.T, dir string) { must(t, os.MkdirAll(dir+".new/objects/pack", 0o777)) },
		"killed in a fetch": func(t *testing.T, dir string) {
			overwrite(t, dir, "objects/pack/tmp_pack_1", "PACK")
			overwrite(t, dir, "objects/pack/pack-"+strings.Repeat("1", 40)+".idx", "half an index")
		},
	}
	each(t, func(t *testing.T, o *origin, url string) {
		long := strings.Repeat("text ", 1000)
		h := o.history(3, "b.yaml", long)
		for name, harm := range harms {
			t.Run(name, func(t *testing.T) {
				o.move(h[1])
				dir := filepath.Join(t.TempDir(), "store")
				mustFetch(t, open(t, git.Config{URL: url, Dir: dir}))
				harm(t, dir)
				r := open(t, git.Config{URL: url, Dir: dir})
				last, err := r.Last()
				must(t, err)
				if last != nil { // harmless: then all of it is there
					wantFile(t, last, h[1], "a.yaml", "a2")
					wantFile(t, last, h[1], "b.yaml", long)
				}
				wantFile(t, mustFetch(t, r), h[1], "a.yaml", "a2")
				o.move(h[2])
				rev := mustFetch(t, r)
				wantFile(t, rev, h[2], "a.yaml", "a3")
				wantFile(t, rev, h[2], "b.yaml", long)
			})
			t.Run(name+" while it runs", func(t *testing.T) {
				o.move(h[1])
				dir := filepath.Join(t.TempDir(), "store")
				r := open(t, git.Config{URL: url, Dir: dir})
				mustFetch(t, r)
				harm(t, dir)
				o.move(h[2])
				wantFile(t, mustFetch(t, r), h[2], "a.yaml", "a3")
				again := open(t, git.Config{URL: url, Dir: dir})
				rev := mustFetch(t, again)
				wantFile(t, rev, h[2], "a.yaml", "a3")
				wantFile(t, rev, h[2], "b.yaml", long)
			})
		}
	})
}

func TestOpenRefusesWhatIsNotItsOwn(t *testing.T) {
	o := newOrigin(t)
	o.commitAndPush("first", "a.yaml", "a1")
	for name, cfg := range map[string]git.Config{
		"somebody's repository as the store": {URL: o.bare, Branch: "main", Dir: o.bare},
		"no branch":                          {URL: o.bare, Dir: t.TempDir()},
		"a branch git does not allow":        {URL: o.bare, Branch: "a..b", Dir: t.TempDir()},
		"no directory":                       {URL: o.bare, Branch: "main"},
		"no URL":                             {Branch: "main", Dir: t.TempDir()},
		"a path outside":                     {URL: o.bare, Branch: "main", Dir: t.TempDir(), Path: "../x"},
		"a scheme we do not speak":           {URL: "git://example.com/x", Branch: "main", Dir: t.TempDir()},
	} {
		if _, err := git.Open(cfg); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	if _, err := os.Stat(filepath.Join(o.bare, "HEAD")); err != nil {
		t.Error(err)
	}
}

// TestHalfWrittenRemote: somebody copies a repository file by file, or a disk
// lost an object: the last good commit stays, and the next whole one is taken.
func TestHalfWrittenRemote(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		good := o.commitAndPush("first", "a.yaml", "a1")
		r := open(t, git.Config{URL: url})
		mustFetch(t, r)

		o.commitAndPush("second", "a.yaml", "a2", "b.yaml", "b2")
		blob := o.run(o.work, "rev-parse", "HEAD:b.yaml")
		file := filepath.Join(o.bare, "objects", blob[:2], blob[2:])
		data, err := os.ReadFile(file)
		must(t, err)
		must(t, os.Remove(file))
		if rev, err := r.Fetch(t.Context()); err == nil {
			t.Fatalf("a commit without %s was taken: %+v", blob, rev)
		}
		last, err := r.Last()
		must(t, err)
		wantFile(t, last, good, "a.yaml", "a1")

		must(t, os.WriteFile(file, data, 0o444))
		wantFile(t, mustFetch(t, r), o.run(o.work, "rev-parse", "HEAD"), "b.yaml", "b2")
	})
}

func TestHalfWrittenFirstClone(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		h := o.commitAndPush("first", "a.yaml", "a1")
		blob := o.run(o.work, "rev-parse", "HEAD:a.yaml")
		file := filepath.Join(o.bare, "objects", blob[:2], blob[2:])
		data, err := os.ReadFile(file)
		must(t, err)
		must(t, os.Remove(file))
		r := open(t, git.Config{URL: url})
		if _, err := r.Fetch(t.Context()); err == nil {
			t.Fatal("a commit without its file was taken")
		}
		must(t, os.WriteFile(file, data, 0o444))
		wantFile(t, mustFetch(t, r), h, "a.yaml", "a1")
	})
}

func TestUnreachableRemote(t *testing.T) {
	o := newOrigin(t)
	h := o.commitAndPush("first", "a.yaml", "a1")
	s := o.serve()
	overHTTP := open(t, git.Config{URL: s.repoURL()})
	mustFetch(t, overHTTP)
	s.Close()
	byPath := open(t, git.Config{URL: o.bare})
	mustFetch(t, byPath)
	must(t, os.Rename(o.bare, o.bare+".away"))
	for name, r := range map[string]*git.Repo{"http": overHTTP, "path": byPath} {
		_, err := r.Fetch(t.Context())
		if err == nil || errors.Is(err, sources.ErrNoBranch) || !strings.HasPrefix(err.Error(), "fetch main from ") {
			t.Errorf("%s: err = %v", name, err)
		}
		last, err := r.Last()
		must(t, err)
		wantFile(t, last, h, "a.yaml", "a1")
	}
}

// TestHangingServer: one that accepts and says nothing, or stops in the middle
// of the pack, costs the timeout and no more.
func TestHangingServer(t *testing.T) {
	o := newOrigin(t)
	o.commitAndPush("first", "a.yaml", "a1")
	s := o.serve()
	stop := make(chan struct{})
	defer close(stop)
	wait := func(r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()

	for name, step := range map[string]struct {
		url     string
		handler http.HandlerFunc
	}{
		"before the references": {s.repoURL(), func(w http.ResponseWriter, r *http.Request) { wait(r) }},
		"in the references": {s.repoURL(), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			w.Write([]byte("001e# service=git-upload-pack\n0000"))
			w.(http.Flusher).Flush()
			wait(r)
		}},
		"no word over http": {"http://" + silent.Addr().String() + "/x.git", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s.handler.Store(step.handler)
			r := open(t, git.Config{URL: step.url, Timeout: 100 * time.Millisecond})
			_, err := r.Fetch(t.Context())
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no end after 100ms") {
				t.Errorf("err = %v; want the timeout", err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		s.handler.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { wait(r) }))
		ctx, cancel := context.WithCancel(t.Context())
		r := open(t, git.Config{URL: s.repoURL()})
		done := make(chan error, 1)
		go func() { _, err := r.Fetch(ctx); done <- err }()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})
}

// TestASlowPullRequest does not use up the branch's time.
func TestASlowPullRequest(t *testing.T) {
	o := newOrigin(t)
	o.commitAndPush("first", "a.yaml", "a1")
	s := o.serve()
	r := open(t, git.Config{URL: s.repoURL(), Timeout: 3 * time.Second})
	mustFetch(t, r)
	next := o.commitAndPush("second", "a.yaml", "a2")

	hangs := make(chan struct{})
	var once sync.Once
	s.handler.Store(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		first := false
		once.Do(func() { first = true })
		if first {
			close(hangs)
			<-q.Context().Done()
			return
		}
		time.Sleep(200 * time.Millisecond)
		s.backend.ServeHTTP(w, q)
	}))
	slow := make(chan error, 1)
	go func() {
		_, err := r.FetchCommit(t.Context(), strings.Repeat("1", 40), "refs/pull/7/head")
		slow <- err
	}()
	<-hangs
	wantFile(t, mustFetch(t, r), next, "a.yaml", "a2")
	if err := <-slow; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the slow one: %v", err)
	}
}

// TestCutConnection: the pack ends in the middle. The good commit stays, no
// litter stays, and the next fetch succeeds.
func TestCutConnection(t *testing.T) {
	o := newOrigin(t)
	good := o.commitAndPush("first", "a.yaml", "a1")
	s := o.serve()
	dir := filepath.Join(t.TempDir(), "store")
	r := open(t, git.Config{URL: s.repoURL(), Dir: dir, Timeout: 5 * time.Second})
	mustFetch(t, r)
	next := o.commitAndPush("second", manyFiles(200)...)

	for _, hang := range []bool{false, true} {
		s.handler.Store(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method != http.MethodPost {
				s.backend.ServeHTTP(w, q)
				return
			}
			pack := httptest.NewRecorder()
			s.backend.ServeHTTP(pack, q)
			w.Header().Set("Content-Type", pack.Header().Get("Content-Type"))
			w.Write(pack.Body.Bytes()[:pack.Body.Len()/2])
			w.(http.Flusher).Flush()
			if hang {
				<-q.Context().Done()
			}
			panic(http.ErrAbortHandler)
		}))
		timeout := time.Minute
		if hang {
			timeout = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		rev, err := r.Fetch(ctx)
		cancel()
		if err == nil {
			t.Fatalf("half a pack was taken: %+v", rev)
		}
		last, err := r.Last()
		must(t, err)
		wantFile(t, last, good, "a.yaml", "a1")
		if litter, _ := filepath.Glob(filepath.Join(dir, "objects/pack/tmp_*")); len(litter) > 0 {
			t.Errorf("left behind: %v", litter)
		}
	}
	s.handler.Store(http.HandlerFunc(nil))
	wantFile(t, mustFetch(t, r), next, "a.yaml", "a1")
}

func TestFetchCommitOfAPullRequest(t *testing.T) {
	each(t, func(t *testing.T, o *origin, url string) {
		base := o.commitAndPush("first", "specs/a.yaml", "a1")
		r := open(t, git.Config{URL: url, Path: "specs"})
		mustFetch(t, r)

		o.run(o.work, "checkout", "--quiet", "-b", "feature")
		head := o.commit("proposal", "specs/a.yaml", "a2")
		o.run(o.work, "push", "--quiet", "origin", "HEAD:refs/pull/7/head")
		rev, err := r.FetchCommit(t.Context(), head, "refs/pull/7/head")
		must(t, err)
		wantFile(t, rev, head, "a.yaml", "a2")
		last, err := r.Last()
		must(t, err)
		wantFile(t, last, base, "a.yaml", "a1")

		// It has moved on: the older head is still reachable.
		head2 := o.commit("more", "specs/a.yaml", "a3")
		head3 := o.commit("even more", "specs/a.yaml", "a4")
		o.run(o.work, "push", "--quiet", "origin", "HEAD:refs/pull/7/head")
		rev, err = r.FetchCommit(t.Context(), head2, "refs/pull/7/head")
		must(t, err)
		wantFile(t, rev, head2, "a.yaml", "a3")
		rev, err = r.FetchCommit(t.Context(), head3, "refs/pull/7/head")
		must(t, err)
		wantFile(t, rev, head3, "a.yaml", "a4")

		_, err = r.FetchCommit(t.Context(), strings.Repeat("1", 40), "refs/pull/8/head")
		if err == nil || !strings.Contains(err.Error(), "refs/pull/8/head") {
			t.Errorf("a head that is nowhere: %v", err)
		}
	})
}

func TestTokenFileIsReadAnew(t *testing.T) {
	o := newOrigin(t)
	h := o.commitAndPush("first", "a.yaml", "a1")
	s := o.serve()
	s.token.Store("one")
	file := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(file, []byte("one\n"), 0o600))
	log, text := logger()
	r := open(t, git.Config{URL: s.repoURL(), Auth: git.Auth{TokenFile: file}, Logger: log})
	wantFile(t, mustFetch(t, r), h, "a.yaml", "a1")

	s.token.Store("two")
	_, err := r.Fetch(t.Context())
	if err == nil || !strings.Contains(err.Error(), "token") || strings.Contains(err.Error(), "one") {
		t.Errorf("err = %v", err)
	}
	must(t, os.WriteFile(file, []byte("two\n"), 0o600))
	mustFetch(t, r)
	if strings.Contains(text.String(), "two") {
		t.Errorf("the token is in the log:\n%s", text)
	}
}

// TestTokenFunc gives a token that ends while the daemon runs.
func TestTokenFunc(t *testing.T) {
	o := newOrigin(t)
	h := o.commitAndPush("first", "a.yaml", "a1")
	s := o.serve()
	s.token.Store("one")
	token, trouble := sources.Secret("one"), error(nil)
	r := open(t, git.Config{URL: s.repoURL(), Auth: git.Auth{TokenFunc: func(context.Context) (sources.Secret, error) { return token, trouble }}})
	wantFile(t, mustFetch(t, r), h, "a.yaml", "a1")
	s.token.Store("two")
	token = "two"
	mustFetch(t, r)
	trouble = errors.New("the App is not installed")
	if _, err := r.Fetch(t.Context()); !errors.Is(err, trouble) {
		t.Errorf("err = %v; want what gave no token", err)
	}
}

// TestCredentialsInTheURL are used and never shown.
func TestCredentialsInTheURL(t *testing.T) {
	o := newOrigin(t)
	h := o.commitAndPush("first", "a.yaml", "a1")
	s := o.serve()
	s.token.Store("hunter2")
	dir := filepath.Join(t.TempDir(), "store")
	log, text := logger()
	r := open(t, git.Config{URL: strings.Replace(s.repoURL(), "http://", "http://ada:hunter2@", 1), Dir: dir, Logger: log})
	wantFile(t, mustFetch(t, r), h, "a.yaml", "a1")
	s.Close()
	_, err := r.Fetch(t.Context())
	if err == nil || strings.Contains(err.Error()+text.String(), "hunter2") {
		t.Errorf("err = %v, log:\n%s", err, text)
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if data, _ := os.ReadFile(path); strings.Contains(string(data), "hunter2") {
			t.Errorf("the password is in %s", path)
		}
		return err
	})
	if _, err := git.Open(git.Config{URL: "http://ada:hunter2@[bad", Branch: "main", Dir: dir}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("malformed URL: %v", err)
	}
}

// TestManyFetches: the number of packs stays bounded and every commit readable.
func TestManyFetches(t *testing.T) {
	o := newOrigin(t)
	dir := filepath.Join(t.TempDir(), "store")
	r := open(t, git.Config{URL: o.bare, Dir: dir})
	hashes := o.history(150)
	for i, h := range hashes {
		o.move(h)
		mustFetch(t, r)
		if packs, _ := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack")); len(packs) > 33 {
			t.Fatalf("%d packs after %d fetches", len(packs), i+1)
		}
	}
	restarted := open(t, git.Config{URL: o.bare, Dir: dir})
	for i, h := range hashes {
		rev, err := restarted.Commit(h)
		must(t, err)
		wantFile(t, rev, h, "a.yaml", fmt.Sprint("a", i+1))
	}
	if out := o.run(dir, "fsck", "--full", "--strict"); strings.Contains(out, "error") || strings.Contains(out, "missing") {
		t.Errorf("git fsck: %s", out)
	}
}

// TestLocalRepositories: those that people have on their machines.
func TestLocalRepositories(t *testing.T) {
	o := newOrigin(t)
	h := o.commitAndPush("first", "a.yaml", "a1")
	o.commitAndPush("second", "a.yaml", "a2")
	h = o.commitAndPush("third", "a.yaml", "a3")
	dir := t.TempDir()
	o.run(dir, "clone", "--quiet", "--depth=1", "file://"+o.bare, "shallow")
	o.run(dir, "clone", "--quiet", "--shared", o.bare, "borrowing")
	o.run(o.work, "worktree", "add", "--quiet", "-b", "side", filepath.Join(dir, "worktree"))
	o.run(dir, "clone", "--quiet", "--bare", o.bare, "packed")
	o.run(filepath.Join(dir, "packed"), "pack-refs", "--all")
	t.Chdir(dir)
	for name, url := range map[string]string{
		"work tree": o.work, "file URL": "file://" + o.bare, "relative": "shallow", "shallow": filepath.Join(dir, "shallow"),
		"borrowing": filepath.Join(dir, "borrowing"), "worktree": filepath.Join(dir, "worktree"), "packed refs": "./packed",
	} {
		t.Run(name, func(t *testing.T) {
			wantFile(t, mustFetch(t, open(t, git.Config{URL: url})), h, "a.yaml", "a3")
		})
	}
}

func TestOpenLocal(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("first", "deploy/specs/a.yaml", "a1")
	second := o.commit("second", "deploy/specs/a.yaml", "a2")
	o.run(o.work, "tag", "-a", "-m", "v1", "v1", first)
	o.run(o.work, "branch", "old", first)
	o.write("deploy/specs/a.yaml", "not committed")
	t.Chdir(filepath.Join(o.work, "deploy"))
	for rev, want := range map[string]string{
		"HEAD": second, "main": second, "HEAD~1": first, "old": first, "v1": first, first[:8]: first, second: second,
	} {
		r, dir, err := git.OpenLocal("./specs", rev)
		if err != nil {
			t.Errorf("%s: %v", rev, err)
			continue
		}
		text := map[string]string{first: "a1", second: "a2"}[want]
		wantFile(t, r, want, "a.yaml", text)
		if dir != "specs" {
			t.Errorf("dir = %q", dir)
		}
	}
	if r, _, err := git.OpenLocal("..", "HEAD"); err != nil {
		t.Error(err)
	} else {
		wantFile(t, r, second, "deploy/specs/a.yaml", "a2")
	}
	for _, bad := range [][2]string{{"specs", "nope"}, {"nope", "HEAD"}, {t.TempDir(), "HEAD"}} {
		if _, _, err := git.OpenLocal(bad[0], bad[1]); err == nil {
			t.Errorf("%v: want an error", bad)
		}
	}
}

// TestDefaultBranch: the branch that was cloned, as it was fetched; without a
// remote, main.
func TestDefaultBranch(t *testing.T) {
	o := newOrigin(t)
	o.commit("first", "specs/a.yaml", "a1")
	wants := func(dir, want string) {
		t.Helper()
		if got, err := git.DefaultBranch(dir); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v; want %q", dir, got, err, want)
		}
	}
	wants(filepath.Join(o.work, "specs"), "main")
	clone := t.TempDir()
	o.run(clone, "clone", "-q", o.work, ".")
	wants(clone, "origin/main")
	o.run(clone, "remote", "set-head", "origin", "-d")
	wants(clone, "origin/main")
	o.run(o.work, "branch", "-m", "main", "trunk")
	wants(o.work, "")
	wants(t.TempDir(), "")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func matches(t *testing.T, dir, glob string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, glob))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing at %s: %v", glob, err)
	}
	return files
}

func truncate(t *testing.T, dir, glob string) {
	for _, f := range matches(t, dir, glob) {
		info, err := os.Stat(f)
		must(t, err)
		must(t, os.Truncate(f, info.Size()/2))
	}
}

func flip(t *testing.T, dir, glob string) {
	for _, f := range matches(t, dir, glob) {
		data, err := os.ReadFile(f)
		must(t, err)
		for i := 20; i < len(data); i++ {
			data[i] ^= 0x55
		}
		must(t, os.Chmod(f, 0o644))
		must(t, os.WriteFile(f, data, 0o644))
	}
}

func remove(t *testing.T, dir, glob string) {
	for _, f := range matches(t, dir, glob) {
		must(t, os.RemoveAll(f))
	}
}

func overwrite(t *testing.T, dir, file, text string) {
	must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666))
}
