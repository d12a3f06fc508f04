package ads

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/meshwright/meshwright/xds"
)

// Server is the ADS server. All methods are safe for concurrent use.
type Server struct {
	config  Config
	auth    *auth
	tls     *certificates
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time

	news     *news
	press    press
	draining chan struct{} // closed when Run ends

	publishing sync.Mutex // one Publish at a time

	// ordering is written while a state is given to all streams and its stages
	// are found, and read by each step: no stream makes its part of a change
	// before the order over all of them is known. It is taken before mu.
	ordering sync.RWMutex

	mu        sync.Mutex // before any conn's
	conns     map[*conn]struct{}
	audiences map[xds.Profile]*audience
	state     xds.State
	states    int // how many there have been
	published time.Time
	stage     stage     // of the newest state
	last      stage     // of its stages before anything goes
	settling  bool      // the work of the stage is done
	entered   time.Time // when the stage began, maybe for a state before
	staging   *time.Timer

	// asking is held by those who have a state translated for a newcomer, as many
	// as there are cores, in the order of their coming: a thousand that come at
	// once are served one after the other and not all at the end.
	asking chan struct{}

	patience time.Duration // set before Run

	reporters map[reporter]*conn // guarded by mu
	traffic   ledger
}

// New returns a server that does not run yet. It reads the token file and the
// certificates, so that a mistake in them is told at once.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Address = cmp.Or(c.Address, defaultAddress)
	c.Drain = cmp.Or(c.Drain, 2*time.Second)
	c.MaxStreams = cmp.Or(c.MaxStreams, 1000)
	s := &Server{
		config: c, auth: &auth{mtls: c.ClientCAFile != "", names: c.Names}, log: c.Logger, now: c.Now,
		news: newNews(), draining: make(chan struct{}), conns: map[*conn]struct{}{}, audiences: map[xds.Profile]*audience{}, reporters: map[reporter]*conn{}, patience: defaultPatience,
		asking: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	if c.TokenFile != "" {
		if s.auth.tokens, err = readTokens(c.TokenFile); err != nil {
			return nil, fmt.Errorf("TokenFile: %w", err)
		}
	}
	if c.CertFile != "" {
		s.tls = &certificates{cert: c.CertFile, key: c.KeyFile, clientCA: c.ClientCAFile, optional: c.TokenFile != ""}
		if _, err := s.tls.load(); err != nil {
			return nil, fmt.Errorf("read the TLS files: %w", err)
		}
	}
	if s.metrics, err = newMetrics(c.Metrics); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "meshwright_ads_held_back", Help: "Connected proxies that are not given the newest state: the spec has not what they stand for, or they refused it and were given an older one.",
	}, func() float64 { return float64(s.heldBack()) })
	reporting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "meshwright_ads_reporting", Help: "Connected Envoys that have reported lately what they see of traffic and health.",
	}, func() float64 { _, n := s.Reporting(); return float64(n) })
	for _, m := range []prometheus.Collector{held, reporting} {
		if c.Metrics == nil {
			break
		}
		if err := c.Metrics.Register(m); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return s, nil
}

// heldBack counts the connections with a note.
func (s *Server) heldBack() (n int) {
	for _, c := range s.connections() {
		c.mu.Lock()
		if c.note != "" {
			n++
		}
		c.mu.Unlock()
	}
	return n
}

// Run serves until ctx ends, then lets changes under way end and returns nil.
// It is called once.
func (s *Server) Run(ctx context.Context) error {
	l := s.config.Listener
	if l == nil {
		var err error
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Address); err != nil {
			return fmt.Errorf("listen for xDS: %w", err)
		}
	}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxConcurrentStreams(s.config.MaxStreams),
		grpc.ReadBufferSize(4 << 10), // nearly all connections are idle nearly always, and say little
		// A proxy that has gone without a word is noticed within a minute; one
		// that pings more often than every ten seconds is asked to stop.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if s.tls != nil {
		options = append(options, grpc.Creds(s.tls.credentials()))
	} else if len(s.auth.tokens) > 0 && !loopback(l.Addr().String()) {
		s.log.Warn("tokens travel in clear text", "reason", "CertFile and KeyFile are not set")
	}
	g := grpc.NewServer(options...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	s.registerReports(g)
	checks := health.NewServer()
	healthv1.RegisterHealthServer(g, checks)

	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	s.log.Info("xDS served", "address", l.Addr().String())
	select {
	case err := <-served:
		return fmt.Errorf("serve xDS: %w", err)
	case <-ctx.Done():
	}
	checks.Shutdown()
	close(s.draining)
	stop := time.AfterFunc(s.config.Drain+time.Second, g.Stop) // for streams that are stuck in a send
	g.GracefulStop()
	stop.Stop()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve xDS: %w", err)
	}
	return nil
}

// Publish makes a state the desired one. Streams whose resources it changes
// are woken; for the others only the commit moves on. What it costs follows
// the distinct profiles that are connected, and those the state has to
// translate for; it waits for no proxy. A state of the same commit as before
// (other endpoints or certificates) is no new change: Progress goes on.
func (s *Server) Publish(state xds.State) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	now := s.now()
	offers := s.askAll(state)
	translated := s.now()
	defer func() { s.metrics.publish.Observe(s.now().Sub(translated).Seconds()) }()
	for _, c := range s.handOver(state, offers, now) { // who woke earlier would wait for the order
		c.poke()
	}
	s.news.tell()
}

// handOver gives a state to all connections, finds the order of the change over
// them, and returns those for which it is one.
func (s *Server) handOver(state xds.State, offers map[*audience]offer, now time.Time) (touched []*conn) {
	differ := differences{}
	s.ordering.Lock()
	defer s.ordering.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.state != nil && s.state.Commit() == state.Commit()
	s.state = state
	if !again {
		s.published = now
		s.age()
	}
	s.states++
	for _, a := range s.audiences {
		o, asked := offers[a]
		if !asked && len(a.conns) > 0 { // connected meanwhile
			o = ask(state, a.profile)
		}
		for c := range a.conns {
			if s.give(c, label(state.Commit()), o, now, again, differ) {
				touched = append(touched, c)
			}
		}
	}
	s.begin()
	return touched
}

// give sets what a connection should have. A proxy that the state cannot serve
// keeps what it has: an Envoy with traffic is never wiped because of a spec
// that forgot it. It reports whether that is another than before.
func (s *Server) give(c *conn, commit label, o offer, now time.Time, again bool, differ differences) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fell := c.fell != nil
	c.fell = nil
	if o.err != nil {
		note := o.err.Error()
		if c.stream.want != nil {
			note += fmt.Sprintf("; keeps what it has of commit %.7s", c.stream.commit.commit())
		}
		if c.note == "" {
			c.log.Warn("proxy held back", "commit", commit, "reason", note)
		}
		c.note, c.touched = note, false
		return false
	}
	c.note = ""
	difference := differ.between(c.stream.want, o.resources)
	changed = c.stream.want == nil || difference != nil
	// A proxy that is not yet where the state before wanted it counts for this
	// one too: the new commit is not applied before it is.
	if !again || fell {
		c.touched = changed || c.stream.want != nil && c.stream.making()
		c.since, c.done = now, time.Time{}
	}
	c.stream.target(commit, o.resources, difference)
	return changed
}

// enter registers a connection and gives it the newest state.
func (s *Server) enter(c *conn) {
	s.metrics.streams.WithLabelValues(c.protocol).Inc()
	c.log.Info("proxy connected", "resource", c.profile.Identity)
	for entered := false; !entered; {
		s.mu.Lock()
		state, states := s.state, s.states
		s.mu.Unlock()
		var o offer
		if state != nil {
			s.asking <- struct{}{}
			o = ask(state, c.profile) // not under mu: this may translate
			<-s.asking
		}
		s.mu.Lock()
		if entered = s.states == states; entered {
			s.conns[c] = struct{}{}
			s.join(c)
			s.reporters[c.reporter()] = c
			if state != nil {
				s.give(c, label(state.Commit()), o, s.now(), false, differences{})
				c.mu.Lock()
				c.stream.stage = s.stage
				c.touched = false // until it shows that it has something older
				c.mu.Unlock()
			}
		}
		s.mu.Unlock()
	}
	s.news.tell()
}

// leave forgets a connection.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	delete(c.audience.conns, c)
	if s.reporters[c.reporter()] == c { // no later stream of the same connection
		delete(s.reporters, c.reporter())
	}
	s.mu.Unlock()
	s.endStage()
	s.metrics.streams.WithLabelValues(c.protocol).Dec()
	c.log.Info("proxy disconnected")
	s.news.tell()
}

// Proxies returns the connected proxies, sorted by identity, ID and age.
func (s *Server) Proxies() []xds.Proxy {
	list := []xds.Proxy{}
	now := s.now()
	for _, c := range s.connections() {
		p := c.proxy()
		c.reports.fill(&p, now)
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b xds.Proxy) int {
		return cmp.Or(a.Identity.Compare(b.Identity), strings.Compare(a.ID, b.ID), a.Connected.Compare(b.Connected))
	})
	return list
}

// Connected returns how many proxies are connected.
func (s *Server) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Progress returns how far the newest state is: of the proxies connected now,
// those that it changes something for, whether they were connected when it was
// published or came back since with something older. A proxy without any
// configuration that comes later is not waited for.
func (s *Server) Progress() xds.Progress {
	var p xds.Progress
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != nil {
		p.Commit = s.state.Commit()
	}
	for c := range s.conns {
		c.mu.Lock()
		if c.touched {
			p.Touched++
			if !c.done.IsZero() {
				p.Applied++
				p.Took = max(p.Took, c.done.Sub(s.published))
			}
			for t := range c.stream.watches {
				if n := c.stream.watches[t].status.NACK; n != nil && c.stream.watches[t].making() {
					p.Rejected = append(p.Rejected, xds.Rejection{Proxy: c.id, Type: xds.Type(t), NACK: *n})
				}
			}
		}
		if c.fell != nil {
			p.Touched++
			p.Rejected = append(p.Rejected, *c.fell)
		}
		if c.note != "" && c.fell == nil {
			p.HeldBack++
		}
		c.mu.Unlock()
	}
	slices.SortFunc(p.Rejected, func(a, b xds.Rejection) int {
		return cmp.Or(strings.Compare(a.Proxy, b.Proxy), cmp.Compare(a.Type, b.Type))
	})
	return p
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// Changed receives after anything in Proxies or Progress has changed: at once, or
// where much does, 40 times a second. It has room for one: whoever receives reads
// the whole state.
func (s *Server) Changed() <-chan struct{} { return s.news.heard }
