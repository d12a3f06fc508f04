package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is a control plane under load, in a process of its own.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // of its standard output
	log   string      // file of its standard error
}

// start runs a program until stop; what it says of trouble is added to a file.
func start(log, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(program, args...), log: log, lines: make(chan string, 16)}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the child has its own
	c.cmd.Stderr = f
	own(c.cmd)
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	return c, nil
}

// line is the next line that it says; an error if it ends instead.
func (c *child) line(ctx context.Context) (string, error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case line, ok := <-c.lines:
		if !ok {
			b, _ := os.ReadFile(c.log) // without it, there is still the error
			return "", fmt.Errorf("%s has ended: %.2000s", c.cmd.Args[0], b)
		}
		return line, nil
	}
}

// stop asks it to end, and waits for that.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	kill := time.AfterFunc(10*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	for range c.lines { // until it closes its output
	}
	_ = c.cmd.Wait() // how it ends does not matter any more
}

// Usage is what a process has used.
type Usage struct {
	CPU    time.Duration `json:"cpu"`    // with that of its children that have ended; in steps of 10 ms
	Memory int64         `json:"memory"` // resident bytes
	Peak   int64         `json:"peak"`   // the most of them so far
}

// usage reads /proc.
func (c *child) usage() (Usage, error) {
	var u Usage
	dir := fmt.Sprintf("/proc/%d/", c.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // from the third on
	if len(fields) < 15 {
		return u, errors.New("/proc has another form here")
	}
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime in hundredths of a second
		n, err := strconv.Atoi(f)
		if err != nil {
			return u, err
		}
		u.CPU += time.Duration(n) * 10 * time.Millisecond
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64) // other lines are no numbers
		switch key {
		case "VmRSS":
			u.Memory = kb << 10
		case "VmHWM":
			u.Peak = kb << 10
		}
	}
	return u, nil
}

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
