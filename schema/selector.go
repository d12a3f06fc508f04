package schema

import "slices"

// Picks reports whether a selector picks what has these labels. As in
// Kubernetes, an absent (nil) selector picks nothing, an empty one everything.
func (s *Selector) Picks(labels map[string]string) bool {
	if s == nil {
		return false
	}
	for key, value := range s.MatchLabels {
		if has, ok := labels[key]; !ok || has != value {
			return false
		}
	}
	for _, r := range s.MatchExpressions {
		if !r.holds(labels) {
			return false
		}
	}
	return true
}

func (r SelectorRequirement) holds(labels map[string]string) bool {
	value, has := labels[r.Key]
	switch r.Operator {
	case "In":
		return has && slices.Contains(r.Values, value)
	case "NotIn":
		return !has || !slices.Contains(r.Values, value)
	case "Exists":
		return has
	}
	return !has
}

// requirements are all conditions of the selector, its matchLabels as In.
func (s *Selector) requirements() []SelectorRequirement {
	all := slices.Clone(s.MatchExpressions)
	for key, value := range s.MatchLabels {
		all = append(all, SelectorRequirement{key, "In", []string{value}})
	}
	return all
}

// implies reports whether everything that the requirements pick is picked by
// others too. Where that cannot be told, it says no.
func implies(narrow, wide []SelectorRequirement) bool {
	return !slices.ContainsFunc(wide, func(w SelectorRequirement) bool {
		return !slices.ContainsFunc(narrow, func(n SelectorRequirement) bool { return n.implies(w) })
	})
}

func (r SelectorRequirement) implies(o SelectorRequirement) bool {
	if r.Key != o.Key {
		return false
	}
	within := func(a, b []string) bool { // a ⊆ b
		return !slices.ContainsFunc(a, func(v string) bool { return !slices.Contains(b, v) })
	}
	switch o.Operator {
	case "In":
		return r.Operator == "In" && within(r.Values, o.Values)
	case "NotIn":
		return r.Operator == "DoesNotExist" || r.Operator == "NotIn" && within(o.Values, r.Values) ||
			r.Operator == "In" && !slices.ContainsFunc(r.Values, func(v string) bool { return slices.Contains(o.Values, v) })
	case "Exists":
		return r.Operator == "Exists" || r.Operator == "In"
	}
	return r.Operator == "DoesNotExist"
}
