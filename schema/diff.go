package schema

import "slices"

// Op is what happened to a resource between two specs.
type Op string

// The operations of a [Change].
const (
	Added   Op = "added"
	Changed Op = "changed"
	Removed Op = "removed"
)

// Change is one resource that two specs do not share.
type Change struct {
	Ref Ref `json:"ref"`
	Op  Op  `json:"op"`
}

// Diff returns what changed from one spec to another, sorted by ref. A nil
// spec has no resources. Resources with equal digests are equal.
func Diff(from, to *Spec) []Change {
	if from == nil {
		from = &Spec{}
	}
	if to == nil {
		to = &Spec{}
	}
	var changes []Change
	for i := range kinds {
		changes = append(changes, kinds[i].diff(from, to)...)
	}
	slices.SortFunc(changes, func(a, b Change) int { return a.Ref.Compare(b.Ref) })
	return changes
}

func diff[R Resource](kind Kind, from, to map[Key]R) []Change {
	var changes []Change
	for k, was := range from {
		if is, ok := to[k]; !ok {
			changes = append(changes, Change{Ref{kind, k}, Removed})
		} else if was.meta().Digest != is.meta().Digest {
			changes = append(changes, Change{Ref{kind, k}, Changed})
		}
	}
	for k := range to {
		if _, ok := from[k]; !ok {
			changes = append(changes, Change{Ref{kind, k}, Added})
		}
	}
	return changes
}
