package reconciler

import (
	"context"
	"sync"
	"time"
)

// Run reconciles until ctx ends, then gives the outbox a short grace, saves and
// returns nil. It fails only when the state cannot be loaded or saved: without
// it nothing may be promised. It is called once.
func (r *Reconciler) Run(ctx context.Context) error {
	state, err := r.journal.load(ctx)
	if err != nil {
		return err
	}
	if state.Taken == "" { // an older version's, which knew no rollouts
		state.Taken = state.Good
	}
	r.state = state
	r.state.Started = r.cfg.Now()
	r.watcher.restore, r.watcher.cold = state.needs(), state.Good == ""
	if r.pulls != nil {
		if r.state.Heard.Since.IsZero() { // what was said before we came is not for us
			r.state.Heard.Since = r.state.Started.Truncate(time.Second)
		}
		r.pulls.heard, r.pulls.groups, r.pulls.tried = r.state.Heard, r.state.groups(), r.state.tried()
		for n := range r.state.Pulls {
			r.pulls.listed[n] = true
		}
	}
	r.rules.restore(&r.state)
	r.shown.Store(view(r.cfg.Environment, r.state, Seen{}, r.resources, r.cfg.Now()))

	looking, stopLooking := context.WithCancel(ctx)
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	defer group.Wait()
	defer stopWriting()
	defer stopLooking()
	group.Go(func() { r.spread(looking) })
	group.Go(func() { r.watcher.run(looking) })
	group.Go(func() { r.gather.run(looking) })
	if r.pulls != nil {
		group.Go(func() { r.pulls.run(looking) })
		group.Go(func() { r.planner.run(looking) })
	}
	if r.outbox != nil {
		group.Go(func() { r.outbox.run(writing) })
	}
	if err := r.loop(ctx); err != nil {
		return err
	}
	return r.drain(context.WithoutCancel(ctx))
}

// spread passes wake-ups on to who looks.
func (r *Reconciler) spread(ctx context.Context) {
	for {
		poked := false
		select {
		case <-ctx.Done():
			return
		case <-r.cfg.Wake:
		case <-r.poked:
			poked = true
		}
		r.watcher.wake.ring()
		if r.pulls != nil && poked {
			r.pulls.poke.ring()
		} else if r.pulls != nil {
			r.pulls.wake.ring()
		}
	}
}

// drain lets the outbox write what is queued, for a while, and saves the
// answers. What is left is in the state as an intent.
func (r *Reconciler) drain(ctx context.Context) error {
	if r.outbox != nil {
		grace := time.NewTimer(r.cfg.Grace)
		defer grace.Stop()
		for over := false; !over && !r.outbox.idle(); {
			select {
			case <-grace.C:
				over = true
			case <-r.wake:
			}
		}
	}
	next, _ := r.rules.decide(r.state, r.look(), r.cfg.Now())
	return r.journal.save(ctx, next)
}
