package git

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/meshwright/meshwright/sources"
)

// maxReverted is how many bytes of files a revert may bring back.
const maxReverted = 32 << 20

// Revert returns what takes the spec path at the commit tip back to what it is
// at the commit to, as far as that undoes what commit has changed since. All are
// in the branch's history; what is needed of them is fetched where it is not in the
// store. It is [Repo.Merge] turned round: of a
// file that tip has as commit has it, to's is taken; what was changed again since
// then is left, and named; all else stays.
//
// A [sources.Permanent] error: it is too much to be undone so.
func (r *Repo) Revert(ctx context.Context, commit, to, tip string) (*sources.Revert, error) {
	out, err := r.revert(ctx, commit, to, tip)
	if err != nil {
		return nil, fmt.Errorf("undo %.7s on %.7s: %w", commit, tip, err)
	}
	return out, nil
}

func (r *Repo) revert(ctx context.Context, commit, to, tip string) (*sources.Revert, error) {
	v := versions{bases: make([]version, 1)}
	for _, side := range []struct {
		hash string
		into *version
	}{{commit, &v.bases[0]}, {to, &v.theirs}, {tip, &v.ours}} {
		h, err := parseHash(side.hash)
		if err != nil {
			return nil, err
		}
		if err := r.obtain(ctx, h, ""); err != nil {
			return nil, err
		}
		if *side.into, err = r.folder(h); err != nil {
			return nil, err
		}
	}
	m := merging{ctx: ctx, objects: r.store.objects, made: map[plumbing.Hash][]object.TreeEntry{}}
	if _, err := m.merge("", v); err != nil {
		return nil, err
	}
	on, err := r.store.commit(plumbing.NewHash(tip))
	if err != nil {
		return nil, err
	}
	out := &sources.Revert{Commit: commit, To: to, Tip: tip, Root: on.TreeHash.String()}
	for _, at := range m.conflicts {
		out.Left = append(out.Left, path.Join(r.cfg.Path, at))
	}
	size := 0
	for _, t := range m.taken {
		at := path.Join(r.cfg.Path, t.at)
		if !t.writable() || slices.ContainsFunc(m.conflicts, t.crosses) {
			out.Left = append(out.Left, at)
			continue
		}
		f := sources.FileChange{Path: at}
		if t.was.there() {
			f.Was = t.was.hash.String()
		}
		if t.is.there() {
			content, err := r.store.blob(t.is.hash)
			if err != nil {
				return nil, err
			}
			if size += len(content); size > maxReverted {
				return nil, &sources.Permanent{Err: fmt.Errorf("the files to bring back have more than %d bytes", maxReverted)}
			}
			f.Mode, f.Blob, f.Content = fmt.Sprintf("%06o", uint32(t.is.mode)), t.is.hash.String(), content
		}
		out.Files = append(out.Files, f)
	}
	out.Left = sorted(out.Left)
	slices.SortFunc(out.Files, func(a, b sources.FileChange) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// writable reports whether the change is of a file, whose name was not quoted
// because it cannot be one's.
func (t taken) writable() bool {
	return t.is.mode != filemode.Submodule && t.was.mode != filemode.Submodule &&
		!strings.HasPrefix(t.at, `"`) && !strings.Contains(t.at, `/"`)
}

// crosses reports whether one of the change and a conflict is a folder of the
// other: a file here, and a folder there.
func (t taken) crosses(conflict string) bool {
	return conflict == t.at || strings.HasPrefix(conflict, t.at+"/") || strings.HasPrefix(t.at, conflict+"/")
}
