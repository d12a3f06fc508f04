package reconciler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/meshwright/meshwright/sources"
)

// pulls lists the open pull requests and loads the heads that are new, on each
// ring, but not more often than spacing unless poked.
type pulls struct {
	branch  Branch
	load    Load
	path    string
	forge   Forge
	base    string
	spacing time.Duration
	known   func(commit string) bool // judged before
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics
	wake    bell // something may have moved
	poke    bell // something has moved
	ready   bell // to the loop: take

	// Of run.
	trouble string         // last error of the list, without its numbers
	tries   map[string]int // failed loads by head

	mu    sync.Mutex
	heads []Loaded
	open  map[string][]int // head → pull requests; nil before the first list
}

func newPulls(cfg Config, known func(string) bool, m *metrics, ready bell) *pulls {
	return &pulls{
		branch: cfg.Branch, load: cfg.LoadPull, path: cfg.Path, forge: cfg.Forge, base: cfg.BaseBranch, spacing: cfg.PullSpacing,
		known: known, now: cfg.Now, log: cfg.Logger, metrics: m,
		wake: newBell(), poke: newBell(), ready: ready, tries: map[string]int{},
	}
}

// take returns the heads loaded since the last take, and the open pull requests
// by head.
func (p *pulls) take() ([]Loaded, map[string][]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	heads := p.heads
	p.heads = nil
	return heads, maps.Clone(p.open)
}

// run looks until ctx ends.
func (p *pulls) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		err := p.look(ctx)
		if ctx.Err() != nil {
			return
		}
		p.report(err)
		pause := p.spacing
		if failures++; err == nil {
			failures = 0
		} else {
			pause = max(pause, backoff(failures))
		}
		if at, limited := retryAt(err); limited {
			sleep(ctx, max(0, at.Sub(p.now())), nil) // not for a poke either
		}
		p.rest(ctx, pause, err != nil || len(p.tries) > 0)
	}
}

// rest waits for a poke, or for a wake after the pause; to retry, only for
// the pause.
func (p *pulls) rest(ctx context.Context, pause time.Duration, retry bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	var wake bell // deaf until the pause is over; a ring stays in p.wake
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.poke:
			return
		case <-wake:
			return
		case <-timer.C:
			if retry {
				return
			}
			wake = p.wake
		}
	}
}

// look lists, and loads what is new.
func (p *pulls) look(ctx context.Context) error {
	list, err := p.forge.PullRequests(ctx, p.base)
	if err != nil {
		return fmt.Errorf("list pull requests: %w", err)
	}
	open := map[string][]int{}
	for _, pr := range list {
		open[pr.Head] = append(open[pr.Head], pr.Number)
	}
	maps.DeleteFunc(p.tries, func(head string, _ int) bool { return open[head] == nil })
	p.mu.Lock()
	changed := !maps.EqualFunc(p.open, open, slices.Equal)
	p.open = open
	p.mu.Unlock()
	if changed {
		p.ready.ring()
	}
	for _, pr := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !p.known(pr.Head) {
			p.head(ctx, pr)
		}
	}
	return nil
}

// unreadableAfter is how many failed loads of a head it takes until its check
// says so; it is tried on.
const unreadableAfter = 3

// head loads a pull request's head.
func (p *pulls) head(ctx context.Context, pr sources.PullRequest) {
	rev, err := p.branch.FetchCommit(ctx, pr.Head, fmt.Sprintf("refs/pull/%d/head", pr.Number))
	var l Loaded
	if err == nil || errors.Is(err, sources.ErrNoPath) {
		begin := p.now()
		res, loadErr := load(ctx, p.load, rev)
		if err = loadErr; err == nil {
			p.metrics.load.Observe(p.now().Sub(begin).Seconds())
			l = loaded(rev, res, p.path)
			l.Spec = nil // only its check is wanted; a mesh is large
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		p.tries[pr.Head]++
		if p.tries[pr.Head] != unreadableAfter {
			p.log.Debug("pull request not readable", "pr", pr.Number, "commit", pr.Head, "err", err)
			return
		}
		p.log.Warn("pull request not readable", "pr", pr.Number, "commit", pr.Head, "err", err)
		l = Loaded{Revision: sources.Revision{Commit: pr.Head, Title: pr.Title}, Err: err}
	}
	if err == nil {
		delete(p.tries, pr.Head)
	}
	p.mu.Lock()
	p.heads = append(p.heads, l)
	p.mu.Unlock()
	p.ready.ring()
}

// report logs when the list's condition changes.
func (p *pulls) report(err error) {
	trouble := ""
	if err != nil {
		trouble = gist(err.Error())
	}
	if trouble != p.trouble {
		if err != nil {
			p.log.Warn("pull requests not readable", "err", err)
		} else {
			p.log.Info("pull requests readable again")
		}
	}
	p.trouble = trouble
}
