package git

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/meshwright/meshwright/sources"
)

// Merge returns what merging the commit head into the commit base would give
// below the spec path. Nothing is written. Both have to be in the store, as
// Fetch and FetchCommit leave them; what is needed of their merge bases is fetched
// where it is not.
//
// It is a three-way merge of whole files by path: what one side alone changed
// is taken, what both changed to the same stays so, all else is a conflict. A
// deleted file is a change like any other, a renamed one is deleted here and
// added there. So it finds a conflict where git's own merge would look into the
// file, or follow a rename, and may find none; but what is merged without a
// conflict is the tree that git would make. When the histories cross, so that
// there are several merge bases, a side has changed a path if it differs from
// any of them.
//
// A [sources.Permanent] error is for the author of head: the two have no common
// history, or too many files differ.
func (r *Repo) Merge(ctx context.Context, base, head string) (*sources.Merge, error) {
	m, err := r.merge(ctx, base, head)
	if err != nil {
		return nil, fmt.Errorf("merge %.7s into %.7s: %w", head, base, err)
	}
	return m, nil
}

func (r *Repo) merge(ctx context.Context, base, head string) (*sources.Merge, error) {
	ours, err := parseHash(base)
	if err != nil {
		return nil, err
	}
	theirs, err := parseHash(head)
	if err != nil {
		return nil, err
	}
	bases, err := r.store.mergeBases(ctx, ours, theirs)
	if err != nil {
		return nil, err
	}
	if len(bases) == 0 {
		return nil, &sources.Permanent{Err: errors.New("they have no common history; rebase it onto the branch")}
	}
	m := merging{ctx: ctx, objects: r.store.objects, made: map[plumbing.Hash][]object.TreeEntry{}}
	var v versions
	if v.ours, err = r.folder(ours); err != nil {
		return nil, err
	}
	if v.theirs, err = r.folder(theirs); err != nil {
		return nil, err
	}
	for _, h := range bases {
		if err := r.obtain(ctx, h, ""); err != nil { // its folders: it may never have been the tip
			return nil, err
		}
		e, err := r.folder(h)
		if err != nil {
			return nil, err
		}
		v.bases = append(v.bases, e)
	}
	result, err := m.merge("", v)
	if err != nil {
		return nil, err
	}
	out := &sources.Merge{Base: bases[0].String(), Changed: sorted(m.changed), BaseChanged: sorted(m.baseChanged), Conflicts: sorted(m.conflicts)}
	if len(m.conflicts) > 0 {
		return out, nil
	}
	c, err := r.store.commit(theirs)
	if err != nil {
		return nil, err
	}
	out.Revision = describe(c)
	if result.there() {
		files := newTreeFS(r.store.objects, result.hash, c.Committer.When)
		files.made = m.made
		out.Revision.Tree, out.Revision.Files = result.hash.String(), files
	}
	return out, nil
}

// sorted sorts paths, and keeps each once.
func sorted(paths []string) []string {
	slices.Sort(paths)
	return slices.Compact(paths)
}

// folder returns the spec path's tree in a commit.
func (r *Repo) folder(h plumbing.Hash) (version, error) {
	c, err := r.store.commit(h)
	if err != nil {
		return version{}, err
	}
	tree, ok, err := r.store.subtree(c.TreeHash, r.cfg.Path)
	if err != nil || !ok {
		return version{}, err
	}
	return version{filemode.Dir, tree}, nil
}
