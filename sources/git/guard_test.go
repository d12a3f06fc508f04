package git

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/meshwright/meshwright/sources"
)

// packed is an object of a pack, which says that it has size bytes.
type packed struct {
	kind    plumbing.ObjectType
	size    int
	content []byte
}

func pack(objects ...packed) []byte {
	b := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(objects)))
	for _, o := range objects {
		b = append(b, packHeader(o.kind, o.size)...)
		if o.kind == plumbing.REFDeltaObject {
			b = append(b, make([]byte, 20)...)
		}
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write(o.content)
		w.Close()
		b = append(b, z.Bytes()...)
	}
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

// A pack of a pull request is copied byte by byte, or its end never is.
func TestGuard(t *testing.T) {
	zeros := make([]byte, 5000)
	delta := func(target uint64) packed {
		content := binary.AppendUvarint(binary.AppendUvarint(nil, 10), target)
		content = append(content, 1, 'x')
		return packed{plumbing.REFDeltaObject, len(content), content}
	}
	good := pack(packed{plumbing.BlobObject, 5000, zeros}, delta(200))
	noise := make([]byte, 5000)
	rand.NewChaCha8([32]byte{}).Read(noise)
	noisy := pack(packed{plumbing.BlobObject, 5000, noise})
	for name, c := range map[string]struct {
		pack  []byte
		most  int64
		error string // "" is taken; a Permanent one starts with "!"
	}{
		"good":                      {good, 1000, ""},
		"large once inflated":       {good, int64(len(good)), "!its new objects"},
		"empty":                     {pack(), 1000, ""},
		"large on the wire":         {noisy, int64(len(noisy)) - 1, "!it brings more"},
		"large together":            {pack(packed{plumbing.BlobObject, 5000, zeros}, delta(4000)), 1000, "!its new objects"},
		"a huge file":               {pack(packed{plumbing.BlobObject, maxObject + 1, zeros}), 1000, "!one of its objects"},
		"a delta that makes one":    {pack(delta(maxObject + 1)), 1000, "!one of its objects"},
		"a delta without end":       {pack(delta(1 << 63)), 1000, "!one of its objects"},
		"more than it says":         {pack(packed{plumbing.BlobObject, 10, zeros}), 1000, "declared"},
		"cut short":                 {good[:len(good)-40], 1000, "EOF"},
		"no pack":                   {[]byte("hello, this is no pack, but a page of a proxy"), 1000, "malformed"},
		"something after the files": {append(bytes.Clone(good), "more"...), 1000, ""},
	} {
		for _, r := range []io.Reader{bytes.NewReader(c.pack), iotest.OneByteReader(bytes.NewReader(c.pack))} {
			var out bytes.Buffer
			err := copyGuarded(&out, r, c.most)
			want, permanent := strings.CutPrefix(c.error, "!")
			_, is := errors.AsType[*sources.Permanent](err)
			switch {
			case c.error == "":
				if err != nil || !bytes.Equal(out.Bytes(), c.pack) {
					t.Errorf("%s: %v, %d bytes of %d", name, err, out.Len(), len(c.pack))
				}
			case err == nil || is != permanent || !strings.Contains(err.Error(), want):
				t.Errorf("%s: error %v; want %s", name, err, c.error)
			case out.Len() > len(c.pack)-packTrailer:
				t.Errorf("%s: refused, and copied to its end", name)
			}
		}
	}
}
