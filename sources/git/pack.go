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
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// maxPacks is how many packs the store holds before small ones are merged:
// opening a store reads the index of each.
const maxPacks = 32

// addPack puts a pack into the store, whole or not at all, and returns its path
// without an extension. Nothing is synced: a pack that a power cut leaves
// half-written is found when it is read, and can be fetched again.
func (s *store) addPack(r io.Reader) (path string, err error) {
	dir := filepath.Join(s.dir, "objects", "pack")
	pack, err := os.CreateTemp(dir, "tmp_pack_")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", errBroken, err)
	}
	if err != nil {
		return "", err
	}
	defer func() {
		pack.Close()
		os.Remove(pack.Name()) // no longer there when all went well
	}()
	if _, err := io.Copy(pack, r); err != nil {
		return "", err
	}
	index, err := indexPack(pack)
	if err != nil {
		return "", fmt.Errorf("pack: %w", err)
	}
	if n, _ := index.Count(); n == 0 {
		return "", nil
	}
	idx, err := os.CreateTemp(dir, "tmp_idx_")
	if err != nil {
		return "", err
	}
	defer func() {
		idx.Close()
		os.Remove(idx.Name())
	}()
	w := bufio.NewWriter(idx)
	if _, err := idxfile.NewEncoder(w).Encode(index); err != nil {
		return "", err
	}
	if err := errors.Join(w.Flush(), idx.Close(), pack.Close()); err != nil {
		return "", err
	}
	// The pack comes last: packs are found by their .pack file.
	path = filepath.Join(dir, "pack-"+plumbing.Hash(index.PackfileChecksum).String())
	if err := errors.Join(os.Rename(idx.Name(), path+".idx"), os.Rename(pack.Name(), path+".pack")); err != nil {
		return "", err
	}
	return path, s.reopen()
}

// indexPack reads a pack through, checks its checksum, and says where each
// object is.
func indexPack(pack *os.File) (*idxfile.MemoryIndex, error) {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	w := new(idxfile.Writer)
	p, err := packfile.NewParser(packfile.NewScanner(pack), w)
	if err != nil {
		return nil, err
	}
	if _, err := p.Parse(); err != nil {
		return nil, err
	}
	return w.Index()
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

// pipePack writes objects of another repository on this machine into the store.
func (s *store) pipePack(from *objects, hashes []plumbing.Hash) (path string, err error) {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := bufio.NewWriterSize(w, 64<<10)
		w.CloseWithError(cmp.Or(writePack(b, from, hashes), b.Flush()))
	}()
	path, err = s.addPack(r)
	r.CloseWithError(err) // frees the writer when the store gave up before it
	<-done
	return path, err
}

// compact merges the small packs when there are too many, so that each object
// is written again about as often as the store doubles. The merged pack is in
// place before the old ones go.
func (s *store) compact() error {
	packs := s.packs.sizes()
	if len(packs) <= maxPacks {
		return nil
	}
	n, sum := 2, packs[0].size+packs[1].size
	for n < len(packs) && packs[n].size <= sum {
		sum += packs[n].size
		n++
	}
	var hashes []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	for _, p := range packs[:n] {
		entries, err := p.index.Entries()
		if err != nil {
			return err
		}
		for e, err := entries.Next(); err != io.EOF; e, err = entries.Next() {
			if err != nil {
				return err
			}
			if !seen[e.Hash] {
				seen[e.Hash] = true
				hashes = append(hashes, e.Hash)
			}
		}
	}
	merged, err := s.pipePack(s.objects, hashes)
	if err != nil {
		return err
	}
	for _, p := range packs[:n] {
		if p.path == merged { // the others were part of it
			continue
		}
		if err := errors.Join(os.Remove(p.path+".pack"), os.Remove(p.path+".idx")); err != nil {
			return err
		}
	}
	return s.reopen()
}
