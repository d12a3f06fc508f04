package git

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/meshwright/meshwright/sources"
)

// Commit returns a commit that is in the store with its files: one that was the
// branch's tip, or that FetchCommit brought.
func (r *Repo) Commit(hash string) (*sources.Revision, error) {
	h, err := parseHash(hash)
	if err != nil {
		return nil, err
	}
	return r.revision(r.store, h, r.known())
}

// FetchCommit returns a commit from the store or, when it is not there, from
// the remote: the head of a pull request, which ref names ("refs/pull/7/head"),
// or of a group in a merge queue ("refs/heads/gh-readonly-queue/main/pr-7-…");
// "" is no reference, such as for a commit of the branch that was never its tip
// when we looked. Its history comes with it, so that it can be merged. The
// watched branch stays as it is.
//
// When ref has moved on and the server gives out only what its references name,
// that is an error: look at the pull request again. A [sources.Permanent] error
// is for its author: it brings too much, or folders without end.
func (r *Repo) FetchCommit(ctx context.Context, hash, ref string) (*sources.Revision, error) {
	h, err := parseHash(hash)
	if err != nil {
		return nil, err
	}
	if err := r.obtain(ctx, h, plumbing.ReferenceName(ref)); err != nil {
		return nil, err
	}
	return r.revision(r.store, h, r.known())
}

// obtain brings a commit, if it is not in the store with all that it needs; then
// it waits for nobody.
func (r *Repo) obtain(ctx context.Context, h plumbing.Hash, ref plumbing.ReferenceName) error {
	last, _ := r.Last()
	if last == nil {
		return r.failed(ctx, "fetch "+h.String(), errors.New("the branch was not fetched yet"))
	}
	if ok, err := r.store.holds(ctx, h, plumbing.NewHash(last.Tree)); err == nil && ok {
		return nil
	}
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return r.failed(ctx, "fetch "+h.String(), err)
	}
	defer done()
	if err := r.fetchCommit(ctx, h, ref, at(last)); err != nil {
		return r.failed(ctx, "fetch "+h.String(), err)
	}
	return nil
}

func (r *Repo) fetchCommit(ctx context.Context, h plumbing.Hash, ref plumbing.ReferenceName, have point) error {
	c, err := r.remote.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var now plumbing.Hash
	ok := false
	if ref != "" {
		if now, ok, err = c.tip(ref); err != nil {
			return err
		}
	}
	err = r.bring(ctx, c, r.store, h, have, r.cfg.MaxPull)
	if errors.Is(err, errRefused) && !c.lean() {
		if _, err = r.cloneAgain(ctx, err); err == nil { // nor will a later fetch give us what it has left out
			err = r.bring(ctx, c, r.store, h, have, r.cfg.MaxPull)
		}
	}
	if err != nil {
		switch {
		case !ok && ref != "":
			return fmt.Errorf("%w (there is no %s)", err, ref)
		case ok && now != h:
			return fmt.Errorf("%w (%s has moved on to %s)", err, ref, now)
		}
		return err
	}
	r.compact()
	return nil
}
