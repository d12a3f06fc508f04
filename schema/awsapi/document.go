package awsapi

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/schema"
)

// renamed are the fields that a document spells otherwise than the API.
var renamed = map[string]string{
	"certificateArn":           "certificateARN",
	"certificateAuthorityArns": "certificateAuthorityARNs",
}

// references are the fields that hold the name of another object, and what a
// document has in their place.
var references = map[string]struct {
	field string
	to    string // the API's word for its kind
}{
	"virtualServiceName": {"virtualServiceRef", "virtualService"},
	"virtualNodeName":    {"virtualNodeRef", "virtualNode"},
	"virtualRouterName":  {"virtualRouterRef", "virtualRouter"},
	"virtualNode":        {"virtualNodeRef", "virtualNode"}, // of a weighted target
}

// The labels by which what is written belongs together.
const (
	meshLabel    = "mesh"
	gatewayLabel = "gateway"
)

// document returns the document of an object.
func (w *writer) document(o *object) *yaml.Node {
	metadata := put(mapNode(), "name", textNode(w.names[o.identity]))
	if o.kind.name != schema.KindMesh {
		put(metadata, "namespace", textNode(w.namespaces[o.mesh]))
	}
	spec := put(mapNode(), "awsName", textNode(o.name))
	switch o.kind.name {
	case schema.KindMesh:
		put(spec, "namespaceSelector", w.meshSelector(o.mesh))
		if owner := w.owners[o.mesh]; owner != "" {
			put(spec, "meshOwner", textNode(owner))
		}
	case schema.KindVirtualGateway:
		put(spec, "namespaceSelector", w.meshSelector(o.mesh))
		put(spec, "gatewayRouteSelector", selector(gatewayLabel, w.names[o.identity]))
	case schema.KindGatewayRoute:
		gateway := identity{kind: o.kind.above(), mesh: o.mesh, name: o.parent}
		put(metadata, "labels", put(mapNode(), gatewayLabel, textNode(w.refer(o, gateway, o.kind.parentField()))))
	}
	body := w.spec(o, o.spec, "spec")
	if o.kind.name == schema.KindGatewayRoute {
		matchAll(body, "hostname")
	}
	spec.Content = append(spec.Content, body.Content...)
	if routes := w.routes(o); routes != nil {
		put(spec, "routes", routes)
	}
	doc := put(put(mapNode(), "apiVersion", textNode("appmesh.k8s.aws/v1beta2")), "kind", textNode(string(o.kind.name)))
	put(put(doc, "metadata", metadata), "spec", spec)
	doc.HeadComment = "Imported from " + o.source()
	return doc
}

// routes returns the routes of a router, nil if there are none.
func (w *writer) routes(o *object) *yaml.Node {
	if o.kind.name != schema.KindVirtualRouter || len(w.routesOf[o.identity]) == 0 {
		return nil
	}
	list := listNode()
	for _, route := range w.routesOf[o.identity] {
		body := w.spec(route, route.spec, "spec")
		matchAll(body)
		item := put(mapNode(), "name", textNode(route.name))
		item.Content = append(item.Content, body.Content...)
		item.HeadComment = "Imported from " + route.source()
		list.Content = append(list.Content, item)
	}
	return list
}

// spec returns a copy of a part of an object's spec, spelled as a document
// spells it.
func (w *writer) spec(o *object, n *yaml.Node, path string) *yaml.Node {
	switch {
	case n == nil:
		return mapNode()
	case isList(n):
		out := listNode()
		for i, item := range n.Content {
			out.Content = append(out.Content, w.spec(o, item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return out
	case isScalar(n):
		return &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}
	}
	out := mapNode()
	for key, value := range fieldsOf(n) {
		at := path + "." + key
		ref, refers := references[key]
		switch {
		case refers && isScalar(value):
			name := w.refer(o, identity{kind: kindNamed(ref.to), mesh: o.mesh, name: value.Value}, at)
			put(out, ref.field, put(mapNode(), "name", textNode(name)))
		case renamed[key] != "":
			put(out, renamed[key], w.spec(o, value, at))
		case key == "ipPreference" && o.kind.name == schema.KindVirtualNode:
			w.note(o, schema.Warning, at, value.Value+" is left out, since documents say it for the mesh as a whole", "write spec.meshServiceDiscovery.ipPreference of the Mesh, if it holds for all of it")
		case key == "serviceDiscovery" && o.kind.name == schema.KindMesh:
			preference := textOf(get(value, "ipPreference"))
			if strings.HasSuffix(preference, "_PREFERRED") {
				w.note(o, schema.Warning, at+".ipPreference", preference+" is left out, since documents know IPv4_ONLY and IPv6_ONLY", "leave it to the default, which takes either family, or choose one of them")
				continue
			}
			put(out, "meshServiceDiscovery", w.spec(o, value, at))
		default:
			put(out, key, w.spec(o, value, at))
		}
	}
	return out
}

// matchAll gives an HTTP route without a path to match the prefix /, which the
// API takes for granted and a document has to say. unless are conditions that
// stand for it.
func matchAll(spec *yaml.Node, unless ...string) {
	for name, route := range fieldsOf(spec) {
		if name != "httpRoute" && name != "http2Route" || !isMap(route) {
			continue
		}
		match := get(route, "match")
		if match == nil {
			match = mapNode()
			route.Content = append([]*yaml.Node{textNode("match"), match}, route.Content...)
		}
		said := false
		for _, condition := range append(unless, "prefix", "path") {
			said = said || get(match, condition) != nil
		}
		if !said && isMap(match) {
			match.Content = append([]*yaml.Node{textNode("prefix"), textNode("/")}, match.Content...)
		}
	}
}

// meshSelector picks what belongs to a mesh: everything, if there is no other.
func (w *writer) meshSelector(mesh string) *yaml.Node {
	if len(w.meshes) == 1 {
		m := mapNode()
		m.Style = yaml.FlowStyle
		return m
	}
	return selector(meshLabel, w.namespaces[mesh])
}

func selector(label, value string) *yaml.Node {
	return put(mapNode(), "matchLabels", put(mapNode(), label, textNode(value)))
}

// source says where an object comes from, on one line.
func (o *object) source() string {
	s := o.file
	if o.origin != "" {
		s += " (" + o.origin + ")"
	}
	return oneLine(s)
}
