package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// watcher fetches the branch and loads its newest commit, on each ring and,
// after an error, by itself. What it found waits for the loop in take.
type watcher struct {
	branch  Branch
	load    Load
	path    string
	forge   Forge    // nil: nobody to ask
	ended   answered // the same, asked how commits ended
	cold    bool     // no good commit is known, of the past or since
	kinds   []string // contexts of statuses that say how a commit ended
	restore []string // commits to load before the newest; those that are not yet
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics
	wake    bell // from the outside: look
	ready   bell // to the loop: take

	// Of run.
	missed int            // looks in a row that reached the repository, and did not find what is in restore
	head   string         // newest commit that was loaded
	tree   string         // of the last load
	result *schema.Result // of the last load

	mu     sync.Mutex
	loaded []Loaded
	source SourceView
}

func newWatcher(cfg Config, m *metrics, ready bell) *watcher {
	return &watcher{
		branch: cfg.Branch, forge: cfg.Forge, ended: answered{cfg.Forge, map[string]map[string]sources.Status{}}, load: cfg.Load, path: cfg.Path, now: cfg.Now, log: cfg.Logger, metrics: m,
		wake: newBell(), ready: ready,
		kinds: []string{report.Context(cfg.Environment, report.KindCanary), report.Context(cfg.Environment, report.KindApplied)},
	}
}

// take returns the commits loaded since the last take.
func (w *watcher) take() []Loaded {
	w.mu.Lock()
	defer w.mu.Unlock()
	loaded := w.loaded
	w.loaded = nil
	return loaded
}

// condition is the repository's.
func (w *watcher) condition() SourceView {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.source
}

// away is why the repository cannot be asked; empty: it can, or nobody has tried
// yet.
func (w *watcher) away() string { return w.condition().Error }

// run looks until ctx ends. Before it asks the network for anything, it loads
// what was served last, so that proxies that reconnect find what they have.
func (w *watcher) run(ctx context.Context) {
	if err := w.again(ctx, w.branch.Commit); err != nil && ctx.Err() == nil {
		w.log.Warn("last good commit not readable", "commit", w.restore[0], "err", err)
	}
	for failures := 0; ctx.Err() == nil; {
		err := w.look(ctx)
		if ctx.Err() != nil {
			return
		}
		w.report(err)
		wait := time.Duration(-1)
		if failures++; err == nil {
			failures = 0
		} else {
			wait = backoff(failures)
		}
		sleep(ctx, wait, w.wake)
	}
}

// again loads what was served last: the commit, and those that it is blended
// with. It goes on to the next when it cannot read one, and returns the first
// error.
func (w *watcher) again(ctx context.Context, read func(commit string) (*sources.Revision, error)) (first error) {
	w.restore = slices.DeleteFunc(w.restore, func(commit string) bool {
		rev, err := read(commit)
		var l Loaded
		if err == nil || errors.Is(err, sources.ErrNoPath) {
			l, err = w.open(ctx, rev)
		}
		if err != nil {
			first = cmp.Or(first, err)
			return false
		}
		l.Restored = true
		if l.Spec == nil {
			w.log.Error("last good commit refused by this version", "commit", rev.Commit, "reason", firstError(l.Diagnostics))
		}
		w.deliver(l)
		return true
	})
	return first
}

// lostAfter is how many looks in a row have to reach the repository, and not find
// a commit in it, for the commit to count as lost.
const lostAfter = 3

// lose says of the commits that are not found what it says of refused ones: there
// is no spec. They are looked for all the same.
func (w *watcher) lose(err error) {
	for _, commit := range w.restore {
		w.deliver(Loaded{Revision: sources.Revision{Commit: commit}, Restored: true, Diagnostics: schema.Diagnostics{{
			Code: schema.CodeFile, Severity: schema.Error, Pos: schema.Pos{File: report.Short(commit)}, What: "the repository has this commit no more: " + err.Error(),
		}}})
	}
}

// look fetches, and loads what is new.
func (w *watcher) look(ctx context.Context) error {
	begin := w.now()
	rev, err := w.branch.Fetch(ctx)
	if err != nil && !errors.Is(err, sources.ErrNoPath) {
		return err
	}
	now := w.now()
	w.metrics.fetch.Observe(now.Sub(begin).Seconds())
	w.metrics.fetched.Set(float64(now.UnixMilli()) / 1000)
	// The fetch may have mended the store: the newest commit may be bad, so what
	// was served last is still needed. It is asked for again with each look; what
	// the branch does not lead to any more, the host may still have.
	fetch := func(commit string) (*sources.Revision, error) { return w.branch.FetchCommit(ctx, commit, "") }
	switch err := w.again(ctx, fetch); {
	case err == nil:
		w.missed = 0
	case ctx.Err() == nil:
		w.log.Error("last good commit lost", "commit", w.restore[0], "err", err)
		if w.missed++; w.missed == lostAfter {
			w.lose(err)
		}
	}
	if rev.Commit == w.head {
		return nil
	}
	l, err := w.open(ctx, rev)
	if err != nil {
		return err
	}
	if w.cold && w.forge != nil && l.Spec != nil && len(l.Spec.Rollouts) > 0 {
		if err := w.remember(ctx, &l); err != nil {
			return fmt.Errorf("what was completed last: %w", err)
		}
		clear(w.ended.known) // what comes next may end otherwise
	}
	if w.cold && w.forge == nil && l.Spec != nil && len(l.Spec.Rollouts) > 0 {
		w.log.Warn("no state, and no git host that says what was completed before: the newest commit is served as it is, without steps", "commit", rev.Commit)
	}
	w.cold = w.cold && (l.Spec == nil || l.Unproven) // a refused commit says nothing of the past
	w.head = rev.Commit
	w.deliver(l)
	return nil
}

// open loads a revision; an unchanged tree is not loaded again.
func (w *watcher) open(ctx context.Context, rev *sources.Revision) (Loaded, error) {
	if w.result == nil || w.tree != rev.Tree || rev.Tree == "" {
		begin := w.now()
		result, err := load(ctx, w.load, rev)
		if err != nil {
			return Loaded{}, fmt.Errorf("load %s: %w", rev.Commit, err)
		}
		took := w.now().Sub(begin)
		w.metrics.load.Observe(took.Seconds())
		w.log.Debug("commit loaded", "commit", rev.Commit, "took", took)
		w.tree, w.result = rev.Tree, result
	}
	return loaded(rev, w.result, w.path), nil
}

// load loads a revision's files. That their folder is gone is a mistake in the
// commit like any other: it is refused, and what was served stays.
func load(ctx context.Context, load Load, rev *sources.Revision) (*schema.Result, error) {
	if rev.Files != nil {
		return load(ctx, rev.Files)
	}
	return &schema.Result{Diagnostics: schema.Diagnostics{{
		Code: schema.CodeFile, Severity: schema.Error, What: "this commit has no such folder", Fix: "bring it back, or give the daemon another --path",
	}}}, nil
}

func loaded(rev *sources.Revision, res *schema.Result, folder string) Loaded {
	l := Loaded{Revision: *rev, Documents: res.Documents, Diagnostics: slices.Clone(res.Diagnostics), Spec: res.Spec}
	l.Revision.Files = nil
	for i := range l.Diagnostics {
		l.Diagnostics[i] = l.Diagnostics[i].Within(folder)
	}
	if len(res.Diagnostics.Errors()) > 0 {
		l.Spec = nil
	}
	return l
}

func (w *watcher) deliver(l Loaded) {
	w.mu.Lock()
	w.loaded = append(w.loaded, l)
	w.mu.Unlock()
	w.ready.ring()
}

// report notes the condition of the repository, and logs when it changes.
func (w *watcher) report(err error) {
	now := w.now()
	w.mu.Lock()
	was := w.source
	is := SourceView{OK: err == nil, Since: was.Since, Fetched: was.Fetched}
	if err == nil {
		is.Fetched = now
	} else {
		is.Error = err.Error()
	}
	news := was.Since.IsZero() || was.OK != is.OK || gist(was.Error) != gist(is.Error)
	if news {
		is.Since = now
	}
	w.source = is
	w.mu.Unlock()
	if news {
		w.ready.ring() // rollouts go by it
	}
	switch {
	case err != nil:
		w.metrics.sourceUp.Set(0)
		w.metrics.fetchErrors.Inc()
		if news {
			w.log.Warn("branch not readable", "err", err)
		}
	default:
		w.metrics.sourceUp.Set(1)
		if news && !was.Since.IsZero() {
			w.log.Info("branch readable again", "took", now.Sub(was.Since))
		}
	}
}

// gist is an error's text without its numbers: the same trouble comes from
// another port each time.
func gist(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, s)
}

func firstError(ds schema.Diagnostics) string {
	if errs := ds.Errors(); len(errs) > 0 {
		return errs[0].String()
	}
	return ""
}
