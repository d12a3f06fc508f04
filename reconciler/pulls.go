package reconciler

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
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
	ready   bell // to the loop: take

	// Of run.
	trouble string // last error, without its numbers
	heard   Heard  // up to where comments were read

	mu    sync.Mutex // guards:
	trace string     // commit to find the pull request of; empty: none
	news  news
}

// news is what has been found out.
type news struct {
	lists   int   // asked for so far
	open    *Open // nil before the first list
	orders  []Order
	heard   Heard          // zero: nothing new
	brought map[string]int // see [Seen]
}

func newPulls(cfg Config, ready bell) *pulls {
	return &pulls{
		forge: cfg.Forge, base: cfg.BaseBranch, spacing: cfg.PullSpacing, now: cfg.Now, log: cfg.Logger,
		wake: newBell(), poke: newBell(), ready: ready,
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

// sync says of which commit to find the pull request; empty: of none.
func (p *pulls) sync(trace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trace != trace && trace != "" {
		p.poke.ring()
	}
	p.trace = trace
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
		if failures++; err == nil {
			failures = 0
		} else {
			pause = max(pause, backoff(failures))
		}
		if at, limited := retryAt(err); limited {
			sleep(ctx, max(0, at.Sub(p.now())), nil) // not for a poke either
		}
		p.rest(ctx, pause, err != nil)
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
	groups, err := p.forge.MergeGroups(ctx, p.base)
	if err != nil {
		return err
	}
	p.tell(func(n *news) { n.open = &Open{List: number, Pulls: open, Groups: groups} })
	return nil
}

// listen reads the comments that are new: commands of people who may write to
// the repository. Of others it says nothing.
func (p *pulls) listen(ctx context.Context) error {
	list, err := p.forge.Comments(ctx, p.heard.Since)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Created.Before(p.heard.Since) || slices.Contains(p.heard.Comments, c.ID) {
			continue
		}
		o := Order{Comment: c}
		var ours bool
		if !c.Bot && !c.Edited {
			o.Command, ours, o.Err = ParseCommand(c.Body)
		}
		if ours {
			if ours, err = p.forge.MayWrite(ctx, c.Author); err != nil {
				return err // it comes again
			}
			if !ours {
				p.log.Debug("command of somebody without write access ignored", "pr", c.Pull)
			}
		}
		if c.Created.After(p.heard.Since) {
			p.heard = Heard{Since: c.Created}
		}
		p.heard.Comments = append(slices.Clone(p.heard.Comments), c.ID)
		p.tell(func(n *news) {
			n.heard = p.heard
			if ours {
				n.orders = append(n.orders, o)
			}
		})
	}
	return nil
}

// find asks which pull request brought the traced commit to the branch.
func (p *pulls) find(ctx context.Context) error {
	p.mu.Lock()
	commit := p.trace
	p.mu.Unlock()
	if commit == "" {
		return nil
	}
	number, err := p.forge.PullOf(ctx, commit)
	if err != nil {
		return err
	}
	if number == 0 {
		number = -1
	}
	p.tell(func(n *news) { n.brought = map[string]int{commit: number} })
	return nil
}

// report logs when the forge's condition changes.
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
