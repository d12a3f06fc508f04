package awsapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/schema"
)

// conformer reads one object of a dialect into the API's own spelling: names,
// types and order of fields.
type conformer struct {
	// evaluate returns what stands for a value, before anybody looks at it.
	evaluate func(n *yaml.Node, path string) *yaml.Node
	// unset reports whether a value stands for a field that is not set.
	unset  func(f *field, n *yaml.Node) bool
	report func(severity schema.Severity, path, what, fix string)
}

// value returns a value as the API spells it, nil if nothing is set.
func (c *conformer) value(n *yaml.Node, f *field, path string) *yaml.Node {
	n = c.evaluate(n, path)
	if isNull(n) {
		return nil
	}
	if !f.list {
		return c.one(n, f, path)
	}
	items := itemsOf(n)
	switch {
	case isMap(n) && pairs(f): // Terraform's attributes
		for key, value := range fieldsOf(n) {
			items = append(items, put(put(mapNode(), "key", textNode(key)), "value", value))
		}
	case !isList(n): // one item; CloudFormation takes it for a list of it
		items = []*yaml.Node{n}
	}
	out := listNode()
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", path, i)
		if item = c.evaluate(item, path); isNull(item) {
			continue
		}
		if item = c.one(item, f, path); item != nil {
			out.Content = append(out.Content, item)
		}
	}
	if len(out.Content) == 0 {
		return nil
	}
	return out
}

// pairs reports whether a field is a list of keys and values.
func pairs(f *field) bool {
	return len(f.fields) == 2 && f.fields[0].name == "key" && f.fields[1].name == "value"
}

// one returns a value that is no list, evaluated already.
func (c *conformer) one(n *yaml.Node, f *field, path string) *yaml.Node {
	if isList(n) { // a block of Terraform
		if len(n.Content) == 0 {
			return nil
		}
		if len(n.Content) > 1 {
			c.report(schema.Error, path, fmt.Sprintf("it holds one value, and there are %d", len(n.Content)), "the first is taken; set one")
		}
		if n = c.evaluate(n.Content[0], path); isNull(n) {
			n = mapNode() // a block without arguments
		}
	}
	switch {
	case c.unset(f, n):
		return nil
	case f.scalar != "" && isScalar(n):
		return scalar(n, f.scalar)
	case f.scalar == "" && isMap(n):
		return c.object(n, f, path)
	}
	want := f.scalar
	if want == "" {
		want = "object"
	}
	c.report(schema.Error, path, "it is not of the type of its field, and is left out", "write a value of type "+want)
	return nil
}

// object returns the fields of an object in the API's order.
func (c *conformer) object(n *yaml.Node, f *field, path string) *yaml.Node {
	set := map[*field]*yaml.Node{}
	for key, value := range fieldsOf(n) {
		at := strings.TrimPrefix(path+"."+key, ".")
		own := f.find(key)
		switch _, twice := set[own]; {
		case own == nil:
			if !isNull(c.evaluate(value, at)) {
				c.report(schema.Warning, at, "App Mesh's API has no such field, and it is left out", c.hint(key, f))
			}
		case twice:
			c.report(schema.Error, at, "it is written twice, and the first is taken", "write it once")
		default:
			set[own] = c.value(value, own, strings.TrimPrefix(path+"."+own.name, "."))
		}
	}
	out := mapNode()
	for _, own := range f.fields {
		if value := set[own]; value != nil {
			put(out, own.name, value)
		}
	}
	if len(out.Content) == 0 && !meansSomething(f, path) {
		return nil
	}
	return out
}

// meansSomething reports whether an object says something without fields: a
// match takes everything, a client policy of a backend replaces the default.
func meansSomething(f *field, path string) bool {
	return f.name == "clientPolicy" || f.name == "match" && strings.HasSuffix(path, "Route.match")
}

// hint lists the fields that there are, since the name may be misspelled.
func (c *conformer) hint(key string, f *field) string {
	var names []string
	for _, own := range f.fields {
		names = append(names, own.name)
	}
	slices.Sort(names)
	return fmt.Sprintf("if %s says something, write it as one of %s", key, strings.Join(names, ", "))
}

// scalar returns a value as one of its field's type. Numbers and truths may be
// written as text; what is neither stays, and the schema refuses it.
func scalar(n *yaml.Node, typ string) *yaml.Node {
	switch typ {
	case "integer":
		var i int64
		if n.Tag == "!!int" && n.Decode(&i) == nil {
			return intNode(i)
		}
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f == float64(int64(f)) && n.Tag != "!!bool" {
			return intNode(int64(f))
		}
	case "boolean":
		if b, err := strconv.ParseBool(n.Value); err == nil && len(n.Value) > 1 {
			return boolNode(b)
		}
	}
	return textNode(n.Value)
}
