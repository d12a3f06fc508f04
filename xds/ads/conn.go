package ads

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/meshwright/meshwright/xds"
)

// The names of the protocols, in metrics and [xds.Proxy].
const (
	delta = "delta"
	sotw  = "sotw"
)

// conn is one stream with what surrounds its state machine.
type conn struct {
	id, protocol, address string
	profile               xds.Profile
	audience              *audience // from when it is registered
	connected             time.Time
	log                   *slog.Logger
	wake                  chan struct{} // capacity 1: there is a new desired state

	reports reports

	mu      sync.Mutex
	stream  *stream
	note    string         // why it is not given the newest state
	fell    *xds.Rejection // what it refused of it and so was given an older one
	staged  bool           // it has a part in the stages of the newest state
	first   bool           // of those: callers wait for it
	silent  bool           // waiting for it was given up, and it has not answered since
	touched bool           // the newest state is a change for it
	since   time.Time      // when it became one
	done    time.Time      // when it had ACKed that change; zero: not yet
}

// DeltaAggregatedResources serves a delta stream.
func (s *Server) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serve(g, delta, func() (request, error) { return g.Recv() })
}

// StreamAggregatedResources serves a state-of-the-world stream.
func (s *Server) StreamAggregatedResources(g discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.serve(g, sotw, func() (request, error) { return g.Recv() })
}

// serve is the life of one stream. A proxy that reads slowly blocks its own
// send and nobody else; what it should have meanwhile is latest-wins, and its
// requests wait in its own connection.
func (s *Server) serve(g grpc.ServerStream, protocol string, receive func() (request, error)) error {
	ctx := g.Context()
	first, err := receive()
	if err != nil {
		return ending(err)
	}
	profile, err := s.auth.identify(ctx, first.GetNode())
	if err != nil {
		s.log.Warn("proxy refused", "proxy", first.GetNode().GetId(), "err", err)
		return err
	}
	profile.VirtualHosts = profile.VirtualHosts && protocol == delta
	c := &conn{
		id: cmp.Or(first.GetNode().GetId(), profile.Identity.String()), protocol: protocol, profile: profile,
		connected: s.now(), wake: make(chan struct{}, 1), stream: newStream(protocol == delta, s.config.Linger),
	}
	if p, ok := peer.FromContext(ctx); ok {
		c.address = p.Addr.String()
	}
	c.log = s.log.With("proxy", c.id)
	s.enter(c)
	defer s.leave(c)

	requests := make(chan request)
	ended := make(chan error, 1)
	go func() { // ends with the stream's context, which ends when serve returns
		for {
			r, err := receive()
			if err != nil {
				ended <- err
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	draining := s.draining
	var deadline <-chan time.Time
	for r := first; ; {
		out, due, err := s.step(c, r)
		if err != nil {
			return status.Error(codes.ResourceExhausted, err.Error())
		}
		for _, m := range out {
			f := s.press.frame(m, protocol == delta)
			if err := g.SendMsg(f); err != nil {
				return err
			}
			s.metrics.responses.WithLabelValues(m.typ.String()).Inc()
			s.metrics.bytes.WithLabelValues(m.typ.String()).Add(float64(f.pieces.Len()))
			c.log.Debug("response sent", "type", m.typ, "commit", m.commit, "version", m.version, "resource", len(m.resources))
		}
		if draining == nil && c.idle() {
			return errDraining
		}
		if !due.IsZero() {
			timer.Reset(due.Sub(s.now()))
		}
		r = nil
		select {
		case r = <-requests:
		case <-c.wake:
		case <-timer.C:
		case <-draining:
			draining = nil
			deadline = time.After(s.config.Drain)
		case <-deadline:
			return errDraining
		case err := <-ended:
			return ending(err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errDraining = status.Error(codes.Unavailable, "the server is shutting down")

// ending is what a stream returns whose proxy ended it: no error if it said so.
func ending(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// step gives a stream a request (or none) and returns what to send now and
// when to look again.
func (s *Server) step(c *conn, r request) ([]response, time.Time, error) {
	now := s.now()
	through := false
	defer func() {
		if through {
			s.endStage()
		}
	}()
	s.ordering.RLock()
	defer s.ordering.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.stream.making()
	var got answer
	if r != nil {
		var err error
		if got, err = c.stream.receive(r, now); err != nil {
			return nil, time.Time{}, err
		}
		c.silent = c.silent && !got.acked && got.nack == nil
		s.count(c, r, got)
		if got.nack != nil {
			s.fallBack(c, r, *got.nack)
		}
	}
	out := c.stream.next(now)
	making := c.stream.making()
	if making && c.stream.repaired && !c.touched && c.note == "" {
		c.touched, c.since, c.done = true, now, time.Time{} // it came back with something older
	}
	if got.nack != nil && making && !c.touched && c.note == "" {
		c.touched, c.since, c.done = true, now, time.Time{} // it came with nothing, and refuses
	}
	c.stream.repaired = false
	if !making && c.stream.applied == c.stream.commit && c.stream.want != nil && c.note == "" {
		c.audience.take(c.stream.commit, c.stream.want)
	}
	if !making && c.touched && c.done.IsZero() {
		c.done = now
		s.metrics.apply.Observe(now.Sub(c.since).Seconds())
		c.log.Debug("state applied", "commit", c.stream.commit, "took", now.Sub(c.since))
	}
	if got.nack != nil || making != before {
		s.news.tell()
	}
	through = c.stream.stage != anything && c.stream.through()
	return out, c.stream.due(), nil
}

// fallBack gives a proxy that has nothing and refuses the newest state the last
// one that a proxy of its profile has taken whole: an Envoy that restarts while
// a NACK stands serves what it served before.
func (s *Server) fallBack(c *conn, r request, n xds.NACK) {
	t, _ := xds.TypeOf(r.GetTypeUrl())
	taken := c.audience.has()
	w := &c.stream.watches[t]
	w.refresh(t, c.stream.want) // what it refuses may be wanted no more
	if len(w.refused) == 0 || !c.stream.bare() || taken.resources == nil || taken.resources == c.stream.want {
		return
	}
	c.note = fmt.Sprintf("refuses %s of commit %.7s; given commit %.7s, which was taken before", t, c.stream.commit.commit(), taken.commit.commit())
	c.fell, c.touched = &xds.Rejection{Proxy: c.id, Type: t, NACK: n}, false
	c.log.Warn("proxy given an older state", "commit", taken.commit, "reason", c.note)
	c.stream.target(taken.commit, taken.resources, c.stream.want.Difference(taken.resources))
}

// count logs and counts the answer in a request.
func (s *Server) count(c *conn, r request, a answer) {
	t, ok := xds.TypeOf(r.GetTypeUrl())
	switch {
	case !ok:
		c.log.Debug("request ignored", "type", r.GetTypeUrl(), "reason", "this type is not served")
	case a.nack != nil:
		s.metrics.nacks.WithLabelValues(t.String()).Inc()
		c.log.Warn("response refused", "type", t, "commit", label(a.nack.Commit), "resource", a.nack.Resources, "reason", a.nack.Message)
	case a.acked:
		s.metrics.acks.WithLabelValues(t.String()).Inc()
		c.log.Debug("response accepted", "type", t)
	}
}

// idle reports whether the proxy has answered everything.
func (c *conn) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.stream.flying()
}

// poke wakes the stream's goroutine.
func (c *conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// proxy is what is known of the proxy.
func (c *conn) proxy() xds.Proxy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return xds.Proxy{
		ID: c.id, Identity: c.profile.Identity, Explicit: c.profile.Capture.Explicit, Proxyless: c.profile.Capture.Proxyless, Protocol: c.protocol, Address: c.address,
		Connected: c.connected, Desired: string(c.stream.commit), Applied: string(c.stream.applied), Types: c.stream.status(), Note: c.note,
	}
}
