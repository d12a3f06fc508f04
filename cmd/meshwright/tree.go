package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/schema/cueeval"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// tree is the spec that an offline command works on: a directory, a file, or
// the same place at a revision of the git repository that holds it.
type tree struct {
	Path string `arg:"" optional:"" default:"." help:"Directory (or file) of the specs."`
	Git  string `help:"Read the specs from this revision of the repository around PATH, not from the work tree." placeholder:"REV"`

	Certificates certificates `placeholder:"FILE" help:"Certificate settings, as the daemon has them: what stands for ARNs of AWS Certificate Manager. No certificate is read."`
}

// open returns the files, and what to put before their names so that people
// can open them from where they are.
func (t tree) open() (files fs.FS, prefix string, err error) {
	if t.Git != "" {
		rev, dir, err := t.revision()
		if err != nil {
			return nil, "", err
		}
		return rev.Files, dir, nil
	}
	info, err := os.Stat(t.Path)
	if err != nil {
		return nil, "", fmt.Errorf("no specs at %s; name a directory", t.Path)
	}
	if info.IsDir() {
		return os.DirFS(t.Path), filepath.ToSlash(filepath.Clean(t.Path)), nil
	}
	if ext := filepath.Ext(t.Path); !slices.Contains(schema.Extensions(), ext) {
		return nil, "", fmt.Errorf("%s is no spec file; those end in %s", t.Path, strings.Join(schema.Extensions(), ", "))
	}
	data, err := os.ReadFile(t.Path)
	if err != nil {
		return nil, "", err
	}
	one := fstest.MapFS{filepath.Base(t.Path): {Data: data}}
	return one, filepath.ToSlash(filepath.Dir(t.Path)), nil
}

// revision opens the tree at its revision, were it a file; [sources.ErrNoPath]
// when that has neither.
func (t tree) revision() (rev *sources.Revision, dir string, err error) {
	rev, dir, err = git.OpenLocal(t.Path, t.Git)
	if !errors.Is(err, sources.ErrNoPath) || !slices.Contains(schema.Extensions(), filepath.Ext(t.Path)) {
		return rev, dir, err
	}
	around, dir, none := git.OpenLocal(filepath.Dir(t.Path), t.Git)
	if none != nil {
		return nil, "", err
	}
	data, none := fs.ReadFile(around.Files, filepath.Base(t.Path))
	if none != nil {
		return nil, "", err
	}
	around.Files = fstest.MapFS{filepath.Base(t.Path): {Data: data}}
	return around, dir, nil
}

// load loads and validates the tree; diagnostics name files as open says.
func (t tree) load(ctx context.Context) (*schema.Result, error) {
	files, prefix, err := t.open()
	if err != nil {
		return nil, err
	}
	r, err := newLoad(t.Certificates.Mapping())(ctx, files)
	if err != nil {
		return nil, err
	}
	for i := range r.Diagnostics {
		r.Diagnostics[i] = r.Diagnostics[i].Within(prefix)
	}
	return r, nil
}

// spec loads the tree for a command that needs it whole: mistakes are printed,
// errors end the command.
func (t tree) spec(ctx context.Context, c console) (*schema.Spec, error) {
	r, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(c.err, r.Diagnostics.Errors())
	if r.Spec == nil {
		return nil, errFailed
	}
	return r.Spec, nil
}

// newLoad returns what every command and the daemon load specs with: the rules
// of the schema, and those of what the translator cannot do: what it accepts can
// be given to every proxy. The mapping says which certificates have a source.
func newLoad(mapping *xds.Mapping) reconciler.Load { return newKeptLoad(mapping, nil) }

// newKeptLoad is newLoad with what was validated before; nil: nothing.
func newKeptLoad(mapping *xds.Mapping, kept *validated) reconciler.Load {
	loader := newLoader()
	if kept != nil {
		kept.restore(loader)
	}
	var verified *schema.Spec
	return func(ctx context.Context, files fs.FS) (*schema.Result, error) {
		r, err := loader.Load(ctx, files)
		if err != nil || r.Spec == nil {
			return r, err
		}
		r.Diagnostics = slices.Concat(r.Diagnostics, translate.Unsupported(r.Spec, mapping), translate.Verify(ctx, r.Spec, verified)).Sorted()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(r.Diagnostics.Errors()) > 0 {
			r.Spec = nil
			return r, nil
		}
		verified = r.Spec
		if kept != nil {
			kept.offer(loader)
		}
		return r, nil
	}
}

// newLoader returns a loader that evaluates CUE in a bounded child process:
// this program again, as eval-cue.
func newLoader() *schema.Loader {
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	return schema.NewLoader(schema.Config{Eval: &cueeval.Child{Exe: exe, Args: []string{"eval-cue"}}})
}

// evalCUECmd is the child's side of newLoader.
type evalCUECmd struct{}

func (evalCUECmd) Run(c console) error { return cueeval.Serve(c.in, c.out) }
