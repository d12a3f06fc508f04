package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

// child is a control plane under load, in a process of its own.
type child struct {
	*process.Process
	in   io.WriteCloser
	said *process.Lines
}

// start runs a program until Stop; what it says of trouble is added to a file.
func start(log, program string, args ...string) (*child, error) {
	c := &child{said: process.NewLines()}
	cmd := exec.Command(program, args...)
	cmd.Stdout = c.said
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	c.Process, err = process.Start(filepath.Base(program), log, cmd)
	return c, err
}

// line is the next line that it says; an error if it ends instead.
func (c *child) line(ctx context.Context) (string, error) { return c.said.Next(ctx, c.Process) }

// loadAverage is the machine's, of the last minute: numbers of a machine that is
// busy with something else say little.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}
