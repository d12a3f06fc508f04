package git_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
)

// origin is a bare repository made with the real git, and a work tree to
// commit from.
type origin struct {
	t    testing.TB
	bare string
	work string

	imports int // calls of imported
}

// needGit skips without the git binary; CI has it.
func needGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		fixtures.Missing(t, "no git on this machine")
	}
}

func newOrigin(t testing.TB) *origin {
	t.Helper()
	needGit(t)
	dir := t.TempDir()
	o := &origin{t: t, bare: filepath.Join(dir, "origin.git"), work: filepath.Join(dir, "work")}
	o.run(dir, "init", "--quiet", "--bare", "--initial-branch=main", o.bare)
	o.run(o.bare, "config", "http.receivepack", "false")
	o.run(o.bare, "config", "uploadpack.allowReachableSHA1InWant", "true")
	o.run(o.bare, "config", "uploadpack.allowFilter", "true")
	o.run(dir, "init", "--quiet", "--initial-branch=main", o.work)
	o.run(o.work, "remote", "add", "origin", o.bare)
	return o
}

// run runs git and returns what it prints.
func (o *origin) run(dir string, args ...string) string {
	o.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=Bo", "GIT_COMMITTER_EMAIL=bo@example.com", "GIT_COMMITTER_DATE=2026-01-02T03:04:06Z",
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// write puts files (path, content, path, content …) into the work tree.
func (o *origin) write(files ...string) {
	o.t.Helper()
	for i := 0; i < len(files); i += 2 {
		file := filepath.Join(o.work, filepath.FromSlash(files[i]))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			o.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(files[i+1]), 0o666); err != nil {
			o.t.Fatal(err)
		}
	}
}

// commit commits the work tree with the files and returns the hash.
func (o *origin) commit(title string, files ...string) string {
	o.t.Helper()
	o.write(files...)
	o.run(o.work, "add", "--all")
	o.run(o.work, "commit", "--quiet", "--allow-empty", "-m", title)
	return o.run(o.work, "rev-parse", "HEAD")
}

// push makes the work tree's commit the tip of a branch.
func (o *origin) push() {
	o.run(o.work, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
}

// history makes n commits that each change a.yaml, and returns their hashes;
// the branch stays where it is. It is one git process for all of them.
func (o *origin) history(n int, more ...string) []string {
	o.t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "commit refs/heads/history\nmark :%d\ncommitter Bo <bo@example.com> %d +0000\ndata 4\nstep\n", i+1, 1767323045+i)
		files := []string{"a.yaml", fmt.Sprint("a", i+1)}
		if i == 0 {
			files = append(files, more...)
		}
		for j := 0; j < len(files); j += 2 {
			fmt.Fprintf(&b, "M 644 inline %s\ndata %d\n%s\n", files[j], len(files[j+1]), files[j+1])
		}
	}
	marks := filepath.Join(o.t.TempDir(), "marks")
	cmd := exec.Command("git", "fast-import", "--quiet", "--export-marks="+marks)
	cmd.Dir, cmd.Stdin = o.bare, strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		o.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	data, err := os.ReadFile(marks)
	if err != nil {
		o.t.Fatal(err)
	}
	hashes := make([]string, n)
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

// move makes a commit the tip of main, as a push does last.
func (o *origin) move(hash string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.bare, "refs/heads/main"), []byte(hash+"\n"), 0o666); err != nil {
		o.t.Fatal(err)
	}
}

// commitAndPush is the usual step of a story.
func (o *origin) commitAndPush(title string, files ...string) string {
	o.t.Helper()
	h := o.commit(title, files...)
	o.push()
	return h
}

// server serves the origin over HTTP with git's own http-backend.
type server struct {
	*httptest.Server
	requests atomic.Int64
	token    atomic.Value // string; "" lets everyone in
	handler  atomic.Value // http.HandlerFunc in front, may be nil
	backend  http.Handler // git itself
}

func (o *origin) serve() *server {
	o.t.Helper()
	backend := &cgi.Handler{
		Path: filepath.Join(o.run(o.bare, "--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(o.bare), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=" + os.DevNull},
	}
	s := &server{backend: backend}
	s.token.Store("")
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if want := s.token.Load().(string); want != "" {
			if _, got, _ := r.BasicAuth(); got != want {
				w.Header().Set("WWW-Authenticate", "Basic")
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		if h, _ := s.handler.Load().(http.HandlerFunc); h != nil {
			h(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	o.t.Cleanup(s.Close)
	return s
}

func (s *server) repoURL() string { return s.URL + "/origin.git" }

// open opens a repository with what the test leaves out filled in.
func open(t testing.TB, cfg git.Config) *git.Repo {
	t.Helper()
	if cfg.Branch == "" {
		cfg.Branch = "main"
	}
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "store")
	}
	r, err := git.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustFetch(t testing.TB, r *git.Repo) *sources.Revision {
	t.Helper()
	rev, err := r.Fetch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// wantFile checks the revision's commit and one file of it.
func wantFile(t testing.TB, rev *sources.Revision, commit, file, text string) {
	t.Helper()
	if rev == nil {
		t.Fatalf("no revision; want %s", commit)
	}
	if rev.Commit != commit {
		t.Errorf("commit %s; want %s", rev.Commit, commit)
	}
	got, err := fs.ReadFile(rev.Files, file)
	if err != nil || string(got) != text {
		t.Errorf("%s = %q, %v; want %q", file, got, err, text)
	}
}

// logger collects a log as text.
func logger() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})), &b
}

// manyFiles is a spec of n files in folders of 100.
func manyFiles(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("specs/ns%02d/node%04d.yaml", i/100, i), strings.Repeat(fmt.Sprintf("line %d of a spec\n", i), 20))
	}
	return out
}
