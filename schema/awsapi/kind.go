package awsapi

import (
	"slices"
	"strings"
	"unicode"

	"github.com/meshwright/meshwright/schema"
)

// kindRoute is an object of its own in the API; a document has it in spec.routes
// of its virtual router.
const kindRoute schema.Kind = "Route"

// kind is one kind of object of the API.
type kind struct {
	name   schema.Kind
	key    string // what the API calls it
	parent schema.Kind
	folder string // of its documents
}

// kinds of the API. Those with a parent come before it: an object that names
// a route and a router is a route.
var kinds = []kind{
	{kindRoute, "route", schema.KindVirtualRouter, ""},
	{schema.KindGatewayRoute, "gatewayRoute", schema.KindVirtualGateway, "gateway-routes"},
	{schema.KindVirtualNode, "virtualNode", "", "virtual-nodes"},
	{schema.KindVirtualRouter, "virtualRouter", "", "virtual-routers"},
	{schema.KindVirtualService, "virtualService", "", "virtual-services"},
	{schema.KindVirtualGateway, "virtualGateway", "", "virtual-gateways"},
	{schema.KindMesh, "mesh", "", ""},
}

// kindNamed returns the kind that a dialect calls so ("virtualNode",
// "VirtualNode", "virtual_node"), nil if there is none.
func kindNamed(name string) *kind {
	i := slices.IndexFunc(kinds, func(k kind) bool { return plain(k.key) == plain(name) })
	if i < 0 {
		return nil
	}
	return &kinds[i]
}

// field is the field that holds the name of an object.
func (k *kind) field() string { return k.key + "Name" }

// parentField is the field that holds the name of what an object belongs to;
// empty if it belongs to its mesh alone.
func (k *kind) parentField() string {
	if k.parent == "" {
		return ""
	}
	return k.above().field()
}

// above is the kind of what an object belongs to.
func (k *kind) above() *kind { return kindNamed(string(k.parent)) }

// plural is what the API calls a list of them.
func (k *kind) plural() string {
	if k.name == schema.KindMesh {
		return "meshes"
	}
	return k.key + "s"
}

// words spells the kind for people: virtual node.
func (k *kind) words() string { return spell(k.key, ' ') }

// describe is the command that printed an object while AWS had it.
func (id identity) describe() string {
	k := id.kind
	s := "aws appmesh describe-" + spell(k.key, '-')
	if k.name != schema.KindMesh {
		s += " --mesh-name " + quoted(id.mesh)
	}
	if k.parent != "" {
		s += " --" + spell(k.parentField(), '-') + " " + quoted(id.parent)
	}
	return s + " --" + spell(k.field(), '-') + " " + quoted(id.name)
}

// quoted is a name as a shell takes it.
func quoted(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.:/", r)
	}) {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

// spell parts the words of a camelCase name.
func spell(name string, by rune) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteRune(by)
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
