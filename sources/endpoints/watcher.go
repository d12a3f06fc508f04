package endpoints

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/meshwright/meshwright/schema"
)

// Registry knows instances; [CloudMap] is one.
type Registry interface {
	// Revision returns a number that is another one after an instance of the
	// service has come or gone.
	Revision(ctx context.Context, namespace, service string) (int64, error)
	Discover(ctx context.Context, q schema.Query) (Answer, error)
}

// Answer is what a registry has for a query.
type Answer struct {
	Instances []schema.Instance
	Revision  int64 // of the service, as the answer knows it
	// Checked: health is checked, so that answers change without a revision.
	Checked bool
	// Cut: there may be more instances than the answer can hold.
	Cut bool
}

// Config of a [Watcher]. Registry is needed.
type Config struct {
	Registry Registry
	// Interval is the time between two looks; zero: 5 s.
	Interval time.Duration
	// File keeps what was found over restarts; empty: nothing does.
	File string
	// Moved is called after Found has changed. It must not block. nil: nobody
	// is told.
	Moved   func()
	Logger  *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: none
}

// Watcher keeps up with what a registry has for the nodes of a spec.
type Watcher struct {
	cfg     Config
	metrics *metrics
	wake    chan struct{} // capacity 1: the wishes have changed

	mu              sync.Mutex
	serving, coming []schema.Query
	found           map[schema.Query]*schema.Found // replaced, never changed
	changed         chan struct{}                  // closed when found is replaced
}

// New returns a watcher that knows what its file holds.
func New(c Config) (*Watcher, error) {
	if c.Registry == nil {
		return nil, errors.New("endpoints: Config.Registry is missing")
	}
	if c.Interval == 0 {
		c.Interval = 5 * time.Second
	}
	if c.Moved == nil {
		c.Moved = func() {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	found, err := load(c.File)
	if err != nil { // a cache: it is better to start without
		c.Logger.Warn("endpoints of the last run not read", "file", c.File, "err", err)
	}
	return &Watcher{cfg: c, metrics: newMetrics(c.Metrics), wake: make(chan struct{}, 1), found: found, changed: make(chan struct{})}, nil
}

// Serve says which spec is served: its queries are asked from now on, beside
// those of the spec that was awaited last. It never blocks.
func (w *Watcher) Serve(spec *schema.Spec) {
	queries := spec.Queries()
	w.want(func() { w.serving = queries })
}

// Await asks what a spec needs that may be served next, too, and waits until
// all of it is known, so that its proxies do not start without endpoints; at
// most for the limit, for a registry that does not answer holds up no commit.
func (w *Watcher) Await(ctx context.Context, spec *schema.Spec, limit time.Duration) {
	queries := spec.Queries()
	w.want(func() { w.coming = queries })
	over := time.NewTimer(limit)
	defer over.Stop()
	for {
		w.mu.Lock()
		found, changed := w.found, w.changed
		w.mu.Unlock()
		if !slices.ContainsFunc(queries, func(q schema.Query) bool { return found[q] == nil }) {
			return
		}
		select {
		case <-changed:
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// want changes the wishes, and has them looked at where they differ.
func (w *Watcher) want(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	serving, coming := w.serving, w.coming
	if change(); slices.Equal(serving, w.serving) && slices.Equal(coming, w.coming) {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Found returns what is known, by query. Nobody changes it.
func (w *Watcher) Found() map[schema.Query]*schema.Found {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found
}

// atOnce is how many services are asked at the same time.
const atOnce = 8

// Run asks until ctx ends; it returns nil. While nothing is wanted, nothing is
// contacted.
func (w *Watcher) Run(ctx context.Context) error {
	services := map[serviceName]*service{}
	for {
		next := w.look(ctx, services)
		var due <-chan time.Time
		if len(services) > 0 {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-due:
		}
	}
}

// look asks the services that are due, and returns when the next one is.
func (w *Watcher) look(ctx context.Context, services map[serviceName]*service) (next time.Time) {
	w.sort(services)
	var asking errgroup.Group
	asking.SetLimit(atOnce)
	now := time.Now()
	for _, s := range services {
		if s.due(now) {
			asking.Go(func() error { w.ask(ctx, s); return nil })
		}
	}
	_ = asking.Wait() // each keeps its own error
	w.publish(services)
	for _, s := range services {
		if next.IsZero() || s.next.Before(next) {
			next = s.next
		}
	}
	return next
}

// sort makes the services those that are wanted. New ones start from what was
// found before.
func (w *Watcher) sort(services map[serviceName]*service) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := map[serviceName][]schema.Query{}
	for _, q := range slices.Concat(w.serving, w.coming) {
		name := serviceName{q.Namespace, q.Service}
		wanted[name] = append(wanted[name], q)
	}
	maps.DeleteFunc(services, func(name serviceName, _ *service) bool { return wanted[name] == nil })
	for name, queries := range wanted {
		s := services[name]
		if s == nil {
			s = &service{serviceName: name}
			services[name] = s
		}
		had := s.answers
		s.answers = map[schema.Query]*schema.Found{}
		for _, q := range queries {
			if s.answers[q] = had[q]; had[q] == nil {
				s.answers[q] = w.found[q]
				s.unasked = true
			}
		}
	}
}

// ask looks at one service, and tells when that begins or ceases to fail.
func (w *Watcher) ask(ctx context.Context, s *service) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	wasCut := s.cut
	read, err := s.look(ctx, w.cfg.Registry)
	if err != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return // the end
	}
	log := w.cfg.Logger.With("resource", s.name+"."+s.namespace)
	switch failed := s.failures > 0; {
	case err != nil && !failed:
		log.Warn("registry did not answer, the last endpoints are kept", "err", err)
	case err == nil && failed:
		log.Info("registry answered again")
	}
	w.metrics.asked(read, err)
	if s.failures++; err == nil {
		s.failures = 0
	}
	if s.cut && !wasCut {
		log.Warn("registry has more instances than it tells; ask for fewer by attributes")
	}
	s.next = time.Now().Add(max(w.cfg.Interval, backoff(s.failures)))
}

// publish replaces what is known, if it is something else.
func (w *Watcher) publish(services map[serviceName]*service) {
	found := map[schema.Query]*schema.Found{}
	failing := false
	for _, s := range services {
		for q, f := range s.answers {
			if f != nil {
				found[q] = f
			}
		}
		failing = failing || s.failures > 0
	}
	w.metrics.known(found, failing)
	w.mu.Lock()
	if maps.Equal(found, w.found) || len(services) == 0 {
		w.mu.Unlock()
		return
	}
	w.found = found
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	if err := save(w.cfg.File, found); err != nil {
		w.cfg.Logger.Warn("endpoints not kept for the next run", "file", w.cfg.File, "err", err)
	}
	w.cfg.Moved()
}

// backoff is how long to wait after so many failures in a row: 1 s, 2 s, 4 s …
// to a minute.
func backoff(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(time.Second<<min(failures-1, 10), time.Minute)
}
