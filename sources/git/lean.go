package git

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/meshwright/meshwright/sources"
)

// A lean store has commits and folders whole, and of the files those below the
// spec path of commits that were asked for. It is what git calls a partial clone
// (blob:none): of a repository whose specs are a corner, it is small. All that is
// done with history needs hashes only, and so do merges, until somebody reads
// what came of them.

// lean says whether files may be missing that nobody needs.
func (s *store) lean() bool { return s.scope != "" }

// holds says whether a commit is in the store with all that it needs. known is as
// for lacking.
func (s *store) holds(ctx context.Context, commit, known plumbing.Hash) (bool, error) {
	ok, err := s.has(commit)
	if err != nil || !ok || !s.lean() {
		return ok, err
	}
	files, err := s.lacking(ctx, commit, known, false)
	return len(files) == 0, err
}

// lacking lists the files that a commit needs and the store has not; those that
// known, a tree that is complete, has at the same place are not looked for. Of a
// pull request there may be few.
func (s *store) lacking(ctx context.Context, commit, known plumbing.Hash, few bool) ([]plumbing.Hash, error) {
	c, err := s.commit(commit)
	if err != nil {
		return nil, err
	}
	tree, ok, err := s.subtree(c.TreeHash, s.scope)
	if err != nil || !ok {
		return nil, err
	}
	var out []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	err = s.files(tree, known, func(file plumbing.Hash) error {
		if seen[file] {
			return ctx.Err()
		}
		seen[file] = true
		here, err := s.has(file)
		if err != nil || here {
			return err
		}
		if out = append(out, file); few && len(out) > maxChanges {
			return &sources.Permanent{Err: fmt.Errorf("more than %d files below the spec path are new; split it", maxChanges)}
		}
		return ctx.Err()
	})
	return out, err
}
