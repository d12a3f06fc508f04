package ads

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
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
