package ads

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/genproto/googleapis/rpc/status"

	"github.com/meshwright/meshwright/xds"
)

// sim is a proxy that follows the protocol as Envoy does, with the server's
// state machine at the other end of two queues. It breaks the test when the
// server does what it must not.
type sim struct {
	t     testing.TB
	rnd   *rand.Rand
	delta bool
	parts parts
	now   time.Time

	server    *stream
	requests  []request  // proxy → server
	responses []response // server → proxy
	sent      int        // resources in them, ever
	log       []string

	held    [xds.NumTypes]map[string]*xds.Resource
	hosts   map[string]*xds.Resource      // of held virtual hosts, those that routes have taken
	names   [xds.NumTypes]map[string]bool // subscribed by name
	version [xds.NumTypes]string          // accepted last (state of the world)
	nonce   [xds.NumTypes]string
	asked   [xds.NumTypes]bool
	// Clusters that are not warm yet; ACKs of clusters wait for them, once the
	// proxy has started.
	cold    map[string]bool
	active  map[string]bool // clusters that have been warm: traffic can use them
	acks    []func()
	started bool
	// lenient: it has refused something in its life, or came back over state of
	// the world with what the server cannot know: see check.
	lenient bool
	// refused: its last answer was a NACK. Over state of the world such a proxy
	// names the version before, although it took the good half of the response;
	// if it then comes back to that very version, no server can know better.
	refused [xds.NumTypes]bool
	// stale are clusters that lost the stream while they were cold: the server
	// cannot know that they wait, so they wait for Envoy's fetch time-out.
	stale map[string]bool
}

// parts knows what is in the resources: what each refers to and which the
// proxy refuses.
type parts map[*xds.Resource]part

type part struct {
	clusters   []string // that a route or listener sends to
	routes     string   // of a listener
	assignment string   // of a cluster
	nested     bool     // routes that take virtual hosts one by one
	bad        bool
}

func newSim(t testing.TB, rnd *rand.Rand, delta bool, linger time.Duration) *sim {
	s := &sim{t: t, rnd: rnd, delta: delta, parts: parts{}, now: time.Unix(1, 0), cold: map[string]bool{}, active: map[string]bool{}, stale: map[string]bool{}, hosts: map[string]*xds.Resource{}}
	s.server = newStream(delta, linger)
	for i := range s.held {
		s.held[i], s.names[i] = map[string]*xds.Resource{}, map[string]bool{}
	}
	return s
}

func (s *sim) fatalf(format string, args ...any) {
	s.t.Helper()
	for _, l := range s.log[max(0, len(s.log)-60):] {
		s.t.Log(l)
	}
	s.t.Fatalf(format, args...)
}

func (s *sim) logf(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

// connect begins a stream, as Envoy does on start and after a loss.
func (s *sim) connect() {
	s.stale = maps.Clone(s.cold)
	s.lenient = s.lenient || !s.delta
	commit, want := s.server.commit, s.server.want
	s.logf("connect")
	s.server = newStream(s.delta, s.server.linger)
	if want != nil {
		s.server.target(commit, want, nil)
	}
	s.requests, s.responses, s.acks = nil, nil, nil
	s.nonce = [xds.NumTypes]string{}
	again := s.asked
	s.asked = [xds.NumTypes]bool{}
	s.ask(xds.Cluster, nil, nil)
	order := []xds.Type{xds.Endpoint, xds.Listener, xds.Route, xds.VirtualHost}
	if s.rnd.IntN(2) == 0 {
		order[2], order[3] = order[3], order[2]
	}
	for _, t := range order {
		if again[t] {
			s.ask(t, slices.Sorted(maps.Keys(s.names[t])), nil)
		}
	}
}

// ask sends a request; for delta with these changes of subscription.
func (s *sim) ask(t xds.Type, subscribe, unsubscribe []string) {
	if !s.delta {
		s.requests = append(s.requests, &discoveryv3.DiscoveryRequest{
			TypeUrl: t.URL(), ResourceNames: slices.Sorted(maps.Keys(s.names[t])), VersionInfo: s.version[t], ResponseNonce: s.nonce[t]})
	} else {
		r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: subscribe, ResourceNamesUnsubscribe: unsubscribe}
		if !s.asked[t] {
			r.InitialResourceVersions = map[string]string{}
			for name, h := range s.held[t] {
				r.InitialResourceVersions[name] = h.Version
			}
		}
		s.requests = append(s.requests, r)
	}
	s.asked[t] = true
	s.logf("ask %s +%v -%v %v", t, subscribe, unsubscribe, s.names[t])
}

// want brings the subscriptions of a type to these names.
func (s *sim) want(t xds.Type, names map[string]bool, renewed bool) {
	var add, remove []string
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if !s.names[t][n] {
			add = append(add, n)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(s.names[t])) {
		if !names[n] {
			remove = append(remove, n)
			delete(s.held[t], n)
			if t == xds.Route {
				maps.DeleteFunc(s.hosts, func(host string, _ *xds.Resource) bool { return xds.RoutesOf(host) == n })
			}
		}
	}
	s.names[t] = names
	// A state-of-the-world Envoy asks again for a cluster that warms anew.
	if len(add)+len(remove) > 0 || renewed && !s.delta {
		s.ask(t, add, remove)
	}
}

// serve lets the server take one request, or none, and answer.
func (s *sim) serve() {
	if len(s.requests) > 0 {
		r := s.requests[0]
		s.requests = s.requests[1:]
		if _, err := s.server.receive(r, s.now); err != nil {
			s.fatalf("receive: %v", err)
		}
		s.logf("server got %s nonce %q", r.GetTypeUrl()[len(r.GetTypeUrl())-12:], r.GetResponseNonce())
	}
	for _, r := range s.server.next(s.now) {
		var names []string
		for _, x := range r.resources {
			names = append(names, x.Name+"@"+x.Version[:3])
			if w := &s.server.watches[r.typ]; !w.all && !w.names[x.Name] {
				s.fatalf("sent %s %s, which the proxy is not subscribed to", r.typ, x.Name)
			}
		}
		s.logf("server sends %s %v -%v nonce %s commit %s", r.typ, names, r.removed, r.nonce, r.commit)
		s.responses = append(s.responses, r)
		s.sent += len(r.resources) + len(r.removed)
	}
	s.planned()
}

// planned fails unless what is left to do is what would be found by looking at
// all that the proxy holds, in the place of what has moved.
func (s *sim) planned() {
	for i := range s.server.watches {
		w := s.server.watches[i]
		if !w.asked || w.dirty || len(w.moved) > 0 || len(w.known) == 0 {
			continue // of a proxy that has lost all, what comes is as good as fresh
		}
		got := w.todo
		w.refused = slices.Clone(w.refused)
		w.replan(xds.Type(i), s.server.want)
		w.todo.sort()
		if d := cmp.Diff(w.todo, got, cmp.AllowUnexported(todo{}), cmpopts.EquateEmpty(), cmp.Comparer(func(a, b *xds.Resource) bool { return a.String() == b.String() })); d != "" {
			s.fatalf("%s: left to do (-by looking at all +got):\n%s", xds.Type(i), d)
		}
	}
}

// take lets the proxy take one response.
func (s *sim) take() {
	if len(s.responses) == 0 {
		return
	}
	r := s.responses[0]
	s.responses = s.responses[1:]
	t := r.typ
	var bad []string
	got := map[string]bool{}
	for _, x := range r.resources {
		got[x.Name] = true
		if s.parts[x].bad {
			bad = append(bad, x.Name)
		}
	}
	partial := t == xds.Cluster || t == xds.Listener
	renewed := false
	if len(bad) == 0 || partial {
		for _, x := range r.resources {
			old := s.held[t][x.Name]
			if t == xds.VirtualHost {
				old = s.hosts[x.Name]
			} else if s.parts[x].bad || t > xds.Cluster && t != xds.Listener && !s.names[t][x.Name] {
				continue
			}
			if s.delta && old != nil && s.usable(old) && !s.usable(x) {
				s.fatalf("%s %s, in use, is changed to refer to a cluster that traffic cannot use yet", t, x.Name)
			}
			if s.parts[x].nested && s.held[t][x.Name] == nil && !s.asked[xds.VirtualHost] {
				s.ask(xds.VirtualHost, nil, nil)
			}
			s.held[t][x.Name] = x
			if t == xds.VirtualHost && s.held[xds.Route][xds.RoutesOf(x.Name)] != nil {
				s.hosts[x.Name] = x
			}
			again := old != nil && old.Version == x.Version
			if again && s.delta && !s.lenient && t != xds.Endpoint {
				s.fatalf("%s %s sent again in the version the proxy has", t, x.Name)
			}
			if t == xds.Cluster && !again {
				if a := s.parts[x].assignment; a != "" {
					s.cold[x.Name] = true
					renewed = true
				} else {
					delete(s.cold, x.Name)
					s.active[x.Name] = true
				}
			}
		}
		for name := range s.held[t] {
			if s.delta && slices.Contains(r.removed, name) || !s.delta && partial && !got[name] && !slices.Contains(bad, name) {
				delete(s.held[t], name)
				if t == xds.VirtualHost {
					delete(s.hosts, name)
				}
				if t == xds.Cluster {
					delete(s.cold, name)
					delete(s.active, name)
				}
			}
		}
	}
	s.logf("proxy takes %s nonce %s, refuses %v", t, r.nonce, bad)
	s.nonce[t] = r.nonce
	switch t {
	case xds.Cluster:
		names := map[string]bool{}
		for _, c := range s.held[t] {
			if a := s.parts[c].assignment; a != "" {
				names[a] = true
			}
		}
		if len(names) > 0 || s.asked[xds.Endpoint] {
			s.want(xds.Endpoint, names, renewed)
		}
	case xds.Endpoint:
		for name, c := range s.held[xds.Cluster] {
			if a := s.parts[c].assignment; s.cold[name] && (got[a] || slices.Contains(r.removed, a)) {
				s.warmed(name)
			}
		}
	case xds.Listener:
		names := map[string]bool{}
		for _, l := range s.held[t] {
			if n := s.parts[l].routes; n != "" {
				names[n] = true
			}
		}
		if len(names) > 0 || s.asked[xds.Route] {
			s.want(xds.Route, names, false)
		}
	}
	s.check(r)
	version := r.version
	s.lenient = s.lenient || len(bad) > 0
	ack := func() { s.answer(t, r.nonce, version, bad) }
	if t == xds.Cluster {
		s.acks = append(s.acks, ack)
	} else {
		ack()
	}
	s.release()
}

func (s *sim) warmed(cluster string) {
	delete(s.cold, cluster)
	s.active[cluster] = true
}

// release sends the ACKs of clusters that have waited, and goes on with the
// start when the first clusters are warm.
func (s *sim) release() {
	if s.started && len(s.cold) > 0 {
		return
	}
	if !s.delta && len(s.acks) > 1 { // only the last word counts
		s.acks = s.acks[len(s.acks)-1:]
	}
	for _, a := range s.acks {
		a()
	}
	s.acks = nil
	if !s.started && len(s.cold) == 0 {
		s.started = true
		s.ask(xds.Listener, nil, nil)
	}
}

func (s *sim) answer(t xds.Type, nonce, version string, bad []string) {
	var refusal *status.Status
	s.refused[t] = len(bad) > 0
	if len(bad) > 0 {
		refusal = &status.Status{Message: fmt.Sprint("bad: ", bad)}
	} else {
		s.version[t] = version
	}
	if s.delta {
		s.requests = append(s.requests, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResponseNonce: nonce, ErrorDetail: refusal})
	} else {
		s.requests = append(s.requests, &discoveryv3.DiscoveryRequest{TypeUrl: t.URL(), ResponseNonce: nonce, VersionInfo: s.version[t],
			ErrorDetail: refusal, ResourceNames: slices.Sorted(maps.Keys(s.names[t]))})
	}
}

// check holds after every response: nothing refers to a cluster that traffic
// cannot use yet. Excepted is a proxy that refused a cluster and asks for
// routes it does not hold yet (see stream.next), and one that comes back over
// state of the world, where a server cannot know what it holds beyond what is
// wanted now, and so not send it again.
func (s *sim) check(r response) {
	for t, used := range map[xds.Type]map[string]*xds.Resource{xds.Listener: s.held[xds.Listener], xds.Route: s.held[xds.Route], xds.VirtualHost: s.hosts} {
		for _, x := range used {
			if !s.usable(x) && !s.lenient {
				s.fatalf("after nonce %s: %s %s refers to a cluster of %v which the proxy cannot use yet", r.nonce, t, x.Name, s.parts[x].clusters)
			}
		}
	}
}

// usable: traffic can use all that a resource refers to.
func (s *sim) usable(x *xds.Resource) bool {
	for _, c := range s.parts[x].clusters {
		if !s.active[c] && (s.started || s.held[xds.Cluster][c] == nil) {
			return false
		}
	}
	return true
}

// settle runs both ends until nothing moves.
func (s *sim) settle() {
	for range 10000 {
		s.serve()
		s.take()
		if len(s.requests)+len(s.responses) > 0 {
			continue
		}
		if due := s.server.due(); !due.IsZero() {
			s.now = due
			continue
		}
		if len(s.cold) > 0 { // the fetch time-out of Envoy
			for name := range s.cold {
				if s.delta && !s.stale[name] || s.server.want.Get(xds.Endpoint, s.parts[s.held[xds.Cluster][name]].assignment) != nil && !s.stale[name] {
					s.fatalf("cluster %s stays cold although its assignment exists", name)
				}
				s.warmed(name)
			}
			s.release()
			continue
		}
		return
	}
	s.fatalf("it never settles")
}

// settled fails unless the proxy has exactly what it should have.
func (s *sim) settled() {
	want := s.server.want
	for _, t := range []xds.Type{xds.Cluster, xds.Endpoint, xds.Listener, xds.Route, xds.VirtualHost} {
		exp, held := map[string]string{}, s.held[t]
		if t == xds.VirtualHost {
			held = s.hosts
		}
		for _, x := range want[t] {
			if t == xds.Cluster || t == xds.Listener || s.names[t][x.Name] || t == xds.VirtualHost && s.names[xds.Route][xds.RoutesOf(x.Name)] {
				exp[x.Name] = x.Version
			}
		}
		got := map[string]string{}
		for name, x := range held {
			got[name] = x.Version
		}
		if !maps.Equal(exp, got) {
			s.fatalf("%s: want %v, got %v", t, exp, got)
		}
	}
	if len(s.cold) > 0 || len(s.acks) > 0 {
		s.fatalf("clusters stay cold: %v", s.cold)
	}
	if s.server.applied != s.server.commit || s.server.making() {
		s.fatalf("applied is %s at %s", s.server.applied, s.server.commit)
	}
}

// silent fails if the server sends any resource.
func (s *sim) silent(what string) {
	n := s.sent
	s.settle()
	if s.sent != n {
		s.fatalf("%s: %d resources sent", what, s.sent-n)
	}
}

// random makes a consistent desired state, with bad resources or without.
func (s *sim) random(bad bool) *xds.Resources {
	var list []*xds.Resource
	add := func(p part, build func(variant int) *xds.Resource) {
		v := s.rnd.IntN(3)
		if p.bad = bad && s.rnd.IntN(8) == 0; p.bad {
			v += 3 // the same content is always good, or always bad
		}
		r := build(1 + v)
		s.parts[r] = p
		list = append(list, r)
	}
	var clusters []string
	assigned := map[string]bool{}
	for i := range 6 {
		if s.rnd.IntN(2) == 0 {
			continue
		}
		name := "c" + strconv.Itoa(i)
		clusters = append(clusters, name)
		if s.rnd.IntN(3) == 0 {
			add(part{}, func(v int) *xds.Resource { return dns(name, "127.0.0.1", v) })
			continue
		}
		add(part{assignment: name}, func(v int) *xds.Resource { return eds(name, time.Duration(v)*time.Second) })
		assigned[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(assigned)) {
		r := cla(name, 1+s.rnd.IntN(3))
		s.parts[r] = part{}
		list = append(list, r)
	}
	var routes []string
	for i := range 3 {
		if len(clusters) == 0 || s.rnd.IntN(3) == 0 {
			continue
		}
		name, c := "r"+strconv.Itoa(i), clusters[s.rnd.IntN(len(clusters))]
		routes = append(routes, name)
		if i == 0 && s.delta {
			nested := nest(name)
			s.parts[nested] = part{nested: true}
			list = append(list, nested)
			for j := range 1 + s.rnd.IntN(3) {
				c := clusters[s.rnd.IntN(len(clusters))]
				add(part{clusters: []string{c}}, func(v int) *xds.Resource { return host(name, "h"+strconv.Itoa(j), c, "host-"+strconv.Itoa(v/4)) })
			}
			continue
		}
		add(part{clusters: []string{c}}, func(v int) *xds.Resource { return route(name, c, "host-"+strconv.Itoa(v/4)) })
	}
	for i := range 3 {
		if len(routes) == 0 || s.rnd.IntN(3) == 0 {
			continue
		}
		r := routes[s.rnd.IntN(len(routes))]
		add(part{routes: r}, func(v int) *xds.Resource {
			l := *listener("l"+strconv.Itoa(i), v, r)
			if i > 0 {
				l.Takes = [][]string{{"plain"}, {"TLS"}, {"plain", "TLS"}}[v%3]
			}
			return &l
		})
	}
	return resources(list...)
}

// publish gives the server a state.
func (s *sim) publish(n int, want *xds.Resources) {
	commit := label("commit-" + strconv.Itoa(n))
	s.logf("publish %s", commit)
	for t := range want {
		for _, x := range want[t] {
			s.logf("  %s %s@%s %+v", x.Type, x.Name, x.Version[:3], s.parts[x])
		}
	}
	s.server.target(commit, want, differences{}.between(s.server.want, want))
}

// TestSimulation plays random histories of publishing, losing the connection,
// refusing and waiting, over both protocols.
func TestSimulation(t *testing.T) {
	for _, delta := range []bool{true, false} {
		for _, refusals := range []bool{false, true} {
			t.Run(fmt.Sprintf("delta=%v,refusals=%v", delta, refusals), func(t *testing.T) {
				for seed := range uint64(400) {
					play(t, seed, delta, refusals)
				}
			})
		}
	}
}

// FuzzSimulation plays more of them.
func FuzzSimulation(f *testing.F) {
	f.Add(uint64(1), true, true)
	f.Fuzz(func(t *testing.T, seed uint64, delta, refusals bool) { play(t, seed, delta, refusals) })
}

func play(t testing.TB, seed uint64, delta, refusals bool) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := newSim(t, rnd, delta, time.Duration(rnd.IntN(2))*time.Second)
	s.logf("seed %d", seed)
	if rnd.IntN(2) == 0 {
		s.publish(0, s.random(refusals))
	}
	s.connect()
	for n := 1; n < 40; n++ {
		switch k := rnd.IntN(20); {
		case k == 0 && (delta || seed%2 == 0 && s.refused == [xds.NumTypes]bool{}):
			s.connect()
		case k < 3:
			s.publish(n, s.random(refusals))
		case k < 11:
			s.serve()
		case k < 18:
			s.take()
		case k == 18:
			s.now = s.now.Add(time.Second)
			s.server.stage = stage(rnd.IntN(3)) // other proxies' doing
		default:
			if s.server.want != nil {
				s.settle()
			}
		}
	}
	s.server.stage = anything
	s.publish(100, s.random(false))
	s.settle()
	s.settled()
	s.server.target("commit-101", s.server.want, nil)
	s.silent("a commit that changes nothing")
	s.settled()
	if !refusals && !(!delta && s.expectResend()) {
		s.connect()
		s.silent("a reconnect without a change")
		s.settled()
	}
}

// expectResend: a state-of-the-world proxy names one version for all of a type.
// When names were dropped since, that version is of a set that is no more.
func (s *sim) expectResend() bool {
	for _, t := range []xds.Type{xds.Endpoint, xds.Route} {
		if s.asked[t] && s.version[t] != setVersion(s.server.watches[t].scope(s.server.want[t])) {
			return true
		}
	}
	return false
}
