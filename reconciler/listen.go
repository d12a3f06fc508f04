package reconciler

import (
	"context"
	"slices"
)

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
			if ours, err = p.mayWrite(ctx, c.Author); err != nil {
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
