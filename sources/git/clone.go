package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/meshwright/meshwright/sources"
)

// advance brings a commit into the store and moves the branch to it.
func (r *Repo) advance(ctx context.Context, c conn, tip plumbing.Hash, last *sources.Revision) (*sources.Revision, error) {
	if err := r.bring(ctx, c, r.store, tip, at(last), 0); err != nil {
		return nil, err
	}
	return r.adopt(r.store, tip, plumbing.NewHash(last.Tree))
}

// bring fetches what the store lacks of a commit, as far as it is needed: with
// nothing to ask for after a force-push to an older one. most is as for
// [conn.fetch].
func (r *Repo) bring(ctx context.Context, c conn, into *store, want plumbing.Hash, have point, most int64) error {
	if ok, err := into.holds(ctx, want, have.tree); err != nil || ok {
		return err
	}
	return c.fetch(ctx, into, want, have, most)
}

// adopt checks a commit that is in the store and moves the branch to it. known
// is a tree that was checked before.
func (r *Repo) adopt(s *store, tip, known plumbing.Hash) (*sources.Revision, error) {
	rev, err := r.revision(s, tip, known)
	if err != nil && !errors.Is(err, sources.ErrNoPath) {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	if serr := s.setTip(tip); serr != nil {
		return nil, serr
	}
	return rev, err
}

// cloneAgain clones, over another connection, because the store cannot be gone on
// with.
func (r *Repo) cloneAgain(ctx context.Context, why error) (*sources.Revision, error) {
	r.cfg.Logger.Warn("git store cannot be gone on with, cloned anew", "err", why)
	c, err := r.remote.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	tip, ok, err := c.tip(r.branch)
	if err != nil || !ok {
		return nil, cmp.Or(err, sources.ErrNoBranch)
	}
	return r.clone(ctx, c, tip)
}

// clone fetches the branch, as little of it as the remote lets us.
func (r *Repo) clone(ctx context.Context, c conn, tip plumbing.Hash) (*sources.Revision, error) {
	scope := r.cfg.scope()
	if scope != "" && c.lean() {
		rev, err := r.cloneOnly(ctx, c, tip, scope)
		if !errors.Is(err, errRefused) {
			return rev, err
		}
		r.cfg.Logger.Warn("git host did not leave anything out, all is fetched", "repo", r.name, "err", err)
	} else if scope != "" {
		r.cfg.Logger.Info("git host can leave nothing out, all is fetched", "repo", r.name)
	}
	return r.cloneOnly(ctx, c, tip, "")
}

// cloneOnly fetches the branch, lean if there is a scope, beside the store and,
// when all that is needed was found whole, puts it in the store's place.
func (r *Repo) cloneOnly(ctx context.Context, c conn, tip plumbing.Hash, scope string) (*sources.Revision, error) {
	fresh, err := createStore(r.store.dir+".new", r.name, scope, r.branch)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(fresh.dir)
	defer fresh.close()
	if err := r.bring(ctx, c, fresh, tip, point{}, 0); err != nil {
		return nil, err
	}
	if _, err := r.adopt(fresh, tip, plumbing.ZeroHash); err != nil && !errors.Is(err, sources.ErrNoPath) {
		return nil, fmt.Errorf("the remote repository is damaged or half-written: %w", err)
	}
	if err := r.store.replace(fresh); err != nil {
		return nil, err
	}
	return newRevision(r.store.objects, tip, r.cfg.Path) // it reads from where the store is now
}
