package ads

import (
	"slices"
	"sync/atomic"

	"google.golang.org/grpc/mem"

	"github.com/meshwright/meshwright/xds"
)

// press makes frames. A change that touches a thousand streams is nearly always
// the same response to each, so that the last one of a type is kept as it is on
// the wire, but for its nonce, which goes last. It is safe for concurrent use.
type press [2][xds.NumTypes]atomic.Pointer[sheet] // by protocol: state of the world, delta

// sheet is a response without its nonce, encoded.
type sheet struct {
	of     response
	pieces mem.BufferSlice
}

// frame is what is sent of a response, which nobody may change any more.
func (p *press) frame(r response, delta bool) frame {
	last := &p[0][r.typ]
	if delta {
		last = &p[1][r.typ]
	}
	s := last.Load()
	if s == nil || !s.of.alike(r) {
		s = &sheet{r, encode(r, delta)}
		last.Store(s)
	}
	pieces := make(mem.BufferSlice, len(s.pieces), len(s.pieces)+1)
	copy(pieces, s.pieces)
	return frame{append(pieces, mem.SliceBuffer(appendString(make([]byte, 0, 16), fieldNonce, r.nonce)))}
}

// alike reports whether two responses of a type are the same but for the nonce.
func (r response) alike(o response) bool {
	return r.commit == o.commit && r.version == o.version && slices.Equal(r.resources, o.resources) && slices.Equal(r.removed, o.removed)
}
