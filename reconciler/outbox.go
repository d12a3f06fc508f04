package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// outbox writes letters to the forge, one at a time. The loop gives it all
// that is outstanding ([outbox.sync]) and takes the answers ([outbox.take]):
// latest wins for each address, nothing is dropped on an error, and nothing is
// written twice: after an error that leaves it open whether a status was taken,
// it reads what stands before it writes; the other letters are the same when
// they are written again.
type outbox struct {
	forge   Forge
	branch  Branch
	base    string // name of the branch
	spacing time.Duration
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics
	ready   bell // to the loop: answers to take
	more    bell // to run: something to write

	mu      sync.Mutex
	queue   map[Address]*entry
	count   uint64 // of entries, for their order
	done    []Written
	writing bool
}

type entry struct {
	write    Write
	order    uint64
	attempts int
	due      time.Time
	opened   int // see [Written]
}

func newOutbox(cfg Config, m *metrics, ready bell) *outbox {
	return &outbox{
		forge: cfg.Forge, branch: cfg.Branch, base: cfg.BaseBranch, spacing: cfg.WriteSpacing, now: cfg.Now, log: cfg.Logger, metrics: m,
		ready: ready, more: newBell(), queue: map[Address]*entry{},
	}
}

// sync makes writes all that is outstanding.
func (o *outbox) sync(writes []Write) {
	o.mu.Lock()
	defer o.mu.Unlock()
	answered := map[Address]Write{} // by a run that the loop has not heard of yet
	for _, w := range o.done {
		answered[w.Address] = w.Write
	}
	old := o.queue
	o.queue = make(map[Address]*entry, len(writes))
	for _, w := range writes {
		if a, ok := answered[w.Address]; ok && equal(a.Content, w.Content) {
			continue
		}
		e := old[w.Address]
		switch {
		case e == nil:
			o.count++
			e = &entry{write: w, order: o.count}
		case !equal(e.write.Content, w.Content):
			// A new text keeps its place, and what is known of the letter.
			w.Unsure = w.Unsure || e.write.Unsure
			e = &entry{write: w, order: e.order, attempts: e.attempts, due: e.due}
		}
		o.queue[w.Address] = e
	}
	o.metrics.outbox.Set(float64(len(o.queue)))
	o.more.ring()
}

// take returns the answers since the last take.
func (o *outbox) take() []Written {
	o.mu.Lock()
	defer o.mu.Unlock()
	done := o.done
	o.done = nil
	return done
}

// idle reports whether nothing is outstanding.
func (o *outbox) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) == 0 && !o.writing
}

// run writes until ctx ends.
func (o *outbox) run(ctx context.Context) {
	var pause time.Time // nothing is written before
	failures := 0       // in a row
	for {
		e, wait := o.next(pause)
		if e == nil {
			if !sleep(ctx, wait, o.more) {
				return
			}
			continue
		}
		stood, err := o.deliver(ctx, e)
		if err != nil && ctx.Err() != nil {
			return // the answer is unknown; the next process looks what stands
		}
		now := o.now()
		limit, limited := retryAt(err)
		if failures++; err == nil || permanent(err) {
			failures = 0
		}
		pause = now.Add(max(o.spacing, backoff(failures)))
		if limited && limit.After(pause) { // in the past when our clocks differ
			pause = limit // it is the account's, so it holds for all
		}
		o.settle(e, stood, err, now)
	}
}

// next returns the entry to write now, or nil and how long to wait (negative:
// until there is more). Those that failed wait behind those that did not, so
// that one that can never succeed stops nobody.
func (o *outbox) next(pause time.Time) (*entry, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var first *entry
	for _, e := range o.queue {
		if first == nil || e.due.Before(first.due) || e.due.Equal(first.due) && e.order < first.order {
			first = e
		}
	}
	if first == nil {
		return nil, -1
	}
	due := first.due
	if due.Before(pause) {
		due = pause
	}
	if wait := due.Sub(o.now()); wait > 0 {
		return nil, wait
	}
	o.writing = true
	return first, 0
}

// deliver writes one letter, unless it stands there already.
func (o *outbox) deliver(ctx context.Context, e *entry) (stood bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	switch w := e.write; w.Kind {
	case CommentLetter:
		return false, o.forge.SetComment(ctx, int(w.Number), w.Name, w.Body)
	case ReactionLetter:
		return false, o.forge.React(ctx, w.Number, w.Name)
	case RevertLetter:
		e.opened, err = o.revert(ctx, w)
		return false, err
	case DeploymentLetter:
		return false, o.forge.SetDeployment(ctx, w.Commit, w.Name, w.Status)
	default:
		if w.Unsure {
			standing, err := o.forge.Statuses(ctx, w.Commit)
			if err != nil {
				return false, err
			}
			if st, ok := standing[w.Name]; ok && st.State == w.State && st.Description == w.Description {
				return true, nil
			}
		}
		return false, o.forge.SetStatus(ctx, w.Commit, w.Name, w.Status)
	}
}

// revert opens the pull request that takes a commit back.
func (o *outbox) revert(ctx context.Context, w Write) (number int, err error) {
	undo, err := o.branch.Revert(ctx, w.Commit, w.Undo.To, w.Undo.Tip)
	if err != nil {
		return 0, err
	}
	undo.Key, undo.Branch = report.Short(w.Commit), o.base
	number, err = o.forge.OpenRevert(ctx, report.Revert(*undo, w.Undo.Failed))
	if err == nil {
		o.log.Info("pull request opened that reverts a commit", "pr", number, "commit", w.Commit)
	}
	return number, err
}

// settle puts the answer to a write where the loop finds it, or the write back
// in the queue.
func (o *outbox) settle(e *entry, stood bool, err error, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = false
	w := e.write
	log := o.log.With("type", w.Kind, "resource", w.Name)
	if w.Commit != "" {
		log = log.With("commit", w.Commit)
	} else {
		log = log.With("ref", w.Number)
	}
	if err != nil && !permanent(err) {
		o.metrics.writes.WithLabelValues("retried").Inc()
		log.Warn("write to the git host failed", "err", err)
		if current := o.queue[w.Address]; current != nil { // perhaps with a newer text
			if _, limited := retryAt(err); limited {
				return
			}
			current.attempts++
			current.due = now.Add(backoff(current.attempts))
			current.write.Unsure = true
		}
		return
	}
	result := "written"
	switch {
	case err != nil:
		result = "refused"
		log.Error("write refused by the git host", "err", err)
	case stood:
		result = "stood"
	default:
		log.Debug("written to the git host", "verdict", w.State, "reason", w.Description)
	}
	o.metrics.writes.WithLabelValues(result).Inc()
	w.Annotations, w.Body = nil, ""
	o.done = append(o.done, Written{Write: w, Stood: stood, Refused: err, Opened: e.opened})
	if o.queue[w.Address] == e {
		delete(o.queue, w.Address)
	}
	o.metrics.outbox.Set(float64(len(o.queue)))
	o.ready.ring()
}

// permanent reports whether the forge will never take what it was given.
func permanent(err error) bool {
	_, ok := errors.AsType[*sources.Permanent](err)
	return ok
}

// retryAt is when the forge's limits let us come again; false: they are not
// what is the matter.
func retryAt(err error) (time.Time, bool) {
	limit, ok := errors.AsType[*sources.RetryAfter](err)
	if !ok {
		return time.Time{}, false
	}
	return limit.At, true
}
