package git

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/meshwright/meshwright/sources"
)

// maxFile is the largest file that is read (bytes). A spec is text that people
// write; the limit keeps one blob of a pull request from filling the memory.
const maxFile = 32 << 20

// cacheSize is how many bytes of objects are kept in memory: enough for the
// bases of deltas; what is read twice is remembered by the loader.
const cacheSize = 16 * cache.MiByte

var errTooLarge = errors.New("larger than 32 MiB")

// objects reads the objects of one repository. It is safe for concurrent use,
// which go-git's storage is not: each access holds mu and takes the whole object
// out, for large objects are read from the pack only when somebody reads them.
type objects struct {
	mu sync.Mutex
	db *filesystem.Storage
}

// openStorage opens the git directory of any repository.
func openStorage(fs billy.Filesystem) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(fs, cache.NewObjectLRU(cacheSize), filesystem.Options{
		KeepDescriptors: true,          // a file per pack, instead of one opened per object
		AlternatesFS:    osfs.New("/"), // of a repository that borrows objects from another
	})
}

// close gives up the open files.
func (o *objects) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.db.Close()
}

// has says whether the object is here, without reading it.
func (o *objects) has(h plumbing.Hash) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.db.HasEncodedObject(h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return false, nil
	}
	return err == nil, err
}

// size returns the bytes of an object's content.
func (o *objects) size(h plumbing.Hash) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.db.EncodedObjectSize(h)
}

// read returns an object whole, and only if its content has the hash h.
func (o *objects) read(t plumbing.ObjectType, h plumbing.Hash) (*plumbing.MemoryObject, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	obj, err := o.db.EncodedObject(t, h)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", h, err)
	}
	data, err := content(obj)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", h, err)
	}
	whole := &plumbing.MemoryObject{}
	whole.SetType(obj.Type())
	whole.Write(data)
	if whole.Hash() != h {
		return nil, fmt.Errorf("object %s: its content is damaged", h)
	}
	return whole, nil
}

func content(obj plumbing.EncodedObject) (data []byte, err error) {
	r, err := obj.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data = make([]byte, obj.Size())
	_, err = io.ReadFull(r, data)
	return data, err
}

// blob returns the content of a file of at most maxFile bytes.
func (o *objects) blob(h plumbing.Hash) ([]byte, error) {
	if n, err := o.size(h); err != nil {
		return nil, fmt.Errorf("object %s: %w", h, err)
	} else if n > maxFile {
		return nil, fmt.Errorf("object %s: %w", h, errTooLarge)
	}
	obj, err := o.read(plumbing.BlobObject, h)
	if err != nil {
		return nil, err
	}
	return content(obj)
}

func (o *objects) commit(h plumbing.Hash) (*object.Commit, error) {
	obj, err := o.read(plumbing.CommitObject, h)
	if err != nil {
		return nil, err
	}
	c := new(object.Commit)
	if err := c.Decode(obj); err != nil {
		return nil, fmt.Errorf("commit %s: %w", h, err)
	}
	return c, nil
}

func (o *objects) tree(h plumbing.Hash) ([]object.TreeEntry, error) {
	obj, err := o.read(plumbing.TreeObject, h)
	if err != nil {
		return nil, err
	}
	t := new(object.Tree)
	if err := t.Decode(obj); err != nil {
		return nil, fmt.Errorf("tree %s: %w", h, err)
	}
	return t.Entries, nil
}

// subtree finds the tree at a slash-separated path ("" = root) below a tree.
func (o *objects) subtree(root plumbing.Hash, path string) (h plumbing.Hash, ok bool, err error) {
	h = root
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		entries, err := o.tree(h)
		if err != nil {
			return h, false, err
		}
		e := find(entries, name)
		if e == nil || e.Mode != filemode.Dir {
			return h, false, nil
		}
		h = e.Hash
	}
	return h, true, nil
}

func find(entries []object.TreeEntry, name string) *object.TreeEntry {
	for i := range entries {
		if entries[i].Name == name {
			return &entries[i]
		}
	}
	return nil
}

// maxDepth is how deep folders may be nested: walks of a tree recurse.
const maxDepth = 1000

// verify reads every object that tree reaches, except those that known, a
// tree verified before, reaches at the same place: the cost follows the change.
func (o *objects) verify(tree, known plumbing.Hash) error {
	return o.files(tree, known, func(file plumbing.Hash) error {
		_, err := o.blob(file)
		if errors.Is(err, errTooLarge) {
			err = nil // it is there; whoever opens it hears of its size
		}
		return err
	}, nil)
}

// files visits the files that tree reaches, and known does not at the same place.
// A folder that is missing is an error, unless there is somebody to hear of it.
func (o *objects) files(tree, known plumbing.Hash, visit, missing func(plumbing.Hash) error) error {
	w := fileWalk{o, visit, missing, map[plumbing.Hash]int{}}
	_, err := w.tree(tree, known, 0)
	return err
}

// fileWalk is a walk through folders, which may name each other many times over.
type fileWalk struct {
	*objects
	visit   func(plumbing.Hash) error
	missing func(plumbing.Hash) error
	heights map[plumbing.Hash]int // of trees that were walked: how many are nested in them
}

// tree walks a tree that is depth folders deep, and returns its height.
func (w *fileWalk) tree(tree, known plumbing.Hash, depth int) (height int, err error) {
	if tree == known {
		return 0, nil // no deeper than it was
	}
	height, seen := w.heights[tree]
	if depth+height > maxDepth {
		return 0, &sources.Permanent{Err: fmt.Errorf("folders are nested more than %d deep; make them flatter", maxDepth)}
	}
	if seen {
		return height, nil
	}
	entries, err := w.objects.tree(tree)
	if w.missing != nil && errors.Is(err, plumbing.ErrObjectNotFound) {
		w.heights[tree] = 0
		return 0, w.missing(tree)
	}
	if err != nil {
		return 0, err
	}
	before := map[string]plumbing.Hash{}
	if !known.IsZero() {
		old, err := w.objects.tree(known)
		if err != nil {
			return 0, err
		}
		for _, e := range old {
			before[e.Name] = e.Hash
		}
	}
	for _, e := range entries {
		old := before[e.Name]
		switch {
		case e.Mode == filemode.Submodule: // a commit of another repository
		case old == e.Hash:
		case e.Mode == filemode.Dir:
			if ok, _ := w.isTree(old); !ok {
				old = plumbing.ZeroHash
			}
			var below int
			below, err = w.tree(e.Hash, old, depth+1)
			height = max(height, below+1)
		default:
			err = w.visit(e.Hash)
		}
		if err != nil {
			return 0, err
		}
	}
	w.heights[tree] = height
	return height, nil
}

// isTree says whether h, which may be zero, is a tree here.
func (o *objects) isTree(h plumbing.Hash) (bool, error) {
	if h.IsZero() {
		return false, nil
	}
	_, err := o.read(plumbing.TreeObject, h)
	return err == nil, err
}
