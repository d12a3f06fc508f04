package schema

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// linker joins the documents of a tree into a spec. It lives for one load; the
// documents outlive it, and so do the resources of earlier specs: one that now
// belongs to another mesh or gateway is replaced, never changed.
type linker struct {
	documents, foreign int
	opaque             bool      // CUE was left out of which nobody knows what it defines
	parts              []*parsed // in their order
	docs               []*document
	namespaces         []namespace
	broken             []string        // texts that could not be read
	words              map[string]bool // of those texts
	settings           *Settings
	diags              Diagnostics
	members            membership

	was   *linked           // what it goes on from
	fresh []*document       // that was has not
	gone  map[Ref]bool      // of what it has, and the tree has not as it was
	byRef map[Ref]*document // the first document of each, of those that are fresh
	moved bool              // a resource that a spec holds was replaced
	hints map[Ref]string    // for what is not there
	spec  *Spec
	tcp   map[*VirtualService][]uint32 // see tcpPorts, tcpIn, portsOf
	tcpOf map[string][]*VirtualService
	ports map[*VirtualService][]PortMapping
}

// linked is what became of a tree without mistakes.
type linked struct {
	parts   []*parsed
	members membership
	spec    *Spec
	found   findings
}

// add takes in what a file holds.
func (t *linker) add(p *parsed) {
	t.parts = append(t.parts, p)
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
//
// It goes on from what was linked before (nil: from nothing), as long as there
// is no mistake: only what has changed since, and what that concerns, is linked
// and held to the rules. What mistakes are told, and in which words, depends on
// the whole tree; then nothing that was is of use.
func (t *linker) link(was *linked) (*linked, Diagnostics) {
	t.join()
	if was != nil && len(t.diags.Errors()) == 0 && !t.opaque && t.members.places(&was.members) {
		attempt := *t
		attempt.diags = slices.Clip(t.diags)
		if is, diags := attempt.linkAfter(was); len(diags.Errors()) == 0 {
			return is, diags
		}
	}
	return t.linkAfter(&linked{spec: NewSpec()})
}

func (t *linker) linkAfter(was *linked) (*linked, Diagnostics) {
	t.was, t.hints = was, map[Ref]string{}
	t.tcp, t.tcpOf, t.ports = map[*VirtualService][]uint32{}, map[string][]*VirtualService{}, map[*VirtualService][]PortMapping{}
	t.compare()
	t.once()
	t.settle()
	var put []Resource
	var routes []*document // they need the gateways
	for _, d := range t.fresh {
		switch {
		case d.res == nil:
		case d.ref.Kind == KindGatewayRoute:
			routes = append(routes, d)
		default:
			put = append(put, t.placed(d, t.meshOf(d), Key{}))
		}
	}
	for _, d := range routes {
		mesh := t.meshOf(d)
		put = append(put, t.placed(d, mesh, t.gatewayOf(d, mesh)))
	}
	var drop []Ref
	for ref := range t.gone {
		if t.byRef[ref] == nil {
			drop = append(drop, ref)
		}
	}
	spec, changed := was.spec.derive(put, drop)
	t.spec = spec
	t.spec.Settings = t.settings
	t.resolve(changed)
	found := t.check(changed)
	for _, of := range found.of {
		t.diags = append(t.diags, of...)
	}
	for _, together := range found.together {
		t.diags = append(t.diags, together...)
	}
	return &linked{t.parts, t.members, t.spec, found}, t.diags.Sorted()
}

// compare finds out which documents are fresh, and which are gone.
func (t *linker) compare() {
	stay := make(map[*parsed]bool, len(t.was.parts))
	for _, p := range t.was.parts {
		stay[p] = false
	}
	t.fresh, t.gone = nil, map[Ref]bool{}
	for _, p := range t.parts {
		if _, known := stay[p]; known {
			stay[p] = true
		} else {
			t.fresh = append(t.fresh, p.docs...)
		}
	}
	left := map[*document]bool{} // of parts that are not there as they were
	for _, p := range t.was.parts {
		if !stay[p] {
			for _, d := range p.docs {
				left[d] = true
			}
		}
	}
	t.fresh = slices.DeleteFunc(t.fresh, func(d *document) bool {
		same := left[d]
		delete(left, d)
		return same
	})
	for d := range left {
		t.gone[d.ref] = true
	}
}

// find returns the first document of a ref, nil if there is none.
func (t *linker) find(ref Ref) *document {
	if d := t.byRef[ref]; d != nil {
		return d
	}
	if r := t.was.spec.Find(ref); r != nil && !t.gone[ref] {
		return r.meta().doc
	}
	return nil
}

// once keeps the first document of each kind, namespace and name, and reports
// the others.
func (t *linker) once() {
	t.byRef = make(map[Ref]*document, len(t.fresh))
	again := map[*document]bool{}
	for _, d := range t.fresh {
		if first := t.find(d.ref); first != nil && d.ref.Name != "" {
			t.report(d, CodeDuplicate, "metadata.name", "", "it is defined already", "keep one, or rename one")
			t.diags[len(t.diags)-1].Also = first.root().pos
			again[d] = true
			continue
		}
		t.byRef[d.ref] = d
	}
	if len(again) > 0 {
		drop := func(d *document) bool { return again[d] }
		t.docs, t.fresh = slices.DeleteFunc(slices.Clone(t.docs), drop), slices.DeleteFunc(t.fresh, drop)
	}
}

// placed returns the document's resource as one of a mesh and, if it is a
// route, of a gateway.
func (t *linker) placed(d *document, mesh string, gateway Key) Resource {
	m := d.res.meta()
	route, isRoute := d.res.(*GatewayRoute)
	if m.Digest != "" && m.Mesh == mesh && (!isRoute || route.Gateway == gateway) {
		return d.res
	}
	if m.Digest != "" { // a spec holds it
		t.moved = true
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
	_, pos := d.root().at(at)
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
