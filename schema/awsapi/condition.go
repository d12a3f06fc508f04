package awsapi

import "go.yaml.in/yaml/v3"

// condition decides a condition of the template.
func (e *evaluator) condition(name string) bool {
	if holds, ok := e.decided[name]; ok {
		return holds
	}
	e.decided[name] = false // a circle holds nowhere
	if c := get(e.conditions, name); c != nil {
		e.decided[name] = e.holds(c)
	} else {
		e.miss("Fn::Condition " + name)
	}
	return e.decided[name]
}

func (e *evaluator) holds(n *yaml.Node) bool {
	name, arg := function(n)
	if named := get(n, "Condition"); named != nil {
		name, arg = "Condition", named
	}
	if e.steps++; e.steps > maxSteps || e.depth > maxDepth {
		e.miss("Fn::" + name)
		return false
	}
	e.depth++
	defer func() { e.depth-- }()
	args := itemsOf(arg)
	switch {
	case name == "Condition":
		return e.condition(textOf(arg))
	case name == "Equals" && len(args) == 2:
		return e.text(args[0]) == e.text(args[1])
	case name == "Not" && len(args) == 1:
		return !e.holds(args[0])
	case name == "And" || name == "Or":
		all, any := true, false
		for _, a := range args {
			holds := e.holds(a)
			all, any = all && holds, any || holds
		}
		return name == "And" && all || name == "Or" && any
	}
	e.miss("Fn::" + name)
	return false
}
