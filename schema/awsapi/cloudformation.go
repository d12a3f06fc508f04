package awsapi

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshwright/meshwright/schema"
)

// template is a CloudFormation template.
type template struct {
	evaluator
	file string
	root *yaml.Node
}

// templateOf returns the template that a value is, nil if it is none: the
// template itself, or what `aws cloudformation get-template` prints.
func templateOf(file string, n *yaml.Node) *template {
	if body := get(n, "TemplateBody"); body != nil {
		n = body
		if text := textOf(body); text != "" {
			all, err := values([]byte(text))
			if err != nil || len(all) != 1 {
				return nil
			}
			n = all[0]
		}
	}
	resources := get(n, "Resources")
	if !isMap(resources) {
		return nil
	}
	typed := get(n, "AWSTemplateFormatVersion") != nil
	for _, r := range fieldsOf(resources) {
		typed = typed || strings.Contains(textOf(get(r, "Type")), "::")
	}
	if !typed {
		return nil
	}
	return &template{file: file, root: n, evaluator: evaluator{
		parameters: get(n, "Parameters"), mappings: get(n, "Mappings"), conditions: get(n, "Conditions"), resources: resources,
		decided: map[string]bool{},
	}}
}

// export adds what the template exports to what other templates may import.
func (t *template) export(exports map[string]string) {
	for _, output := range fieldsOf(get(t.root, "Outputs")) {
		if name := get(get(output, "Export"), "Name"); name != nil {
			t.missed = nil
			key, value := t.text(name), t.text(get(output, "Value"))
			if len(t.missed) == 0 && key != "" {
				exports[key] = value
			}
		}
	}
	t.missed = nil
}

// templates reads the objects of all templates; one may import what another
// exports.
func (im *importer) templates(all []*template) {
	exports := map[string]string{}
	for range all { // an export may be made of another template's
		known := len(exports)
		for _, t := range all {
			t.given, t.exports = im.options.Parameters, exports
			t.export(exports)
		}
		if len(exports) == known {
			break
		}
	}
	for _, t := range all {
		t.steps, t.decided = 0, map[string]bool{}
		told := map[string]bool{}
		for id, resource := range fieldsOf(t.resources) {
			im.stackResource(t, id, resource, told)
		}
	}
}

// stackResource reads one resource of a template. told are the expressions that
// were reported: one parameter that is missing is missing in many places.
func (im *importer) stackResource(t *template, id string, resource *yaml.Node, told map[string]bool) {
	at := "Resources." + id
	typ := textOf(get(resource, "Type"))
	report := func(severity schema.Severity, label, path, what, fix string) {
		im.notes = append(im.notes, Note{severity, t.file, label, path, what, fix})
	}
	switch {
	case strings.HasPrefix(id, "Fn::"):
		report(schema.Error, "", at, "resources made by a transform are not read", "give the processed template: aws cloudformation get-template --template-stage Processed")
		return
	case typ == "AWS::CloudFormation::Stack":
		report(schema.Warning, "", at, "a nested stack is not followed", "give its template too, if it holds objects of App Mesh")
		return
	case !strings.HasPrefix(typ, "AWS::AppMesh::"):
		return
	}
	k, properties := t.resource(id)
	if k == nil {
		report(schema.Error, "", at, typ+" is no type of App Mesh's", "correct its Type")
		return
	}
	name := t.nameOf(id)
	label := string(k.name) + "/" + name
	tell := func(path string) {
		for _, expression := range t.missed {
			if !told[expression] {
				told[expression] = true
				fix := "pass --parameter " + expression + "=VALUE"
				if strings.HasPrefix(expression, "Fn::") {
					fix = "write its value into the template"
				}
				report(schema.Error, label, path, "${"+expression+"} cannot be told from the template", fix)
			}
		}
		t.missed = nil
	}
	if condition := get(resource, "Condition"); condition != nil {
		holds := t.condition(textOf(condition))
		tell("Condition")
		if !holds {
			report(schema.Warning, label, "Condition", textOf(condition)+" does not hold, so that the resource is left out", "pass the --parameter on which it depends, if the stack has it")
			return
		}
	}
	named := false
	for key := range fieldsOf(properties) {
		named = named || plain(key) == plain(k.field())
	}
	if !named {
		report(schema.Warning, label, k.field(), "CloudFormation makes up a name that is not in the template; it is called "+name+" here",
			"write the name that the stack's object has, if proxies or other stacks know it")
	}
	c := conformer{
		evaluate: func(n *yaml.Node, path string) *yaml.Node {
			t.missed = nil
			n = t.value(n)
			tell(path)
			return n
		},
		unset: func(*field, *yaml.Node) bool { return false },
	}
	im.object(k, properties, c, t.file, at, name)
}
