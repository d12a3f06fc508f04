package reconciler

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Reconciler is the daemon's heart. Make it with [New], start it with
// [Reconciler.Run]; View, Poke and Again may be called from anywhere.
type Reconciler struct {
	cfg     Config
	rules   rules
	journal *journal
	metrics *metrics
	wake    bell
	poked   bell
	watcher *watcher
	pulls   *pulls   // nil: nothing is known of any
	planner *planner // nil, too
	gather  *gather
	outbox  *outbox // nil: nothing is written back
	shown   atomic.Pointer[View]
	ready   chan struct{} // closed when something is served

	// Of the loop.
	state     State
	label     string                // of what is published; see [State.label]
	labels    []given               // that were published, newest first
	spec      *schema.Spec          // that is published
	current   xds.State             // made from it; nil at first
	beneath   Side                  // what plans begin at
	specs     specs                 // of the commits that the state needs
	heads     specs                 // and of the heads of pull requests
	gauges    map[string]*gauge     // of the runs whose steps are watched
	resources func() []ResourceView // of what is served; worked out when somebody asks
	around    map[xds.Identity]int  // see [Seen]
	counted   time.Time
	recount   time.Time // when to count anew; zero: nobody has come or gone

	mu      sync.Mutex // guards:
	again   []string   // see [Reconciler.Again]
	sayings []said     // see [Reconciler.Say]
}

// New returns a reconciler that has not started anything. It fails when
// something needed is missing in the config.
func New(cfg Config) (*Reconciler, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Reconciler{
		cfg: cfg,
		rules: rules{
			environment: cfg.Environment, deployments: cfg.Deployments, forge: cfg.Forge != nil, settle: cfg.Settle,
			path: cfg.Path, branchName: cfg.BaseBranch, version: cfg.Version, link: cfg.Link, files: cfg.Files,
			compose: report.Comment,
		},
		journal:   &journal{store: cfg.Store},
		metrics:   newMetrics(cfg.Metrics),
		wake:      newBell(),
		poked:     newBell(),
		ready:     make(chan struct{}),
		resources: func() []ResourceView { return []ResourceView{} },
		gauges:    map[string]*gauge{},
	}
	r.shown.Store(view(cfg.Environment, State{}, Seen{}, r.resources, cfg.Now()))
	cfg.Metrics.MustRegister(newRolloutGauges(func() []RolloutView { return r.shown.Load().Rollouts }))
	r.watcher = newWatcher(cfg, r.metrics, r.wake)
	r.gather = newGather(cfg, r.wake)
	if cfg.Traffic != nil {
		r.rules.window = cfg.HealthWindow
	}
	if cfg.Forge != nil {
		r.rules.limits = cfg.Forge.Limits()
		r.outbox = newOutbox(cfg, r.metrics, r.wake)
		r.pulls = newPulls(cfg, r.watcher.wake, r.wake)
		r.planner = newPlanner(cfg, r.metrics, r.wake)
	}
	return r, nil
}

// View is what the reconciler knows now. Nobody may change it.
func (r *Reconciler) View() *View {
	v := *r.shown.Load()
	v.Source = r.watcher.condition()
	v.Resources = v.resources()
	v.Proxies = proxyViews(r.cfg.Proxies.Proxies(), v.labels)
	return &v
}

// Ready is closed when the first good spec is published: View is Ready, too.
func (r *Reconciler) Ready() <-chan struct{} { return r.ready }

// Poke says that the branch or a pull request has moved: both are looked at
// now. It returns at once.
func (r *Reconciler) Poke() { r.poked.ring() }

// Again says that somebody asks to have a commit checked again, and its
// statuses written anew. It returns at once.
func (r *Reconciler) Again(commit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again = append(r.again, commit)
	r.wake.ring()
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
		r.tellRollouts(r.state, next, do.Moved)
		r.metrics.rollouts.count(r.state, next, do.Moved)
		r.tellOrders(seen.Orders, next)
		r.state = next
		first := r.label == "" && do.Publish != nil
		r.keep(seen, do)
		r.act(do)
		seen.Label, seen.Published = r.label, commitOf(r.label)
		v := view(r.cfg.Environment, next, seen, r.resources, r.cfg.Now())
		v.labels = r.labels
		r.shown.Store(v)
		if first {
			close(r.ready)
		}
		var alarm <-chan time.Time
		if at := earlier(do.Next, r.recount); !at.IsZero() {
			alarm = time.After(at.Sub(r.cfg.Now()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-r.cfg.Moved:
			r.refresh()
		case <-r.cfg.Proxies.Changed():
			if r.planner != nil && r.recount.IsZero() {
				r.recount = r.cfg.Now().Add(r.cfg.Settle)
			}
		case <-alarm:
		}
	}
}

// look gathers what has happened.
func (r *Reconciler) look() Seen {
	seen := Seen{
		Loaded: r.watcher.take(), Published: commitOf(r.label), Label: r.label, Spec: r.spec, Specs: r.specs, Heads: r.heads,
		Acks: r.cfg.Proxies.Progress(), Traffic: r.traffic(), Evidence: r.evidence(), Away: r.watcher.away(),
	}
	seen.Progress = byCommit(seen.Acks)
	r.mu.Lock()
	seen.Again, r.again = r.again, nil
	seen.Said, r.sayings = r.sayings, nil
	r.mu.Unlock()
	// Only then it matters how many there are.
	if seen.Progress.Touched == 0 || r.cfg.Now().Before(r.state.Started.Add(r.cfg.Settle)) {
		seen.Connected = r.cfg.Proxies.Connected()
	}
	if r.pulls != nil {
		n := r.pulls.take()
		seen.Lists, seen.Open, seen.Orders, seen.Heard, seen.Brought = n.lists, n.open, n.orders, n.heard, n.brought
		seen.Planned = r.planner.take()
		seen.Around, seen.Counted = r.count()
	}
	if r.outbox != nil {
		seen.Written = r.outbox.take()
	}
	return seen
}

// count counts who is connected, when it is time to.
func (r *Reconciler) count() (around map[xds.Identity]int, when time.Time) {
	if now := r.cfg.Now(); !r.recount.IsZero() && !now.Before(r.recount) {
		r.around, r.counted, r.recount = map[xds.Identity]int{}, now, time.Time{}
		for _, p := range r.cfg.Proxies.Proxies() {
			r.around[p.Identity]++
		}
	}
	return r.around, r.counted
}

// keep keeps the specs that the state needs, of those that are there.
func (r *Reconciler) keep(seen Seen, do Actions) {
	kept, all := specs{}, seen.specs()
	for _, commit := range do.Needs {
		if spec, known := all[commit]; known {
			kept[commit] = spec
		}
	}
	r.specs, r.heads = kept, specs{}
	for head, spec := range seen.heads() {
		if do.Heads[head] {
			r.heads[head] = spec
		}
	}
}

// before is how far back the traffic is looked at that a change is compared
// with.
const before = 5 * time.Minute

// traffic is that of the watched nodes, when its time has come.
func (r *Reconciler) traffic() *Traffic {
	w, now := r.state.watching(), r.cfg.Now()
	if w == nil || r.rules.window == 0 || now.Before(w.Applied.Add(r.rules.window)) || r.current == nil {
		return nil
	}
	var t Traffic
	t.Before, _, _ = r.cfg.Traffic(r.current, w.Published.Add(-before), w.Published)
	for i := range time.Duration(spans) {
		to := w.Published.Add(-i * span(r.rules.window))
		lately, _, _ := r.cfg.Traffic(r.current, to.Add(-span(r.rules.window)), to)
		t.Lately = append(t.Lately, lately)
	}
	t.After, t.Proxies, t.Reporting = r.cfg.Traffic(r.current, w.Applied, w.Applied.Add(r.rules.window))
	return &t
}

// refresh publishes what is served anew, after something besides the spec has
// changed. It is no news of the commit.
func (r *Reconciler) refresh() {
	if r.spec == nil {
		return
	}
	r.current = r.cfg.Translate(r.label, r.spec, r.current)
	r.cfg.Proxies.Publish(r.current)
}

// act carries out what was decided and saved.
func (r *Reconciler) act(do Actions) {
	if p := do.Publish; p != nil {
		begin := r.cfg.Now()
		r.spec, r.beneath = p.Spec, p.Beneath
		r.current = r.cfg.Translate(p.Label, p.Spec, r.current)
		r.cfg.Proxies.Publish(r.current)
		took := r.cfg.Now().Sub(begin)
		r.label = p.Label
		r.labels = first(keepGiven, append([]given{r.state.given(p.Label)}, r.labels...))
		r.metrics.publish.Observe(took.Seconds())
		r.metrics.serving.Set(float64(p.When.Unix()))
		r.metrics.ready.Set(1)
		r.cfg.Logger.Info("commit published", "commit", commitOf(r.label), "took", took)
		r.resources = sync.OnceValue(func() []ResourceView { return resourceViews(p.Spec, r.cfg.Path) })
		r.wake.ring() // its progress is news
	}
	r.gather.sync(do.Wishes)
	if r.outbox != nil {
		r.outbox.sync(do.Writes)
		r.pulls.sync(do.Trace, do.Tried)
		if do.List {
			r.pulls.poke.ring()
		}
		served := r.beneath
		served.State = r.current
		r.planner.sync(do.Jobs, served)
	}
}
