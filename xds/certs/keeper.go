package certs

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Config of a [Keeper].
type Config struct {
	Settings *Settings // nil: nothing stands for anything
	// Dir is where built-in authorities keep their roots.
	Dir string
	// Moved is called, by Run, when For has something new; it must not wait.
	Moved func()

	Logger  *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: none
}

// interval is how often files are looked at, and how soon what failed is tried
// again.
const interval = time.Second

// Keeper has the certificates. Make it with [Open], keep it going with
// [Keeper.Run].
type Keeper struct {
	cfg     Config
	mapping *xds.Mapping
	metrics *metrics
	wake    chan struct{} // capacity 1: something may be due earlier

	// Of Run, by source: nobody else looks into them.
	pairs   map[string]*watched[pair]
	trusts  map[string]*watched[string]
	signers map[string]*watched[*signer]

	mu          sync.Mutex
	authorities map[string]*authority // by source
	spec        *schema.Spec          // that is served
	wanted      map[xds.Holder][]string
	leaves      map[xds.Holder]*leaf
	files       map[string]pair   // by source
	trusted     map[string]string // by source; those of files
	troubles    map[string]string // by source; that issuing met last
	current     *xds.Certificates
}

// Open reads the files, and makes the built-in authorities that are not there
// yet. It fails where those cannot be kept; a file that cannot be read is looked
// at again.
func Open(cfg Config) (*Keeper, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Settings == nil {
		cfg.Settings = &Settings{}
	}
	k := &Keeper{
		cfg: cfg, mapping: cfg.Settings.Mapping(), metrics: newMetrics(cfg.Metrics), wake: make(chan struct{}, 1),
		pairs: map[string]*watched[pair]{}, trusts: map[string]*watched[string]{}, signers: map[string]*watched[*signer]{},
		authorities: map[string]*authority{}, leaves: map[xds.Holder]*leaf{},
		files: map[string]pair{}, trusted: map[string]string{}, troubles: map[string]string{},
	}
	for name, s := range cfg.Settings.Authorities {
		a := &authority{AuthoritySettings: s, name: name}
		k.authorities[authoritySource(name)] = a
		if s.File != nil {
			k.signers[authoritySource(name)] = &watched[*signer]{files: []string{s.File.Chain, s.File.Key}, parse: parseSigner}
			continue
		}
		roots, err := readRoots(k.rootFile(a))
		if err != nil {
			return nil, fmt.Errorf("authority %s: %w", name, err)
		}
		a.signers = roots
		if roots, err = a.succeeded(k.rootFile(a), time.Now()); err != nil && len(a.signers) == 0 {
			return nil, fmt.Errorf("authority %s: %w", name, err)
		} else if roots != nil {
			a.signers = roots
		}
	}
	trust := func(t *TrustSource) {
		if t != nil && t.File != "" {
			k.trusts[t.source()] = &watched[string]{files: []string{t.File}, parse: parseTrust}
		}
	}
	for _, c := range cfg.Settings.Certificates {
		if f := c.Certificate.File; f != nil {
			k.pairs[f.source()] = &watched[pair]{files: []string{f.Chain, f.Key}, parse: parsePair}
		}
		trust(c.Trust)
	}
	for i := range cfg.Settings.Trusts {
		trust(&cfg.Settings.Trusts[i].Trust)
	}
	k.turn(time.Now())
	return k, nil
}

func (k *Keeper) rootFile(a *authority) string {
	return filepath.Join(k.cfg.Dir, a.name+".pem")
}

// For returns the certificates as they are now, with those that this spec asks
// of authorities: what is missing is issued, which takes a tenth of a
// millisecond each and waits for nothing. From then on it is this spec's
// certificates that are renewed. The same value comes back while nothing
// changes.
func (k *Keeper) For(spec *schema.Spec) *xds.Certificates {
	k.mu.Lock()
	defer k.mu.Unlock()
	if spec != k.spec && spec != nil {
		k.spec, k.wanted = spec, wanted(spec, k.mapping)
		if k.issue(time.Now()) {
			k.settle(time.Now())
		}
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	return k.current
}

// Run looks at files and renews what is due until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		changed, next := k.turn(time.Now())
		if changed && k.cfg.Moved != nil {
			k.cfg.Moved()
		}
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-due:
		}
	}
}

// turn does all that is due, and says when there will be more; zero: never.
func (k *Keeper) turn(now time.Time) (changed bool, next time.Time) {
	news := k.look(now) // not under mu: this reads the disk
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, take := range news {
		take()
	}
	if renewed := k.issue(now); renewed || len(news) > 0 || k.current == nil {
		k.settle(now)
		changed = true
	}
	soonest := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if len(k.pairs)+len(k.trusts)+len(k.signers)+len(k.troubles) > 0 {
		soonest(now.Add(interval))
	}
	for _, l := range k.leaves {
		soonest(l.renewAt)
	}
	for _, a := range k.authorities {
		if a.Builtin {
			due := a.successionDue()
			if !due.After(now) { // it could not be made or written
				due = now.Add(interval)
			}
			soonest(due)
		}
	}
	if soon := now.Add(interval / 10); next.Before(soon) && !next.IsZero() {
		next = soon // what is due together is renewed together
	}
	return changed, next
}

// look reads what files hold now and makes new roots that are due; it returns
// how to take the news.
func (k *Keeper) look(now time.Time) (news []func()) {
	for source, w := range k.pairs {
		if seen(k, ofFile, source, w) {
			news = append(news, func() { k.files[source] = w.value })
		}
	}
	for source, w := range k.trusts {
		if seen(k, ofFile, source, w) {
			news = append(news, func() { k.trusted[source] = w.value })
		}
	}
	for source, w := range k.signers {
		if seen(k, ofAuthority, source, w) {
			a := k.authorities[source]
			news = append(news, func() { a.signers = append(a.signers, w.value) })
		}
	}
	for source, a := range k.authorities {
		if !a.Builtin {
			continue
		}
		roots, err := a.succeeded(k.rootFile(a), now)
		if err != nil {
			k.failed(ofAuthority, source, err)
		}
		if roots != nil {
			k.metrics.renewals.WithLabelValues(ofAuthority).Inc()
			k.cfg.Logger.Info("root made", "resource", source)
			news = append(news, func() { a.signers = roots })
		}
	}
	return news
}

// seen looks at files and says what came of it.
func seen[T any](k *Keeper, kind, source string, w *watched[T]) (changed bool) {
	changed, err := w.look()
	if err != nil {
		k.failed(kind, source, err)
	}
	if changed {
		k.metrics.renewals.WithLabelValues(kind).Inc()
		k.cfg.Logger.Info("certificates read", "file", w.files[0])
	}
	return changed
}

func (k *Keeper) failed(kind, source string, err error) {
	k.metrics.failures.WithLabelValues(kind).Inc()
	k.cfg.Logger.Error("certificates not renewed; what there was stays", "resource", source, "err", err)
}

// issue brings the leaves to what is wanted.
func (k *Keeper) issue(now time.Time) (changed bool) {
	for h := range k.leaves {
		if _, ok := k.wanted[h]; !ok {
			delete(k.leaves, h)
			changed = true
		}
	}
	over := maps.Clone(k.troubles)
	for h, names := range k.wanted {
		if l := k.leaves[h]; l != nil && now.Before(l.renewAt) && slices.Equal(l.names, names) {
			continue
		}
		l, err := k.authorities[h.Source].issue(h.Identity, names, now)
		if err != nil {
			if k.troubles[h.Source] != err.Error() {
				k.troubles[h.Source] = err.Error()
				k.failed(ofIssued, h.Source, err)
			}
			delete(over, h.Source)
			continue
		}
		k.leaves[h] = l
		k.metrics.renewals.WithLabelValues(ofIssued).Inc()
		k.cfg.Logger.Debug("certificate issued", "proxy", h.Identity, "resource", h.Source)
		changed = true
	}
	for source := range over {
		delete(k.troubles, source)
	}
	return changed
}

// settle makes the value that others see.
func (k *Keeper) settle(now time.Time) {
	c := &xds.Certificates{Mapping: k.mapping, Issued: map[xds.Holder]*xds.Certificate{}, Trusted: maps.Clone(k.trusted)}
	for source, p := range k.files {
		c.Issued[xds.Holder{Source: source}] = p.Certificate
	}
	for h, l := range k.leaves {
		c.Issued[h] = l.Certificate
	}
	for source, a := range k.authorities {
		c.Trusted[source] = a.trust(now)
	}
	k.current = c
	k.metrics.ends(k)
}
