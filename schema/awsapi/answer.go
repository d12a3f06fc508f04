package awsapi

import (
	"go.yaml.in/yaml/v3"
)

// answer takes in what AWS's API answers, and reports whether it does: an
// object by itself or under its kind, a list of names, or several of those.
func (im *importer) answer(file string, n *yaml.Node) bool {
	found := false
	for _, item := range itemsOf(n) {
		found = im.answer(file, item) || found
	}
	if textOf(get(n, "apiVersion")) != "" {
		return false // a manifest
	}
	if k := kindOf(n); k != nil && isMap(anyCase(n, "spec")) {
		im.described(k, file, n)
		return true
	}
	for i := range kinds {
		k := &kinds[i]
		if o := anyCase(n, k.key); anyCase(o, "meshName") != nil || anyCase(o, k.field()) != nil {
			im.described(k, file, o)
			found = true
		}
		for _, o := range itemsOf(anyCase(n, k.plural())) {
			switch {
			case kindOf(o) == nil:
				continue
			case anyCase(o, "spec") != nil:
				im.described(k, file, o)
			default:
				id := identity{kind: k, mesh: textOf(anyCase(o, "meshName")), name: textOf(anyCase(o, k.field()))}
				if k.parent != "" {
					id.parent = textOf(anyCase(o, k.parentField()))
				}
				im.listed = append(im.listed, listed{id, file})
			}
			found = true
		}
	}
	return found
}

// described takes in one object. Its spec may be missing where it is empty.
func (im *importer) described(k *kind, file string, n *yaml.Node) {
	im.object(k, n, conformer{
		evaluate: func(n *yaml.Node, _ string) *yaml.Node { return n },
		unset:    func(*field, *yaml.Node) bool { return false },
	}, file, "", "")
}

// kindOf tells by its names which kind an object is of; nil: of none.
func kindOf(n *yaml.Node) *kind {
	if textOf(anyCase(n, "meshName")) == "" {
		return nil
	}
	for i := range kinds {
		if textOf(anyCase(n, kinds[i].field())) != "" {
			return &kinds[i]
		}
	}
	return nil
}
