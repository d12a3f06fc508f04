package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a child with a process group of its own: its children end with it.
type Process struct {
	Name string

	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // of the process; read after done
}

// Start starts a command. What it prints is added to a file, but for its
// standard output if that goes elsewhere already.
func Start(name, log string, cmd *exec.Cmd) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	cmd.Stderr = out
	Own(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Exited says that the process has ended, and how; nil while it runs.
func (p *Process) Exited() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended (%v); its last words:\n%s", p.Name, p.err, p.LastWords())
	default:
		return nil
	}
}

// Stop asks the process to end and, when that takes long, ends it.
func (p *Process) Stop() {
	signalGroup(p.cmd, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
	}
	p.Kill()
}

// Signal tells the process and its children something: to stand still, or to go on.
func (p *Process) Signal(sig syscall.Signal) { signalGroup(p.cmd, sig) }

// Kill ends the process and its children at once (kill -9).
func (p *Process) Kill() {
	signalGroup(p.cmd, syscall.SIGKILL)
	<-p.done
}

// LastWords are the last lines of the process's log.
func (p *Process) LastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}

// Log is the whole log so far.
func (p *Process) Log() string {
	b, _ := os.ReadFile(p.log) // a log that cannot be read is empty
	return string(b)
}
