package git

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// packs is the database of our own store: only packs, each opened once. go-git's
// storage would read every index again after each fetch, which costs more than
// the fetch.
type packs struct {
	dir   string // objects/pack
	disk  billy.Filesystem
	cache cache.Object
	open  map[string]*pack // by path without extension; nil: to be looked at
}

type pack struct {
	path  string // without extension
	size  int64  // bytes
	index *idxfile.MemoryIndex
	file  *packfile.Packfile
}

func newPacks(dir string) *packs {
	return &packs{dir: dir, disk: osfs.New(dir), cache: cache.NewObjectLRU(cacheSize)}
}

// rescan opens the packs that have come and closes those that have gone.
func (p *packs) rescan() error {
	files, err := os.ReadDir(p.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	gone := maps.Clone(p.open)
	if p.open == nil {
		p.open = map[string]*pack{}
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".pack")
		path := filepath.Join(p.dir, name)
		if !ok || gone[path] != nil {
			delete(gone, path)
			continue
		}
		if p.open[path], err = p.openPack(path); err != nil {
			p.Close()
			return fmt.Errorf("pack %s: %w", name, err)
		}
	}
	for path, old := range gone {
		old.file.Close()
		delete(p.open, path)
	}
	return nil
}

func (p *packs) openPack(path string) (*pack, error) {
	f, err := os.Open(path + ".idx")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	index := idxfile.NewMemoryIndex()
	if err := idxfile.NewDecoder(bufio.NewReader(f)).Decode(index); err != nil {
		return nil, err
	}
	if name := filepath.Base(path); name != "pack-"+plumbing.Hash(index.PackfileChecksum).String() {
		return nil, errors.New("its index is another one's")
	}
	file, err := p.disk.Open(filepath.Base(path) + ".pack")
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path + ".pack")
	if err != nil {
		file.Close()
		return nil, err
	}
	return &pack{path, info.Size(), index, packfile.NewPackfileWithCache(index, p.disk, file, p.cache, 0)}, nil
}

// Close gives up the open files and all that is remembered of them.
func (p *packs) Close() error {
	for _, old := range p.open {
		if old != nil {
			old.file.Close()
		}
	}
	p.open = nil
	p.cache.Clear()
	return nil
}

// sizes returns the packs, smallest first.
func (p *packs) sizes() []*pack {
	return slices.SortedFunc(maps.Values(p.open), func(a, b *pack) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.path, b.path))
	})
}

// find returns the pack that has an object, and where.
func (p *packs) find(h plumbing.Hash) (*pack, int64, error) {
	if p.open == nil {
		if err := p.rescan(); err != nil {
			return nil, 0, err
		}
	}
	for _, pack := range p.open {
		if at, err := pack.index.FindOffset(h); err == nil {
			return pack, at, nil
		}
	}
	return nil, 0, plumbing.ErrObjectNotFound
}

func (p *packs) HasEncodedObject(h plumbing.Hash) error {
	_, _, err := p.find(h)
	return err
}

func (p *packs) EncodedObjectSize(h plumbing.Hash) (int64, error) {
	pack, at, err := p.find(h)
	if err != nil {
		return 0, err
	}
	if obj, ok := p.cache.Get(h); ok {
		return obj.Size(), nil
	}
	return pack.file.GetSizeByOffset(at)
}

func (p *packs) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	pack, at, err := p.find(h)
	if err != nil {
		return nil, err
	}
	obj, err := pack.file.GetByOffset(at)
	if err == nil && t != plumbing.AnyObject && t != obj.Type() {
		return nil, plumbing.ErrObjectNotFound
	}
	return obj, err
}
