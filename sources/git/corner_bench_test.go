package git_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/fixtures/scale"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
)

// big is the repository that make bench-git measures.
var big = scale.Corner{Mesh: scale.Mesh{Services: 100, Backends: 5}, Files: 100_000, Bytes: 1 << 30, Commits: 2000}

// TestBenchCorner prints what each step costs of a repository of which the specs
// are a corner. It runs on demand: make bench-git.
func TestBenchCorner(t *testing.T) {
	if os.Getenv("BENCH_GIT") == "" {
		t.Skip("on demand: make bench-git")
	}
	if job := os.Getenv("BENCH_GIT_STEP"); job != "" {
		benchStep(t, job)
		return
	}
	o := cornered(t, big)
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("load average %s", load)
	first := o.run(o.bare, "rev-parse", "main")
	spec := o.add("main", "spare/spec", "mesh/note.yaml", "# a change\n")
	heavy := o.add(spec, "spare/heavy", noise("more", 50<<20, 1<<20)...)
	pull := o.add("main~5", "pull/7/head", "mesh/note2.yaml", "# another\n", "docs/x.md", "words\n")
	for _, remote := range []string{"path", "http"} {
		url := o.bare
		if remote == "http" {
			url = o.serve().repoURL()
		}
		dir := filepath.Join(t.TempDir(), "store")
		step := func(name, what, commit string) {
			job, err := json.Marshal(stepJob{What: what, Commit: commit, Ref: "refs/pull/7/head", URL: url, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestBenchCorner$", "-test.timeout=10m")
			cmd.Env = append(os.Environ(), "BENCH_GIT_STEP="+string(job))
			out, err := cmd.CombinedOutput()
			line, _, _ := strings.Cut(string(out), "\n")
			if err != nil {
				line = "FAILED " + string(out)
			}
			fmt.Printf("%-5s %-28s %s  disk %4d MB\n", remote, name, line, diskUsage(t, dir)>>20)
		}
		o.move(first)
		step("first clone", "fetch", first)
		step("start, without the host", "last", first)
		step("nothing new", "fetch", first)
		o.move(spec)
		step("a commit of the specs", "fetch", spec)
		o.move(heavy)
		step("50 MB elsewhere", "fetch", heavy)
		step("head of a pull request", "pull", pull)
	}
}

// stepJob is one step, done in a process of its own so that its memory is known.
type stepJob struct{ What, Commit, Ref, URL, Dir string }

func benchStep(t *testing.T, text string) {
	var job stepJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r := open(t, git.Config{URL: job.URL, Dir: job.Dir, Path: "mesh", Timeout: 10 * time.Minute})
	rev, err := r.Last()
	if err != nil {
		t.Fatal(err)
	}
	ready := time.Since(begin)
	begin = time.Now()
	switch job.What {
	case "fetch":
		rev, err = r.Fetch(context.Background())
	case "pull":
		base := rev.Commit
		if rev, err = r.FetchCommit(context.Background(), job.Commit, job.Ref); err == nil {
			var m *sources.Merge
			if m, err = r.Merge(context.Background(), base, job.Commit); err == nil && len(m.Changed) != 1 {
				t.Fatalf("merged %v", m)
			}
		}
	}
	took := time.Since(begin)
	if err != nil {
		t.Fatal(err)
	}
	if rev.Commit != job.Commit {
		t.Fatalf("commit %s; want %s", rev.Commit, job.Commit)
	}
	if _, err := fs.ReadFile(rev.Files, "mesh.yaml"); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("open %6.3fs  %8.3fs  peak %5d MB\n", ready.Seconds(), took.Seconds(), peakMemory(t)>>20)
}

// peakMemory is the most that was resident of this process (bytes).
func peakMemory(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

func diskUsage(t *testing.T, dir string) (sum int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}
