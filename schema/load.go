package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

// BlobID is the git hash of a file's content. A file system whose
// FileInfo.Sys() is a BlobID lets the loader know unchanged files without
// reading them.
type BlobID string

// Limits of a tree, so that a hostile one costs seconds and no more.
const (
	maxFileBytes = 4 << 20   // of one file
	maxTreeBytes = 128 << 20 // of all files
	maxFiles     = 50_000
	maxEntries   = 500_000 // files and folders of any sort: folders may name one another many times over
)

// Config of a [Loader].
type Config struct {
	// Eval evaluates the user's CUE. nil: CUE files are evaluated in this
	// process, without bounds on time and memory (tests only).
	Eval Evaluator
}

// Loader loads specs and remembers validated files, so that loading the next
// commit costs the files that changed. It is not safe for concurrent use.
type Loader struct {
	cfg   Config
	files map[string]*file // of the last load, by path
	cue   evaluation       // of the last load
	last  *linked          // of the last tree without mistakes; nil: none, or it is of no use

	kept   map[string]*keptFile // of another process, by path, until the first load is done
	unkept atomic.Bool          // something was validated since
}

// NewLoader returns a loader that remembers nothing yet.
func NewLoader(cfg Config) *Loader {
	if cfg.Eval == nil {
		cfg.Eval = InProcess{}
	}
	return &Loader{cfg: cfg}
}

// Result of a load.
type Result struct {
	Spec        *Spec // nil when Diagnostics has errors
	Diagnostics Diagnostics
	Files       int // spec files read
	Documents   int // resources in them
	Foreign     int // documents passed over: other API groups
}

// file is one file of the tree.
type file struct {
	path   string
	id     BlobID   // of its content
	text   []byte   // of CUE only
	header *cueFile // of CUE only
	parsed *parsed  // of YAML and JSON only
}

// Load loads every spec file below the root of fsys. Mistakes in the files are
// diagnostics; an error means that the files could not be read (or ctx ended).
func (l *Loader) Load(ctx context.Context, fsys fs.FS) (*Result, error) {
	found, refused, err := list(ctx, fsys)
	if err != nil {
		return nil, err
	}
	if err := l.read(ctx, fsys, found); err != nil {
		return nil, err
	}
	var t linker
	t.add(refused)
	var cue []*file
	res := &Result{}
	for _, f := range found {
		if f.parsed != nil {
			t.add(f.parsed)
		}
		if f.text != nil {
			cue = append(cue, f)
		}
		if f.specFile() {
			res.Files++
		}
	}
	evaluated, err := l.evaluate(ctx, cue)
	if err != nil {
		return nil, err
	}
	t.add(evaluated)
	t.opaque = t.opaque || l.cue.opaque
	if t.settings != nil {
		t.diags = append(t.diags, t.settings.unmatched(found)...)
	}

	l.files = make(map[string]*file, len(found))
	for _, f := range found {
		l.files[f.path] = f
	}
	l.kept = nil
	res.Documents, res.Foreign = t.documents, t.foreign
	is, diags := t.link(l.last)
	res.Diagnostics = diags
	switch bad := len(diags.Errors()) > 0; {
	case !bad:
		res.Spec, l.last = is.spec, is
	case t.moved:
		l.last = nil
	}
	return res, ctx.Err()
}

// specFile reports whether the file itself may hold resources; others are what
// CUE files import, and the settings.
func (f *file) specFile() bool {
	return !strings.Contains("/"+f.path, "/cue.mod/") && !isSettings(f.path)
}

// newParsed is what a file holds before anything of it was read.
func newParsed(path string) *parsed {
	if isSettings(path) {
		return &parsed{settings: &Settings{}}
	}
	return &parsed{}
}

// extensions are those of spec files.
var extensions = []string{".cue", ".yaml", ".yml", ".json"}

// Extensions returns how the names of spec files end.
func Extensions() []string { return slices.Clone(extensions) }

// list finds the spec files of a tree, sorted by path, and refuses what cannot
// be one.
func list(ctx context.Context, fsys fs.FS) (found []*file, refused *parsed, err error) {
	refused = &parsed{}
	settings, entries := "", 0
	refuse := func(p, what, fix string) { refused.report(CodeFile, Pos{p, 1, 1}, what, fix) }
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("list %s: %w", p, err)
		}
		if entries++; entries > maxEntries {
			refuse(".", fmt.Sprintf("there are more than %d files and folders", maxEntries), "name the folder that holds the specs")
			return fs.SkipAll
		}
		name := d.Name()
		isSpec := slices.Contains(extensions, path.Ext(name))
		module := strings.Contains("/"+p, "/cue.mod/")
		switch {
		case p == ".":
		case strings.HasPrefix(name, "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir():
			if _, err := fs.Stat(fsys, path.Join(p, ".git")); err == nil {
				refuse(p, "this is another repository, and its files are not read", "copy them into this one")
				return fs.SkipDir
			}
		case module && path.Ext(name) != ".cue":
		case d.Type() == fs.ModeIrregular:
			refuse(p, "this is a submodule, and its files are not read", "copy them into this repository")
		case d.Type() == fs.ModeSymlink && (isSpec || path.Ext(name) == ""):
			refuse(p, "this is a symbolic link, and those are not followed", "put the file itself there")
		case !isSpec && slices.Contains(extensions, strings.ToLower(path.Ext(name))):
			refused.warn(Pos{p, 1, 1}, "this file is not read, since its name ends in capitals", "rename it to end in "+strings.ToLower(path.Ext(name)))
		case !isSpec:
		case !d.Type().IsRegular():
			refuse(p, "this is no regular file", "remove it")
		case len(found) == maxFiles:
			refuse(p, fmt.Sprintf("there are more than %d spec files", maxFiles), "name the folder that holds the specs")
			return fs.SkipAll
		case isSettings(p) && settings != "":
			refuse(p, "the repository's settings are in "+settings+" already", "keep one of the two")
		default:
			if isSettings(p) {
				settings = p
			}
			found = append(found, &file{path: p})
		}
		return ctx.Err()
	})
	if err == nil && len(found) == 0 && len(refused.diags) == 0 {
		refused.warn(Pos{File: "."}, "there are no spec files here (*"+strings.Join(extensions, ", *")+")", "name the folder that holds the specs; templates are to be rendered first")
	}
	slices.SortFunc(found, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	return found, refused, err
}

// read fills in the files, several at a time; those that did not change since
// the last load are not even opened.
func (l *Loader) read(ctx context.Context, fsys fs.FS, files []*file) error {
	var total atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(files) || ctx.Err() != nil {
					return ctx.Err()
				}
				if err := l.readFile(fsys, files[i], &total); err != nil {
					return fmt.Errorf("read %s: %w", files[i].path, err)
				}
			}
		})
	}
	return g.Wait()
}

func (l *Loader) readFile(fsys fs.FS, f *file, total *atomic.Int64) error {
	info, err := fs.Lstat(fsys, f.path)
	if errors.Is(err, errors.ErrUnsupported) {
		info, err = fs.Stat(fsys, f.path)
	}
	if err != nil {
		return err
	}
	id, _ := info.Sys().(BlobID)
	if l.known(f, id) {
		return nil
	}
	f.parsed = newParsed(f.path)
	refuse := func(what, fix string) error {
		f.parsed.report(CodeFile, Pos{f.path, 1, 1}, what, fix)
		return nil
	}
	if size := info.Size(); size > maxFileBytes {
		return refuse(fmt.Sprintf("%d bytes are more than a spec file may have (%d)", size, maxFileBytes), "split it")
	} else if total.Add(size) > maxTreeBytes {
		return refuse(fmt.Sprintf("the spec files are larger than %d bytes together", maxTreeBytes), "name the folder that holds the specs")
	}
	data, err := fs.ReadFile(fsys, f.path)
	if err != nil {
		return err
	}
	if id == "" {
		id = BlobID(hash(data))
		if l.known(f, id) {
			return nil
		}
	}
	f.id = id
	text := string(data)
	switch at := validUTF8(f.path, text); {
	case strings.HasPrefix(text, "version https://git-lfs.github.com/spec/"):
		return refuse("this is a pointer of Git LFS, and what it points to is not in the repository", "put the file itself there (git lfs untrack)")
	case at != Pos{}:
		f.parsed.report(CodeSyntax, at, "the file is not UTF-8", "save it as UTF-8")
	case path.Ext(f.path) == ".cue":
		f.text, f.parsed = data, nil
	default:
		if k := l.kept[f.path]; k != nil && k.ID == f.id && f.parsed.settings == nil && f.parsed.restore(k, f.path, text) {
			break
		}
		if f.parsed.read(f.path, text); len(f.parsed.diags) == 0 && f.parsed.settings == nil {
			f.parsed.letGo(f.path, text)
			l.unkept.Store(true)
		}
	}
	return nil
}

// known takes over what is remembered of a file, if its content is still that.
func (l *Loader) known(f *file, id BlobID) bool {
	old := l.files[f.path]
	if old == nil || id == "" || old.id != id {
		return false
	}
	*f = *old
	return true
}

// validUTF8 returns the place of the first byte that is not UTF-8.
func validUTF8(path, text string) Pos {
	if utf8.ValidString(text) {
		return Pos{}
	}
	pos := Pos{path, 1, 1}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				break
			}
		}
		if r == '\n' {
			pos.Line++
			pos.Col = 0
		}
		pos.Col++
	}
	return pos
}
