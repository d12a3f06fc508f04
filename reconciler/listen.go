package reconciler

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/meshwright/meshwright/sources"
)

// How long hosts take to agree with themselves, since they answer from copies
// that lag behind.
const (
	// trail is how much younger a comment may be than one that is shown later.
	trail = time.Minute
	// unlisted is how long a command waits for the list of the pull requests to
	// show its own; on one of another branch, in vain. It is well below trail, which
	// is by the host's clock.
	unlisted = trail / 2
)

// keepHeard is how many comments are remembered: more within trail, which people
// do not write, shorten it.
const keepHeard = 500

// listen reads the comments that are new: commands of people who may write to
// the repository. Of others it says nothing.
func (p *pulls) listen(ctx context.Context) error {
	p.awaits = false
	list, err := p.forge.Comments(ctx, p.heard.Since)
	if err != nil {
		return err
	}
	var orders []Order
	read := 0
	defer func() {
		if read > 0 { // all at once: an abort goes before what was asked with it
			p.tell(func(n *news) { n.heard, n.orders = p.heard, append(n.orders, orders...) })
		}
	}()
	for _, c := range list {
		if p.heard.has(c.ID, c.Created) {
			continue
		}
		o := Order{Comment: c}
		var ours bool
		if !c.Bot && !c.Edited && c.Pull != 0 {
			o.Command, ours, o.Err = ParseCommand(c.Body)
		}
		if ours && !p.listed[c.Pull] && p.now().Sub(c.Created) < unlisted {
			p.awaits = true
			continue // it comes again
		}
		if ours {
			if ours, err = p.mayWrite(ctx, c.Author); err != nil {
				return err // it comes again
			}
			if ours && o.Err == nil && o.Verb == "canary" {
				if err := p.meant(ctx, &o, c.Created); err != nil {
					return err
				}
			}
			if !ours {
				p.log.Debug("command of somebody without write access ignored", "pr", c.Pull)
			}
		}
		p.heard = p.heard.with(c.ID, c.Created)
		read++
		if ours {
			orders = append(orders, o)
		}
	}
	return nil
}

// has reports whether a comment is among what was read.
func (h Heard) has(id int64, created time.Time) bool {
	_, named := h.Lately[id]
	return named || created.Before(h.Since)
}

// with adds a comment to what was read. As long as there is none, Since stays:
// hosts answer the same question for nothing.
func (h Heard) with(id int64, created time.Time) Heard {
	h.Lately = maps.Clone(h.Lately)
	if h.Lately == nil {
		h.Lately = map[int64]time.Time{}
	}
	h.Lately[id] = created
	h.forget(created.Add(-trail))
	for len(h.Lately) > keepHeard {
		oldest := created
		for _, at := range h.Lately {
			if at.Before(oldest) {
				oldest = at
			}
		}
		h.forget(oldest.Truncate(time.Second).Add(time.Second))
	}
	return h
}

// forget moves Since on to a time, if that is later.
func (h *Heard) forget(since time.Time) {
	if since.After(h.Since) {
		h.Since = since
	}
	maps.DeleteFunc(h.Lately, func(_ int64, at time.Time) bool { return at.Before(h.Since) })
}

// mayWrite asks whether somebody may give commands. Where nobody tells us,
// nobody may.
func (p *pulls) mayWrite(ctx context.Context, who string) (bool, error) {
	may, err := p.forge.MayWrite(ctx, who)
	if !permanent(err) {
		return may, err
	}
	if !p.blind {
		p.log.Warn("commands in comments are ignored", "err", err)
	}
	p.blind = true
	return false, nil
}

// canaryLabel asks for a canary, as the command does.
const canaryLabel = "canary"

// labels reads who has labeled pull requests to be canaries: people who may
// write, for the head that it was when they did.
func (p *pulls) labels(ctx context.Context) error {
	p.mu.Lock()
	open := p.news.open
	p.mu.Unlock()
	for _, pr := range open.Pulls {
		if !slices.Contains(pr.Labels, canaryLabel) {
			delete(p.labeled, pr.Number)
			continue
		}
		if p.labeled[pr.Number] == pr.Head {
			continue // that was told
		}
		who, at, err := p.forge.LabeledBy(ctx, pr.Number, canaryLabel)
		if err != nil && !permanent(err) {
			return err
		}
		may := false
		if who != "" && err == nil {
			if may, err = p.mayWrite(ctx, who); err != nil {
				return err
			}
		}
		o := Order{Comment: sources.Comment{Pull: pr.Number, Author: who}, Command: Command{Verb: "canary"}}
		if may {
			if err := p.meant(ctx, &o, at); err != nil {
				return err
			}
		}
		p.labeled[pr.Number] = pr.Head
		if may && o.Head == pr.Head {
			p.tell(func(n *news) { n.orders = append(n.orders, o) })
		}
	}
	return nil
}

// meant finds the head that a canary was asked for at a time: none if it has
// moved since.
func (p *pulls) meant(ctx context.Context, o *Order, at time.Time) error {
	p.mu.Lock()
	open := p.news.open
	p.mu.Unlock()
	i := slices.IndexFunc(open.Pulls, func(pr sources.PullRequest) bool { return pr.Number == o.Pull })
	if i < 0 {
		return nil
	}
	head := open.Pulls[i].Head
	since, err := p.forge.HeadSince(ctx, o.Pull, head)
	switch {
	case permanent(err):
		o.Err = err
	case err != nil:
		return err
	case !since.Truncate(time.Second).After(at):
		o.Head = head
	}
	return nil
}
