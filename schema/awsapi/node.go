package awsapi

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A tree of yaml.Node is the one form of every value here: it keeps the order
// of fields, the tags of CloudFormation and the comments of documents.

// textNode is a text. What YAML 1.1 takes for a truth or a number, as Kubernetes
// does, is quoted: the encoder knows YAML 1.2 only.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(s)) || s != "" && strings.ContainsRune("+-0123456789", rune(s[0])) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func intNode(i int64) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(i, 10)}
}

func boolNode(b bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)}
}

func nullNode() *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

func listNode(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

func mapNode() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

// put appends a field to a map, and returns the map.
func put(m *yaml.Node, key string, value *yaml.Node) *yaml.Node {
	m.Content = append(m.Content, textNode(key), value)
	return m
}

// get returns a field of a map; nil if there is none, or no map.
func get(m *yaml.Node, key string) *yaml.Node {
	for k, v := range fieldsOf(m) {
		if k == key {
			return v
		}
	}
	return nil
}

// anyCase returns a field however a dialect spells its name.
func anyCase(n *yaml.Node, name string) *yaml.Node {
	for key, value := range fieldsOf(n) {
		if plain(key) == plain(name) {
			return value
		}
	}
	return nil
}

// fieldsOf yields the fields of a map; none if it is no map.
func fieldsOf(m *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if !isMap(m) {
			return
		}
		for i := 0; i+1 < len(m.Content); i += 2 {
			if !yield(m.Content[i].Value, m.Content[i+1]) {
				return
			}
		}
	}
}

// itemsOf returns the items of a list; none if it is no list.
func itemsOf(n *yaml.Node) []*yaml.Node {
	if !isList(n) {
		return nil
	}
	return n.Content
}

// textOf returns the text of a scalar; empty if it is none.
func textOf(n *yaml.Node) string {
	if !isScalar(n) || isNull(n) {
		return ""
	}
	return n.Value
}

func isMap(n *yaml.Node) bool    { return n != nil && n.Kind == yaml.MappingNode }
func isList(n *yaml.Node) bool   { return n != nil && n.Kind == yaml.SequenceNode }
func isScalar(n *yaml.Node) bool { return n != nil && n.Kind == yaml.ScalarNode }
func isNull(n *yaml.Node) bool   { return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// equal reports whether two trees hold the same.
func equal(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Kind != b.Kind || a.Value != b.Value || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !equal(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}
