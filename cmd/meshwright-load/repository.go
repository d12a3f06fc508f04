package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/meshwright/meshwright/fixtures/scale"
)

// repository is a bare one, which the daemon watches, and somebody's clone.
type repository struct {
	dir  string
	mesh scale.Mesh
}

// newRepository pushes the first commit of a mesh.
func newRepository(ctx context.Context, dir string, mesh scale.Mesh) (*repository, error) {
	r := &repository{dir, mesh}
	if err := mesh.Write(r.clone()); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"init", "-q", "--bare", "-b", "main", r.bare()}, {"init", "-q", "-b", "main"}, {"remote", "add", "origin", r.bare()},
		{"add", "--all"}, {"commit", "-q", "-m", "a mesh"}, {"push", "-q", "origin", "main"},
	} {
		if err := r.git(ctx, args...); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *repository) bare() string  { return filepath.Join(r.dir, "mesh.git") }
func (r *repository) clone() string { return filepath.Join(r.dir, "clone") }

// weigh commits another weight of one service, in the clone.
func (r *repository) weigh(ctx context.Context, service, percent int) error {
	r.mesh.Weights = map[int]int{service: percent}
	name := r.mesh.File(service)
	if err := os.WriteFile(filepath.Join(r.clone(), name), r.mesh.FS()[name].Data, 0o644); err != nil {
		return err
	}
	return r.git(ctx, "commit", "-q", "-m", fmt.Sprintf("%d percent", percent), "--", name)
}

func (r *repository) push(ctx context.Context) error {
	return r.git(ctx, "push", "-q", "origin", "main")
}

// git runs git without the settings of the person at the machine.
func (r *repository) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.clone()
	cmd.Env = append(os.Environ(), "HOME="+r.dir, "XDG_CONFIG_HOME="+r.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %v: %w: %s", args, err, bytes.TrimSpace(out))
	}
	return nil
}
