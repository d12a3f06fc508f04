package git

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/meshwright/meshwright/sources"
)

// mergeBases returns the best common ancestors of two commits: those that no
// other one descends from; none when the histories have nothing in common.
//
// go-git has this too, but reads the whole history of one side for it. This is
// git's own way (paint_down_to_common): both histories are walked from their
// newest commits on, until all that is left is known to be common. So the cost
// follows how far the two went apart.
func (o *objects) mergeBases(ctx context.Context, a, b plumbing.Hash) ([]plumbing.Hash, error) {
	found, err := o.paint(ctx, a, []plumbing.Hash{b})
	if err != nil || len(found) < 2 {
		return found, err
	}
	// Clocks that go wrong may have put an ancestor before its descendant.
	var best []plumbing.Hash
	for i, h := range found {
		others := slices.Concat(found[:i], found[i+1:])
		shared, err := o.paint(ctx, h, others)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(shared, h) {
			best = append(best, h)
		}
	}
	return best, nil
}

// maxBases is how many common ancestors are told apart. Histories that people
// make have one or two.
const maxBases = 50

// The colours of a commit: whose history it is in, whether a common ancestor
// descends from it, and whether it was found to be one itself.
const (
	ofOne = 1 << iota
	ofOthers
	stale
	listed

	common = ofOne | ofOthers
)

// paint returns the common ancestors of one commit and any of the others, the
// best ones among them. A parent that is missing (of a shallow repository) ends
// its line.
func (o *objects) paint(ctx context.Context, one plumbing.Hash, others []plumbing.Hash) ([]plumbing.Hash, error) {
	p := painting{ctx: ctx, objects: o, colours: map[plumbing.Hash]uint8{}}
	for i, h := range append([]plumbing.Hash{one}, others...) {
		if ok, err := o.has(h); err != nil || !ok {
			return nil, cmp.Or(err, fmt.Errorf("commit %s: %w", h, plumbing.ErrObjectNotFound))
		}
		if err := p.push(h, uint8(min(i, 1)+ofOne)); err != nil {
			return nil, err
		}
	}
	var found []plumbing.Hash
	for p.open > 0 {
		c := heap.Pop(&p.queue).(waiting)
		if c.colour&stale == 0 {
			p.open--
		}
		colour := p.colours[c.hash]
		if colour&^listed == common {
			if colour&listed == 0 {
				if found = append(found, c.hash); len(found) > maxBases {
					return nil, &sources.Permanent{Err: fmt.Errorf("the histories cross in more than %d places; rebase it", maxBases)}
				}
				p.colours[c.hash] |= listed
			}
			colour |= stale // its ancestors are
		}
		for _, parent := range c.parents {
			if err := p.push(parent, colour&^listed); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(found, func(h plumbing.Hash) bool { return p.colours[h]&stale != 0 }), nil
}

// painting is a walk through history.
type painting struct {
	ctx     context.Context
	objects *objects
	colours map[plumbing.Hash]uint8
	queue   newestFirst
	open    int // of queue, those that were not stale when they came
}

// push colours a commit; if that is news, its parents are to hear of it.
func (p *painting) push(h plumbing.Hash, colour uint8) error {
	was := p.colours[h]
	if was|colour == was {
		return p.ctx.Err()
	}
	c, err := p.objects.commit(h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return p.ctx.Err()
	} else if err != nil {
		return err
	}
	p.colours[h] = was | colour
	if colour&stale == 0 {
		p.open++
	}
	heap.Push(&p.queue, waiting{h, c.ParentHashes, c.Committer.When.Unix(), colour})
	return p.ctx.Err()
}

// waiting is a commit whose parents were not coloured yet.
type waiting struct {
	hash    plumbing.Hash
	parents []plumbing.Hash
	when    int64 // Unix
	colour  uint8 // that it came with
}

// newestFirst is a heap.
type newestFirst []waiting

func (q newestFirst) Len() int           { return len(q) }
func (q newestFirst) Less(i, j int) bool { return q[i].when > q[j].when }
func (q newestFirst) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *newestFirst) Push(x any)        { *q = append(*q, x.(waiting)) }
func (q *newestFirst) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	*q = (*q)[:last]
	return c
}
