package awsapi

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/schema"
)

// Format is a form in which objects of App Mesh are held.
type Format string

// The formats.
const (
	// FormatAuto tells them apart by their content.
	FormatAuto Format = "auto"
	// FormatAPI is what `aws appmesh describe-…` prints, and what its
	// create-… take as --cli-input-json.
	FormatAPI Format = "api"
	// FormatCloudFormation is a template, in YAML or JSON.
	FormatCloudFormation Format = "cloudformation"
	// FormatTerraform is what `terraform show -json` prints, or a state file.
	FormatTerraform Format = "terraform"
)

// Options of an import. The zero value is of use.
type Options struct {
	// Format of all files; empty: auto.
	Format Format
	// Namespace of the documents; empty: the name of their mesh. It must be a
	// Kubernetes name, and goes with one mesh only.
	Namespace string
	// Parameters of CloudFormation templates. Any expression that a template
	// leaves open may be given by its name: a parameter, AWS::Region, the name
	// of an export, Resource.Attribute.
	Parameters map[string]string
}

// File is one input.
type File struct {
	Name string // for the notes and comments
	Data []byte
	// Named says that somebody asked for this very file: that it holds nothing
	// to import is then an error, and otherwise counted.
	Named bool
}

// Document is one file of the spec repository.
type Document struct {
	Path     string     `json:"path"` // relative, with slashes
	Resource schema.Ref `json:"resource"`
	AWSName  string     `json:"awsName,omitempty"`
	From     string     `json:"from,omitempty"` // the file that it was read from
	Data     []byte     `json:"-"`
}

// Result of an import.
type Result struct {
	Documents  []Document `json:"documents"` // sorted by path
	Notes      []Note     `json:"notes"`     // sorted by file, resource and path
	Objects    int        `json:"objects"`   // read; routes are not documents of their own
	PassedOver int        `json:"passedOver"`
}

// Errors is how many of the notes are errors.
func (r *Result) Errors() int {
	n := 0
	for _, note := range r.Notes {
		if note.Severity == schema.Error {
			n++
		}
	}
	return n
}

// Import reads objects of App Mesh and returns a spec repository that holds
// them. It fails only for options that do not go with what was read, and when
// the context ends.
func Import(ctx context.Context, files []File, o Options) (*Result, error) {
	im := &importer{options: o, byIdentity: map[identity]*object{}}
	for _, f := range files {
		im.read(f)
	}
	im.templates(im.stacks)
	im.checkListed()
	r := &Result{Objects: len(im.objects), PassedOver: im.passedOver}
	w, err := newWriter(im)
	if err != nil {
		return nil, err
	}
	if r.Documents, err = w.write(); err != nil {
		return nil, err
	}
	if err := im.load(ctx, r.Documents, w.written); err != nil {
		return nil, err
	}
	r.Notes = sorted(im.notes)
	return r, nil
}

// importer collects what the files hold.
type importer struct {
	options    Options
	objects    []*object // in the order of reading
	byIdentity map[identity]*object
	stacks     []*template
	listed     []listed
	notes      []Note
	passedOver int
}

// listed is an object of which a list names no more than the name.
type listed struct {
	identity
	file string
}

// read takes in one file.
func (im *importer) read(f File) {
	fail := func(what, fix string) {
		im.notes = append(im.notes, Note{schema.Error, f.Name, "", "", what, fix})
	}
	ours := f.Named || mentions(f.Data)
	if path.Ext(f.Name) == ".tf" {
		if ours {
			fail("Terraform's own language is not read", "give what it stands for: terraform show -json > state.json")
		} else {
			im.passedOver++
		}
		return
	}
	all, err := values(f.Data)
	if err != nil {
		if ours {
			fail("it cannot be read: "+err.Error(), "give JSON or YAML")
		} else {
			im.passedOver++
		}
		return
	}
	found, manifests := false, false
	for _, n := range all {
		found = im.take(f.Name, n) || found
		manifests = manifests || strings.HasPrefix(textOf(get(n, "apiVersion")), "appmesh.k8s.aws/")
	}
	switch {
	case found:
	case !f.Named:
		im.passedOver++
	case manifests:
		fail("its manifests need no import", "put them into the spec repository as they are")
	default:
		fail("it holds no object of App Mesh", "give what aws appmesh describe-…, aws cloudformation get-template or terraform show -json prints")
	}
}

// mentions reports whether a file is likely to be about App Mesh.
func mentions(data []byte) bool {
	return slices.ContainsFunc([]string{"AWS::AppMesh::", "aws_appmesh_", ":appmesh:"}, func(s string) bool { return bytes.Contains(data, []byte(s)) })
}

// take takes in one value, and reports whether it holds something of ours.
func (im *importer) take(file string, n *yaml.Node) bool {
	may := func(f Format) bool {
		return im.options.Format == "" || im.options.Format == FormatAuto || im.options.Format == f
	}
	if may(FormatCloudFormation) {
		if t := templateOf(file, n); t != nil {
			im.stacks = append(im.stacks, t)
			return true
		}
	}
	if may(FormatTerraform) {
		if root := terraformOf(n); root != nil {
			im.modules(file, root)
			im.unknown(file, n)
			return true
		}
	}
	return may(FormatAPI) && im.answer(file, n)
}

// checkListed reports what a list names and nothing describes.
func (im *importer) checkListed() {
	for _, l := range im.listed {
		if im.byIdentity[l.identity] == nil {
			im.notes = append(im.notes, Note{schema.Error, l.file, string(l.kind.name) + "/" + l.name, "", "a list holds no more than its name", "import the output of " + l.describe() + " too"})
		}
	}
}
