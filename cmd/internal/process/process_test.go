package process_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

// shell starts a script whose standard output is lines.
func shell(t *testing.T, script string) (*process.Process, *process.Lines) {
	t.Helper()
	said := process.NewLines()
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout = said
	p, err := process.Start("sh", filepath.Join(t.TempDir(), "log"), cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p, said
}

func TestLines(t *testing.T) {
	p, said := shell(t, "printf 'one\\ntwo'; echo; echo trouble >&2; exit 3")
	for _, want := range []string{"one", "two"} {
		if line, err := said.Next(t.Context(), p); line != want || err != nil {
			t.Errorf("%q, %v, want %q", line, err, want)
		}
	}
	if line, err := said.Next(t.Context(), p); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "trouble") {
		t.Errorf("%q, %v, want its end and its last words", line, err)
	}
	p, said = shell(t, "sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if line, err := said.Next(ctx, p); err != context.DeadlineExceeded {
		t.Errorf("%q, %v", line, err)
	}
}

// TestStop: a process ends when it is told to, with its children, also if it has
// said more than anybody read.
func TestStop(t *testing.T) {
	p, said := shell(t, "sleep 60 & echo $!; for i in $(seq 100); do echo $i; done; wait")
	child, err := said.Next(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if p.Exited() != nil {
		t.Error("it has ended already")
	}
	began := time.Now()
	p.Stop()
	if took := time.Since(began); took > 4*time.Second || p.Exited() == nil {
		t.Errorf("after %v: %v", took, p.Exited())
	}
	for range 100 { // its parent is whoever reaps it
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", child)); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("its child lives on")
}

func TestUsage(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc here")
	}
	p, said := shell(t, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; sleep 60")
	if _, err := said.Next(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if u, err := p.Usage(); err != nil || u.CPU <= 0 || u.Memory < 100<<10 || u.Peak < u.Memory {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestReady(t *testing.T) {
	xds, http, ok := process.Ready("trouble\nready: xds 127.0.0.1:18000 http http://127.0.0.1:8080 commit c1\n")
	if xds != "127.0.0.1:18000" || http != "http://127.0.0.1:8080" || !ok {
		t.Errorf("%q %q %v", xds, http, ok)
	}
	if _, _, ok := process.Ready("not ready: xds"); ok {
		t.Error("ready")
	}
}
