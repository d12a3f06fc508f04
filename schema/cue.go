package schema

import (
	"bytes"
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"
)

// Evaluator runs [EvaluateCUE] where a hostile file can do no harm.
type Evaluator interface {
	// Evaluate returns what EvaluateCUE answers to a request. If it was
	// stopped, the error is a [Stopped] and the answer is what was ready until
	// then; any other error is no fault of the files.
	Evaluate(ctx context.Context, request []byte) (answer []byte, err error)
}

// Stopped is why an evaluation was ended before it was done, in words for the
// author of the files: "it takes more than 10s".
type Stopped string

func (s Stopped) Error() string { return string(s) }

// InProcess evaluates in this process, without bounds on time and memory.
type InProcess struct{}

// Evaluate implements [Evaluator].
func (InProcess) Evaluate(_ context.Context, request []byte) ([]byte, error) {
	var out bytes.Buffer
	err := EvaluateCUE(bytes.NewReader(request), &out)
	return out.Bytes(), err
}

// The codes of mistakes in the user's CUE.
const (
	// CodeCUE: CUE does not evaluate: a conflict, a cycle, a value that is not
	// concrete, a reference to nothing.
	CodeCUE Code = "MW0010"
	// CodeImport: an import that is not in the repository.
	CodeImport Code = "MW0011"
	// CodeStopped: an evaluation that takes too much time or memory.
	CodeStopped Code = "MW0012"
	// CodeUnseen: a value that is not complete, so that resources in it, if
	// any, are not seen.
	CodeUnseen Code = "MW0013"
)

// cueCodes documents the codes above.
var cueCodes = []CodeDoc{
	{CodeCUE, "CUE does not evaluate: a conflict, a cycle, a reference to nothing, a value that is not concrete"},
	{CodeImport, "a CUE package is imported that is not in the repository"},
	{CodeStopped, "the evaluation of a CUE package takes too much time or memory"},
	{CodeUnseen, "a CUE value is not complete, so resources in it are not seen (a warning)"},
}

// maxStops is how many evaluations of one load may be stopped. Each costs
// seconds; the packages left after the last are refused unseen.
const maxStops = 3

// evaluation is what the loader remembers of the user's CUE.
type evaluation struct {
	packages map[string]*parsed // by key (cueTree.key)
	opaque   bool               // resources may be hidden by mistakes
}

// evaluate returns what the CUE packages of the tree hold. Only packages of
// which something changed are evaluated, those that others import first.
func (l *Loader) evaluate(ctx context.Context, files []*file) (*parsed, error) {
	tree := newCUETree(files)
	packages := tree.packages()
	results := map[*cuePackage]*parsed{}
	next := evaluation{packages: map[string]*parsed{}}
	var todo []*cuePackage
	for _, p := range packages {
		if known := l.cue.packages[p.key]; known != nil {
			results[p], next.packages[p.key] = known, known
		} else {
			todo = append(todo, p)
		}
	}
	for stops := 0; len(todo) > 0; {
		answer, err := l.cfg.Eval.Evaluate(ctx, tree.request(todo))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		stopped := Stopped("the evaluator broke down")
		if err != nil && !errors.As(err, &stopped) {
			return nil, fmt.Errorf("evaluate CUE: %w", err)
		}
		answered := tree.read(answer, todo)
		for i, p := range answered {
			results[todo[i]], next.packages[todo[i].key] = p, p
		}
		if todo = todo[len(answered):]; len(todo) == 0 {
			break
		}
		// The first without an answer is the one that does not end. Nothing is
		// remembered of it: the machine may have been busy.
		culprit := todo[0]
		results[culprit] = culprit.refuse("CUE is not evaluated: "+string(stopped), "make it smaller")
		todo = slices.DeleteFunc(todo, func(p *cuePackage) bool { return p.reads(culprit) })
		if stops++; stops == maxStops {
			for _, p := range todo {
				results[p] = p.refuse("CUE is not evaluated, since the evaluation of others was stopped", "mend those first")
			}
			break
		}
	}
	all := merge(packages, results)
	next.opaque = slices.ContainsFunc(all.diags, func(d Diagnostic) bool { return d.Severity == Error && d.Code.hides() })
	l.cue = next
	return all, nil
}

// hides reports whether a mistake of CUE may hide resources.
func (c Code) hides() bool {
	return slices.ContainsFunc(cueCodes, func(d CodeDoc) bool { return d.Code == c }) || c == CodeSyntax
}

// merge joins what packages hold. Packages of one name in nested folders share
// the files of the outer ones, so a resource may be seen several times.
func merge(packages []*cuePackage, results map[*cuePackage]*parsed) *parsed {
	type resource struct {
		pkg     string
		ref     Ref
		content string
	}
	seen := map[resource]bool{}
	all := &parsed{}
	for _, p := range packages {
		one := results[p]
		if one == nil {
			continue // it imports one that was stopped
		}
		for _, d := range one.docs {
			r := resource{p.Pkg, d.ref, d.content}
			if p.Pkg == "" || !seen[r] {
				all.take(d)
			}
			seen[r] = true
		}
		all.namespaces = append(all.namespaces, one.namespaces...)
		all.foreign += one.foreign
		all.diags = append(all.diags, one.diags...)
		all.broken += one.broken
		all.settings = cmp.Or(all.settings, one.settings)
	}
	return all
}

// refuse is what becomes of a package that cannot be evaluated.
func (p *cuePackage) refuse(what, fix string) *parsed {
	out := &parsed{}
	out.report(CodeStopped, Pos{p.files[0].path, 1, 1}, what, fix)
	return out
}

// cueRequest asks for the evaluation of packages of a tree.
type cueRequest struct {
	Files    []cueText
	Packages []cueName
}

type cueText struct {
	Path string
	Text []byte
}

// needed are the files that the values of packages depend on, by path.
func (t *cueTree) needed(packages []*cuePackage) []*cueFile {
	in := map[*cueFile]bool{}
	for _, p := range packages {
		for _, f := range p.all {
			in[f] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(t.files), func(f *cueFile) bool { return !in[f] && !f.module() })
}

// request encodes packages and what they need.
func (t *cueTree) request(packages []*cuePackage) []byte {
	var r cueRequest
	size := 1 << 12
	for _, f := range t.needed(packages) {
		r.Files = append(r.Files, cueText{f.path, f.text})
		size += len(f.path) + len(f.text) + 16
	}
	for _, p := range packages {
		r.Packages = append(r.Packages, p.cueName)
	}
	var out bytes.Buffer
	out.Grow(size)
	if err := gob.NewEncoder(&out).Encode(r); err != nil {
		panic("schema: " + err.Error()) // plain structs: cannot happen
	}
	return out.Bytes()
}

// read decodes the answers to a request, as many as there are whole.
func (t *cueTree) read(answer []byte, packages []*cuePackage) []*parsed {
	files := t.needed(packages)
	var out []*parsed
	for d := gob.NewDecoder(bytes.NewReader(answer)); len(out) < len(packages); {
		var a cueAnswer
		if d.Decode(&a) != nil {
			break // cut short, or its end
		}
		p := newParsed(packages[len(out)].File)
		p.diags = a.Diagnostics
		for rest := a.Values; len(rest) > 0; {
			var n *node
			n, rest = unflatten(files, rest)
			p.add(n)
		}
		out = append(out, p)
	}
	return out
}
