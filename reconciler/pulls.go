package reconciler

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/meshwright/meshwright/sources"
)

// pulls asks the forge what is open, which commands there are and whose merge
// the branch's newest commit is: on each ring, but not more often than spacing
// unless poked.
type pulls struct {
	forge   Forge
	base    string
	spacing time.Duration
	now     func() time.Time
	log     *slog.Logger
	wake    bell // something may have moved
	poke    bell // something has moved
	merged  bell // to the watcher: so has the branch
	ready   bell // to the loop: take

	// Of run.
	trouble trouble        // with the forge
	groups  []string       // heads of the merge queue's groups, as last told
	unheard trouble        // with the groups
	heard   Heard          // up to where comments were read
	listed  map[int]bool   // pull requests that were open once, or have a comment
	awaits  bool           // a command is on a pull request that is not listed
	blind   bool           // who may write is not told to us, and this was logged
	labeled map[int]string // heads of labeled pull requests that were told
	asked   map[string]int // how often for the pull request of each traced commit
	ended   map[int]string // see [Open]
	lags    bool           // the list lacks a pull request that is open

	mu    sync.Mutex // guards:
	trace []string   // commits to find the pull requests of
	tried []int      // pull requests whose end matters
	news  news
}

// How patiently the forge is asked.
const (
	// breath is the least time between two looks, however often somebody pokes.
	breath = time.Second
	// asksOfMerge is how often the pull request of a commit is asked for until it
	// has none: for some seconds after a merge the forge does not know it yet.
	asksOfMerge = 6
)

// news is what has been found out.
type news struct {
	lists   int   // asked for so far
	open    *Open // nil before the first list
	orders  []Order
	heard   Heard          // zero: nothing new
	brought map[string]int // see [Seen]
}

func newPulls(cfg Config, merged, ready bell) *pulls {
	return &pulls{
		forge: cfg.Forge, base: cfg.BaseBranch, spacing: cfg.PullSpacing, now: cfg.Now, log: cfg.Logger,
		wake: newBell(), poke: newBell(), merged: merged, ready: ready,
		asked: map[string]int{}, ended: map[int]string{}, listed: map[int]bool{}, labeled: map[int]string{},
	}
}

// take returns what was found out since the last take, and what is open.
func (p *pulls) take() news {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.news
	p.news = news{lists: n.lists, open: n.open}
	return n
}

// sync says of which commits to find the pull requests, and of which pull requests
// to find out how they end.
func (p *pulls) sync(trace []string, tried []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if more(trace, p.trace) || more(tried, p.tried) {
		p.poke.ring()
	}
	p.trace, p.tried = trace, tried
}

// more reports whether there is one that was not there.
func more[T comparable](is, was []T) bool {
	return slices.ContainsFunc(is, func(x T) bool { return !slices.Contains(was, x) })
}

// tell changes the news and wakes the loop.
func (p *pulls) tell(change func(*news)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.news)
	p.ready.ring()
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
		tries := p.tries()
		if failures++; err == nil {
			failures = 0
		}
		pause = max(pause, backoff(max(failures, tries)))
		away := min(breath, p.spacing) // not for a poke either
		if at, limited := retryAt(err); limited {
			away = max(away, at.Sub(p.now()))
		}
		if sleep(ctx, away, nil) {
			p.rest(ctx, pause-away, err != nil || tries > 0 || p.awaits || p.lags)
		}
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

// look asks for everything once.
func (p *pulls) look(ctx context.Context) error {
	if err := p.list(ctx); err != nil {
		return fmt.Errorf("list pull requests: %w", err)
	}
	if p.forge.Limits().Comment == 0 {
		return nil
	}
	if err := p.labels(ctx); err != nil {
		return fmt.Errorf("read labels: %w", err)
	}
	if err := p.listen(ctx); err != nil {
		return fmt.Errorf("read comments: %w", err)
	}
	if err := p.find(ctx); err != nil {
		return fmt.Errorf("find the pull request of a commit: %w", err)
	}
	return nil
}

func (p *pulls) list(ctx context.Context) error {
	p.mu.Lock()
	p.news.lists++
	number := p.news.lists
	p.mu.Unlock()
	open, err := p.forge.PullRequests(ctx, p.base)
	if err != nil {
		return err
	}
	for _, pull := range open {
		p.listed[pull.Number] = true
	}
	// Groups that cannot be read keep nobody from the pull requests: those that
	// were there are taken to be there still.
	groups, err := p.forge.MergeGroups(ctx, p.base)
	if err == nil {
		p.groups = groups
	} else if _, limited := retryAt(err); limited || ctx.Err() != nil {
		return err // nothing else would be told, either
	}
	if p.unheard.news(err) && err != nil {
		p.log.Warn("merge queue not readable", "err", err)
	}
	err = p.fates(ctx, open)
	p.tell(func(n *news) { n.open = &Open{List: number, Pulls: open, Groups: p.groups, Ended: maps.Clone(p.ended)} })
	return err
}

// fates asks how those pull requests have ended that matter and are not open any
// more, once each. A merge is news of the branch, too.
func (p *pulls) fates(ctx context.Context, open []sources.PullRequest) error {
	p.mu.Lock()
	tried := p.tried
	p.mu.Unlock()
	gone := slices.DeleteFunc(slices.Clone(tried), func(n int) bool {
		return slices.ContainsFunc(open, func(pr sources.PullRequest) bool { return pr.Number == n })
	})
	maps.DeleteFunc(p.ended, func(n int, _ string) bool { return !slices.Contains(gone, n) })
	p.lags = false
	for _, n := range gone {
		if _, known := p.ended[n]; known {
			continue
		}
		fate, err := p.forge.Fate(ctx, n, p.base)
		switch {
		case err != nil && !permanent(err):
			return fmt.Errorf("how #%d has ended: %w", n, err)
		case fate.Open:
			p.lags = true
			continue
		case fate.Merged != "":
			p.merged.ring()
		}
		p.ended[n] = fate.Merged
	}
	return nil
}

// find asks which pull requests brought the traced commits to the branch.
func (p *pulls) find(ctx context.Context) error {
	p.mu.Lock()
	trace := p.trace
	p.mu.Unlock()
	maps.DeleteFunc(p.asked, func(commit string, _ int) bool { return !slices.Contains(trace, commit) })
	for _, commit := range trace {
		if p.asked[commit] >= asksOfMerge {
			continue // the loop has yet to hear that there is none
		}
		number, err := p.forge.PullOf(ctx, commit)
		if err != nil {
			return err
		}
		p.asked[commit]++
		switch {
		case number != 0:
			p.asked[commit] = asksOfMerge
		case p.asked[commit] < asksOfMerge:
			continue
		default:
			number = -1
		}
		p.tell(func(n *news) {
			if n.brought == nil {
				n.brought = map[string]int{}
			}
			n.brought[commit] = number
		})
	}
	return nil
}

// tries is how often, of what will be asked for again, was asked for most.
func (p *pulls) tries() int {
	most := 0
	for _, asks := range p.asked {
		if asks < asksOfMerge {
			most = max(most, asks)
		}
	}
	return most
}

// report logs when the forge's condition changes.
func (p *pulls) report(err error) {
	switch {
	case !p.trouble.news(err):
	case err != nil:
		p.log.Warn("pull requests not readable", "err", err)
	default:
		p.log.Info("pull requests readable again")
	}
}

// trouble is the last error of something, without its numbers.
type trouble string

// news takes in what came of the next try, and reports whether it is another
// trouble than before, or the end of one.
func (t *trouble) news(err error) bool {
	was := *t
	if *t = ""; err != nil {
		*t = trouble(gist(err.Error()))
	}
	return *t != was
}
