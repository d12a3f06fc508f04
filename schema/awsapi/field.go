package awsapi

import (
	_ "embed" // fields.txt
	"strings"
)

// fieldsText lists every field of the API. It is all that the package knows
// about the shape of an object: the spelling of the three dialects, the types
// of values and the order of what is written come from it.
//
//go:embed fields.txt
var fieldsText string

// field is one field of the API and what it may hold.
type field struct {
	name   string
	list   bool
	scalar string   // "string", "integer", "boolean" or "timestamp"; empty for an object
	fields []*field // of an object
}

// model is an object whose fields are the kinds of the API.
var model = parseFields(fieldsText)

func parseFields(text string) *field {
	root := &field{}
	for line := range strings.Lines(text) {
		path, scalar, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || path == "#" {
			continue
		}
		at := root
		for _, name := range strings.Split(path, ".") {
			at = at.child(name)
		}
		at.scalar = scalar
	}
	return root
}

// child returns the field of an object, which is added if it is new.
func (f *field) child(name string) *field {
	name, list := strings.CutSuffix(name, "[]")
	for _, c := range f.fields {
		if c.name == name {
			return c
		}
	}
	c := &field{name: name, list: list}
	f.fields = append(f.fields, c)
	return c
}

// find returns the field that a dialect spells so, nil if there is none. The
// dialects differ in case (TLS, tls) and underscores (port_mapping), and
// Terraform names a list by one of its items (listener).
func (f *field) find(name string) *field {
	name = plain(name)
	for _, c := range f.fields {
		own := plain(c.name)
		if own == name || c.list && own == name+"s" {
			return c
		}
	}
	return nil
}

// plain is a name without what the dialects spell differently.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
