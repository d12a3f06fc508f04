package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

// BareRepo makes an empty repository that can be pushed to, and returns its path.
func (l *Lab) BareRepo(ctx context.Context) (string, error) {
	path := l.path("mesh.git")
	return path, l.git(ctx, l.Dir, "init", "-q", "--bare", "-b", "main", path)
}

// Clone is a person's work tree.
type Clone struct {
	Dir string
	lab *Lab
}

// NewClone makes a work tree on branch main that pushes to a remote.
func (l *Lab) NewClone(ctx context.Context, remote string) (*Clone, error) {
	c := &Clone{l.path("clone"), l}
	if err := l.git(ctx, l.Dir, "init", "-q", "-b", "main", c.Dir); err != nil {
		return nil, err
	}
	return c, l.git(ctx, c.Dir, "remote", "add", "origin", remote)
}

// Write puts files into the work tree.
func (c *Clone) Write(files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(c.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Read returns a file of the work tree.
func (c *Clone) Read(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(c.Dir, filepath.FromSlash(name)))
	return string(b), err
}

// Commit commits all of the work tree and returns the commit's hash.
func (c *Clone) Commit(ctx context.Context, message string) (hash string, err error) {
	if err := c.lab.git(ctx, c.Dir, "add", "--all"); err != nil {
		return "", err
	}
	if err := c.lab.git(ctx, c.Dir, "commit", "-q", "-m", message); err != nil {
		return "", err
	}
	out, err := output(c.lab.gitCommand(ctx, c.Dir, "rev-parse", "HEAD"))
	return strings.TrimSpace(string(out)), err
}

// Checkout moves to a new branch.
func (c *Clone) Checkout(ctx context.Context, args ...string) error {
	return c.lab.git(ctx, c.Dir, append([]string{"checkout", "-q"}, args...)...)
}

// Push pushes the current branch.
func (c *Clone) Push(ctx context.Context) error {
	return c.lab.git(ctx, c.Dir, "push", "-q", "origin", "HEAD")
}

// Pull takes over what the remote's branch of the same name has, and returns its
// newest commit.
func (c *Clone) Pull(ctx context.Context, branch string) (hash string, err error) {
	if err := c.lab.git(ctx, c.Dir, "pull", "-q", "--ff-only", "origin", branch); err != nil {
		return "", err
	}
	out, err := output(c.lab.gitCommand(ctx, c.Dir, "rev-parse", "HEAD"))
	return strings.TrimSpace(string(out)), err
}

func (l *Lab) git(ctx context.Context, dir string, args ...string) error {
	_, err := output(l.gitCommand(ctx, dir, args...))
	return err
}

// gitCommand is git without the settings, hooks and questions of the person at
// the machine.
func (l *Lab) gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	process.Own(cmd)
	cmd.Env = append(os.Environ(), "HOME="+l.Dir, "XDG_CONFIG_HOME="+l.Dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true")
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		cmd.Env = append(cmd.Env, fmt.Sprintf("GIT_%s_NAME=Ada", who), fmt.Sprintf("GIT_%s_EMAIL=ada@example.com", who))
	}
	return cmd
}
