package schema

import (
	"reflect"
	"strings"
	"unicode"
)

// linker joins the documents of a tree into a spec. It lives for one load; the
// documents outlive it, and so do the resources of earlier specs: one that now
// belongs to another mesh or gateway is replaced, never changed.
type linker struct {
	documents, foreign int
	opaque             bool // CUE was left out of which nobody knows what it defines
	docs               []*document
	namespaces         []namespace
	broken             []string        // texts that could not be read
	words              map[string]bool // of those texts
	settings           *Settings
	diags              Diagnostics

	byRef   map[Ref]*document // the first document of each
	members membership
	hints   map[Ref]string
	spec    *Spec
}

// add takes in what a file holds.
func (t *linker) add(p *parsed) {
	t.docs = append(t.docs, p.docs...)
	t.namespaces = append(t.namespaces, p.namespaces...)
	t.documents += len(p.docs)
	t.foreign += p.foreign
	t.diags = append(t.diags, p.diags...)
	if p.settings != nil {
		t.settings = p.settings
	}
	if p.broken != "" {
		t.broken = append(t.broken, p.broken)
	}
}

// link makes the spec of all documents that have no mistakes of their own, and
// holds it to the rules across documents. The spec is good if the diagnostics
// hold no error.
func (t *linker) link() (*Spec, Diagnostics) {
	t.spec, t.byRef, t.hints = NewSpec(), make(map[Ref]*document, len(t.docs)), map[Ref]string{}
	t.spec.Settings = t.settings
	t.once()
	t.join()
	var routes []*document // they need the gateways
	for _, d := range t.docs {
		switch {
		case d.res == nil:
		case d.ref.Kind == KindGatewayRoute:
			routes = append(routes, d)
		default:
			t.spec.put(d.placed(t.meshOf(d), Key{}))
		}
	}
	for _, d := range routes {
		mesh := t.meshOf(d)
		t.spec.put(d.placed(mesh, t.gatewayOf(d, mesh)))
	}
	t.spec.link()
	t.resolve()
	t.checkTree()
	return t.spec, t.diags.Sorted()
}

// once keeps the first document of each kind, namespace and name, and reports
// the others.
func (t *linker) once() {
	docs := t.docs[:0:0]
	for _, d := range t.docs {
		if first := t.byRef[d.ref]; first != nil && d.ref.Name != "" {
			t.report(d, CodeDuplicate, "metadata.name", "", "it is defined already", "keep one, or rename one")
			t.diags[len(t.diags)-1].Also = first.root.pos
			continue
		}
		t.byRef[d.ref] = d
		docs = append(docs, d)
	}
	t.docs = docs
}

// placed returns the document's resource as one of a mesh and, if it is a
// route, of a gateway.
func (d *document) placed(mesh string, gateway Key) Resource {
	m := d.res.meta()
	route, isRoute := d.res.(*GatewayRoute)
	if m.Digest != "" && m.Mesh == mesh && (!isRoute || route.Gateway == gateway) {
		return d.res
	}
	if m.Digest != "" { // a spec holds it
		was := reflect.ValueOf(d.res).Elem()
		is := reflect.New(was.Type())
		is.Elem().Set(was)
		d.res = is.Interface().(Resource)
		m = d.res.meta()
		route, isRoute = d.res.(*GatewayRoute)
	}
	m.Mesh = mesh
	if isRoute {
		route.Gateway = gateway
	}
	m.Digest = digest(d.res, d.content)
	return d.res
}

// report adds an error about a document: at is the path of what to point at,
// path the one to name.
func (t *linker) report(d *document, code Code, at, path, what, fix string) {
	_, pos := d.root.at(at)
	t.diags = append(t.diags, Diagnostic{Code: code, Severity: Error, Pos: pos, Resource: d.ref, Path: path, What: what, Fix: fix})
}

// mayDefine reports whether something of this name, or of this kind, may be
// defined where nobody could read it: then that it is missing is no finding.
func (t *linker) mayDefine(name string) bool {
	if t.words == nil {
		t.words = map[string]bool{}
		for _, text := range t.broken {
			t.opaque = t.opaque || strings.Contains(text, "{{") // a template's names are not known
			for word := range strings.FieldsFuncSeq(text, func(r rune) bool {
				return r != '-' && r != '.' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
			}) {
				t.words[word] = true
			}
		}
	}
	return t.opaque || t.words[name]
}
