package schema

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
