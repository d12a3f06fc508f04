package schema

import (
	"strconv"
	"strings"
)

// node is one value of a document, whatever its format (YAML, JSON or
// evaluated CUE), with its place in the user's file.
type node struct {
	pos    Pos
	kind   nodeKind
	text   string  // of a scalar: its text (a string's value, a number's or bool's spelling)
	fields []field // of a map, in the document's order; names may repeat (an error reported by validation)
	items  []*node // of a list
}

// field is one entry of a map node.
type field struct {
	name  string
	pos   Pos // of the name
	value *node
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	stringNode
	intNode
	floatNode
	boolNode
	mapNode
	listNode
)

func (k nodeKind) String() string {
	return [...]string{"null", "a string", "an integer", "a number", "a boolean", "a map", "a list"}[k]
}

// get returns the value of a map's field, nil if there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for i := range n.fields {
		if n.fields[i].name == name {
			return n.fields[i].value
		}
	}
	return nil
}

// at returns the value at a path as diagnostics spell it
// (spec.routes[0].match), and the position that a finding about it should
// show: that of the value or, where it is absent, of what it should stand in.
func (n *node) at(path string) (*node, Pos) {
	pos := n.pos
	for path != "" && n != nil {
		switch {
		case path[0] == '[':
			end := strings.IndexByte(path, ']')
			i, err := strconv.Atoi(path[1:max(end, 1)])
			if err != nil || i >= len(n.items) {
				return nil, pos
			}
			n, path = n.items[i], path[end+1:]
		default:
			path = strings.TrimPrefix(path, ".")
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			n, path = n.get(path[:end]), path[end:]
		}
		if n != nil {
			pos = n.pos
		}
	}
	return n, pos
}

// str returns the text of a map's string field, empty if there is none.
func (n *node) str(name string) string {
	if v := n.get(name); v != nil && v.kind == stringNode {
		return v.text
	}
	return ""
}
