package schema

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// cueTree is the CUE files of a repository, and how they make packages. It
// knows package clauses and imports only; files are parsed whole where they
// are evaluated.
type cueTree struct {
	files   []*cueFile // by path
	folders map[string][]*cueFile
	modules map[string]string // module paths by the folder that holds cue.mod
}

type cueFile struct {
	path    string
	id      BlobID
	text    []byte
	pkg     string // empty: the file stands alone
	imports []string
}

// module reports whether the file names a module.
func (f *cueFile) module() bool {
	return f.path == "cue.mod/module.cue" || strings.HasSuffix(f.path, "/cue.mod/module.cue")
}

// cueName says which package: that of a name in a folder, or one file, as the
// settings are even with a package clause: they see nothing but their imports.
type cueName struct{ Dir, Pkg, File string }

// cuePackage is a package to evaluate.
type cuePackage struct {
	cueName
	files []*cueFile // its own, those of outer folders too
	all   []*cueFile // and those that it imports, or would
	key   string     // hash of everything that its value depends on
}

// maxNesting of brackets. The scanner of CUE recurses into those of attributes
// without bound, and it runs in this process.
const maxNesting = 500

func newCUETree(files []*file) *cueTree {
	t := &cueTree{folders: map[string][]*cueFile{}, modules: map[string]string{}}
	for _, f := range files {
		if f.header == nil { // else it is remembered with the file
			f.header = newCUEFile(f)
		}
		c := f.header
		if c.module() {
			t.modules[path.Dir(path.Dir(f.path))] = moduleOf(f.text)
		}
		t.files = append(t.files, c)
		t.folders[path.Dir(f.path)] = append(t.folders[path.Dir(f.path)], c)
	}
	return t
}

func newCUEFile(f *file) *cueFile {
	c := &cueFile{path: f.path, id: f.id, text: f.text}
	if tooDeep(f.path, string(f.text)) != (Pos{}) {
		return c // a mistake, reported by the evaluation
	}
	// So are mistakes of syntax: the evaluation parses all.
	if syntax, _ := parser.ParseFile(f.path, f.text, parser.ImportsOnly); syntax != nil {
		c.pkg = packageOf(syntax)
		for spec := range syntax.ImportSpecs() {
			c.imports = append(c.imports, importOf(spec))
		}
	}
	return c
}

// packages lists the packages of the tree, those that others import first.
func (t *cueTree) packages() []*cuePackage {
	var out []*cuePackage
	seen := map[cueName]bool{}
	for _, f := range t.files {
		name := cueName{Dir: path.Dir(f.path), Pkg: f.pkg}
		if f.pkg == "" || isSettings(f.path) {
			name.File = f.path
		}
		if passedOver(f.path) || seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, t.lookup(name))
	}
	slices.SortFunc(out, func(a, b *cuePackage) int {
		return cmp.Or(cmp.Compare(len(a.all), len(b.all)), strings.Compare(a.files[0].path, b.files[0].path))
	})
	return out
}

// passedOver says which files are in no package of the tree: what CUE itself
// does not read, and what is there to be imported only.
func passedOver(p string) bool {
	if strings.HasSuffix(p, "_tool.cue") || strings.HasSuffix(p, "_test.cue") {
		return true
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "cue.mod" || strings.HasPrefix(part, "_") {
			return true
		}
	}
	return false
}

func (t *cueTree) lookup(name cueName) *cuePackage {
	p := &cuePackage{cueName: name, files: t.own(name)}
	p.all = t.closure(p.files)
	parts := [][]byte{[]byte(name.Dir), []byte(name.Pkg)}
	for _, f := range p.all {
		parts = append(parts, []byte("\x00"+f.path+"\x00"+string(f.id)))
	}
	for dir, module := range t.modules {
		if within(dir, name.Dir) {
			parts = append(parts, []byte(module))
		}
	}
	slices.SortFunc(parts[2:], slices.Compare)
	p.key = hash(parts...)
	return p
}

// own returns the files of a package: those of its name in its folder and,
// within a module, in the folders around it.
func (t *cueTree) own(name cueName) []*cueFile {
	var out []*cueFile
	root, inModule := t.root(name.Dir)
	for dir := name.Dir; ; dir = path.Dir(dir) {
		found := false
		for _, f := range t.folders[dir] {
			base := path.Base(f.path)
			if name.File != f.path && (name.File != "" || isSettings(f.path)) || f.pkg != name.Pkg || strings.HasPrefix(base, "_") ||
				strings.HasSuffix(base, "_tool.cue") || strings.HasSuffix(base, "_test.cue") {
				continue
			}
			out = append(out, f)
			found = true
		}
		if !found && len(out) == 0 || name.File != "" || !inModule || dir == root || dir == "." ||
			path.Base(path.Dir(dir)) == "cue.mod" {
			return out
		}
	}
}

// closure returns the files and what they import, directly or not.
func (t *cueTree) closure(files []*cueFile) []*cueFile {
	all := slices.Clone(files)
	seen := map[*cueFile]bool{}
	for _, f := range files {
		seen[f] = true
	}
	for i := 0; i < len(all); i++ {
		for _, imp := range all[i].imports {
			for _, name := range t.resolve(path.Dir(all[i].path), imp) {
				for _, f := range t.own(name) {
					if !seen[f] {
						seen[f] = true
						all = append(all, f)
					}
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b *cueFile) int { return strings.Compare(a.path, b.path) })
	return all
}

// reads reports whether the package uses all files of another one.
func (p *cuePackage) reads(other *cuePackage) bool {
	return !slices.ContainsFunc(other.files, func(f *cueFile) bool { return !slices.Contains(p.all, f) })
}

// root returns the folder of the module that holds a folder.
func (t *cueTree) root(dir string) (root string, ok bool) {
	for {
		if _, ok := t.modules[dir]; ok {
			return dir, true
		}
		if dir == "." {
			return ".", false
		}
		dir = path.Dir(dir)
	}
}

// resolve says which packages of the tree an import may mean: one of its
// module, or up to three (which are unified) of those that lie in cue.mod.
func (t *cueTree) resolve(from, imp string) []cueName {
	p := ast.ParseImportPath(imp)
	root, _ := t.root(from)
	if module := t.modules[root]; module != "" && within(module, p.Path) {
		dir := path.Join(root, strings.TrimPrefix(p.Path, module))
		pkg := p.Qualifier
		if p.Path == module && !p.ExplicitQualifier {
			pkg = path.Base(module)
		}
		return []cueName{{Dir: dir, Pkg: pkg}}
	}
	if strings.HasPrefix(p.Path, ".") || path.Clean("/"+p.Path) != "/"+p.Path {
		return nil
	}
	var out []cueName
	for _, kind := range []string{"gen", "pkg", "usr"} {
		out = append(out, cueName{Dir: path.Join(root, "cue.mod", kind, p.Path), Pkg: p.Qualifier})
	}
	return out
}

// within reports whether a path is another one or below it.
func within(outer, p string) bool {
	return outer == "." || p == outer || strings.HasPrefix(p, outer+"/")
}

func packageOf(f *ast.File) string {
	if name := f.PackageName(); name != "_" {
		return name
	}
	return ""
}

func importOf(spec *ast.ImportSpec) string {
	return strings.Trim(spec.Path.Value, `"`+"`")
}

// moduleOf reads the module path, without its major version, from a module.cue.
func moduleOf(text []byte) string {
	const most = 64 << 10
	if len(text) > most || tooDeep("", string(text)) != (Pos{}) {
		return ""
	}
	f, err := parser.ParseFile("module.cue", text)
	if err != nil {
		return ""
	}
	for _, d := range f.Decls {
		field, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		name, _, _ := ast.LabelName(field.Label)
		if lit, ok := field.Value.(*ast.BasicLit); ok && name == "module" {
			module, _, _ := strings.Cut(strings.Trim(lit.Value, `"`), "@")
			return module
		}
	}
	return ""
}

// tooDeep returns the place where brackets are nested deeper than anybody
// means to. It does not know strings from code: nobody writes hundreds of
// brackets that never close into those either.
func tooDeep(path, text string) Pos {
	line, start, depth := 1, 0, 0
	for i := range len(text) {
		switch text[i] {
		case '\n':
			line, start = line+1, i+1
		case '(', '[', '{':
			if depth++; depth > maxNesting {
				return Pos{path, line, i - start + 1}
			}
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return Pos{}
}
