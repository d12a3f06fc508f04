package git

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/meshwright/meshwright/sources"
)

// History returns the branch's last n commits, newest first, without network and
// without their files: the tip as the last fetch left it, and of each commit the
// first parent, so that of a merged pull request it is the merge. It ends early
// where the history does; there is none while nothing was fetched.
func (r *Repo) History(ctx context.Context, n int) ([]sources.Revision, error) {
	last, err := r.Last()
	if last == nil {
		return nil, err
	}
	var out []sources.Revision
	for h := plumbing.NewHash(last.Commit); len(out) < n; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := r.store.commit(h)
		if errors.Is(err, plumbing.ErrObjectNotFound) && len(out) > 0 { // of a shallow repository
			break
		}
		if err != nil {
			return nil, err
		}
		out = append(out, *describe(c))
		if c.NumParents() == 0 {
			break
		}
		h = c.ParentHashes[0]
	}
	return out, nil
}
