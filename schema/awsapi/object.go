package awsapi

import (
	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/schema"
)

// identity is how App Mesh tells objects apart.
type identity struct {
	kind               *kind  // one of kinds
	mesh, parent, name string // parent: the router of a route, the gateway of a gateway route
}

// object is one object of the API, in the API's own spelling whatever the
// dialect it was read from.
type object struct {
	identity
	spec   *yaml.Node // nil: none
	owner  string     // of the mesh, where that is another account
	file   string
	origin string // where in the file: an ARN, a logical ID, an address
}

// label names an object in a note.
func (o *object) label() string { return string(o.kind.name) + "/" + o.name }

// object takes in one object. frame holds its name, its mesh, what it belongs
// to and its spec, in the dialect that c reads; origin is where it stands in
// the file, and name what it is called if the frame does not say.
func (im *importer) object(k *kind, frame *yaml.Node, c conformer, file, origin, name string) {
	o := &object{identity: identity{kind: k}, file: file, origin: origin}
	own, parent := plain(k.field()), plain(k.parentField())
	texts := map[string]string{}
	c.report = func(severity schema.Severity, path, what, fix string) {
		im.notes = append(im.notes, Note{severity, file, string(k.name) + "/" + name, path, what, fix})
	}
	for key, value := range fieldsOf(frame) { // the name first, since notes say it
		if p := plain(key); p == own || p == "name" {
			if named := textOf(c.evaluate(value, k.field())); named != "" {
				name = named
			}
		}
	}
	api := model.find(k.key)
	for key, value := range fieldsOf(frame) {
		switch p := plain(key); p {
		case own, "name":
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
		c.report(schema.Error, o.kind.field(), "it has no name, and is left out", "write "+o.kind.field())
		return
	case o.mesh == "":
		c.report(schema.Error, "meshName", "it names no mesh, and is left out", "write meshName")
		return
	case o.kind.parent != "" && o.parent == "":
		c.report(schema.Error, o.kind.parentField(), "it names no "+o.kind.above().words()+", and is left out", "write "+o.kind.parentField())
		return
	case status == "DELETED":
		c.report(schema.Warning, "status.status", "App Mesh had deleted it, and it is left out", "import an answer from before, if you want it back")
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
