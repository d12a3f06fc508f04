package awsapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The longest names of documents: shorter than Kubernetes allows, since they
// are names of files too; those of meshes and gateways are namespaces and
// labels as well.
const (
	maxName  = 200
	maxLabel = 63
)

// nameOf makes a Kubernetes name of a name of App Mesh: lower-case letters,
// digits, - and, unless it is a label, dots that part such labels.
func nameOf(aws string, label bool) string {
	clean := func(s string) string {
		s = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, strings.ToLower(s))
		return strings.Trim(s, "-")
	}
	limit := maxName
	parts := strings.Split(aws, ".")
	if label {
		limit = maxLabel
		parts = []string{aws}
	}
	for i := range parts {
		parts[i] = clean(parts[i])
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	name := strings.Join(parts, ".")
	name = strings.TrimRight(name[:min(len(name), limit)], "-.")
	return cmp.Or(name, "unnamed")
}

// namesOf gives each of several things, sorted by their names of App Mesh, a
// Kubernetes name of its own. A name that is one already stays as it is; of
// several that would become the same, the later get a number.
func namesOf[ID comparable](ids []ID, name func(ID) string, label bool) map[ID]string {
	slices.SortStableFunc(ids, func(a, b ID) int {
		asIs := func(id ID) int {
			if nameOf(name(id), label) == name(id) {
				return 0
			}
			return 1
		}
		return cmp.Compare(asIs(a), asIs(b))
	})
	out, taken := map[ID]string{}, map[string]bool{}
	for _, id := range ids {
		base := nameOf(name(id), label)
		unique := base
		for n := 2; taken[unique]; n++ {
			suffix := fmt.Sprintf("-%d", n)
			limit := maxName
			if label {
				limit = maxLabel
			}
			unique = strings.TrimRight(base[:min(len(base), limit-len(suffix))], "-.") + suffix
		}
		taken[unique] = true
		out[id] = unique
	}
	return out
}
