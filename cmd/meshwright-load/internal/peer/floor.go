package peer

import (
	"fmt"
	"io"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that ours falls back to
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshwright/meshwright/xds"
)

// floor answers requests with nothing and, at the change, writes the same bytes
// to each stream that uses what changes.
type floor struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	world   *World
	touched map[string]bool // by node ID

	mu      sync.Mutex
	streams map[chan int]struct{}
	frames  [2][2][]byte // after the change or before, delta or not
}

func newFloor(w *World) *floor {
	f := &floor{world: w, touched: map[string]bool{}, streams: map[chan int]struct{}{}}
	for _, n := range w.Nodes {
		f.touched[n.ID] = w.Touched(n)
	}
	var delta, sotw [2][]*anypb.Any
	var names []string
	for _, r := range w.Resources {
		if r.After != nil {
			names = append(names, r.Name)
			for i, b := range [][]byte{r.Before, r.After} {
				body := &anypb.Any{TypeUrl: r.Type.URL(), Value: b}
				delta[i], sotw[i] = append(delta[i], body), append(sotw[i], body)
			}
		}
	}
	for i := range 2 {
		version := fmt.Sprint("version-", i)
		d := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: xds.Route.URL(), Nonce: "n", SystemVersionInfo: version}
		for j, body := range delta[i] {
			d.Resources = append(d.Resources, &discoveryv3.Resource{Name: names[j], Version: version, Resource: body})
		}
		f.frames[i][0] = marshal(&discoveryv3.DiscoveryResponse{TypeUrl: xds.Route.URL(), Nonce: "n", VersionInfo: version, Resources: sotw[i]})
		f.frames[i][1] = marshal(d)
	}
	return f
}

func marshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err) // it is made of what was read from such bytes
	}
	return b
}

func (f *floor) change(after bool) error {
	which := 0
	if after {
		which = 1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for wake := range f.streams {
		wake <- which
	}
	return nil
}

func (f *floor) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return f.serve(g, 1, func() (string, string, string, error) {
		r, err := g.Recv()
		return r.GetNode().GetId(), r.GetTypeUrl(), r.GetResponseNonce(), err
	})
}

func (f *floor) StreamAggregatedResources(g discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return f.serve(g, 0, func() (string, string, string, error) {
		r, err := g.Recv()
		return r.GetNode().GetId(), r.GetTypeUrl(), r.GetResponseNonce(), err
	})
}

// serve answers each first request of a type with nothing, and writes frames.
func (f *floor) serve(g grpc.ServerStream, delta int, receive func() (node, typ, nonce string, err error)) error {
	wake := make(chan int, 1)
	defer func() {
		f.mu.Lock()
		delete(f.streams, wake)
		f.mu.Unlock()
	}()
	empty := make(chan string)
	ended := make(chan error, 1)
	go func() { // ends with the stream's context, which ends when serve returns
		for {
			node, typ, nonce, err := receive()
			if err != nil {
				ended <- err
				return
			}
			if node != "" && f.touched[node] {
				f.mu.Lock()
				f.streams[wake] = struct{}{}
				f.mu.Unlock()
			}
			if nonce == "" {
				select {
				case empty <- typ:
				case <-g.Context().Done():
					return
				}
			}
		}
	}()
	for {
		var b []byte
		select {
		case which := <-wake:
			b = f.frames[which][delta]
		case typ := <-empty: // both kinds have these fields
			b = marshal(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: typ, Nonce: "n"})
		case err := <-ended:
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := g.SendMsg(b); err != nil {
			return err
		}
	}
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return encoding.GetCodecV2("proto").Marshal(v)
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}
