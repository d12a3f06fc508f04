package envoys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshwright/meshwright/xds"
)

// Config of a fleet.
type Config struct {
	Address string // of the ADS server, HOST:PORT, in clear text
	Nodes   []Node // a stream each
	SotW    bool   // state of the world instead of delta
	// VirtualHosts: they say, as bootstraps do, that they take routes virtual host
	// by virtual host.
	VirtualHosts bool
	// Names are what each stream asks for by name, at once; nil: clusters and
	// listeners are asked for as a whole, and the rest as they name it.
	Names []map[xds.Type][]string
}

// Node is what a proxy says of itself: an ID of its own, and whose proxy it is.
type Node struct{ ID, Identity string }

// Count is what one stream has got since the last [Fleet.Expect], or since it
// was connected.
type Count struct {
	Responses, Bytes int       // of messages, without the frames around them
	First, Last      time.Time // when it acknowledged the first and the last of them; zero: none came
}

// Fleet is streams that are connected. Its methods are for one goroutine.
type Fleet struct {
	began   time.Time
	streams []*stream
	settled <-chan struct{}
	stop    context.CancelFunc
	running sync.WaitGroup
	broken  chan error // capacity 1: the first stream that ended by itself
}

// Connect opens all streams at once and returns before they are open.
func Connect(ctx context.Context, c Config) *Fleet {
	ctx, stop := context.WithCancel(ctx)
	f := &Fleet{stop: stop, broken: make(chan error, 1), began: time.Now()}
	known := newBook()
	waiting := newWaiting(len(c.Nodes))
	f.settled = waiting.done
	extensions := extensions()
	for i, node := range c.Nodes {
		s := &stream{node: node, sotw: c.SotW, hosts: c.VirtualHosts, extensions: extensions}
		if c.Names != nil {
			s.first = c.Names[i]
		}
		s.settles.Store(waiting)
		f.streams = append(f.streams, s)
	}
	for _, s := range f.streams {
		f.running.Go(func() {
			if err := s.run(ctx, c.Address, known); ctx.Err() == nil {
				if err == nil || err == io.EOF {
					err = errors.New("the server ended it")
				}
				select {
				case f.broken <- fmt.Errorf("stream of %s: %w", s.node.ID, err):
				default:
				}
			}
		})
	}
	return f
}

// extensions are as many and as long as those of an Envoy 1.40: some 60 kB.
func extensions() []*corev3.Extension {
	list := make([]*corev3.Extension, 500)
	for i := range list {
		name := fmt.Sprintf("extensions.filters.http.number_%03d", i)
		list[i] = &corev3.Extension{Name: "envoy." + name, Category: "envoy.filters.http", TypeUrls: []string{"envoy." + name + ".v3.Config"}}
	}
	return list
}

// Settled waits until every stream has got all that it asked for.
func (f *Fleet) Settled(ctx context.Context) error { return f.Await(ctx, f.settled) }

// Began is when the streams began to connect.
func (f *Fleet) Began() time.Time { return f.began }

// Await waits for what [Fleet.Expect] returned.
func (f *Fleet) Await(ctx context.Context, all <-chan struct{}) error {
	select {
	case <-all:
		return nil
	case err := <-f.broken:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for %d streams: %w", len(f.streams), ctx.Err())
	}
}

// Expect begins to count anew. What it returns is closed when each of these
// streams, by their place in the config, has acknowledged something since.
func (f *Fleet) Expect(streams []int) (all <-chan struct{}) {
	for _, s := range f.streams {
		s.mu.Lock()
		s.count = Count{}
		s.mu.Unlock()
	}
	w := newWaiting(len(streams))
	for _, i := range streams {
		f.streams[i].hears.Store(w)
	}
	return w.done
}

// Counts are of all streams, in the order of the config.
func (f *Fleet) Counts() []Count {
	list := make([]Count, len(f.streams))
	for i, s := range f.streams {
		s.mu.Lock()
		list[i] = s.count
		s.mu.Unlock()
	}
	return list
}

// Close ends all streams.
func (f *Fleet) Close() {
	f.stop()
	f.running.Wait()
}

// waiting counts down the streams that are still waited for.
type waiting struct {
	left atomic.Int64
	done chan struct{}
}

func newWaiting(n int) *waiting {
	w := &waiting{done: make(chan struct{})}
	if w.left.Store(int64(n)); n == 0 {
		close(w.done)
	}
	return w
}

// one takes one stream off; of nil, nothing.
func (w *waiting) one() {
	if w != nil && w.left.Add(-1) == 0 {
		close(w.done)
	}
}

// dial makes a connection of one stream. Windows are large and fixed, as those
// of an Envoy: no probing for them is in what is measured.
func dial(address string, known *book) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithReadBufferSize(16<<10), grpc.WithWriteBufferSize(1<<10),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{known}), grpc.MaxCallRecvMsgSize(window)))
}

const window = 64 << 20 // bytes
