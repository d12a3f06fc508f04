package process

import (
	"bytes"
	"context"
)

// Lines is the standard output of a process as lines. Of many that nobody reads,
// the first are kept: a process never waits for its reader.
type Lines struct {
	said chan string
	part []byte
}

// NewLines returns one for [os/exec.Cmd]'s Stdout.
func NewLines() *Lines { return &Lines{said: make(chan string, 16)} }

// Write takes output.
func (l *Lines) Write(b []byte) (int, error) {
	l.part = append(l.part, b...)
	for {
		line, rest, whole := bytes.Cut(l.part, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		select {
		case l.said <- string(line):
		default:
		}
		l.part = rest
	}
}

// Next is the next line; an error if the process ends instead.
func (l *Lines) Next(ctx context.Context, p *Process) (string, error) {
	select {
	case line := <-l.said:
		return line, nil
	case <-p.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	select { // it may have said so at its end
	case line := <-l.said:
		return line, nil
	default:
		return "", p.Exited()
	}
}
