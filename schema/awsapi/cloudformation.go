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
	told map[string]bool // expressions that cannot be told, of which a note was made
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
		t.steps, t.decided, t.told = 0, map[string]bool{}, map[string]bool{}
		for id, resource := range fieldsOf(t.resources) {
			im.stackResource(t, id, resource)
		}
	}
}

// stackResource reads one resource of a template.
func (im *importer) stackResource(t *template, id string, resource *yaml.Node) {
	at, typ := "Resources."+id, textOf(get(resource, "Type"))
	report := func(severity schema.Severity, label, path, what, fix string) {
		im.notes = append(im.notes, Note{severity, t.file, label, path, what, fix})
	}
	k, properties := t.resource(id)
	switch {
	case strings.HasPrefix(id, "Fn::"):
		report(schema.Error, "", at, "resources made by a transform are not read", "give the processed template: aws cloudformation get-template --template-stage Processed")
		return
	case typ == "AWS::CloudFormation::Stack":
		report(schema.Warning, "", at, "a nested stack is not followed", "give its template too, if it holds objects of App Mesh")
		return
	case !strings.HasPrefix(typ, "AWS::AppMesh::"):
		return
	case k == nil:
		report(schema.Error, "", at, typ+" is no type of App Mesh's", "correct its Type")
		return
	}
	name := t.nameOf(id)
	label := string(k.name) + "/" + name
	if condition := textOf(get(resource, "Condition")); condition != "" {
		holds := t.condition(condition)
		im.notes = append(im.notes, t.open(label, "Condition")...)
		if !holds {
			report(schema.Warning, label, "Condition", condition+" does not hold, so that the resource is left out", "pass the --parameter on which it depends, if the stack has it")
			return
		}
	}
	if anyCase(properties, k.field()) == nil {
		report(schema.Warning, label, k.field(), "CloudFormation makes up a name that is not in the template; it is called "+name+" here",
			"write the name that the stack's object has, if proxies or other stacks know it")
	}
	im.object(k, properties, conformer{
		evaluate: func(n *yaml.Node, path string) *yaml.Node {
			t.missed = nil
			n = t.value(n)
			if text := textOf(n); strings.Contains(text, "{{resolve:") { // by SSM or Secrets Manager
				t.missed = append(t.missed, text)
			}
			im.notes = append(im.notes, t.open(label, path)...)
			return n
		},
		unset: func(*field, *yaml.Node) bool { return false },
	}, t.file, at, name)
}

// open notes the expressions that were missed since it was last asked, each once
// for the template: one parameter that is missing is missing in many places.
func (t *template) open(label, path string) (notes []Note) {
	for _, expression := range t.missed {
		if t.told[expression] {
			continue
		}
		t.told[expression] = true
		what, fix := "${"+expression+"}", "pass --parameter "+expression+"=VALUE"
		switch {
		case strings.Contains(expression, "{{resolve:"):
			what, fix = expression, "write its value into the template"
		case strings.HasPrefix(expression, "Fn::"):
			fix = "write its value into the template"
		}
		notes = append(notes, Note{schema.Error, t.file, label, path, what + " cannot be told from the template", fix})
	}
	t.missed = nil
	return notes
}
