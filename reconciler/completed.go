package reconciler

import (
	"context"
	"errors"
	"fmt"

	"github.com/meshwright/meshwright/sources"
)

// Of how many commits the git host is asked at most how they ended; of fewer where
// nothing of ours stands beside any, as when the branch is looked at for the first
// time.
const (
	maxAsked   = 500
	firstAsked = 50
)

// maxFailed is how many commits that went back are loaded once more.
const maxFailed = 5

// past is what the statuses beside the commits of a branch tell.
type past struct {
	completed int                // where in the history the commit is that was completed last; -1: none is
	known     bool               // something of ours stands beside one
	failed    []sources.Revision // newer than that, whose rollouts went back; newest first, the first of them
}

// completed finds the commit that was completed last, when all that is known of
// the past is what we have written beside the commits of the branch (history,
// newest first; the tip is one like any other). Of the contexts, the first that
// stands beside a commit says how it ended: with a success it is the one.
//
// With an error nothing is known, and nothing may be made of it.
func completed(ctx context.Context, forge Forge, history []sources.Revision, contexts ...string) (past, error) {
	p := past{completed: -1}
	for i, rev := range history[:min(len(history), maxAsked)] {
		if i >= firstAsked && !p.known {
			break
		}
		standing, err := forge.Statuses(ctx, rev.Commit)
		if err != nil {
			return past{completed: -1}, fmt.Errorf("how %.7s ended: %w", rev.Commit, err)
		}
		p.known = p.known || len(standing) > 0
		for k, c := range contexts {
			s, ok := standing[c]
			switch {
			case !ok:
				continue
			case s.State == sources.Success:
				p.completed = i
				return p, nil
			case k == 0 && s.State == sources.Failure && len(p.failed) < maxFailed:
				p.failed = append(p.failed, rev)
			}
			break
		}
	}
	return p, nil
}

// answered is a forge that says once how a commit ended: where it limits how often
// it is asked, a search goes on where it was.
type answered struct {
	Forge
	known map[string]map[string]sources.Status // by commit
}

// Statuses implements [Forge].
func (f answered) Statuses(ctx context.Context, commit string) (map[string]sources.Status, error) {
	if standing, ok := f.known[commit]; ok {
		return standing, nil
	}
	standing, err := f.Forge.Statuses(ctx, commit)
	if err == nil {
		f.known[commit] = standing
	}
	return standing, err
}

// remember finds the commit that rollouts begin at when the state is lost, and
// those that had gone back: the newest is never taken to be complete, nor what
// failed to be new. It says so of the newest, which is loaded.
func (w *watcher) remember(ctx context.Context, newest *Loaded) error {
	history, err := w.branch.History(ctx, maxAsked)
	if err != nil {
		return err
	}
	known := false
	for {
		p, err := completed(ctx, w.ended, history, w.kinds...)
		if err != nil {
			return err
		}
		if err := w.failed(ctx, p.failed, newest); err != nil {
			return err
		}
		known = known || p.known
		if p.completed < 0 {
			if newest.Unproven = known; known {
				w.log.Warn("state lost, and no commit is known that was completed: the newest waits to be promoted", "commit", newest.Revision.Commit)
			}
			return nil
		}
		found := history[p.completed].Commit
		if found == newest.Revision.Commit {
			return nil
		}
		l, err := w.commit(ctx, found)
		if err != nil {
			return err
		}
		if l.Spec != nil {
			w.log.Info("state lost: the commit that was completed last is known by its statuses", "commit", found)
			l.Found = true
			w.deliver(l)
			return nil
		}
		w.log.Warn("the commit that was completed last is refused by this version: one before it is looked for", "commit", found, "reason", firstError(l.Diagnostics))
		history = history[p.completed+1:]
	}
}

// failed gives the newest commit the specs of those that went back.
func (w *watcher) failed(ctx context.Context, revs []sources.Revision, newest *Loaded) error {
	for _, rev := range revs {
		l, err := w.commit(ctx, rev.Commit)
		if err != nil {
			return err
		}
		if l.Spec != nil {
			if newest.Failed == nil {
				newest.Failed = specs{}
			}
			newest.Failed[rev.Commit] = l.Spec
		}
	}
	return nil
}

// commit loads a commit of the branch.
func (w *watcher) commit(ctx context.Context, commit string) (Loaded, error) {
	rev, err := w.branch.FetchCommit(ctx, commit, "") // of one that was never the newest, files may be missing here
	if err != nil && !errors.Is(err, sources.ErrNoPath) {
		return Loaded{}, err
	}
	return w.open(ctx, rev)
}
