package ads

import (
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshwright/meshwright/xds"
)

// taking is a listener that takes traffic of other proxies.
func taking(what ...string) *xds.Resource {
	r := *listener("in", len(what), "r")
	r.Takes = what
	return &r
}

// pair is a caller (web) and the server that it calls (db), both at c1: plain.
type pair struct {
	t              *testing.T
	s              *Server
	caller, server *proxy
}

func newPair(t *testing.T, patience time.Duration) pair {
	s, address, _ := local(t, Config{})
	s.patience = patience
	c := dial(t, address)
	x := pair{t, s, connect(t, c, "web-1", nil, false), connect(t, c, "db-1", &corev3.Node{Cluster: db.String()}, false)}
	x.publish("c1", a1, "plain")
	for _, p := range []*proxy{x.caller, x.server} {
		p.ask(xds.Cluster)
	}
	x.caller.receive("+a", "")
	x.caller.ask(xds.Listener)
	x.caller.receive("", "")
	x.server.receive("", "")
	x.server.ask(xds.Listener)
	x.server.receive("+in", "")
	done(t, s, "c1", 2)
	return x
}

// publish gives the caller a cluster and the server what it takes.
func (x pair) publish(commit string, cluster *xds.Resource, takes ...string) {
	x.s.Publish(state{commit, map[xds.Identity]*xds.Resources{web: resources(cluster), db: resources(taking(takes...))}})
}

// silent fails if the proxy hears anything now.
func (x pair) silent(p *proxy, why string) {
	x.t.Helper()
	select {
	case r := <-p.got:
		x.t.Errorf("%s: %v", why, r)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestStages(t *testing.T) {
	t.Run("callers_wait_until_the_new_is_taken", func(t *testing.T) {
		x := newPair(t, time.Hour)
		x.publish("c2", a2, "TLS", "plain")
		x.silent(x.caller, "before the server takes TLS")
		if p := x.s.Progress(); p.Touched != 2 || p.Applied != 0 {
			t.Errorf("%+v", p)
		}
		x.server.receive("+in", "")
		x.caller.receive("+a", "")
		if p := done(t, x.s, "c2", 2); p.Touched != 2 || p.Took < settling {
			t.Errorf("%+v", p)
		}
	})
	t.Run("the_old_is_taken_until_callers_have_moved", func(t *testing.T) {
		x := newPair(t, time.Hour)
		x.publish("c2", a1, "TLS", "plain")
		x.server.receive("+in", "")
		done(t, x.s, "c2", 2)
		x.publish("c3", a2, "TLS")
		x.silent(x.server, "before the caller has moved")
		x.caller.receive("+a", "")
		x.server.receive("+in", "")
		done(t, x.s, "c3", 2)
	})
	t.Run("other_changes_wait_for_nobody", func(t *testing.T) {
		x := newPair(t, time.Hour)
		x.publish("c2", a2, "plain")
		x.s.mu.Lock()
		if x.s.stage != anything {
			t.Errorf("stage %d", x.s.stage)
		}
		x.s.mu.Unlock()
		x.caller.receive("+a", "")
		done(t, x.s, "c2", 2)
	})
	t.Run("a_server_that_refuses_holds_up_for_a_while", func(t *testing.T) {
		x := newPair(t, 200*time.Millisecond)
		x.publish("c2", a2, "TLS", "plain")
		x.server.receive("+in", "no")
		x.caller.receive("+a", "")
		if p := x.s.Progress(); p.Done() || len(p.Rejected) != 1 {
			t.Errorf("%+v", p)
		}
	})
	t.Run("a_server_that_goes_is_not_waited_for", func(t *testing.T) {
		x := newPair(t, time.Hour)
		x.publish("c2", a2, "TLS", "plain")
		x.server.hangUp()
		x.caller.receive("+a", "")
		done(t, x.s, "c2", 1)
	})
	t.Run("other_states_meanwhile_end_no_stage", func(t *testing.T) {
		for _, commit := range []string{"c2", "c3"} { // other endpoints, another commit
			x := newPair(t, time.Hour)
			x.publish("c2", a2, "TLS", "plain")
			x.publish(commit, a2, "TLS", "plain")
			x.silent(x.caller, "before the server takes TLS")
			x.server.receive("+in", "")
			x.caller.receive("+a", "")
			done(t, x.s, commit, 2)
			x.publish("c4", a1, "TLS")
			x.publish("c4", a1, "TLS")
			x.silent(x.server, "before the caller has moved")
			x.caller.receive("+a", "")
			x.server.receive("+in", "")
			done(t, x.s, "c4", 2)
		}
	})
	t.Run("other_states_meanwhile_lengthen_no_stage", func(t *testing.T) {
		x := newPair(t, 300*time.Millisecond)
		x.publish("c2", a2, "TLS", "plain")
		stop := time.After(20 * time.Second)
		for {
			select {
			case <-x.caller.got: // though the server never answers
				return
			case <-stop:
				t.Fatal("the caller waits for ever")
			case <-time.After(20 * time.Millisecond):
				x.publish("c2", a2, "TLS", "plain")
			}
		}
	})
	t.Run("a_newer_state_begins_anew", func(t *testing.T) {
		x := newPair(t, time.Hour)
		x.publish("c2", a2, "TLS", "plain")
		x.server.receive("+in", "")
		x.publish("c3", a2, "plain")
		x.caller.receive("+a", "")
		x.server.receive("+in", "")
		done(t, x.s, "c3", 2)
	})
}

// A proxy that starts has its clusters first: it is not done before it has
// asked for its listeners.
func TestStartingIsNotDone(t *testing.T) {
	s, address, _ := local(t, Config{})
	p := connect(t, dial(t, address), "web-1", nil, false)
	p.ask(xds.Cluster)
	eventually(t, "connected", func() error {
		if len(s.Proxies()) != 1 {
			return errTooManyNames
		}
		return nil
	})
	s.Publish(one("c1", resources(a1, inL)))
	p.receive("+a", "")
	time.Sleep(50 * time.Millisecond)
	if p := s.Progress(); p.Done() || p.Touched != 1 {
		t.Errorf("done with its clusters only: %+v", p)
	}
	p.ask(xds.Listener)
	p.receive("+in", "")
	done(t, s, "c1", 1)
}
