package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// validated is the file in which the daemon keeps what it has validated, so that
// the next start need not do so again. It is a cache: without it, or with
// one that is damaged or another version's, a start takes longer and no more.
type validated struct {
	file string
	log  *slog.Logger
	news chan *schema.Validated // the newest that is not written
}

func newValidated(file string, log *slog.Logger) *validated {
	return &validated{file: file, log: log, news: make(chan *schema.Validated, 1)}
}

// restore tells the loader what the file says.
func (v *validated) restore(l *schema.Loader) {
	f, err := os.Open(v.file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		defer f.Close()
		err = l.Restore(f, stamp())
	}
	if err != nil {
		v.log.Info("validated files not restored", "file", v.file, "reason", err)
	}
}

// offer has what the loader has validated since written, in the place of what
// is not written yet.
func (v *validated) offer(l *schema.Loader) {
	news := l.Validated()
	if news == nil {
		return
	}
	select {
	case <-v.news:
	default:
	}
	v.news <- news
}

// How long nothing is written after something was validated, and after it was
// written: a start, or a change, is not to wait for it, and all is written each time.
const (
	beforeKeeping = 5 * time.Second
	betweenKeeps  = 5 * time.Minute
)

// Run writes what is offered until ctx ends, and then what is left.
func (v *validated) Run(ctx context.Context) error {
	defer func() {
		select {
		case news := <-v.news:
			v.keep(news)
		default:
		}
	}()
	for wait := beforeKeeping; ; wait = betweenKeeps {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		select {
		case <-ctx.Done():
			return nil
		case news := <-v.news:
			v.keep(news)
		}
	}
}

// keep writes the file, or says why it cannot.
func (v *validated) keep(news *schema.Validated) {
	if err := v.write(news); err != nil {
		v.log.Warn("validated files not kept", "file", v.file, "err", err)
	}
}

// write puts the file in its place when it is whole.
func (v *validated) write(news *schema.Validated) error {
	f, err := os.OpenFile(v.file+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	if err := errors.Join(news.Write(out, stamp()), out.Flush(), f.Close()); err != nil {
		return err
	}
	return os.Rename(v.file+".new", v.file)
}

// stamp tells this program from others: its version and, where that is none, when
// it was built.
func stamp() string {
	s := version()
	if exe, err := os.Executable(); err == nil {
		if info, err := os.Stat(exe); err == nil {
			s += fmt.Sprintf("/%d/%d", info.Size(), info.ModTime().UnixNano())
		}
	}
	return s
}
