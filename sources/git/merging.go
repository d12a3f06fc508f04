package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/meshwright/meshwright/sources"
)

// maxChanges is how many files and folders below the spec path may differ
// between two commits that are merged. Folders that name one another many times
// over can hold billions.
const maxChanges = 50_000

// version is what stands at a path in one tree; zero when nothing does.
type version struct {
	mode filemode.FileMode
	hash plumbing.Hash
}

func (v version) there() bool { return v.mode != 0 }
func (v version) isDir() bool { return v.mode == filemode.Dir }

// versions are what stands at one path on both sides and before.
type versions struct {
	bases        []version
	ours, theirs version
}

// changed reports whether one of the sides differs from any of the bases.
func (v *versions) changed(side version) bool {
	return slices.ContainsFunc(v.bases, func(b version) bool { return b != side })
}

// each calls f for every version.
func (v *versions) each(f func(*version)) {
	f(&v.ours)
	f(&v.theirs)
	for i := range v.bases {
		f(&v.bases[i])
	}
}

// merging is one merge.
type merging struct {
	ctx     context.Context
	objects *objects
	made    map[plumbing.Hash][]object.TreeEntry // trees that no commit has
	looked  int                                  // files and folders that differ

	changed, baseChanged, conflicts []string
	taken                           []taken
}

// taken is a file that theirs alone changed: what it was on our side, and what it
// becomes.
type taken struct {
	at      string
	was, is version
}

// merge merges what stands at a path, and all below it. Trees that are the same
// everywhere are not opened: the cost follows the change.
func (m *merging) merge(at string, v versions) (version, error) {
	ours, theirs := v.changed(v.ours), v.changed(v.theirs)
	if !ours && !theirs {
		return v.ours, nil
	}
	if m.looked++; m.looked > maxChanges {
		return version{}, &sources.Permanent{Err: fmt.Errorf("more than %d files below the spec path differ since their merge base; split it, or rebase it", maxChanges)}
	}
	known := len(m.conflicts)
	merged, err := m.inside(at, v)
	switch {
	case err != nil:
		return version{}, err
	case len(m.conflicts) > known:
		return version{}, nil // nobody reads it
	case !ours || v.ours == v.theirs:
		return v.theirs, nil
	case !theirs:
		return v.ours, nil
	}
	return merged, nil
}

// inside merges file by file. A path that is a file here and a folder there is
// both: a file that one side deletes, and files that it adds below.
func (m *merging) inside(at string, v versions) (version, error) {
	dirs, files := v.split()
	file := m.file(at, files)
	dir, err := m.dir(at, dirs)
	switch {
	case err != nil:
		return version{}, err
	case !dir.there():
		return file, nil
	case file.there():
		m.conflicts = append(m.conflicts, at)
	}
	return dir, nil
}

// split takes folders and files apart.
func (v versions) split() (dirs, files versions) {
	dirs, files = v, v
	dirs.bases, files.bases = slices.Clone(v.bases), slices.Clone(v.bases)
	dirs.each(func(e *version) {
		if !e.isDir() {
			*e = version{}
		}
	})
	files.each(func(e *version) {
		if e.isDir() {
			*e = version{}
		}
	})
	return dirs, files
}

// file merges what is no folder.
func (m *merging) file(at string, v versions) version {
	ours, theirs := v.changed(v.ours), v.changed(v.theirs)
	if ours {
		m.baseChanged = append(m.baseChanged, at)
	}
	if theirs {
		m.changed = append(m.changed, at)
	}
	switch {
	case ours && theirs && v.ours != v.theirs:
		m.conflicts = append(m.conflicts, at)
	case ours:
		return v.ours
	case theirs:
		m.taken = append(m.taken, taken{at, v.ours, v.theirs})
	}
	return v.theirs
}

// dir merges folders, entry by entry.
func (m *merging) dir(at string, v versions) (version, error) {
	if err := m.ctx.Err(); err != nil {
		return version{}, err
	}
	inside := map[string]*versions{}
	open := func(tree version, set func(*versions, version)) error {
		if !tree.there() {
			return nil
		}
		entries, err := m.objects.tree(tree.hash)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, e := range entries {
			if seen[e.Name] {
				return &sources.Permanent{Err: fmt.Errorf("the folder %q holds %q twice; mend it", at, e.Name)}
			}
			seen[e.Name] = true
			if inside[e.Name] == nil {
				inside[e.Name] = &versions{bases: make([]version, len(v.bases))}
			}
			set(inside[e.Name], version{normal(e.Mode), e.Hash})
		}
		return nil
	}
	err := errors.Join(
		open(v.ours, func(in *versions, is version) { in.ours = is }),
		open(v.theirs, func(in *versions, is version) { in.theirs = is }))
	for i := range v.bases {
		err = errors.Join(err, open(v.bases[i], func(in *versions, is version) { in.bases[i] = is }))
	}
	if err != nil {
		return version{}, err
	}
	var out []object.TreeEntry
	for _, name := range slices.Sorted(maps.Keys(inside)) {
		shown, _ := fileName(name)
		merged, err := m.merge(path.Join(at, shown), *inside[name])
		if err != nil {
			return version{}, err
		}
		if merged.there() {
			out = append(out, object.TreeEntry{Name: name, Mode: merged.mode, Hash: merged.hash})
		}
	}
	return m.tree(out)
}

// tree makes a tree object, in memory only; of no entries, nothing.
func (m *merging) tree(entries []object.TreeEntry) (version, error) {
	if len(entries) == 0 {
		return version{}, nil
	}
	slices.SortFunc(entries, func(a, b object.TreeEntry) int { return cmp.Compare(sortKey(a), sortKey(b)) })
	var obj plumbing.MemoryObject
	if err := (&object.Tree{Entries: entries}).Encode(&obj); err != nil {
		return version{}, fmt.Errorf("tree of the merge: %w", err)
	}
	h := obj.Hash()
	m.made[h] = entries
	return version{filemode.Dir, h}, nil
}

// sortKey is what git sorts the entries of a tree by.
func sortKey(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

// normal makes one mode of those that mean the same.
func normal(m filemode.FileMode) filemode.FileMode {
	if m == filemode.Deprecated {
		return filemode.Regular
	}
	return m
}
