package ads

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// crowd is proxies without sockets: each of another identity, each with the
// same many clusters and a cluster of its own.
type crowd struct {
	s     *Server
	conns []*conn
	nonce map[*conn]string
}

// stateOf gives each of n identities the shared clusters, the last of which has a
// port, and one of its own.
func stateOf(n int, shared []*xds.Resource, commit string, port int) state {
	changed := append(shared[:len(shared):len(shared)], dns("changes", "127.0.0.1", port))
	own := dns("own", "127.0.0.1", 1)
	st := state{commit, map[xds.Identity]*xds.Resources{}}
	for i := range n {
		r := xds.Resources{xds.Cluster: append(changed[:len(changed):len(changed)], own)}
		r.Sort()
		st.by[crowdIdentity(i)] = &r
	}
	return st
}

func crowdIdentity(i int) xds.Identity {
	return xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "node-" + strconv.Itoa(i)}
}

func newCrowd(b *testing.B, n, holds int) (c *crowd, states [2]state) {
	s, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	c = &crowd{s: s, nonce: map[*conn]string{}}
	var shared []*xds.Resource
	for i := range holds {
		shared = append(shared, dns(fmt.Sprintf("cluster-%05d", i), "127.0.0.1", 1))
	}
	states = [2]state{stateOf(n, shared, "c0", 1), stateOf(n, shared, "c1", 2)}
	s.Publish(states[0])
	for i := range n {
		x := &conn{id: strconv.Itoa(i), protocol: delta, profile: xds.Profile{Identity: crowdIdentity(i)}, log: s.log, wake: make(chan struct{}, 1), stream: newStream(true, 0)}
		s.enter(x)
		c.conns = append(c.conns, x)
		c.step(b, x, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Cluster.URL()})
		c.step(b, x, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Cluster.URL(), ResponseNonce: c.nonce[x]})
		c.step(b, x, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Listener.URL()})
		c.step(b, x, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Listener.URL(), ResponseNonce: c.nonce[x]})
	}
	return c, states
}

func (c *crowd) step(b *testing.B, x *conn, r request) {
	out, _, err := c.s.step(x, r)
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range out {
		c.s.press.frame(m, true)
		c.nonce[x] = m.nonce
	}
}

// BenchmarkChange is a change that touches all of 1,000 proxies, without the
// wire: published, planned on each, encoded and acknowledged.
func BenchmarkChange(b *testing.B) {
	for _, holds := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("holding=%d", holds), func(b *testing.B) {
			c, states := newCrowd(b, 1000, holds)
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				c.s.Publish(states[i%2])
				for _, x := range c.conns {
					c.step(b, x, nil)
					c.step(b, x, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Cluster.URL(), ResponseNonce: c.nonce[x]})
				}
			}
			if p := c.s.Progress(); p.Touched != 1000 || !p.Done() {
				b.Errorf("%+v", p)
			}
		})
	}
}

// BenchmarkUntouched is a publication that touches one of 1,000 proxies.
func BenchmarkUntouched(b *testing.B) {
	c, states := newCrowd(b, 1000, 100)
	for id := range states[1].by {
		if id != crowdIdentity(0) {
			states[1].by[id] = states[0].by[id]
		}
	}
	b.ReportAllocs()
	for i := 1; b.Loop(); i++ {
		c.s.Publish(states[i%2])
		c.step(b, c.conns[0], nil)
		c.step(b, c.conns[0], &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Cluster.URL(), ResponseNonce: c.nonce[c.conns[0]]})
	}
}

// BenchmarkStart is the first responses of a proxy that holds nothing: its
// clusters, their endpoints and its routes, 100 of each.
func BenchmarkStart(b *testing.B) {
	var list []*xds.Resource
	var names []string
	for i := range 100 {
		name := fmt.Sprintf("cluster-%05d", i)
		names = append(names, name)
		list = append(list, eds(name, time.Second), cla(name, 1), route(name, name))
	}
	want := resources(list...)
	var p press
	b.ReportAllocs()
	for b.Loop() {
		s := newStream(true, 0)
		s.target("c1", want, nil)
		for _, t := range []xds.Type{xds.Cluster, xds.Endpoint, xds.Listener, xds.Route} {
			r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL()}
			if t == xds.Endpoint || t == xds.Route {
				r.ResourceNamesSubscribe = names
			}
			for range 2 {
				if _, err := s.receive(r, time.Unix(1, 0)); err != nil {
					b.Fatal(err)
				}
				for _, m := range s.next(time.Unix(1, 0)) {
					p.frame(m, true)
					r = &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResponseNonce: m.nonce}
				}
			}
		}
		if s.applied != "c1" {
			b.Fatal("it has not all")
		}
	}
}

// BenchmarkFrame makes the frame of one changed resource: for many streams the
// same, or of another resource each time.
func BenchmarkFrame(b *testing.B) {
	r := response{typ: xds.Cluster, nonce: "12", commit: "0123456789abcdef0123456789abcdef01234567", resources: []*xds.Resource{a1}}
	other := r
	other.resources = []*xds.Resource{a2}
	for name, second := range map[string]response{"same": r, "other": other} {
		b.Run(name, func(b *testing.B) {
			var p press
			b.ReportAllocs()
			for b.Loop() {
				p.frame(r, true)
				p.frame(second, true)
			}
		})
	}
}
