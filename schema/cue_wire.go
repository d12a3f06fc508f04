package schema

// cueAnswer is what one package holds. Answers follow each other as the
// packages do in the request, and each is sent when it is ready, so that one
// package that never ends hides no other.
type cueAnswer struct {
	Diagnostics []Diagnostic
	Values      []flatNode // the resources, one after the other
}

// flatNode is a node on the wire: its children follow it.
type flatNode struct {
	Name     string // of the field, in a map
	NamePos  flatPos
	Pos      flatPos
	Kind     nodeKind
	Text     string
	Children int
}

// flatPos is a position: the file by its place in the request.
type flatPos struct{ File, Line, Col int }

// unflatten takes one node, with all below it, from the front of a list that
// this package made.
func unflatten(files []*cueFile, list []flatNode) (*node, []flatNode) {
	at := func(p flatPos) Pos { return Pos{files[p.File].path, p.Line, p.Col} }
	flat, rest := list[0], list[1:]
	n := &node{pos: at(flat.Pos), kind: flat.Kind, text: flat.Text}
	if flat.Kind == mapNode {
		n.fields = make([]field, 0, flat.Children)
	} else if flat.Kind == listNode {
		n.items = make([]*node, 0, flat.Children)
	}
	for range flat.Children {
		name, pos := rest[0].Name, at(rest[0].NamePos)
		var child *node
		child, rest = unflatten(files, rest)
		if flat.Kind == mapNode {
			n.fields = append(n.fields, field{name, pos, child})
		} else {
			n.items = append(n.items, child)
		}
	}
	return n, rest
}
