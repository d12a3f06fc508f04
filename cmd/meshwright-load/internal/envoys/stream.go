package envoys

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/xds"
)

// stream is one proxy.
type stream struct {
	node       Node
	sotw       bool
	hosts      bool                  // it says that it takes virtual hosts one by one
	extensions []*corev3.Extension   // that it says it was built with; all streams'
	first      map[xds.Type][]string // what it asks for by name at once; nil: as an Envoy does

	subscriptions [xds.NumTypes]subscription // of run
	introduced    bool                       // it has said who it is

	settles, hears atomic.Pointer[waiting]

	mu    sync.Mutex
	count Count
}

// subscription is how far a stream is with one type.
type subscription struct {
	asked          bool
	names          map[string]bool // asked for by name; true: it came
	missing        int             // of names
	nonce, version string          // of the last response
}

// run is the life of the stream.
func (s *stream) run(ctx context.Context, address string, known *book) error {
	conn, err := dial(address, known)
	if err != nil {
		return err
	}
	defer conn.Close()
	method := discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName
	if s.sotw {
		method = discoveryv3.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName
	}
	g, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	if err := s.begin(g); err != nil {
		return err
	}
	for {
		var r response
		if err := g.RecvMsg(&r); err != nil {
			return err
		}
		if err := s.take(g, &r); err != nil {
			return err
		}
	}
}

// begin asks for what does not depend on anything that comes.
func (s *stream) begin(g grpc.ClientStream) error {
	if s.first == nil {
		return s.ask(g, xds.Cluster, nil)
	}
	for _, t := range slices.Sorted(maps.Keys(s.first)) {
		if err := s.ask(g, t, s.first[t]); err != nil {
			return err
		}
	}
	return nil
}

// take acknowledges a response and asks for what it names.
func (s *stream) take(g grpc.ClientStream, r *response) error {
	t := r.typ
	sub := &s.subscriptions[t]
	sub.nonce, sub.version = r.nonce, r.version
	for _, name := range r.names {
		if came, asked := sub.names[name]; asked && !came {
			sub.names[name] = true
			sub.missing--
		}
	}
	if err := s.send(g, t, nil, r.nonce); err != nil {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	s.count.Responses++
	s.count.Bytes += r.size
	if s.count.First.IsZero() {
		s.count.First = now
	}
	s.count.Last = now
	s.mu.Unlock()
	s.hears.Swap(nil).one()

	if s.first == nil {
		for _, named := range []xds.Type{xds.Endpoint, xds.Secret, xds.Route} {
			if err := s.ask(g, named, r.refers[named]); err != nil {
				return err
			}
		}
		if t == xds.Cluster && !s.subscriptions[xds.Listener].asked {
			if err := s.ask(g, xds.Listener, nil); err != nil {
				return err
			}
		}
		if r.hosts { // by no name, and once
			if err := s.ask(g, xds.VirtualHost, nil); err != nil {
				return err
			}
		}
	}
	if s.complete() {
		s.settles.Swap(nil).one()
	}
	return nil
}

// ask subscribes to names, as far as it has not; of clusters, listeners and
// virtual hosts, none means all.
func (s *stream) ask(g grpc.ClientStream, t xds.Type, names []string) error {
	sub := &s.subscriptions[t]
	var fresh []string
	for _, name := range names {
		if _, asked := sub.names[name]; !asked {
			if sub.names == nil {
				sub.names = map[string]bool{}
			}
			sub.names[name] = false
			sub.missing++
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 && (sub.asked || t != xds.Cluster && t != xds.Listener && t != xds.VirtualHost) {
		return nil
	}
	sub.asked = true
	return s.send(g, t, fresh, "")
}

// send sends a request: of new names, or an acknowledgement.
func (s *stream) send(g grpc.ClientStream, t xds.Type, fresh []string, nonce string) error {
	var node *corev3.Node
	if !s.introduced {
		s.introduced = true
		node = &corev3.Node{
			Id: s.node.ID, Cluster: s.node.Identity, Metadata: xds.Profile{VirtualHosts: s.hosts}.Metadata(), Extensions: s.extensions,
		}
	}
	var m proto.Message = &discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: t.URL(), ResourceNamesSubscribe: fresh, ResponseNonce: nonce}
	if s.sotw { // each request says all of it
		sub := &s.subscriptions[t]
		m = &discoveryv3.DiscoveryRequest{
			Node: node, TypeUrl: t.URL(), ResourceNames: slices.Sorted(maps.Keys(sub.names)), VersionInfo: sub.version, ResponseNonce: sub.nonce,
		}
	}
	return g.SendMsg(m)
}

// complete reports whether it has all that it asked for.
func (s *stream) complete() bool {
	for t := range s.subscriptions {
		sub := &s.subscriptions[t]
		if sub.missing > 0 || sub.asked && sub.nonce == "" {
			return false
		}
	}
	return s.first != nil || s.subscriptions[xds.Listener].asked
}
