package ads

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

var db = xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "db_shop"}

// proxy is a delta client over gRPC, driven by hand.
type proxy struct {
	t      testing.TB
	stream grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
	node   *corev3.Node
	got    chan *discoveryv3.DeltaDiscoveryResponse
	err    chan error
	hangUp func()
}

// dial opens a connection that ends with the test.
func dial(t testing.TB, address string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	if len(options) == 0 {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	c, err := grpc.NewClient(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// connect opens a delta stream that is not read from when paused.
func connect(t testing.TB, c *grpc.ClientConn, id string, node *corev3.Node, paused bool) *proxy {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	if node == nil {
		node = &corev3.Node{Cluster: web.String()}
	}
	node.Id = id
	p := &proxy{t: t, node: node, got: make(chan *discoveryv3.DeltaDiscoveryResponse), err: make(chan error, 1)}
	var err error
	if p.stream, err = discoveryv3.NewAggregatedDiscoveryServiceClient(c).DeltaAggregatedResources(ctx); err != nil {
		cancel()
		p.err <- err
		return p
	}
	ended := make(chan struct{})
	p.hangUp = func() { cancel(); <-ended }
	t.Cleanup(p.hangUp)
	go func() {
		defer close(ended)
		if paused {
			<-ctx.Done()
			return
		}
		for {
			r, err := p.stream.Recv()
			if err != nil {
				p.err <- err
				return
			}
			select {
			case p.got <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	return p
}

func (p *proxy) send(r *discoveryv3.DeltaDiscoveryRequest) {
	r.Node, p.node = p.node, nil // on the first message only
	if p.stream == nil {
		return // it could not be opened: see err
	}
	if err := p.stream.Send(r); err != nil {
		p.t.Logf("send: %v", err) // the error is what Recv tells
	}
}

func (p *proxy) ask(t xds.Type, has ...*xds.Resource) {
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), InitialResourceVersions: map[string]string{}}
	for _, x := range has {
		r.InitialResourceVersions[x.Name] = x.Version
	}
	p.send(r)
}

// answer acknowledges a response.
func (p *proxy) answer(r *discoveryv3.DeltaDiscoveryResponse) {
	p.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()})
}

// receive waits for a response and answers it, unless refused with a message.
func (p *proxy) receive(want, refusal string) *discoveryv3.DeltaDiscoveryResponse {
	p.t.Helper()
	select {
	case r := <-p.got:
		var got []string
		for _, x := range r.GetResources() {
			got = append(got, "+"+x.GetName())
		}
		for _, n := range r.GetRemovedResources() {
			got = append(got, "-"+n)
		}
		if s := strings.Join(got, " "); s != want {
			p.t.Fatalf("got %q, want %q", s, want)
		}
		a := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()}
		if refusal != "" {
			a.ErrorDetail = &status.Status{Message: refusal}
		}
		p.send(a)
		return r
	case err := <-p.err:
		p.t.Fatalf("want %q: %v", want, err)
	case <-time.After(20 * time.Second):
		p.t.Fatalf("want %q: nothing came", want)
	}
	return nil
}

// ends waits for the end of the stream.
func (p *proxy) ends(code codes.Code, part string) {
	p.t.Helper()
	select {
	case err := <-p.err:
		if grpcstatus.Code(err) != code || !strings.Contains(err.Error(), part) {
			p.t.Errorf("the stream ended with %v, want %v with %q", err, code, part)
		}
	case r := <-p.got:
		p.t.Errorf("got %v, want the end of the stream", r)
	case <-time.After(20 * time.Second):
		p.t.Error("the stream does not end")
	}
}

// note waits until the only proxy has a note that contains part, or none.
func note(t *testing.T, s *Server, part string) xds.Proxy {
	t.Helper()
	var p xds.Proxy
	eventually(t, "note "+part, func() error {
		list := s.Proxies()
		if len(list) != 1 || !strings.Contains(list[0].Note, part) || (part == "") != (list[0].Note == "") {
			return fmt.Errorf("%+v", list)
		}
		p = list[0]
		return nil
	})
	return p
}

func local(t testing.TB, c Config) (s *Server, address string, stop func()) {
	l := listen(t, "127.0.0.1:0")
	c.Listener = l
	s, stop = start(t, c)
	return s, l.Addr().String(), stop
}

func TestUnknownProxiesKeepWhatTheyHave(t *testing.T) {
	s, address, _ := local(t, Config{})
	p := connect(t, dial(t, address), "web-1", nil, false)
	p.ask(xds.Cluster)
	if got := note(t, s, ""); got.Desired != "" || got.Applied != "" || got.ID != "web-1" || got.Protocol != delta || got.Identity != web {
		t.Errorf("before the first state: %+v", got)
	}
	s.Publish(state{"c1", map[xds.Identity]*xds.Resources{db: resources()}})
	note(t, s, "no VirtualNode for mesh/shop/virtualNode/web_shop in the spec")
	if pr := s.Progress(); !pr.Done() || pr.Touched != 0 || pr.HeldBack != 1 {
		t.Errorf("%+v", pr)
	}
	s.Publish(one("c2", resources(a1, b1)))
	p.receive("+a +b", "")
	p.ask(xds.Listener)
	p.receive("", "")
	note(t, s, "")
	s.Publish(state{"c3", nil})
	got := note(t, s, "keeps what it has of commit c2")
	if got.Desired != "c2" {
		t.Errorf("%+v", got)
	}
	s.Publish(one("c4", resources(a1, b2)))
	if r := p.receive("+b", ""); r.GetControlPlane().GetIdentifier() != "c4" {
		t.Errorf("control plane %v", r.GetControlPlane())
	}
}

func TestOnlyTouchedProxiesHear(t *testing.T) {
	reg := prometheus.NewRegistry()
	s, address, _ := local(t, Config{Metrics: reg})
	c := dial(t, address)
	s.Publish(state{"c1", map[xds.Identity]*xds.Resources{web: resources(a1), db: resources(a1)}})
	w := connect(t, c, "web-1", nil, false)
	d := connect(t, c, "db-1", &corev3.Node{Cluster: "arn:aws:appmesh:eu-west-1:1:" + db.String()}, false)
	for _, p := range []*proxy{w, d} {
		p.ask(xds.Cluster)
		p.receive("+a", "")
		p.ask(xds.Listener)
		p.receive("", "") // an empty set, or a proxy's start would wait for one
	}
	done(t, s, "c1", 2)

	s.Publish(state{"c2", map[xds.Identity]*xds.Resources{web: resources(a2), db: resources(a1)}})
	w.receive("+a", "")
	if p := done(t, s, "c2", 2); p.Touched != 1 || p.Applied != 1 || p.Took <= 0 {
		t.Errorf("%+v", p)
	}
	s.Publish(state{"c3", map[xds.Identity]*xds.Resources{web: resources(a1), db: resources(a1)}})
	w.receive("+a", "bad cluster a")
	eventually(t, "NACK", func() error {
		want := xds.Progress{Commit: "c3", Touched: 1, Rejected: []xds.Rejection{{Proxy: "web-1", Type: xds.Cluster,
			NACK: xds.NACK{Commit: "c3", Resources: []string{"a"}, Message: "bad cluster a"}}}}
		got := s.Progress()
		for i := range got.Rejected {
			got.Rejected[i].At = time.Time{}
		}
		if d := cmp.Diff(want, got); d != "" {
			return fmt.Errorf("(-want +got):\n%s", d)
		}
		return nil
	})
	// A commit that changes nothing for it is not applied either while it refuses.
	s.Publish(state{"c4", map[xds.Identity]*xds.Resources{web: resources(a1), db: resources(a1)}})
	if p := s.Progress(); p.Done() || p.Touched != 1 || len(p.Rejected) != 1 || p.Rejected[0].Commit != "c3" {
		t.Errorf("%+v", p)
	}
	// One that goes leaves the count; one that comes back with something else
	// than it should have is counted, one that comes back right is not.
	w.hangUp()
	eventually(t, "gone", func() error {
		if p := s.Progress(); !p.Done() || p.Touched != 0 {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	w2 := connect(t, c, "web-2", nil, false)
	w2.ask(xds.Cluster, a2)
	w2.receive("+a", "")
	w3 := connect(t, c, "web-3", nil, false)
	w3.ask(xds.Cluster, a1)
	for _, p := range []*proxy{w2, w3} {
		p.ask(xds.Listener)
		p.receive("", "")
	}
	if p := done(t, s, "c4", 3); p.Touched != 1 || p.Applied != 1 {
		t.Errorf("%+v", p)
	}
	select {
	case <-s.Changed():
	default:
		t.Error("no change was signalled")
	}
	select {
	case r := <-d.got:
		t.Errorf("the untouched proxy got %v", r)
	default:
	}
	if n := testutil.ToFloat64(s.metrics.nacks.WithLabelValues("clusters")); n != 1 {
		t.Errorf("%v NACKs counted", n)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
}

// TestSameCommitAgain: other endpoints or certificates are sent, and are no
// news of the commit.
func TestSameCommitAgain(t *testing.T) {
	s, address, _ := local(t, Config{})
	s.Publish(one("c1", resources(a1)))
	p := connect(t, dial(t, address), "web-1", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "")
	p.ask(xds.Listener)
	p.receive("", "")
	s.Publish(one("c2", resources(a2)))
	p.receive("+a", "")
	before := done(t, s, "c2", 1)
	s.Publish(one("c2", resources(a1)))
	if r := p.receive("+a", ""); r.GetControlPlane().GetIdentifier() != "c2" {
		t.Errorf("control plane %v", r.GetControlPlane())
	}
	if diff := cmp.Diff(before, done(t, s, "c2", 1)); before.Touched != 1 || diff != "" {
		t.Errorf("progress (-before +after):\n%s", diff)
	}
}

// TestRestartAfterNACK: an Envoy that comes with nothing while a commit is
// refused is given what was taken before, and the refusal stays told.
func TestRestartAfterNACK(t *testing.T) {
	s, address, _ := local(t, Config{})
	client := dial(t, address)
	s.Publish(one("c1", resources(a1)))
	p := connect(t, client, "web-1", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "")
	p.ask(xds.Listener)
	p.receive("", "")
	done(t, s, "c1", 1)
	s.Publish(one("c2", resources(a2)))
	p.receive("+a", "bad cluster a")
	p.hangUp()

	p = connect(t, client, "web-2", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "bad cluster a")
	if r := p.receive("+a", ""); r.GetControlPlane().GetIdentifier() != "c1" {
		t.Errorf("control plane %v", r.GetControlPlane())
	}
	p.ask(xds.Listener)
	p.receive("", "")
	note(t, s, "refuses clusters of commit c2; given commit c1, which was taken before")
	if pr := s.Progress(); pr.Done() || pr.Touched != 1 || len(pr.Rejected) != 1 || pr.Rejected[0].Message != "bad cluster a" || pr.Rejected[0].Commit != "c2" {
		t.Errorf("%+v", pr)
	}
	// Other certificates of the refused commit, and it is refused again.
	s.Publish(one("c2", resources(a2)))
	p.receive("+a", "bad cluster a")
	eventually(t, "refusal", func() error {
		if pr := s.Progress(); pr.Done() || pr.Touched != 1 || len(pr.Rejected) != 1 {
			return fmt.Errorf("%+v", pr)
		}
		return nil
	})
	// And another Envoy comes, after many of those.
	p.hangUp()
	eventually(t, "gone", func() error {
		if n := len(s.Proxies()); n > 0 {
			return fmt.Errorf("%d proxies", n)
		}
		return nil
	})
	for range maxIdle + 1 {
		s.Publish(one("c2", resources(a2)))
	}
	p = connect(t, client, "web-3", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "bad cluster a")
	p.receive("+a", "")
	p.ask(xds.Listener)
	p.receive("", "")
	note(t, s, "refuses clusters of commit c2; given commit c1, which was taken before")
	s.Publish(one("c3", resources(a2, b1)))
	p.receive("+a +b", "")
	note(t, s, "")
	if pr := done(t, s, "c3", 1); pr.Touched != 1 || len(pr.Rejected) != 0 {
		t.Errorf("%+v", pr)
	}
}

// TestNewcomerRefuses: a proxy that comes with nothing and refuses what it
// gets counts, or the commit would be called applied.
func TestNewcomerRefuses(t *testing.T) {
	s, address, _ := local(t, Config{})
	s.Publish(one("c1", resources(a1)))
	p := connect(t, dial(t, address), "web-1", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "bad cluster a")
	eventually(t, "refusal", func() error {
		if pr := s.Progress(); pr.Done() || pr.Touched != 1 || len(pr.Rejected) != 1 {
			return fmt.Errorf("%+v", pr)
		}
		return nil
	})
	s.Publish(one("c2", resources(a2)))
	p.receive("+a", "")
	p.ask(xds.Listener)
	p.receive("", "")
	done(t, s, "c2", 1)
}

// TestLateNACK: what a proxy refuses is wanted no more, and what it was sent
// since it takes.
func TestLateNACK(t *testing.T) {
	s, address, _ := local(t, Config{})
	client := dial(t, address)
	s.Publish(one("c1", resources(a1)))
	p := connect(t, client, "web-1", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a", "")
	p.ask(xds.Listener)
	p.receive("", "")
	done(t, s, "c1", 1)
	p.hangUp()

	s.Publish(one("c2", resources(a2)))
	p = connect(t, client, "web-2", nil, false)
	p.ask(xds.Cluster)
	bad := <-p.got
	s.Publish(one("c3", resources(dns("a", "127.0.0.1", 3))))
	fix := <-p.got
	p.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: bad.GetTypeUrl(), ResponseNonce: bad.GetNonce(), ErrorDetail: &status.Status{Message: "bad c2"}})
	p.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: fix.GetTypeUrl(), ResponseNonce: fix.GetNonce()})
	p.ask(xds.Listener)
	p.receive("", "")
	if got := note(t, s, ""); got.Desired != "c3" || got.Applied != "c3" {
		t.Errorf("%+v", got)
	}
}

func TestRefusals(t *testing.T) {
	_, address, _ := local(t, Config{})
	c := dial(t, address)
	p := connect(t, c, "x", &corev3.Node{Cluster: "backend"}, false)
	p.ask(xds.Cluster)
	p.ends(codes.InvalidArgument, `"backend" is no proxy identity; write mesh/MESH/virtualNode/NAME`)

	bad, err := structpb.NewStruct(map[string]any{"meshwright": map[string]any{"capture": "explizit"}})
	if err != nil {
		t.Fatal(err)
	}
	p = connect(t, c, "x", &corev3.Node{Cluster: web.String(), Metadata: bad}, false)
	p.ask(xds.Cluster)
	p.ends(codes.InvalidArgument, `metadata.meshwright.capture: "explizit" is none of transparent, explicit, grpc`)

	p = connect(t, c, "x", nil, false)
	var names []string
	for i := range maxNames + 1 {
		names = append(names, fmt.Sprint(i))
	}
	p.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Endpoint.URL(), ResourceNamesSubscribe: names})
	p.ends(codes.ResourceExhausted, "more than 65536")
}

func TestIdentityFromNodeID(t *testing.T) {
	s, address, _ := local(t, Config{})
	p := connect(t, dial(t, address), web.String(), &corev3.Node{}, false)
	p.ask(xds.Cluster)
	if got := note(t, s, ""); got.Identity != web || got.ID != web.String() {
		t.Errorf("%+v", got)
	}
}

func TestDrain(t *testing.T) {
	s, address, stop := local(t, Config{Drain: time.Minute})
	c := dial(t, address)
	health, err := healthv1.NewHealthClient(c).Check(context.Background(), &healthv1.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
	s.Publish(one("c1", resources(a1)))
	idle := connect(t, c, "idle", nil, false)
	idle.ask(xds.Cluster)
	idle.receive("+a", "")
	eventually(t, "ACK", func() error {
		if p := s.Proxies(); len(p) != 1 || p[0].Types[xds.Cluster].Commit != "c1" {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	busy := connect(t, c, "busy", nil, false)
	busy.ask(xds.Cluster)
	eventually(t, "response", func() error {
		if p := s.Proxies(); len(p) != 2 || p[0].Types[xds.Cluster].Sent != 1 {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	idle.ends(codes.Unavailable, "shutting down") // at once: it has nothing under way
	busy.receive("+a", "")
	busy.ends(codes.Unavailable, "shutting down") // after its ACK
	<-stopped
}

func TestDrainEnds(t *testing.T) {
	s, address, stop := local(t, Config{Drain: 10 * time.Millisecond})
	s.Publish(one("c1", resources(a1)))
	p := connect(t, dial(t, address), "silent", nil, false)
	p.ask(xds.Cluster)
	select { // a proxy that never answers
	case <-p.got:
	case err := <-p.err:
		t.Fatal(err)
	}
	stop()
	p.ends(codes.Unavailable, "")
}
