// Package cueeval evaluates user CUE in a child process, because the evaluator
// of CUE can neither be cancelled nor held to an amount of memory. The child
// is this program again; what it may use is bounded, so that a hostile file
// costs seconds and an error line.
//
// It owns the process and its bounds. What is evaluated, and how, is package
// schema's. The one rule: whatever the child does, the parent goes on.
package cueeval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// What one evaluation may use. A tree of 1,000 resources takes about a second
// and 200 MB.
const (
	wallTime    = 10 * time.Second
	cpuTime     = 20 * time.Second // of all its threads
	memory      = 1 << 30          // bytes beyond what the program itself maps
	answerBytes = 64 << 20
)

// Child evaluates in a child process. It implements [schema.Evaluator].
type Child struct {
	// Exe and Args start a program that calls [Serve].
	Exe  string
	Args []string
	// Timeout ends an evaluation; zero means 10 s.
	Timeout time.Duration
}

// Evaluate implements [schema.Evaluator].
func (c *Child) Evaluate(ctx context.Context, request []byte) ([]byte, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = wallTime
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer := limited{cancel: cancel}
	var words tail
	cmd := exec.CommandContext(bounded, c.Exe, c.Args...)
	cmd.Env = []string{} // nothing of the daemon's: it holds credentials
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), &answer, &words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // its pipes, if something else holds them

	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case answer.full:
		return answer.data, schema.Stopped(fmt.Sprintf("it gives more than %d MB", answerBytes>>20))
	case bounded.Err() != nil:
		return answer.data, schema.Stopped(fmt.Sprintf("it takes more than %v", timeout))
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		return answer.data, schema.Stopped(fmt.Sprintf("it takes more than %v of processor time, or was killed (%v)", cpuTime, exit))
	case errors.As(err, &exit):
		return answer.data, words.stopped(exit)
	}
	return answer.data, err
}

// limited keeps what is written, and ends the evaluation when that is too
// much. (A bytes.Buffer within would bring its ReadFrom, which knows no limit.)
type limited struct {
	data   []byte
	cancel func()
	full   bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(l.data)+len(p) > answerBytes {
		l.full = true
		l.cancel()
		return 0, io.ErrShortWrite
	}
	l.data = append(l.data, p...)
	return len(p), nil
}

// tail keeps the beginning of what a child says when it dies; the stacks of
// its goroutines that follow are of no use.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[:min(len(p), 1<<10-len(t.text))]...)
	return len(p), nil
}

// stopped reads the last words of a child.
func (t *tail) stopped(exit *exec.ExitError) error {
	switch {
	case bytes.Contains(t.text, []byte("out of memory")) || bytes.Contains(t.text, []byte("cannot allocate memory")):
		return schema.Stopped(fmt.Sprintf("it takes more than %d MB of memory", memory>>20))
	case bytes.Contains(t.text, []byte("stack")):
		return schema.Stopped("it is nested too deeply")
	}
	line, _, _ := bytes.Cut(t.text, []byte("\n"))
	return schema.Stopped(fmt.Sprintf("the evaluator broke down (%v: %s)", exit, line))
}

// Serve is the child's side: it takes the bounds upon itself, before it reads
// anything that could be hostile, and answers one request.
func Serve(in io.Reader, out io.Writer) error {
	if err := bound(); err != nil {
		return fmt.Errorf("bound the evaluation: %w", err)
	}
	return schema.EvaluateCUE(in, out)
}
