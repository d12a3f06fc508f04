package git

import (
	"bufio"
	"cmp"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// maxPacks is how many packs the store holds before small ones are merged:
// opening a store reads the index of each.
const maxPacks = 32

// addPack puts a pack into the store, whole or not at all; with most above 0, as
// that of a pull request, which may have so many bytes. Nothing is synced: a
// pack that a power cut leaves half-written is found when it is read, and can be
// fetched again.
func (s *store) addPack(r io.Reader, most int64) error {
	// go-git would make the folder anew, with nothing else in it.
	if _, err := os.Stat(filepath.Join(s.dir, "objects", "pack")); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	s.mu.Lock()
	w, err := s.db.PackfileWriter()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if most > 0 {
		err = copyGuarded(w, r, most)
	} else {
		_, err = io.Copy(w, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Close renames the pack into place and makes it known to readers. It also
	// ends the reader behind a pack that was cut, which then fails.
	if err = cmp.Or(err, w.Close()); err != nil {
		s.sweep()
		return fmt.Errorf("pack: %w", err)
	}
	return nil
}

// writePack writes objects as a pack, each of them whole: no deltas, so the
// cost is that of the objects and the memory that of the largest.
func writePack(w io.Writer, from *objects, hashes []plumbing.Hash) error {
	sum := sha1.New()
	out := io.MultiWriter(w, sum)
	header := binary.BigEndian.AppendUint32([]byte("PACK"), packfile.VersionSupported)
	header = binary.BigEndian.AppendUint32(header, uint32(len(hashes)))
	if _, err := out.Write(header); err != nil {
		return err
	}
	z := zlib.NewWriter(out)
	for _, h := range hashes {
		obj, err := from.read(plumbing.AnyObject, h)
		if err != nil {
			return err
		}
		data, err := content(obj)
		if err != nil {
			return err
		}
		if _, err := out.Write(packHeader(obj.Type(), len(data))); err != nil {
			return err
		}
		z.Reset(out)
		if _, err := z.Write(data); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
	}
	_, err := w.Write(sum.Sum(nil))
	return err
}

// packHeader is the type and the size of an object, as gitformat-pack says:
// four bits of the size beside the type, then seven in each byte.
func packHeader(t plumbing.ObjectType, size int) []byte {
	b := []byte{byte(t)<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		b[len(b)-1] |= 0x80
		b = append(b, byte(size&0x7f))
	}
	return b
}

// pipePack writes objects that are on this machine into the store, as addPack
// does.
func (s *store) pipePack(from *objects, hashes []plumbing.Hash, most int64) error {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := bufio.NewWriterSize(w, 64<<10)
		w.CloseWithError(cmp.Or(writePack(b, from, hashes), b.Flush()))
	}()
	err := s.addPack(r, most)
	r.CloseWithError(err) // frees the writer when the store gave up before it
	<-done
	return err
}

// packFile is a pack on disk.
type packFile struct {
	path string // without extension
	size int64  // bytes
}

// packFiles returns the store's packs, smallest first.
func (s *store) packFiles() ([]packFile, error) {
	dir := filepath.Join(s.dir, "objects", "pack")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var packs []packFile
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".pack")
		if !ok {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		packs = append(packs, packFile{filepath.Join(dir, name), info.Size()})
	}
	slices.SortFunc(packs, func(a, b packFile) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.path, b.path))
	})
	return packs, nil
}

// hashes returns the objects of a pack.
func (p packFile) hashes() ([]plumbing.Hash, error) {
	f, err := os.Open(p.path + ".idx")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	index := idxfile.NewMemoryIndex()
	if err := idxfile.NewDecoder(f).Decode(index); err != nil {
		return nil, err
	}
	entries, err := index.Entries()
	if err != nil {
		return nil, err
	}
	var out []plumbing.Hash
	for {
		e, err := entries.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, e.Hash)
	}
}

// compact merges the small packs when there are too many, so that each object
// is written again about as often as the store doubles. The merged pack is in
// place before the old ones go.
func (s *store) compact() error {
	packs, err := s.packFiles()
	if err != nil || len(packs) <= maxPacks {
		return err
	}
	n, sum := 2, packs[0].size+packs[1].size
	for n < len(packs) && packs[n].size <= sum {
		sum += packs[n].size
		n++
	}
	var hashes []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	for _, p := range packs[:n] {
		of, err := p.hashes()
		if err != nil {
			return err
		}
		for _, h := range of {
			if !seen[h] {
				seen[h] = true
				hashes = append(hashes, h)
			}
		}
	}
	if err := s.pipePack(s.objects, hashes, 0); err != nil {
		return err
	}
	if now, err := s.packFiles(); err != nil || len(now) == len(packs) { // one of them had all of it
		return err
	}
	for _, p := range packs[:n] {
		if err := errors.Join(os.Remove(p.path+".pack"), os.Remove(p.path+".idx")); err != nil {
			return err
		}
	}
	s.reopen()
	return nil
}
