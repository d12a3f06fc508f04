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

// benches are the repositories that make bench-git measures: of many bytes, and of
// many commits, and the ways to get at them. (To write 700,000 objects that were
// read one by one, as the whole of the long one from a path, takes minutes.)
var benches = []struct {
	name string
	scale.Corner
	ways []string
}{
	{"1 GiB", scale.Corner{Mesh: benchMesh, Files: 100_000, Bytes: 1 << 30, Commits: 2000}, []string{"http", "http whole", "path", "path whole"}},
	{"100,000 commits", scale.Corner{Mesh: benchMesh, Files: 100_000, Bytes: 20 << 20, Commits: 100_000}, []string{"http", "http whole", "path"}},
}

var benchMesh = scale.Mesh{Services: 100, Backends: 5}

// TestBenchCorner prints what each step costs of a repository of which the specs
// are a corner: time, the most memory, and what is on disk then. It runs on
// demand: make bench-git.
func TestBenchCorner(t *testing.T) {
	if os.Getenv("BENCH_GIT") == "" {
		t.Skip("on demand: make bench-git")
	}
	if job := os.Getenv("BENCH_GIT_STEP"); job != "" {
		benchStep(t, job)
		return
	}
	for _, c := range benches {
		o := cornered(t, c.Corner)
		load, err := os.ReadFile("/proc/loadavg")
		must(t, err)
		fmt.Printf("%s, load average %s", c.name, load)
		first := o.run(o.bare, "rev-parse", "main")
		spec := o.add("main", "spare/spec", "mesh/note.yaml", "# a change\n")
		heavy := o.add(spec, "spare/heavy", noise("more", 50<<20, 1<<20)...)
		pull := o.add("main~5", "pull/7/head", "mesh/note2.yaml", "# another\n", "docs/x.md", "words\n")
		for _, way := range c.ways {
			job := stepJob{Ref: "refs/pull/7/head", URL: o.bare, Dir: filepath.Join(t.TempDir(), "store"), Whole: strings.HasSuffix(way, "whole")}
			if strings.HasPrefix(way, "http") {
				job.URL = o.serve().repoURL()
			}
			step := func(name, what, commit string) {
				job.What, job.Commit = what, commit
				fmt.Printf("%-10s  %-23s  %s  disk %4d MB\n", way, name, job.run(t), diskUsage(t, job.Dir)>>20)
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
}

// stepJob is one step, done in a process of its own so that its memory is known.
type stepJob struct {
	What, Commit, Ref, URL, Dir string
	Whole                       bool
}

// run does the job, and returns the line that it says.
func (job stepJob) run(t *testing.T) string {
	text, err := json.Marshal(job)
	must(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchCorner$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), "BENCH_GIT_STEP="+string(text))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", job.What, err, out)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func benchStep(t *testing.T, text string) {
	var job stepJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r := open(t, git.Config{URL: job.URL, Dir: job.Dir, Path: "mesh", Whole: job.Whole, Timeout: 10 * time.Minute})
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
	fmt.Printf("%8.3fs and %.3fs to open  peak %4d MB\n", took.Seconds(), ready.Seconds(), peakMemory(t)>>20)
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
