package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// Kinds of peers.
const (
	Snapshot = "snapshot"
	Linear   = "linear"
	Floor    = "floor"
)

// control is a peer: an ADS server that can make its change, and undo it.
type control interface {
	discoveryv3.AggregatedDiscoveryServiceServer
	change(after bool) error
}

// Serve runs a peer of a world (for Linear and Floor: a split one) on a free
// port of loopback until ctx or in ends. It says "ready: ADDRESS", and then, for
// each line that it is given, makes its change, or undoes it, and says so.
func Serve(ctx context.Context, kind string, w *World, in io.Reader, out io.Writer) error {
	var options []grpc.ServerOption
	var c control
	var err error
	switch kind {
	case Snapshot:
		c, err = newSnapshots(ctx, w)
	case Linear:
		c, err = newLinear(ctx, w)
	case Floor:
		options = append(options, grpc.ForceServerCodecV2(rawCodec{}))
		c = newFloor(w)
	default:
		err = fmt.Errorf("no peer is called %q; there are %s, %s and %s", kind, Snapshot, Linear, Floor)
	}
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g := grpc.NewServer(options...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, c)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	defer func() { g.Stop(); <-served }()

	fmt.Fprintf(out, "ready: %s\n", l.Addr())
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- struct{}{}
		}
	}()
	for after := true; ; after = !after {
		select {
		case <-ctx.Done():
			return nil
		case _, more := <-lines:
			if !more {
				return nil
			}
			if err := c.change(after); err != nil {
				return err
			}
			fmt.Fprintln(out, "changed")
		}
	}
}
