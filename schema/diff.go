package schema

import (
	"reflect"
	"slices"
)

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
// spec has no resources. Resources with equal digests are equal. Of specs of which
// one was derived from the other, as a load derives the next, the cost follows the
// resources of the kinds that changed.
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
	if reflect.ValueOf(from).UnsafePointer() == reflect.ValueOf(to).UnsafePointer() {
		return nil // the specs share it
	}
	var changes []Change
	for k, was := range from {
		if is, ok := to[k]; !ok {
			changes = append(changes, Change{Ref{kind, k}, Removed})
		} else if any(was) != any(is) && was.meta().Digest != is.meta().Digest {
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
