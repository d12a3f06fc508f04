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

const (
	quiet       = 2 * time.Minute // without an answer, on the busiest machine
	answerBytes = 64 << 20
)

// Child evaluates in a child process. It implements [schema.Evaluator].
type Child struct {
	// Exe and Args start a program that calls [Serve].
	Exe  string
	Args []string
	// Timeout is how long the child may go without a package being done; zero
	// means two minutes. It is the last resort, for a child that is stuck: what
	// a package takes is measured in processor time, so that a busy machine
	// refuses nothing that is good.
	Timeout time.Duration
}

// Evaluate implements [schema.Evaluator].
func (c *Child) Evaluate(ctx context.Context, request []byte) ([]byte, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = quiet
	}
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(timeout, cancel)
	defer watchdog.Stop()
	answer := limited{cancel: cancel, progress: func() { watchdog.Reset(timeout) }}
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
	case errors.As(err, &exit):
		return answer.data, words.stopped(exit)
	}
	return answer.data, err
}

// limited keeps what is written, and ends the evaluation when that is too
// much. (A bytes.Buffer within would bring its ReadFrom, which knows no limit.)
type limited struct {
	data             []byte
	cancel, progress func()
	full             bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(l.data)+len(p) > answerBytes {
		l.full = true
		l.cancel()
		return 0, io.ErrShortWrite
	}
	l.progress()
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
	says := func(words string) bool { return bytes.Contains(t.text, []byte(words)) }
	line, _, _ := bytes.Cut(t.text, []byte("\n"))
	switch {
	case says(tooLong):
		return schema.Stopped(line)
	case says("out of memory") || says("cannot allocate memory"),
		// The same of a program that was built with the race detector.
		says("ThreadSanitizer failed to allocate") || says("address space collisions"):
		return schema.Stopped("it takes too much memory")
	case says("stack overflow") || says("stack exceeds"):
		return schema.Stopped("it is nested too deeply")
	case exit.Sys().(syscall.WaitStatus).Signaled():
		return schema.Stopped(fmt.Sprintf("it was killed (%v), for its time or the memory of this machine", exit))
	}
	return schema.Stopped(fmt.Sprintf("the evaluator broke down (%v: %s)", exit, line))
}
