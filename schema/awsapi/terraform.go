package awsapi

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/schema"
)

// terraformOf returns the modules of what `terraform show -json` prints of a
// state or a plan, or those of a state file; nil if a value is neither.
func terraformOf(n *yaml.Node) *yaml.Node {
	for _, at := range []string{"planned_values", "values"} {
		if root := get(get(n, at), "root_module"); isMap(root) {
			return root
		}
	}
	if get(n, "terraform_version") != nil && isList(get(n, "resources")) {
		return stateFile(n)
	}
	return nil
}

// stateFile spells a state file as `terraform show -json` does.
func stateFile(n *yaml.Node) *yaml.Node {
	all := listNode()
	for _, r := range itemsOf(get(n, "resources")) {
		typ, address := textOf(get(r, "type")), textOf(get(r, "type"))+"."+textOf(get(r, "name"))
		if module := textOf(get(r, "module")); module != "" {
			address = module + "." + address
		}
		for _, instance := range itemsOf(get(r, "instances")) {
			if attributes := get(instance, "attributes"); attributes != nil {
				all.Content = append(all.Content, put(put(put(mapNode(), "type", textNode(typ)), "address", textNode(address)), "values", attributes))
			}
		}
	}
	return put(mapNode(), "resources", all)
}

// modules reads the objects of a module and of those that it calls.
func (im *importer) modules(file string, module *yaml.Node) {
	for _, r := range itemsOf(get(module, "resources")) {
		name, ok := strings.CutPrefix(textOf(get(r, "type")), "aws_appmesh_")
		if !ok {
			continue
		}
		address := textOf(get(r, "address"))
		k := kindNamed(name)
		if k == nil {
			im.notes = append(im.notes, Note{schema.Error, file, "", address, "aws_appmesh_" + name + " is no type of App Mesh's", "update meshwright, or write the object by hand"})
			continue
		}
		im.object(k, get(r, "values"), conformer{
			evaluate: func(n *yaml.Node, _ string) *yaml.Node { return n },
			unset:    terraformUnset,
		}, file, address, "")
	}
	for _, child := range itemsOf(get(module, "child_modules")) {
		im.modules(file, child)
	}
}

// terraformUnset: a state holds a field that is not set as "" or 0. Where 0
// means something, the provider requires the field; it never sends a priority
// or a port of 0.
func terraformUnset(f *field, n *yaml.Node) bool {
	switch f.scalar {
	case "string":
		return n.Value == ""
	case "integer":
		return n.Value == "0" && (f.name == "priority" || f.name == "port" || f.name == "maxPendingRequests")
	}
	return false
}

// unknown reports the objects of a plan whose values are known only after it is
// applied.
func (im *importer) unknown(file string, plan *yaml.Node) {
	for _, change := range itemsOf(get(plan, "resource_changes")) {
		after := get(get(change, "change"), "after_unknown")
		if !strings.HasPrefix(textOf(get(change, "type")), "aws_appmesh_") {
			continue
		}
		for _, name := range []string{"name", "mesh_name", "virtual_router_name", "virtual_gateway_name", "spec"} {
			if holdsTrue(get(after, name)) {
				im.notes = append(im.notes, Note{schema.Error, file, "", textOf(get(change, "address")), "the plan does not know " + name + " before it is applied",
					"apply it, and give the state: terraform show -json"})
			}
		}
	}
}

func holdsTrue(n *yaml.Node) bool {
	if n == nil {
		return false
	}
	for _, item := range n.Content {
		if holdsTrue(item) {
			return true
		}
	}
	return n.Tag == "!!bool" && n.Value == "true"
}
