package awsapi

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing/fstest"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/schema"
)

// writer lays the objects out as a spec repository: a file for each, in a
// folder for each kind; with several meshes, those in a folder for each mesh.
type writer struct {
	im         *importer
	meshes     []string            // sorted
	namespaces map[string]string   // by mesh
	owners     map[string]string   // of meshes that are another account's
	names      map[identity]string // of the documents
	routesOf   map[identity][]*object
	written    map[string]*object // by the path of its document
}

var namespaceForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func newWriter(im *importer) (*writer, error) {
	w := &writer{im: im, owners: map[string]string{}, names: map[identity]string{}, routesOf: map[identity][]*object{}, written: map[string]*object{}}
	w.complete()
	for _, o := range im.objects {
		w.owners[o.mesh] = cmp.Or(w.owners[o.mesh], o.owner)
		if o.kind.name == kindRoute {
			router := identity{kind: o.kind.above(), mesh: o.mesh, name: o.parent}
			w.routesOf[router] = append(w.routesOf[router], o)
		}
	}
	w.meshes = slices.Sorted(maps.Keys(w.owners))
	for _, routes := range w.routesOf {
		slices.SortFunc(routes, func(a, b *object) int { return cmp.Compare(a.name, b.name) })
	}
	meshNames := namesOf(slices.Clone(w.meshes), func(m string) string { return m }, true)
	w.namespaces = meshNames
	if ns := im.options.Namespace; ns != "" {
		if !namespaceForm.MatchString(ns) {
			return nil, fmt.Errorf("namespace %q is no name of lower-case letters, digits and -", ns)
		}
		if len(w.meshes) > 1 {
			return nil, fmt.Errorf("namespace %s is for one mesh, and there are %d (%s); each can have the namespace of its own name", ns, len(w.meshes), strings.Join(w.meshes, ", "))
		}
		w.namespaces = map[string]string{}
		for _, m := range w.meshes {
			w.namespaces[m] = ns
		}
	}
	w.name(meshNames)
	return w, nil
}

// complete adds what objects need and nothing describes: the mesh that they
// name, the router of a route.
func (w *writer) complete() {
	for _, o := range slices.Clone(w.im.objects) {
		add := func(id identity, severity schema.Severity, what, fix string) {
			if w.im.byIdentity[id] != nil {
				return
			}
			made := &object{identity: id, file: o.file, origin: "named by " + o.label()}
			w.im.byIdentity[id] = made
			w.im.objects = append(w.im.objects, made)
			w.im.notes = append(w.im.notes, Note{severity, o.file, made.label(), "", what, fix})
		}
		mesh := identity{kind: kindNamed("mesh"), mesh: o.mesh, name: o.mesh}
		add(mesh, schema.Warning, "it is named and not described, so that it is written with App Mesh's defaults",
			"import what was printed by "+mesh.describe()+", or write its egressFilter")
		if o.kind.name == kindRoute {
			router := identity{kind: o.kind.above(), mesh: o.mesh, name: o.parent}
			add(router, schema.Error, "it is named and not described, so that it is written without listeners",
				"import what was printed by "+router.describe()+", or write its listeners")
		}
	}
}

// name gives every document its name.
func (w *writer) name(meshes map[string]string) {
	type group struct {
		mesh string
		kind *kind
	}
	groups := map[group][]identity{}
	for _, o := range w.im.objects {
		g := group{o.mesh, o.kind}
		groups[g] = append(groups[g], o.identity)
	}
	for g, ids := range groups {
		switch g.kind.name {
		case kindRoute:
		case schema.KindMesh:
			w.names[ids[0]] = meshes[g.mesh]
		default:
			slices.SortFunc(ids, func(a, b identity) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.parent, b.parent)) })
			maps.Copy(w.names, namesOf(ids, func(id identity) string { return id.name }, g.kind.name == schema.KindVirtualGateway))
		}
	}
}

// write returns the documents.
func (w *writer) write() ([]Document, error) {
	var out []Document
	add := func(path string, doc *yaml.Node, d Document) error {
		var b bytes.Buffer
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		if err := e.Encode(doc); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		d.Path, d.Data = path, b.Bytes()
		out = append(out, d)
		return nil
	}
	if len(w.meshes) > 1 {
		for _, mesh := range w.meshes {
			ns := w.namespaces[mesh]
			doc := put(put(mapNode(), "apiVersion", textNode("v1")), "kind", textNode("Namespace"))
			put(doc, "metadata", put(put(mapNode(), "name", textNode(ns)), "labels", put(mapNode(), meshLabel, textNode(ns))))
			doc.HeadComment = oneLine("The namespace of mesh " + mesh + ", by which the mesh tells its own from others'.")
			if err := add(ns+"/namespace.yaml", doc, Document{Resource: schema.Ref{Kind: "Namespace", Key: schema.Key{Name: ns}}}); err != nil {
				return nil, err
			}
		}
	}
	for _, o := range w.im.objects {
		if o.kind.name == kindRoute {
			continue // its router's document has it
		}
		ref := schema.Ref{Kind: o.kind.name, Key: schema.Key{Namespace: w.namespaces[o.mesh], Name: w.names[o.identity]}}
		path := o.kind.folder + "/" + ref.Name + ".yaml"
		if o.kind.name == schema.KindMesh {
			ref.Namespace, path = "", "mesh.yaml"
		}
		if len(w.meshes) > 1 {
			path = w.namespaces[o.mesh] + "/" + path
		}
		w.written[path] = o
		if err := add(path, w.document(o), Document{Resource: ref, AWSName: o.name, From: o.file}); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Document) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// refer returns the name of the document of an object that another names. That
// it was not read, is told.
func (w *writer) refer(o *object, to identity, path string) string {
	if name, ok := w.names[to]; ok {
		return name
	}
	w.note(o, schema.Error, path, fmt.Sprintf("no %s %s was read", to.kind.words(), to.name), "import what was printed by "+to.describe()+", or drop the reference")
	return nameOf(to.name, to.kind.name == schema.KindVirtualGateway)
}

func (w *writer) note(o *object, severity schema.Severity, path, what, fix string) {
	w.im.notes = append(w.im.notes, Note{severity, o.file, o.label(), path, what, fix})
}

// load holds the documents to the schema, and notes every error. References that
// lead nowhere are told already, by the names that people know.
func (im *importer) load(ctx context.Context, docs []Document, by map[string]*object) error {
	files := fstest.MapFS{}
	for _, d := range docs {
		files[d.Path] = &fstest.MapFile{Data: d.Data}
	}
	r, err := schema.NewLoader(schema.Config{}).Load(ctx, files)
	if err != nil {
		return err
	}
	for _, d := range r.Diagnostics.Errors() {
		o := by[d.Pos.File]
		told := d.Code == schema.CodeDangling || d.Code == schema.CodeNoGateway
		switch {
		case o == nil: // of no object, such as too many files
			im.notes = append(im.notes, Note{schema.Error, d.Pos.File, "", d.Path, d.What, d.Fix})
		case !told:
			im.notes = append(im.notes, Note{schema.Error, o.file, o.label(), d.Path, d.What, d.Fix})
		}
	}
	return nil
}

// oneLine keeps a text from outside on its line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}
