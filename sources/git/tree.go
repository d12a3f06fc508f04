package git

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/meshwright/meshwright/schema"
)

// treeFS is a tree of the object store as a file system: fs.ReadDirFS,
// fs.ReadFileFS, fs.StatFS and fs.ReadLinkFS, safe for concurrent use.
//
// FileInfo.Sys() of a file is the schema.BlobID of its content. Symbolic links
// are listed as such and not followed; a submodule, and an entry whose name
// cannot be a file's (which git lets through), are fs.ModeIrregular.
type treeFS struct {
	objects *objects
	root    plumbing.Hash
	when    time.Time                            // of the commit: git keeps no times of files
	made    map[plumbing.Hash][]object.TreeEntry // trees of a merge, which the store has not

	mu   sync.Mutex
	dirs map[plumbing.Hash]map[string]*entry
}

var (
	_ fs.ReadDirFS  = (*treeFS)(nil)
	_ fs.ReadFileFS = (*treeFS)(nil)
	_ fs.StatFS     = (*treeFS)(nil)
	_ fs.ReadLinkFS = (*treeFS)(nil)
)

func newTreeFS(o *objects, root plumbing.Hash, when time.Time) *treeFS {
	return &treeFS{objects: o, root: root, when: when, dirs: map[plumbing.Hash]map[string]*entry{}}
}

// entry is a file or directory; it is its own fs.DirEntry and fs.FileInfo.
type entry struct {
	fs   *treeFS
	name string
	mode fs.FileMode
	hash plumbing.Hash
}

func (e *entry) Name() string               { return e.name }
func (e *entry) IsDir() bool                { return e.mode.IsDir() }
func (e *entry) Type() fs.FileMode          { return e.mode.Type() }
func (e *entry) Mode() fs.FileMode          { return e.mode }
func (e *entry) Info() (fs.FileInfo, error) { return e, nil }
func (e *entry) ModTime() time.Time         { return e.fs.when }
func (e *entry) String() string             { return fs.FormatDirEntry(e) }

// Size is looked up when it is asked for: listing a directory stays cheap.
func (e *entry) Size() int64 {
	if !e.readable() {
		return 0
	}
	n, err := e.fs.objects.size(e.hash)
	if err != nil {
		return 0
	}
	return n
}

// Sys returns the schema.BlobID of a file's content; nil for what has none.
func (e *entry) Sys() any {
	if !e.readable() {
		return nil
	}
	return schema.BlobID(e.hash.String())
}

// readable says whether the entry has content in this repository.
func (e *entry) readable() bool { return e.mode.IsRegular() || e.mode.Type() == fs.ModeSymlink }

// modes translates git's. What is missing there is irregular.
var modes = map[filemode.FileMode]fs.FileMode{
	filemode.Regular:    0o444,
	filemode.Deprecated: 0o444,
	filemode.Executable: 0o555,
	filemode.Dir:        fs.ModeDir | 0o555,
	filemode.Symlink:    fs.ModeSymlink | 0o777,
}

// dir returns the entries of a tree by name, and remembers them.
func (t *treeFS) dir(h plumbing.Hash) (map[string]*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, ok := t.dirs[h]; ok {
		return d, nil
	}
	list, ok := t.made[h]
	if !ok {
		var err error
		if list, err = t.objects.tree(h); err != nil {
			return nil, err
		}
	}
	d := make(map[string]*entry, len(list))
	for _, e := range list {
		mode := fs.ModeIrregular
		if m, ok := modes[e.Mode]; ok {
			mode = m
		}
		name, ok := fileName(e.Name)
		if _, twice := d[name]; twice {
			name, ok = strconv.QuoteToASCII(name), false
		}
		if !ok {
			mode = fs.ModeIrregular
		}
		d[name] = &entry{t, name, mode, e.Hash}
	}
	t.dirs[h] = d
	return d, nil
}

// fileName returns the name of a tree's entry, quoted if it cannot be a file's.
func fileName(name string) (_ string, ok bool) {
	if name == "." || name == ".." || strings.Contains(name, "/") || !utf8.ValidString(name) {
		return strconv.QuoteToASCII(strings.ReplaceAll(name, "/", "\\")), false
	}
	return name, true
}

// find walks from the root to name.
func (t *treeFS) find(op, name string) (*entry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	at := &entry{t, ".", fs.ModeDir | 0o555, t.root}
	if name == "." {
		return at, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if !at.IsDir() {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		d, err := t.dir(at.hash)
		if err != nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: err}
		}
		next, ok := d[part]
		if !ok {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		at = next
	}
	return at, nil
}

// Open opens a file or directory. A link or an irregular entry opens, so that
// it can be looked at, but has nothing to read.
func (t *treeFS) Open(name string) (fs.File, error) {
	e, err := t.find("open", name)
	switch {
	case err != nil:
		return nil, err
	case e.IsDir():
		list, err := t.list("open", name, e)
		return &openDir{e, list}, err
	case !e.mode.IsRegular():
		return irregular{e}, nil
	}
	data, err := t.content("open", name, e)
	if err != nil {
		return nil, err
	}
	return &openFile{bytes.NewReader(data), e}, nil
}

// ReadFile returns a file's content.
func (t *treeFS) ReadFile(name string) ([]byte, error) {
	e, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	if !e.mode.IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errNotAFile}
	}
	return t.content("read", name, e)
}

// ReadDir lists a directory, sorted by name.
func (t *treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	return t.list("readdir", name, e)
}

// Stat describes what is at name; like Lstat it does not follow links.
func (t *treeFS) Stat(name string) (fs.FileInfo, error) { return t.Lstat(name) }

// Lstat describes what is at name.
func (t *treeFS) Lstat(name string) (fs.FileInfo, error) {
	e, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// ReadLink returns where a symbolic link points.
func (t *treeFS) ReadLink(name string) (string, error) {
	e, err := t.find("readlink", name)
	if err != nil {
		return "", err
	}
	if e.mode.Type() != fs.ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	data, err := t.content("readlink", name, e)
	return string(data), err
}

var errNotAFile = errors.New("not a regular file")

func (t *treeFS) content(op, name string, e *entry) ([]byte, error) {
	data, err := t.objects.blob(e.hash)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return data, nil
}

func (t *treeFS) list(op, name string, e *entry) ([]fs.DirEntry, error) {
	if !e.IsDir() {
		return nil, &fs.PathError{Op: op, Path: name, Err: errors.New("not a directory")}
	}
	d, err := t.dir(e.hash)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	list := make([]fs.DirEntry, 0, len(d))
	for _, e := range d {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// openFile is an open regular file.
type openFile struct {
	*bytes.Reader
	info *entry
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

// openDir is an open directory.
type openDir struct {
	info *entry
	rest []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errNotAFile}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.rest)
	} else if len(d.rest) == 0 {
		return nil, io.EOF
	}
	out := d.rest[:min(n, len(d.rest))]
	d.rest = d.rest[len(out):]
	return slices.Clone(out), nil
}

// irregular is an open link or submodule.
type irregular struct{ info *entry }

func (f irregular) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f irregular) Close() error               { return nil }
func (f irregular) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: path.Base(f.info.name), Err: errNotAFile}
}
