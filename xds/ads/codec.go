package ads

import (
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec we extend
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// codec sends frames as they are and reads of requests what is asked of them; all
// else is protobuf as usual.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(frame); ok {
		return f.pieces, nil
	}
	return c.CodecV2.Marshal(v)
}

// Numbers of a request's field that says who asks, and of the extensions in it.
const (
	deltaNode      = 1
	sotwNode       = 2
	nodeExtensions = 9
)

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	var node protowire.Number
	switch v.(type) {
	case *discoveryv3.DeltaDiscoveryRequest:
		node = deltaNode
	case *discoveryv3.DiscoveryRequest:
		node = sotwNode
	default:
		return c.CodecV2.Unmarshal(data, v)
	}
	b := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer b.Free()
	return proto.Unmarshal(withoutExtensions(b.ReadOnlyData(), node), v.(proto.Message))
}

// withoutExtensions leaves the extensions out of a request's node: an Envoy names
// all 500 that it was built with, in 60 kB, and nobody here asks for them. When
// all proxies come at once, to read them would be most of the work. What is no
// request stays as it is: whoever decodes it says so.
func withoutExtensions(b []byte, node protowire.Number) []byte {
	for at := 0; at < len(b); {
		num, typ, tag := protowire.ConsumeTag(b[at:])
		if tag < 0 {
			return b
		}
		size := protowire.ConsumeFieldValue(num, typ, b[at+tag:])
		if size < 0 {
			return b
		}
		end := at + tag + size
		if num == node && typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b[at+tag:])
			rest, ok := without(v, nodeExtensions)
			if !ok {
				return b
			}
			out := make([]byte, 0, len(b)-len(v)+len(rest))
			out = appendBytesHead(append(out, b[:at]...), int(node), len(rest))
			return append(append(out, rest...), b[end:]...)
		}
		at = end
	}
	return b
}

// without copies a message without a field; false: it is no message.
func without(b []byte, field protowire.Number) (rest []byte, ok bool) {
	for len(b) > 0 {
		num, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return nil, false
		}
		if num != field {
			rest = append(rest, b[:n]...)
		}
		b = b[n:]
	}
	return rest, true
}
