package git

import (
	"context"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// missing lists the objects that want reaches, or a lean store needs of it, and
// the store has not.
func (c *localConn) missing(ctx context.Context, into *store, want plumbing.Hash) ([]plumbing.Hash, error) {
	shallow, err := c.shallow()
	if err != nil {
		return nil, err
	}
	l := listing{ctx: ctx, from: c.objects, has: into.has, seen: map[plumbing.Hash]bool{}}
	if into.lean() {
		if err := l.corner(want, into.only()); err != nil {
			return nil, err
		}
	}
	for queue := []plumbing.Hash{want}; len(queue) > 0; queue = queue[1:] {
		fresh, err := l.add(queue[0])
		if err != nil {
			return nil, err
		}
		if !fresh {
			continue
		}
		commit, err := c.commit(queue[0])
		if err != nil {
			return nil, err
		}
		if !into.lean() {
			if err := l.tree(commit.TreeHash); err != nil {
				return nil, err
			}
		}
		if !shallow[commit.Hash] {
			queue = append(queue, commit.ParentHashes...)
		}
	}
	return l.out, nil
}

// listing lists objects to copy.
type listing struct {
	ctx  context.Context
	from *objects
	has  func(plumbing.Hash) (bool, error)
	seen map[plumbing.Hash]bool
	out  []plumbing.Hash
}

// add lists an object that is not there and was not listed; then it is fresh.
func (l *listing) add(h plumbing.Hash) (fresh bool, err error) {
	if l.seen[h] {
		return false, l.ctx.Err()
	}
	l.seen[h] = true
	known, err := l.has(h)
	if err != nil || known {
		return false, err
	}
	l.out = append(l.out, h)
	return true, l.ctx.Err()
}

// tree lists a tree with all that is below it.
func (l *listing) tree(h plumbing.Hash) error {
	if fresh, err := l.add(h); err != nil || !fresh {
		return err
	}
	entries, err := l.from.tree(h)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.Mode {
		case filemode.Submodule:
		case filemode.Dir:
			err = l.tree(e.Hash)
		default:
			_, err = l.add(e.Hash)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// corner lists a folder of a commit with all that is below it, and the folders
// that lead there.
func (l *listing) corner(commit plumbing.Hash, folder string) error {
	c, err := l.from.commit(commit)
	if err != nil {
		return err
	}
	for at := ""; ; {
		tree, ok, err := l.from.subtree(c.TreeHash, at)
		if err != nil || !ok {
			return err
		}
		if at == folder {
			return l.tree(tree)
		}
		if _, err := l.add(tree); err != nil {
			return err
		}
		next, _, _ := strings.Cut(strings.TrimPrefix(folder[len(at):], "/"), "/")
		at = path.Join(at, next)
	}
}
