package schema

import (
	"context"
	"io/fs"
)

// BlobID is the git hash of a file's content. A file system whose
// FileInfo.Sys() is a BlobID lets the loader know unchanged files without
// reading them.
type BlobID string

// Config of a [Loader].
type Config struct {
	// Eval evaluates the user's CUE. nil: CUE files are evaluated in this
	// process, without bounds on time and memory (tests only).
	Eval Evaluator
}

// Evaluator evaluates the CUE files of a tree (path → content, module files
// included) hermetically and within bounds.
type Evaluator interface {
	EvalCUE(ctx context.Context, files map[string][]byte) (*Evaluated, error)
}

// Evaluated is what an [Evaluator] made of the CUE files: it crosses a process
// boundary as JSON.
type Evaluated struct{}

// Loader loads specs and remembers validated files, so that loading the next
// commit costs the files that changed. It is not safe for concurrent use.
type Loader struct{ cfg Config }

// NewLoader returns a loader that remembers nothing yet.
func NewLoader(cfg Config) *Loader { return &Loader{cfg: cfg} }

// Result of a load.
type Result struct {
	Spec        *Spec // nil when Diagnostics has errors
	Diagnostics Diagnostics
	Files       int // spec files read
	Documents   int // resources in them
	Foreign     int // documents passed over: other API groups
}

// Load loads every spec file below the root of fsys. Mistakes in the files are
// diagnostics; an error means that the files could not be read (or ctx ended).
func (l *Loader) Load(ctx context.Context, fsys fs.FS) (*Result, error) {
	panic("TODO")
}

// Op is what happened to a resource between two specs.
type Op string

// The operations of a [Change].
const (
	Added   Op = "added"
	Changed Op = "changed"
	Removed Op = "removed"
)

// Change is one resource that two specs do not share.
type Change struct {
	Ref Ref `json:"ref"`
	Op  Op  `json:"op"`
}

// Diff returns what changed from one spec to another, sorted by ref. A nil
// spec has no resources. Resources with equal digests are equal.
func Diff(from, to *Spec) []Change { panic("TODO") }
