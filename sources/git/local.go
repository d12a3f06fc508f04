package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/meshwright/meshwright/sources"
)

// localRemote is a repository on this machine. It is read in this process, so
// that a look costs one small file: no git binary, no child for each poll.
type localRemote struct{ path string }

func (r localRemote) connect(context.Context) (conn, error) {
	dot, err := gitDir(r.path)
	if err != nil {
		return nil, err
	}
	storage := openStorage(dot)
	return &localConn{&objects{db: storage}, storage}, nil
}

type localConn struct {
	*objects
	storage *filesystem.Storage
}

func (c *localConn) tip(name plumbing.ReferenceName) (plumbing.Hash, bool, error) {
	return resolve(c.storage, name)
}

func (c *localConn) Close() error {
	c.close()
	return nil
}

func (c *localConn) lean() bool { return true }

// fetch copies what the store lacks. An object that the store has is not
// followed: the store got all it needs of that with it. Only what a folder above
// the spec path holds, a lean store has not; it may stand below that path now.
func (c *localConn) fetch(ctx context.Context, into *store, want plumbing.Hash, have point, most int64) error {
	hashes, err := c.missing(ctx, into, want)
	if err == nil && len(hashes) > 0 {
		err = into.pipePack(c.objects, hashes, most)
	}
	for err == nil && into.lean() {
		rest, err := into.lacking(ctx, want, have.tree, maxWants)
		if err != nil || len(rest.objects) == 0 {
			return err
		}
		if err := into.pipePack(c.objects, rest.objects, most); err != nil {
			return err
		}
	}
	return err
}

// shallow returns the commits at which a shallow repository ends.
func (c *localConn) shallow() (map[plumbing.Hash]bool, error) {
	hashes, err := c.storage.Shallow()
	out := map[plumbing.Hash]bool{}
	for _, h := range hashes {
		out[h] = true
	}
	return out, err
}

// resolve follows symbolic references to a hash.
func resolve(s *filesystem.Storage, name plumbing.ReferenceName) (plumbing.Hash, bool, error) {
	for range 5 {
		ref, err := s.Reference(name)
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			return plumbing.ZeroHash, false, nil
		}
		if err != nil {
			return plumbing.ZeroHash, false, fmt.Errorf("%s: %w", name, err)
		}
		if ref.Type() == plumbing.HashReference {
			return ref.Hash(), true, nil
		}
		name = ref.Target()
	}
	return plumbing.ZeroHash, false, fmt.Errorf("%s: symbolic references that go round in circles", name)
}

// gitDir finds the git directory of the repository at path: path itself when
// it is bare, its .git, or where a .git file points (a work tree of its own).
func gitDir(path string) (billy.Filesystem, error) {
	dot := filepath.Join(path, ".git")
	info, err := os.Stat(dot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dot = path
	case err != nil:
		return nil, err
	case !info.IsDir():
		text, err := os.ReadFile(dot)
		if err != nil {
			return nil, err
		}
		target, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
		if !ok {
			return nil, fmt.Errorf("%s points nowhere", dot)
		}
		dot = under(path, target)
	}
	common := dot
	if text, err := os.ReadFile(filepath.Join(dot, "commondir")); err == nil {
		common = under(dot, strings.TrimSpace(string(text)))
	}
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(common, name)); err != nil {
			return nil, fmt.Errorf("no git repository at %s", path)
		}
	}
	if info, err := os.Stat(filepath.Join(common, "reftable")); err == nil && info.IsDir() {
		return nil, fmt.Errorf("the repository at %s keeps its references as reftable, which cannot be read; run: git refs migrate --ref-format=files", path)
	}
	if common == dot {
		return osfs.New(dot), nil
	}
	return dotgit.NewRepositoryFilesystem(osfs.New(dot), osfs.New(common)), nil
}

// under resolves a path that is relative to dir unless it is absolute.
func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// OpenLocal reads one revision of the repository that holds path, a folder in
// its work tree (or a bare repository): any expression that names a commit,
// such as HEAD, main, v1.2, HEAD~1, 1a2b3c4. The revision's files are those
// below path; dir is path as it was given, to be put before their names.
func OpenLocal(path, rev string) (_ *sources.Revision, dir string, err error) {
	root, inside, err := enclosing(path)
	if err != nil {
		return nil, "", err
	}
	dot, err := gitDir(root)
	if err != nil {
		return nil, "", err
	}
	storage := openStorage(dot)
	o := &objects{db: storage}
	repo, err := gogit.Open(storage, nil)
	if err != nil {
		return nil, "", fmt.Errorf("open repository %s: %w", root, err)
	}
	h, err := repo.ResolveRevision(plumbing.Revision(rev))
	if err != nil {
		return nil, "", fmt.Errorf("revision %q of %s: %w", rev, root, err)
	}
	r, err := newRevision(o, *h, inside)
	if err != nil {
		return nil, "", fmt.Errorf("revision %q of %s: %w", rev, root, err)
	}
	return r, filepath.ToSlash(filepath.Clean(path)), nil
}

// DefaultBranch names the branch that changes of the repository around path go
// to: the one that it was cloned from or, without a remote, main.
func DefaultBranch(path string) (string, error) {
	root, _, err := enclosing(path)
	if err != nil {
		return "", err
	}
	dot, err := gitDir(root)
	if err != nil {
		return "", err
	}
	repo, err := gogit.Open(openStorage(dot), nil)
	if err != nil {
		return "", fmt.Errorf("open repository %s: %w", root, err)
	}
	if ref, err := repo.Reference("refs/remotes/origin/HEAD", false); err == nil {
		return ref.Target().Short(), nil
	}
	for _, name := range []plumbing.ReferenceName{"refs/remotes/origin/main", "refs/remotes/origin/master", "refs/heads/main", "refs/heads/master"} {
		if _, err := repo.Reference(name, true); err == nil {
			return name.Short(), nil
		}
	}
	return "", fmt.Errorf("the repository %s has no branch origin/main or main; name the revision to compare with", root)
}

// enclosing finds the repository around path, and where path is inside it.
func enclosing(path string) (root, inside string, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", "", err
	}
	// Links in the way (such as /tmp on a Mac) must not hide the repository.
	// The folder itself may be gone from the work tree: it may be in rev.
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	for root = abs; ; root = filepath.Dir(root) {
		if _, err := gitDir(root); err == nil {
			inside, err := filepath.Rel(root, abs)
			if err != nil {
				return "", "", err
			}
			inside, err = cleanPath(inside)
			return root, inside, err
		}
		if root == filepath.Dir(root) {
			return "", "", fmt.Errorf("no git repository around %s", path)
		}
	}
}
