package schema

import (
	"encoding/gob"
	"fmt"
	"io"
	"path"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// schemaImport is the import path of the embedded schema, which needs no
// cue.mod.
var schemaImport, _, _ = strings.Cut(modulePath, "@")

// renewal is after how many packages the evaluator is made anew, for it keeps
// all that it ever evaluated.
const renewal = 50

// EvaluateCUE is what an [Evaluator] runs: it reads a request of the loader
// and writes an answer for each package in it. It knows no file but those of
// the request: no registry, no environment, no disk is within its reach, for
// packages are put together here and not by CUE's own loader. It takes as much
// time and memory as the files demand.
func EvaluateCUE(in io.Reader, out io.Writer) error {
	var r cueRequest
	if err := gob.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	files := make([]*file, len(r.Files))
	for i, f := range r.Files {
		files[i] = &file{path: f.Path, text: f.Text}
	}
	e := newCUEEvaluation(newCUETree(files))
	enc := gob.NewEncoder(out)
	for i, name := range r.Packages {
		if i > 0 && i%renewal == 0 {
			e = newCUEEvaluation(e.tree)
		}
		if err := enc.Encode(e.evaluate(name)); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
	return nil
}

// cueEvaluation evaluates packages of one tree. Packages that several import
// are built once.
type cueEvaluation struct {
	tree   *cueTree
	index  map[string]int // files by path
	cue    *cue.Context
	build  *build.Context
	parsed map[string]*cueSyntax
	built  map[string]*cueBuild // imports, by folder and name
}

// cueSyntax is a parsed file.
type cueSyntax struct {
	*ast.File
	diags []Diagnostic
}

// cueBuild is a package that is ready to be evaluated, or why it is not.
type cueBuild struct {
	*build.Instance
	diags []Diagnostic
	busy  bool // its imports are being built
}

func newCUEEvaluation(t *cueTree) *cueEvaluation {
	e := &cueEvaluation{
		tree: t, index: map[string]int{},
		cue: cuecontext.New(), build: build.NewContext(),
		parsed: map[string]*cueSyntax{}, built: map[string]*cueBuild{},
	}
	for i, f := range t.files {
		e.index[f.path] = i
	}
	return e
}

func (e *cueEvaluation) evaluate(name cueName) cueAnswer {
	b := e.instance([]cueName{name})
	if len(b.diags) > 0 {
		return cueAnswer{Diagnostics: b.diags}
	}
	v := e.cue.BuildInstance(b.Instance)
	w := cueWalk{cueEvaluation: e, root: v, file: e.index[b.Files[0].Filename]}
	w.fold(b.ResolutionErr)
	if w.fold(v.Validate()); v.Err() != nil && !v.Exists() {
		return w.cueAnswer
	}
	if start := (flatPos{w.file, 1, 1}); isSettings(name.File) {
		w.resource(v, start)
	} else {
		w.value(v, start, 0)
	}
	return w.cueAnswer
}

// instance puts a package together: its files, and the packages it imports.
// Several names are one package that lies in several folders.
func (e *cueEvaluation) instance(names []cueName) *cueBuild {
	b := &cueBuild{busy: true}
	id := fmt.Sprint(names)
	if known := e.built[id]; known != nil {
		return known
	}
	e.built[id] = b
	defer func() { b.busy = false }()
	start := func([]string) Pos { return Pos{names[0].Dir, 0, 0} }
	imports := map[string]*build.Instance{}
	b.Instance = e.build.NewInstance(names[0].Dir, func(_ token.Pos, path string) *build.Instance { return imports[path] })
	b.PkgName, b.ImportPath = names[0].Pkg, id
	for _, name := range names {
		for _, f := range e.tree.own(name) {
			syntax := e.parse(f)
			b.diags = append(b.diags, syntax.diags...)
			if syntax.File == nil || !included(syntax.File) {
				continue
			}
			for spec := range syntax.ImportSpecs() {
				if imp, diags := e.imported(f, spec); imp != nil {
					imports[importOf(spec)] = imp
				} else {
					b.diags = append(b.diags, diags...)
				}
			}
			if err := b.AddSyntax(syntax.File); err != nil {
				b.diags = append(b.diags, e.folded(err, CodeCUE, start)...)
			}
		}
	}
	if len(b.diags) == 0 {
		if err := b.Complete(); err != nil {
			b.diags = append(b.diags, e.folded(err, CodeCUE, start)...)
		}
	}
	return b
}

// imported returns the package that a file imports; nil, without a
// diagnostic, leaves it to CUE's own library.
func (e *cueEvaluation) imported(f *cueFile, spec *ast.ImportSpec) (*build.Instance, []Diagnostic) {
	imp := importOf(spec)
	refuse := func(what, fix string) (*build.Instance, []Diagnostic) {
		return nil, []Diagnostic{{Code: CodeImport, Severity: Error, Pos: e.pos(spec.Path.Pos()), What: "import " + quote(imp) + ": " + what, Fix: fix}}
	}
	var found []cueName
	for _, name := range e.tree.resolve(path.Dir(f.path), imp) {
		if len(e.tree.own(name)) > 0 {
			found = append(found, name)
		}
	}
	host, _, _ := strings.Cut(imp, "/")
	switch {
	case len(found) > 0:
		b := e.instance(found)
		if b.busy {
			return refuse("this package imports itself, by way of others", "break the circle")
		}
		if len(b.diags) > 0 {
			return nil, b.diags
		}
		return b.Instance, nil
	case ast.ParseImportPath(imp).Path == schemaImport:
		return e.schema(), nil
	case strings.HasPrefix(imp, "."):
		return refuse("a path relative to the file names no package", "import it by the path of its module (cue.mod/module.cue)")
	case !strings.Contains(host, "."):
		return nil, nil
	}
	fix := "put its files into cue.mod/pkg/" + ast.ParseImportPath(imp).Path
	if root, _ := e.tree.root(path.Dir(f.path)); e.tree.modules[root] != "" && within(e.tree.modules[root], imp) {
		fix = "it would be a folder of this module"
	}
	return refuse("there is no such package in this repository, and nothing is fetched", fix)
}

// schema returns the embedded schema as a package.
func (e *cueEvaluation) schema() *build.Instance {
	if b := e.built[schemaImport]; b != nil {
		return b.Instance
	}
	inst := e.build.NewInstance("", nil)
	f, err := parser.ParseFile(schemaImport+"/schema.cue", schemaCUE)
	if err == nil {
		err = inst.AddSyntax(f)
	}
	if err == nil {
		err = inst.Complete()
	}
	if err != nil {
		panic("schema: " + err.Error()) // it is embedded, and tests build it
	}
	e.built[schemaImport] = &cueBuild{Instance: inst}
	return inst
}

// parse parses a file, once.
func (e *cueEvaluation) parse(f *cueFile) *cueSyntax {
	if known := e.parsed[f.path]; known != nil {
		return known
	}
	s := &cueSyntax{}
	e.parsed[f.path] = s
	if at := tooDeep(f.path, string(f.text)); at != (Pos{}) {
		s.diags = []Diagnostic{{Code: CodeSyntax, Severity: Error, Pos: at, What: fmt.Sprintf("brackets are nested more than %d deep", maxNesting), Fix: "make it flatter"}}
		return s
	}
	file, err := parser.ParseFile(f.path, f.text, parser.ParseComments)
	s.File, s.diags = file, e.folded(err, CodeSyntax, func([]string) Pos { return Pos{f.path, 1, 1} })
	for _, d := range file.Decls {
		if a, ok := d.(*ast.Attribute); ok && a.Name() == "extern" {
			s.diags = append(s.diags, Diagnostic{Code: CodeImport, Severity: Error, Pos: e.pos(a.Pos()), What: "@extern is not supported: CUE reads nothing but CUE here", Fix: "write what it embeds as a CUE file"})
		}
	}
	return s
}

// included evaluates the build conditions of a file, @if(…) and @ignore(),
// with no tag set.
func included(f *ast.File) bool {
	for _, d := range f.Decls {
		a, ok := d.(*ast.Attribute)
		if !ok {
			return true // they stand before everything else
		}
		switch name, body := a.Split(); name {
		case "ignore":
			return false
		case "if":
			if cond, err := parser.ParseExpr("", body); err == nil && !holds(cond) {
				return false
			}
		}
	}
	return true
}

// holds evaluates a build condition with no tag set.
func holds(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return holds(e.X)
	case *ast.UnaryExpr:
		return !holds(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.LOR {
			return holds(e.X) || holds(e.Y)
		}
		return holds(e.X) && holds(e.Y)
	}
	return false
}
