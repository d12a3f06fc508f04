package awsapi

import (
	"cmp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of evaluation: a template can be written so that a few lines stand
// for billions of characters.
const (
	maxSteps = 200_000
	maxText  = 64 << 10
)

// evaluator decides CloudFormation's functions as far as that can be done
// without AWS. What cannot be decided becomes ${EXPRESSION} in the text and an
// entry in missed, and may be given as a parameter of the same name.
type evaluator struct {
	parameters, mappings, conditions, resources *yaml.Node
	given                                       map[string]string // by the user
	exports                                     map[string]string // of all templates
	missed                                      []string
	decided                                     map[string]bool // conditions
	steps, depth                                int
}

// pseudo are the pseudo parameters that are the same nearly everywhere.
var pseudo = map[string]string{"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}

// miss notes that an expression is not decided, and returns what stands for it.
func (e *evaluator) miss(expression string) *yaml.Node {
	e.missed = append(e.missed, expression)
	return textNode("${" + expression + "}")
}

// function takes a function apart: !Sub x and {Fn::Sub: x} alike. It returns an
// empty name for any other value.
func function(n *yaml.Node) (name string, arg *yaml.Node) {
	switch {
	case n == nil:
	case strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		bare := *n
		bare.Tag = map[yaml.Kind]string{yaml.ScalarNode: "!!str", yaml.SequenceNode: "!!seq", yaml.MappingNode: "!!map"}[n.Kind]
		return n.Tag[1:], &bare
	case isMap(n) && len(n.Content) == 2:
		key := n.Content[0].Value
		if name, ok := strings.CutPrefix(key, "Fn::"); ok || key == "Ref" {
			return name, n.Content[1]
		}
	}
	return "", nil
}

// value returns what a value stands for. What is inside a map or a list is left
// to the caller. nil: nothing at all (AWS::NoValue).
func (e *evaluator) value(n *yaml.Node) *yaml.Node {
	name, arg := function(n)
	if name == "" {
		return n
	}
	if e.steps++; e.steps > maxSteps || e.depth > maxDepth {
		return e.miss("Fn::" + name)
	}
	e.depth++
	defer func() { e.depth-- }()
	args := itemsOf(arg)
	switch name {
	case "Ref":
		return e.ref(textOf(arg))
	case "GetAtt":
		resource, attribute, _ := strings.Cut(textOf(arg), ".")
		if len(args) == 2 {
			resource, attribute = e.text(args[0]), e.text(args[1])
		}
		return e.attribute(resource, attribute)
	case "ImportValue":
		export := e.text(arg)
		if value, ok := e.known(export); ok {
			return textNode(value)
		}
		return e.miss(export)
	case "Sub":
		return e.sub(arg)
	case "Join":
		if len(args) == 2 {
			return textNode(e.join(e.value(args[1]), e.text(args[0])))
		}
	case "Split":
		if by := ""; len(args) == 2 {
			if by = e.text(args[0]); by == "" {
				break
			}
			out := listNode()
			for _, part := range strings.Split(e.text(args[1]), by) {
				out.Content = append(out.Content, textNode(part))
			}
			return out
		}
	case "Select":
		if len(args) == 2 {
			items := itemsOf(e.value(args[1]))
			if i, err := strconv.Atoi(e.text(args[0])); err == nil && i >= 0 && i < len(items) {
				return e.value(items[i])
			}
		}
	case "FindInMap":
		if len(args) >= 3 {
			if found := get(get(get(e.mappings, e.text(args[0])), e.text(args[1])), e.text(args[2])); found != nil {
				return found
			}
		}
	case "If":
		if len(args) == 3 {
			if e.condition(textOf(args[0])) {
				return e.value(args[1])
			}
			return e.value(args[2])
		}
	}
	return e.miss("Fn::" + name)
}

// text returns a value as text.
func (e *evaluator) text(n *yaml.Node) string { return textOf(e.value(n)) }

func (e *evaluator) join(list *yaml.Node, by string) string {
	var b strings.Builder
	for i, item := range itemsOf(list) {
		if i > 0 {
			b.WriteString(by)
		}
		b.WriteString(e.text(item))
		if b.Len() > maxText {
			return e.miss("Fn::Join").Value
		}
	}
	return b.String()
}

// sub fills the ${…} of a text, by its own variables first.
func (e *evaluator) sub(arg *yaml.Node) *yaml.Node {
	own := mapNode()
	if args := itemsOf(arg); len(args) == 2 {
		arg, own = args[0], args[1]
	}
	var b strings.Builder
	rest := textOf(arg)
	for {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		name, next, closed := strings.Cut(after, "}")
		if !found || !closed {
			b.WriteString(rest[len(before):])
			return textNode(b.String())
		}
		rest = next
		name = strings.TrimSpace(name)
		switch literal, ok := strings.CutPrefix(name, "!"); {
		case ok:
			b.WriteString("${" + literal + "}")
		case get(own, name) != nil:
			b.WriteString(e.text(get(own, name)))
		case strings.Contains(name, "."):
			resource, attribute, _ := strings.Cut(name, ".")
			b.WriteString(textOf(e.attribute(resource, attribute)))
		default:
			b.WriteString(textOf(e.ref(name)))
		}
		if b.Len() > maxText {
			return e.miss("Fn::Sub")
		}
	}
}

// known returns what the user or another template gives for an expression.
func (e *evaluator) known(expression string) (string, bool) {
	for _, from := range []map[string]string{e.given, e.exports, pseudo} {
		if value, ok := from[expression]; ok {
			return value, true
		}
	}
	return "", false
}

// ref is Ref: a parameter, or the name of an object of App Mesh. (AWS gives its
// ARN; every field that refers to an object takes its name.)
func (e *evaluator) ref(name string) *yaml.Node {
	if name == "AWS::NoValue" {
		return nil
	}
	parameter := get(e.parameters, name)
	value, ok := e.known(name)
	typ := textOf(get(parameter, "Type"))
	if byDefault := get(parameter, "Default"); !ok && !isNull(byDefault) && !strings.HasPrefix(typ, "AWS::SSM::") { // there it is a name in SSM
		value, ok = textOf(byDefault), true
	}
	if ok && (typ == "CommaDelimitedList" || strings.HasPrefix(typ, "List<")) {
		out := listNode()
		for _, item := range strings.Split(value, ",") {
			out.Content = append(out.Content, textNode(strings.TrimSpace(item)))
		}
		return out
	}
	if ok {
		return textNode(value)
	}
	if k, _ := e.resource(name); k != nil {
		return textNode(e.nameOf(name))
	}
	return e.miss(name)
}

// attribute is Fn::GetAtt: the name of an object of App Mesh or of one that it
// belongs to, or what another resource has as a property.
func (e *evaluator) attribute(resource, attribute string) *yaml.Node {
	expression := resource + "." + attribute
	if value, ok := e.known(expression); ok {
		return textNode(value)
	}
	if e.steps++; e.steps > maxSteps || e.depth > maxDepth {
		return e.miss(expression)
	}
	e.depth++
	defer func() { e.depth-- }()
	k, properties := e.resource(resource)
	if k != nil && plain(attribute) == plain(k.field()) {
		return textNode(e.nameOf(resource))
	}
	if property := get(properties, attribute); property != nil {
		if value := e.value(property); isScalar(value) {
			return value
		}
	}
	return e.miss(expression)
}

// resource returns the kind of a resource, nil if it is none of App Mesh's, and
// its properties.
func (e *evaluator) resource(id string) (*kind, *yaml.Node) {
	r := get(e.resources, id)
	name, ok := strings.CutPrefix(textOf(get(r, "Type")), "AWS::AppMesh::")
	if !ok {
		return nil, get(r, "Properties")
	}
	return kindNamed(name), get(r, "Properties")
}

// nameOf returns an object's name: the property, or else the logical ID, from
// which CloudFormation makes one.
func (e *evaluator) nameOf(id string) string {
	k, properties := e.resource(id)
	return cmp.Or(e.text(anyCase(properties, k.field())), id)
}
