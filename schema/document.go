package schema

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// document is one resource as it stands in a file, and what became of it.
type document struct {
	ref Ref
	uid string // its own, of what others name by it
	// res is the resource, nil when the document has mistakes. Its mesh and
	// gateway are those of the last load.
	res     Resource
	content string // hash of its labels and spec

	// What it says, with the places: see [document.root].
	node   *node   // nil: to be read again,
	source *source // from here,
	place  int     // as this one of the documents
}

// namespace is a Kubernetes Namespace: a mesh selects it by its labels.
type namespace struct {
	name   string
	labels map[string]string
	pos    Pos
}

// parsed is what one file holds. It depends on nothing but the file's path and
// content, so the loader remembers it.
type parsed struct {
	docs       []*document
	owners     []*document // of docs: what decides on where others belong
	namespaces []namespace
	foreign    int
	diags      []Diagnostic
	settings   *Settings // of the settings file only, which holds nothing else
	plain      bool      // only what documents say is wanted of them
	broken     string    // text of which nobody knows what it declares, or names of what was refused
}

// report adds a finding about the file.
func (p *parsed) report(code Code, pos Pos, what, fix string) {
	p.diags = append(p.diags, Diagnostic{Code: code, Severity: Error, Pos: pos, What: what, Fix: fix})
}

// warn adds a finding that refuses nothing.
func (p *parsed) warn(pos Pos, what, fix string) {
	p.diags = append(p.diags, Diagnostic{Code: CodeFile, Severity: Warning, Pos: pos, What: what, Fix: fix})
}

// take puts a document of ours to the others.
func (p *parsed) take(d *document) {
	p.docs = append(p.docs, d)
	if d.ref.Kind == KindMesh || d.ref.Kind == KindVirtualGateway {
		p.owners = append(p.owners, d)
	}
}

// add takes in one document: ours are validated and decoded, lists opened,
// namespaces read, all others counted.
func (p *parsed) add(n *node) {
	switch {
	case n == nil || n.kind == nullNode:
		return // an empty document
	case p.settings != nil:
		p.addSettings(n)
		return
	case n.kind == listNode && slices.ContainsFunc(n.items, isObject):
		for _, item := range n.items {
			p.add(item)
		}
		return
	case n.kind != mapNode:
		p.foreign++
		return
	}
	version, kind := n.str("apiVersion"), Kind(n.str("kind"))
	group, _, _ := strings.Cut(version, "/")
	items := n.get("items")
	switch {
	case strings.HasSuffix(string(kind), "List") && items != nil && items.kind == listNode && (version == "v1" || group == appMeshGroup || group == ourGroup):
		for _, item := range items.items {
			p.add(item)
		}
	case group == appMeshGroup || group == ourGroup:
		p.ours(n, group, version, kind)
	case version == "v1" && kind == "Namespace":
		p.namespace(n)
	default:
		p.foreign++
		p.misspelled(n, group, version, kind)
		if n.get("protect") != nil && isSettings(path.Base(n.pos.File)) {
			p.warn(n.pos, "these settings are not read", "they belong at the root of the spec path")
		}
	}
}

// isObject says whether a value looks like a Kubernetes object.
func isObject(n *node) bool { return n.str("apiVersion") != "" && n.str("kind") != "" }

// ours takes in a document of our groups.
func (p *parsed) ours(n *node, group, version string, kind Kind) {
	pos := n.get("apiVersion").pos
	ref := refOf(kind, n)
	known, row := len(p.docs), rowOf(kind)
	report := func(code Code, at Pos, path, what, fix string) {
		d := Diagnostic{Code: code, Severity: Error, Pos: at, Path: path, What: what, Fix: fix}
		if kind != "" {
			d.Resource = ref
		}
		p.diags = append(p.diags, d)
	}
	defer func() {
		if len(p.docs) == known {
			p.broken += fmt.Sprintf("\n%s %s", kind, ref.Name)
		}
	}()
	switch {
	case version == appMeshGroup+"/v1beta1":
		fix := "write it as " + appMeshVersion
		switch kind {
		case KindVirtualService:
			fix += ": its routes move into a VirtualRouter, which spec.provider.virtualRouter.virtualRouterRef names"
		case KindVirtualNode:
			fix += ": spec.podSelector says which pods it stands for, backends name virtual services by virtualServiceRef, meshName is gone"
		case KindMesh:
			fix += ": spec.namespaceSelector says which namespaces belong to it"
		}
		report(CodeOldVersion, pos, "apiVersion", "v1beta1 is the schema of App Mesh's controller before 1.0", fix)
	case group == ourGroup && version != ourVersion:
		report(CodeUnknownVersion, pos, "apiVersion", quote(version)+" is no version that this meshwright knows", "write "+ourVersion+", or update meshwright")
	case group == appMeshGroup && version != appMeshVersion:
		report(CodeUnknownVersion, pos, "apiVersion", quote(version)+" is no version of App Mesh's schema", "write "+appMeshVersion)
	case kind == "":
		at := n.pos
		if k := n.get("kind"); k != nil {
			at = k.pos
		}
		report(CodeUnknownKind, at, "kind", "kind is missing", "write one of "+spellKinds(version))
	case row == nil:
		fix := "it is one of " + spellKinds(version)
		if near := nearest(string(kind), namesOf("")); near != "" {
			fix = "did you mean " + near + "?"
		} else if group == ourGroup {
			fix += "; or update meshwright"
		}
		report(CodeUnknownKind, n.get("kind").pos, "kind", fmt.Sprintf("%s is no kind of %s", quote(string(kind)), group), fix)
	case row.version != version:
		report(CodeUnknownVersion, pos, "apiVersion", fmt.Sprintf("%s is no kind of %s", kind, group), "write apiVersion: "+row.version)
	default:
		p.resource(kind, ref, n)
	}
}

// resource validates and decodes one document of a known kind.
func (p *parsed) resource(kind Kind, ref Ref, n *node) {
	doc := &document{ref: ref, node: n, uid: n.get("metadata").str("uid")}
	p.take(doc)
	if p.plain {
		return
	}
	good := true
	report := func(d Diagnostic) {
		if d.Resource == (Ref{}) {
			d.Resource = ref
		}
		good = good && d.Severity != Error
		p.diags = append(p.diags, d)
	}
	found := len(p.diags)
	validate(kind, n, report)
	if !good {
		p.beside(doc, p.diags[found:])
		return
	}
	res, err := decode(kind, n)
	if err != nil {
		report(Diagnostic{Code: CodeType, Severity: Error, Pos: n.pos, What: err.Error(), Fix: "mend the value"})
		return
	}
	m := res.meta()
	m.Ref, m.Pos, m.doc = ref, n.pos, doc
	if m.AWSName = awsName(res); m.AWSName == "" {
		m.AWSName = defaultAWSName(ref)
	}
	doc.content = contentHash(res)
	doc.res = res
	checkDocument(doc, report)
	if !good {
		doc.res = nil
	}
}

// beside reports, of a Rollout that has mistakes of shape, what else is wrong
// with it: the rules within a document, for all that can be read of it. What a
// mistake may be the cause of, waits until it is mended.
func (p *parsed) beside(doc *document, mistakes []Diagnostic) {
	if doc.ref.Kind != KindRollout || doc.root().get("spec") == nil {
		return
	}
	part := *doc
	part.res, _ = decode(doc.ref.Kind, doc.root())
	part.res.meta().Ref = doc.ref
	mistakes = slices.Clone(mistakes)
	checkDocument(&part, func(d Diagnostic) {
		if d.Severity == Error && !slices.ContainsFunc(mistakes, func(m Diagnostic) bool { return m.spoils(d.Path) }) {
			p.diags = append(p.diags, d)
		}
	})
}

// spoils says whether a mistake may be the cause of what is found at a path: at
// its own, around it or in it, or beside a field that nobody knows.
func (d *Diagnostic) spoils(path string) bool {
	if d.Code == CodeUnknownField && parent(d.Path) == parent(path) {
		return true
	}
	return leads(d.Path, path) || leads(path, d.Path)
}

// parent is the path of what has a field.
func parent(path string) string { return path[:max(0, strings.LastIndexByte(path, '.'))] }

// leads says whether a path is another or leads on from it.
func leads(outer, path string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// namespace reads a Namespace's labels. Kubernetes itself adds one with the
// namespace's name.
func (p *parsed) namespace(n *node) {
	meta := n.get("metadata")
	ns := namespace{name: meta.str("name"), labels: map[string]string{}, pos: n.pos}
	if ns.name == "" {
		p.foreign++
		return
	}
	if labels := meta.get("labels"); labels != nil {
		for _, f := range labels.fields {
			ns.labels[f.name] = f.value.text
		}
	}
	ns.labels["kubernetes.io/metadata.name"] = ns.name
	p.namespaces = append(p.namespaces, ns)
}

// misspelled warns of a document that is passed over and looks like one of
// ours.
func (p *parsed) misspelled(n *node, group, version string, kind Kind) {
	row := rowOf(kind)
	if row == nil {
		return
	}
	d := Diagnostic{Code: CodeUnknownVersion, Severity: Warning, Pos: n.pos, Resource: refOf(kind, n), Path: "apiVersion"}
	switch {
	case version == "" && n.get("spec") != nil:
		d.What, d.Fix = "this document is passed over, since it has no apiVersion", "write apiVersion: "+row.version
	case version != "" && (nearest(group, []string{appMeshGroup, ourGroup}) != "" || strings.Contains(group, "appmesh")):
		d.Pos = n.get("apiVersion").pos
		d.What, d.Fix = "this document is passed over: "+quote(version)+" is not the API of kind "+string(kind), "did you mean "+row.version+"?"
	default:
		return
	}
	p.diags = append(p.diags, d)
}

// refOf names a document, as far as its metadata can be read. Like kubectl it
// takes the namespace default where none is written.
func refOf(kind Kind, n *node) Ref {
	meta := n.get("metadata")
	ref := Ref{kind, Key{meta.str("namespace"), meta.str("name")}}
	switch {
	case kind == KindMesh:
		ref.Namespace = ""
	case ref.Namespace == "":
		ref.Namespace = "default"
	}
	return ref
}

// labelsOf returns metadata.labels.
func labelsOf(n *node) map[string]string {
	l := n.get("metadata").get("labels")
	if l == nil || len(l.fields) == 0 {
		return nil
	}
	labels := map[string]string{}
	for _, f := range l.fields {
		if f.value.kind != nullNode {
			labels[f.name] = f.value.text
		}
	}
	return labels
}
