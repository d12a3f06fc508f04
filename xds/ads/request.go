package ads

import (
	"errors"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"

	"github.com/meshwright/meshwright/xds"
)

// maxNames bounds the subscriptions of one type on one stream, so that a
// proxy cannot fill the server's memory.
const maxNames = 1 << 16

var errTooManyNames = errors.New("more than 65536 resource names subscribed; use a wildcard subscription")

// request is a [discoveryv3.DeltaDiscoveryRequest] or a [discoveryv3.DiscoveryRequest].
type request interface {
	GetNode() *corev3.Node
	GetTypeUrl() string
	GetResponseNonce() string
	GetErrorDetail() *status.Status
}

// answer is what a request says of a response that was on its way.
type answer struct {
	acked bool
	nack  *xds.NACK
}

// receive takes a request. An error ends the stream.
func (s *stream) receive(r request, now time.Time) (answer, error) {
	t, ok := xds.TypeOf(r.GetTypeUrl())
	if !ok {
		return answer{}, nil // a type we do not serve: the proxy goes without
	}
	w := &s.watches[t]
	var nack *xds.NACK
	if e := r.GetErrorDetail(); e != nil {
		nack = &xds.NACK{Message: e.GetMessage(), At: now}
	}
	if s.began.IsZero() {
		s.began = now
	}
	first := !w.asked
	w.asked = true
	var settled bool
	switch r := r.(type) {
	case *discoveryv3.DeltaDiscoveryRequest:
		// In delta a subscription counts whatever nonce comes with it.
		settled = w.settle(r.GetResponseNonce(), true, nack)
		s.subscribe(t, r, first)
	case *discoveryv3.DiscoveryRequest:
		if !first && r.GetResponseNonce() != w.nonce {
			return answer{}, nil // written before the proxy had seen our last response
		}
		settled = w.settle(r.GetResponseNonce(), false, nack)
		s.replace(t, r, first, settled)
	}
	switch {
	case len(w.names) > maxNames:
		return answer{}, errTooManyNames
	case !settled:
		return answer{}, nil
	}
	return answer{acked: nack == nil, nack: nack}, nil
}

// wildcard reports whether a first request without names asks for everything:
// it does for the types that Envoy cannot know the names of.
func wildcard(t xds.Type) bool { return t == xds.Listener || t == xds.Cluster || t == xds.VirtualHost }

// subscribe takes the subscriptions of a delta request.
func (s *stream) subscribe(t xds.Type, r *discoveryv3.DeltaDiscoveryRequest, first bool) {
	w := &s.watches[t]
	if first {
		w.dirty = true
		w.all = wildcard(t) && len(r.GetResourceNamesSubscribe()) == 0
		w.resumed = len(r.GetInitialResourceVersions()) > 0
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		if name == "*" {
			w.dirty = w.dirty || !w.all
			w.all = true
			continue
		}
		w.names[name] = true
		delete(w.absent, name)
		w.dirty = w.dirty || w.within != nil // it may stand for many
		w.forget(name)                       // asking again for what it has: it may have lost it
		w.stir(name)
	}
	if first {
		for name, version := range r.GetInitialResourceVersions() {
			if w.wants(name) && !w.renew[name] {
				w.known[name] = held{version: version}
			}
		}
		w.owed = w.all && !w.resumed
		clear(w.renew)
	}
	for _, name := range r.GetResourceNamesUnsubscribe() {
		if name == "*" {
			w.all, w.dirty = false, true
			for name := range w.known {
				if !w.names[name] {
					w.drop(name)
				}
			}
			continue
		}
		if w.names[name] {
			delete(w.names, name)
			_, held := w.known[name]
			w.drop(name)
			// Under a wildcard the proxy cannot know whether it still has the
			// resource; it waits to be told, either way.
			if w.all && held {
				w.tell[name] = true
			}
			w.dirty = w.dirty || w.within != nil
		}
	}
	if t == xds.Route && (first || r.GetErrorDetail() != nil || len(r.GetResourceNamesSubscribe())+len(r.GetResourceNamesUnsubscribe()) > 0) {
		s.watches[xds.VirtualHost].dirty = true // they follow what the proxy holds of these
	}
}

// replace takes the subscriptions of a state-of-the-world request, which names
// all that the proxy wants.
func (s *stream) replace(t xds.Type, r *discoveryv3.DiscoveryRequest, first, settled bool) {
	w := &s.watches[t]
	names := r.GetResourceNames()
	if first {
		w.dirty = true
		w.all = wildcard(t) && len(names) == 0
		w.owed = w.all
		if v := r.GetVersionInfo(); v != "" {
			w.resumed, w.claimed = true, v
		}
	}
	if w.all && len(names) == 0 && !w.starred {
		return // a wildcard of the first request lasts until names are given
	}
	next := make(map[string]bool, len(names))
	star := false
	for _, name := range names {
		if name == "*" {
			star = true
		} else {
			next[name] = true
		}
	}
	same := len(next) == len(w.names) && star == w.all
	w.all, w.starred = star, star
	for name := range w.names {
		if !next[name] && !w.all {
			w.drop(name)
			same = false
		}
	}
	for name := range next {
		if !w.names[name] {
			w.dirty, same = true, false
		}
	}
	w.names = next
	if !w.all {
		for name := range w.known {
			if !next[name] {
				w.drop(name)
			}
		}
	}
	// Neither an answer to a response nor a change of names: the proxy has a
	// new use for what it holds (Envoy: a cluster that warms) and waits for it.
	if same && !first && !settled && !wildcard(t) {
		for name := range next {
			w.forget(name)
		}
	}
}
