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
			im.notes = append(im.notes, Note{schema.Error, l.file, string(l.kind) + "/" + l.name, "", "a list holds no more than its name", "import the output of " + kindNamed(string(l.kind)).describe(l.identity) + " too"})
		}
	}
}

// object takes in one object. frame holds its name, its mesh, what it belongs
// to and its spec, in the dialect that c reads; origin is where it stands in
// the file, and name what it is called if the frame does not say.
func (im *importer) object(k *kind, frame *yaml.Node, c conformer, file, origin, name string) {
	o := &object{identity: identity{kind: k.name}, kind: k, file: file, origin: origin}
	parent := ""
	if k.parent != "" {
		parent = plain(kindNamed(string(k.parent)).key + "Name")
	}
	texts := map[string]string{}
	c.report = func(severity schema.Severity, path, what, fix string) {
		im.notes = append(im.notes, Note{severity, file, string(k.name) + "/" + name, path, what, fix})
	}
	for key, value := range fieldsOf(frame) { // the name first, since notes say it
		if p := plain(key); p == plain(k.key+"Name") || p == "name" {
			if named := textOf(c.evaluate(value, k.key+"Name")); named != "" {
				name = named
			}
		}
	}
	api := model.find(k.key)
	for key, value := range fieldsOf(frame) {
		switch p := plain(key); p {
		case plain(k.key + "Name"), "name":
		case "spec":
			o.spec = c.value(value, api.find("spec"), "spec")
		case "metadata", "status":
			for field, value := range fieldsOf(c.value(value, api.find(p), p)) {
				texts[plain(field)] = textOf(value)
			}
		case "tags":
			if tags := c.evaluate(value, "tags"); !isNull(tags) && len(tags.Content) > 0 {
				c.report(schema.Warning, "tags", "tags of AWS have no place in a document, and are left out", "write metadata.labels if you select by them")
			}
		case parent, "meshname", "meshowner", "resourceowner", "arn":
			texts[p] = textOf(c.evaluate(value, key))
		case "id", "uid", "createddate", "lastupdateddate", "tagsall", "region", "clienttoken":
		default:
			if !isNull(value) {
				c.report(schema.Warning, key, "App Mesh's API has no such field, and it is left out", "if it says something, write it into spec")
			}
		}
	}
	o.name, o.mesh, o.parent = name, texts["meshname"], texts[parent]
	if k.name == schema.KindMesh {
		o.mesh = o.name
	}
	if o.origin == "" {
		o.origin = texts["arn"]
	}
	if owner := texts["meshowner"]; owner != texts["resourceowner"] {
		o.owner = owner
	}
	im.add(o, texts["status"], c)
}

// add keeps an object, if it is whole, alive and new.
func (im *importer) add(o *object, status string, c conformer) {
	switch {
	case o.name == "":
		c.report(schema.Error, o.kind.key+"Name", "it has no name, and is left out", "write "+o.kind.key+"Name")
		return
	case o.mesh == "":
		c.report(schema.Error, "meshName", "it names no mesh, and is left out", "write meshName")
		return
	case o.kind.parent != "" && o.parent == "":
		parent := kindNamed(string(o.kind.parent))
		c.report(schema.Error, parent.key+"Name", "it names no "+parent.words()+", and is left out", "write "+parent.key+"Name")
		return
	case status == "DELETED":
		c.report(schema.Warning, "status.status", "App Mesh had deleted it, and it is left out", "describe it anew if it is there again")
		return
	case status == "INACTIVE":
		c.report(schema.Warning, "status.status", "it was not active in App Mesh", "see whether it should be")
	}
	if other := im.byIdentity[o.identity]; other != nil {
		if !equal(other.spec, o.spec) {
			c.report(schema.Error, "", other.source()+" describes it otherwise, and is taken", "keep one of the two")
		}
		return
	}
	im.byIdentity[o.identity] = o
	im.objects = append(im.objects, o)
}
