package reconciler

import (
	"context"
	"errors"
	"fmt"

	"github.com/meshwright/meshwright/sources"
)

// maxAsked is of how many commits the git host is asked at most how they ended.
const maxAsked = 50

// completed finds the commit that was completed last, when all that is known of
// the past is what we have written beside the commits of the branch (history,
// newest first; the tip is one like any other). Of the contexts, the first that
// stands beside a commit says how it ended: with a success it is the one.
//
// An empty commit: none of them is; then known says whether anything of ours
// stands there at all, or this is the first time that the branch is looked at.
// With an error nothing is known, and nothing may be made of it.
func completed(ctx context.Context, forge Forge, history []sources.Revision, contexts ...string) (commit string, known bool, err error) {
	for _, rev := range history[:min(len(history), maxAsked)] {
		standing, err := forge.Statuses(ctx, rev.Commit)
		if err != nil {
			return "", false, fmt.Errorf("how %.7s ended: %w", rev.Commit, err)
		}
		known = known || len(standing) > 0
		for _, c := range contexts {
			if s, ok := standing[c]; ok {
				if s.State == sources.Success {
					return rev.Commit, true, nil
				}
				break
			}
		}
	}
	return "", known, nil
}

// remember finds the commit that rollouts begin at when the state is lost: it is
// never taken to be the newest.
func (w *watcher) remember(ctx context.Context, newest string) error {
	history, err := w.branch.History(ctx, maxAsked)
	if err != nil {
		return err
	}
	commit, known, err := completed(ctx, w.forge, history, w.kinds...)
	switch {
	case err != nil:
		return err
	case commit == "" && known:
		w.log.Warn("no commit is known that was completed: the newest is applied at once", "commit", newest)
		return nil
	case commit == "" || commit == newest:
		return nil
	}
	rev, err := w.branch.FetchCommit(ctx, commit, "") // of a commit that was never the newest, files may be missing here
	if err != nil && !errors.Is(err, sources.ErrNoPath) {
		return err
	}
	l, err := w.open(ctx, rev)
	if err != nil {
		return err
	}
	w.log.Info("state lost: the commit that was completed last is known by its statuses", "commit", commit)
	l.Found = true
	w.deliver(l)
	return nil
}
