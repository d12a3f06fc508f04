package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// marker is a file in the store that says whose copy it is and, of a lean one,
// of which folder it has the files. Only a directory that has it is ever thrown
// away.
const marker = "meshwright"

// errBroken wraps what makes the store useless: it is to be cloned anew.
var errBroken = errors.New("the store is broken")

// store is a bare git repository on disk that holds one branch.
type store struct {
	*objects
	dir   string
	owner string // the remote it is a copy of
	ref   plumbing.ReferenceName
	scope string // see only; guarded by mu
}

func newStore(dir, owner, scope string, ref plumbing.ReferenceName) *store {
	return &store{objects: &objects{db: openStorage(osfs.New(dir))}, dir: dir, owner: owner, ref: ref, scope: scope}
}

// mark is the content of the marker.
func (s *store) mark() string {
	if only := s.only(); only != "" {
		return s.owner + "\nonly files below " + only
	}
	return s.owner
}

// reopen looks at the disk anew: packs have gone.
func (s *store) reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db.Close()
	s.db = openStorage(osfs.New(s.dir))
}

// openStore opens the store at dir, which need not be there yet. It refuses a
// directory that holds something else. A store that is there is lean or not as it
// was made: scope is what a lean one has to have.
func openStore(dir, owner, scope string, ref plumbing.ReferenceName) (*store, error) {
	s := newStore(dir, owner, scope, ref)
	if err := s.recover(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, err
	}
	switch mark, err := os.ReadFile(filepath.Join(dir, marker)); {
	case err != nil && len(entries) > 0:
		return nil, fmt.Errorf("%s is not empty and no store of meshwright; name another directory, or remove it", dir)
	case string(mark) == owner:
		s.scope = ""
	}
	os.RemoveAll(s.dir + ".new")
	os.RemoveAll(s.dir + ".old")
	s.sweep()
	return s, nil
}

// recover undoes a replace that was cut between its two renames.
func (s *store) recover() error {
	if _, err := os.Lstat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.Rename(s.dir+".old", s.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweep removes packs that were being written when the daemon was killed or the
// connection was cut.
func (s *store) sweep() {
	dir := filepath.Join(s.dir, "objects", "pack")
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		name, isIdx := strings.CutSuffix(f.Name(), ".idx")
		if isIdx {
			_, err := os.Stat(filepath.Join(dir, name+".pack"))
			isIdx = errors.Is(err, fs.ErrNotExist)
		}
		if isIdx || strings.HasPrefix(f.Name(), "tmp_") {
			os.Remove(filepath.Join(dir, f.Name()))
		}
	}
}

// createStore makes an empty store at dir, whatever was there.
func createStore(dir, owner, scope string, ref plumbing.ReferenceName) (*store, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	for _, d := range []string{"objects/pack", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o777); err != nil {
			return nil, err
		}
	}
	s := newStore(dir, owner, scope, ref)
	// HEAD and config are for people with a git of their own.
	for name, text := range map[string]string{
		marker:   s.mark(),
		"HEAD":   "ref: " + ref.String() + "\n",
		"config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n[gc]\n\tauto = 0\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// replace puts a fresh store in the place of this one and goes on with it, so
// that file systems handed out before read from the fresh one.
func (s *store) replace(fresh *store) error {
	fresh.close()
	old := s.dir + ".old"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(s.dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh.dir, s.dir); err != nil {
		return errors.Join(err, s.recover())
	}
	s.mu.Lock()
	s.scope = fresh.scope
	s.mu.Unlock()
	s.reopen()
	return os.RemoveAll(old)
}

// tip returns the commit the branch points at; zero when there is none yet.
// A store of another remote, or one that is lean for another folder, has none.
func (s *store) tip() (plumbing.Hash, error) {
	mark, err := os.ReadFile(filepath.Join(s.dir, marker))
	if errors.Is(err, fs.ErrNotExist) {
		return plumbing.ZeroHash, nil
	}
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("%w: %w", errBroken, err)
	}
	if string(mark) != s.mark() {
		return plumbing.ZeroHash, nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(s.ref.String())))
	if errors.Is(err, fs.ErrNotExist) {
		return plumbing.ZeroHash, nil
	}
	hash := strings.TrimSpace(string(text))
	if err == nil && !plumbing.IsHash(hash) {
		err = fmt.Errorf("%s holds no commit", s.ref)
	}
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("%w: %w", errBroken, err)
	}
	return plumbing.NewHash(hash), nil
}

// setTip moves the branch. The file is renamed into place: a reference is
// never half-written.
func (s *store) setTip(h plumbing.Hash) error {
	file := filepath.Join(s.dir, filepath.FromSlash(s.ref.String()))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.dir, "tmp_ref_")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(tmp, h)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// has is objects.has; that the store cannot tell means that it is broken.
func (s *store) has(h plumbing.Hash) (bool, error) {
	ok, err := s.objects.has(h)
	if err != nil {
		err = fmt.Errorf("%w: %w", errBroken, err)
	}
	return ok, err
}

// recent returns up to max commits that h reaches, nearest first: what a
// remote is told that we have. Commits that are missing end their line.
func (s *store) recent(h plumbing.Hash, max int) []plumbing.Hash {
	var out []plumbing.Hash
	s.walk(h, func(c *object.Commit) bool {
		out = append(out, c.Hash)
		return len(out) < max
	})
	return out
}

// walk visits h and its ancestors, nearest first, until visit says no.
func (o *objects) walk(h plumbing.Hash, visit func(*object.Commit) bool) {
	seen := map[plumbing.Hash]bool{}
	for queue := []plumbing.Hash{h}; len(queue) > 0; queue = queue[1:] {
		if seen[queue[0]] {
			continue
		}
		seen[queue[0]] = true
		c, err := o.commit(queue[0])
		if err != nil {
			continue
		}
		if !visit(c) {
			return
		}
		queue = append(queue, c.ParentHashes...)
	}
}

// maxForced bounds the search of [store.descends] (commits).
const maxForced = 10_000

// descends says whether ancestor is among the ancestors of h.
func (s *store) descends(h, ancestor plumbing.Hash) (found bool) {
	n := 0
	s.walk(h, func(c *object.Commit) bool {
		n++
		found = c.Hash == ancestor
		return !found && n < maxForced
	})
	return found
}

// Of a branch that has moved, so many commits are looked at, and named, at most.
const (
	maxLooked = 1000
	maxLanded = 20
)

// landed returns what came to a branch between two tips of it: the way back by
// first parents, newest first, without either. nil when that does not lead to the
// old tip.
func (s *store) landed(tip, old plumbing.Hash) []string {
	var between []string
	for range maxLooked {
		c, err := s.commit(tip)
		if err != nil || len(c.ParentHashes) == 0 {
			return nil
		}
		if tip = c.ParentHashes[0]; tip == old {
			return between[:min(len(between), maxLanded)]
		}
		between = append(between, tip.String())
	}
	return nil
}
