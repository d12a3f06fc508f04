package git

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"

	"github.com/meshwright/meshwright/sources"
)

const (
	// maxObject is the largest object that a pull request may bring (bytes):
	// go-git holds each in memory while it indexes a pack. GitHub takes files of
	// up to 100 MiB.
	maxObject = 128 << 20
	// maxRatio is how much larger than the most bytes of a pack its objects may
	// be together. Zeros shrink to a thousandth.
	maxRatio = 8
	// packTrailer is the length of the checksum at a pack's end.
	packTrailer = 20
)

// copyGuarded copies a pack of a pull request, if it keeps to what one may
// bring. It is looked at while it is copied, and its checksum, without which
// nobody starts to use it, comes after the verdict.
func copyGuarded(w io.Writer, pack io.Reader, most int64) error {
	in, out := io.Pipe()
	verdict := make(chan error, 1)
	go func() {
		err := inspectPack(in, most*maxRatio)
		in.CloseWithError(err)
		verdict <- err
	}()
	held := &holding{to: w}
	n, err := io.Copy(held, io.TeeReader(io.LimitReader(pack, most+1), out))
	if err == nil && n > most {
		err = tooMuch("it brings more than %d bytes of new objects", most)
	}
	out.CloseWithError(err) // of nil: its end
	if bad := <-verdict; err == nil {
		err = bad
	}
	if err == nil {
		_, err = w.Write(held.back)
	}
	return err
}

// holding writes all but a pack's checksum, as far as it knows yet.
type holding struct {
	to   io.Writer
	back []byte
}

func (h *holding) Write(b []byte) (int, error) {
	h.back = append(h.back, b...)
	ready := max(len(h.back)-packTrailer, 0)
	if _, err := h.to.Write(h.back[:ready]); err != nil {
		return 0, err
	}
	h.back = append(h.back[:0], h.back[ready:]...)
	return len(b), nil
}

// inspectPack reads a pack to its end and refuses it if an object is too large,
// or all of them together are.
func inspectPack(r io.Reader, most int64) error {
	s := packfile.NewScanner(r)
	_, objects, err := s.Header()
	if err != nil {
		return err
	}
	var total int64
	for range objects {
		h, err := s.NextObjectHeader()
		if err != nil {
			return err
		}
		if h.Length > maxObject {
			return tooMuch("one of its objects has more than %d bytes", maxObject)
		}
		var start start
		if _, _, err := s.NextObject(&start); err != nil {
			return err
		}
		total += h.Length
		if h.Type.IsDelta() {
			target := start.target()
			if target > maxObject {
				return tooMuch("one of its objects has more than %d bytes", maxObject)
			}
			total += int64(target)
		}
		if total > most {
			return tooMuch("its new objects have more than %d bytes", most)
		}
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

func tooMuch(what string, most int64) error {
	return &sources.Permanent{Err: fmt.Errorf(what+"; leave large files out", most)}
}

// start keeps the start of what is written.
type start []byte

func (s *start) Write(b []byte) (int, error) {
	room := 2*binary.MaxVarintLen64 - len(*s)
	*s = append(*s, b[:min(room, len(b))]...)
	return len(b), nil
}

// target is the size of what a delta makes: the second number in it.
func (s start) target() uint64 {
	_, n := binary.Uvarint(s)
	size, _ := binary.Uvarint(s[max(n, 0):])
	return size
}
