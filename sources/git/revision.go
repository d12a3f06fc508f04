package git

import (
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/meshwright/meshwright/sources"
)

// at is where a revision is.
func at(rev *sources.Revision) point {
	return point{plumbing.NewHash(rev.Commit), plumbing.NewHash(rev.Tree)}
}

// known is the newest tree that was checked.
func (r *Repo) known() plumbing.Hash {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return plumbing.ZeroHash
	}
	return plumbing.NewHash(r.last.Tree)
}

// revision makes a revision of a commit in a store, after reading what its
// spec path has and known has not.
func (r *Repo) revision(s *store, h, known plumbing.Hash) (*sources.Revision, error) {
	rev, err := newRevision(s.objects, h, r.cfg.Path)
	if err != nil {
		return rev, err
	}
	if err := s.verify(plumbing.NewHash(rev.Tree), known); err != nil {
		return nil, fmt.Errorf("commit %s: %w", h, err)
	}
	return rev, nil
}

// newRevision makes a revision of a commit and the folder at path in it. With
// [sources.ErrNoPath] it has no files.
func newRevision(o *objects, h plumbing.Hash, path string) (*sources.Revision, error) {
	c, err := o.commit(h)
	if err != nil {
		return nil, err
	}
	rev := describe(c)
	tree, ok, err := o.subtree(c.TreeHash, path)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return rev, noPath(h.String(), path)
	}
	rev.Tree, rev.Files = tree.String(), newTreeFS(o, tree, rev.When)
	return rev, nil
}

// describe makes a revision of a commit, without its files.
func describe(c *object.Commit) *sources.Revision {
	title, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return &sources.Revision{Commit: c.Hash.String(), Author: c.Author.Name, Title: strings.TrimSpace(title), When: c.Committer.When}
}

// missingPath is the error that goes with a revision without files.
func (r *Repo) missingPath(rev *sources.Revision) error {
	if rev == nil || rev.Files != nil {
		return nil
	}
	return noPath(rev.Commit, r.cfg.Path)
}

func noPath(commit, path string) error {
	return fmt.Errorf("commit %.7s has no folder %q: %w", commit, path, sources.ErrNoPath)
}

func parseHash(s string) (plumbing.Hash, error) {
	if !plumbing.IsHash(s) {
		return plumbing.ZeroHash, fmt.Errorf("%q is not the full hash of a commit", s)
	}
	return plumbing.NewHash(s), nil
}
