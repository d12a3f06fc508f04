package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

// Config says what a lab is made of.
type Config struct {
	Meshwright string // the program under show or test
	Envoy      string // a real Envoy; [Tool] finds one
}

// Lab is a folder and what runs in it.
type Lab struct {
	Config
	Dir string // for everybody's files and logs
	Net Block

	mu      sync.Mutex
	closers []func()
	faults  map[string]*Fault // by node
}

// New makes a lab with nothing running in it yet.
func New(c Config) (*Lab, error) {
	dir, err := os.MkdirTemp("", "meshwright-lab-")
	if err != nil {
		return nil, err
	}
	l := &Lab{Config: c, Dir: dir}
	l.OnClose(func() { _ = os.RemoveAll(dir) })
	block, held, err := claimBlock()
	if err != nil {
		l.Close()
		return nil, err
	}
	l.Net = block
	l.OnClose(func() { _ = held.Close() })
	return l, nil
}

// Close ends everything that the lab has started and removes its folder.
func (l *Lab) Close() {
	l.mu.Lock()
	closers := l.closers
	l.closers = nil
	l.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i]()
	}
}

// OnClose has f called when the lab is closed, before what was there earlier
// is ended.
func (l *Lab) OnClose(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, f)
}

// path is a file in the lab's folder.
func (l *Lab) path(name string) string { return filepath.Join(l.Dir, name) }

// start runs a command until the lab is closed; its output goes to NAME.log.
func (l *Lab) start(name string, cmd *exec.Cmd) (*process.Process, error) {
	p, err := process.Start(name, l.path(name+".log"), cmd)
	if err == nil {
		l.OnClose(p.Stop)
	}
	return p, err
}

// Tool finds a real part (envoy, gitea): the environment variable of its name
// (ENVOY, GITEA), the folder that MESHWRIGHT_TOOLS names, .tools/ of a clone
// around the working directory, PATH.
func Tool(name string) (string, error) {
	var candidates []string
	if p := os.Getenv(strings.ToUpper(name)); p != "" {
		candidates = append(candidates, p)
	}
	if dir := os.Getenv("MESHWRIGHT_TOOLS"); dir != "" {
		candidates = append(candidates, filepath.Join(dir, "bin", name))
	}
	if dir, err := os.Getwd(); err == nil {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			candidates = append(candidates, filepath.Join(dir, ".tools", "bin", name))
		}
	}
	for _, p := range candidates {
		if path, err := exec.LookPath(p); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("no %s here: run `make tools` in a clone, or name the binary with %s=FILE", name, strings.ToUpper(name))
}

// Eventually calls f until it returns nil, and gives its last error when that
// takes longer than limit or ctx ends.
func Eventually(ctx context.Context, limit time.Duration, what string, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 10*time.Millisecond) {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s: not after %v: %w", what, time.Since(began).Round(time.Second), err)
		case <-time.After(pause):
		}
	}
}

// output runs a command to its end and returns what it printed; what it said
// of a failure is in the error.
func output(cmd *exec.Cmd) ([]byte, error) {
	var errText bytes.Buffer
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(errText.Bytes()))
	}
	return out, nil
}
