package reconciler

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Reconciler is the daemon's heart. Make it with [New], start it with
// [Reconciler.Run]; View and Poke may be called from anywhere.
type Reconciler struct {
	cfg     Config
	rules   rules
	journal *journal
	metrics *metrics
	wake    bell
	poked   bell
	watcher *watcher
	pulls   *pulls  // nil: there are none
	outbox  *outbox // nil: nothing is written back
	shown   atomic.Pointer[View]
	ready   chan struct{} // closed when something is served

	// Of the loop.
	state     State
	published string       // commit
	spec      *schema.Spec // of that commit
	current   xds.State    // of that commit; nil at first
	resources []ResourceView
}

// New returns a reconciler that has not started anything. It fails when
// something needed is missing in the config.
func New(cfg Config) (*Reconciler, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Reconciler{
		cfg:       cfg,
		rules:     rules{environment: cfg.Environment, forge: cfg.Forge != nil, settle: cfg.Settle, path: cfg.Path, link: cfg.Link},
		journal:   &journal{store: cfg.Store},
		metrics:   newMetrics(cfg.Metrics),
		wake:      newBell(),
		poked:     newBell(),
		ready:     make(chan struct{}),
		resources: []ResourceView{},
	}
	r.shown.Store(view(cfg.Environment, State{}, Seen{}, r.resources))
	r.watcher = newWatcher(cfg, r.metrics, r.wake)
	if cfg.Forge != nil {
		r.outbox = newOutbox(cfg, r.metrics, r.wake)
		r.pulls = newPulls(cfg, r.judged, r.metrics, r.wake)
	}
	return r, nil
}

// View is what the reconciler knows now. Nobody may change it.
func (r *Reconciler) View() *View {
	v := *r.shown.Load()
	v.Source = r.watcher.condition()
	v.Proxies = r.cfg.Proxies.Proxies()
	if v.Proxies == nil {
		v.Proxies = []xds.Proxy{}
	}
	return &v
}

// Ready is closed when the first good spec is published: View is Ready, too.
func (r *Reconciler) Ready() <-chan struct{} { return r.ready }

// Poke says that the branch or a pull request has moved: both are looked at
// now. It returns at once.
func (r *Reconciler) Poke() { r.poked.ring() }

// judged reports whether a commit has its check already.
func (r *Reconciler) judged(commit string) bool {
	for _, c := range r.shown.Load().Commits {
		if c.Commit == commit {
			return c.Result != Unread
		}
	}
	return false
}

// loop looks, decides and acts until ctx ends. Nothing in it waits for a
// network.
func (r *Reconciler) loop(ctx context.Context) error {
	for {
		seen := r.look()
		next, do := r.rules.decide(r.state, seen, r.cfg.Now())
		if err := r.journal.save(context.WithoutCancel(ctx), next); err != nil {
			return err
		}
		r.tell(r.state, next)
		r.state = next
		first := r.published == "" && do.Publish != nil
		r.act(do)
		seen.Published = r.published
		r.shown.Store(view(r.cfg.Environment, next, seen, r.resources))
		if first {
			close(r.ready)
		}
		var alarm <-chan time.Time
		if !do.Next.IsZero() {
			alarm = time.After(do.Next.Sub(r.cfg.Now()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-r.cfg.Moved:
			r.refresh()
		case <-r.cfg.Proxies.Changed():
		case <-alarm:
		}
	}
}

// look gathers what has happened.
func (r *Reconciler) look() Seen {
	seen := Seen{Loaded: r.watcher.take(), Published: r.published, Progress: r.cfg.Proxies.Progress()}
	if seen.Progress.Touched == 0 { // only then it matters how many there are
		seen.Connected = len(r.cfg.Proxies.Proxies())
	}
	if r.pulls != nil {
		seen.Heads, seen.Pulls = r.pulls.take()
	}
	if r.outbox != nil {
		seen.Written = r.outbox.take()
	}
	return seen
}

// refresh publishes what is served anew, after something besides the spec has
// changed. It is no news of the commit.
func (r *Reconciler) refresh() {
	if r.spec == nil {
		return
	}
	r.current = r.cfg.Translate(r.published, r.spec, r.current)
	r.cfg.Proxies.Publish(r.current)
}

// act carries out what was decided and saved.
func (r *Reconciler) act(do Actions) {
	if p := do.Publish; p != nil {
		begin := r.cfg.Now()
		r.spec = p.Spec
		r.current = r.cfg.Translate(p.Revision.Commit, p.Spec, r.current)
		r.cfg.Proxies.Publish(r.current)
		took := r.cfg.Now().Sub(begin)
		r.published, r.resources = p.Revision.Commit, resourceViews(p.Spec, r.cfg.Path)
		r.metrics.publish.Observe(took.Seconds())
		r.metrics.serving.Set(float64(p.Revision.When.Unix()))
		r.metrics.ready.Set(1)
		r.cfg.Logger.Info("commit published", "commit", r.published, "took", took)
		r.wake.ring() // its progress is news
	}
	if r.outbox != nil {
		r.outbox.sync(do.Writes)
	}
}
