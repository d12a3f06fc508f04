package schema

import (
	"cmp"
	"encoding/json"
	"slices"
)

// podOwner is a node or gateway that says by labels which pods it stands for.
type podOwner struct {
	res  Resource
	need []SelectorRequirement
}

// podLabel is one condition on pods: a label with this value or, where any is
// set, whatever is said of the label.
type podLabel struct {
	namespace, key, value string
	any                   bool
}

// labels returns one for each requirement: where a selector implies another,
// it has the same key for each of the other's, and the same value for each
// single one.
func (o podOwner) labels() []podLabel {
	labels := []podLabel{{namespace: o.res.meta().Ref.Namespace}}
	for _, r := range o.need {
		l := podLabel{labels[0].namespace, r.Key, "", true}
		if r.Operator == "In" && len(r.Values) == 1 {
			l.value, l.any = r.Values[0], false
		}
		labels = append(labels, l)
	}
	return labels
}

// maxOwners is how many owners under one label are compared with another.
const maxOwners = 100

// sharedPods: a pod has one proxy, which stands for one node or gateway. Only
// what is sure is told: every pod of one is the other's too.
//
// Each owner is looked up under its rarest label, so that the cost stays in
// proportion to the owners.
func sharedPods(t *linker, report func(res Resource, path, what, fix string)) {
	var owners []podOwner
	often := map[podLabel]int{}
	for _, d := range t.docs {
		s := podSelector(d.res)
		if s == nil {
			continue
		}
		o := podOwner{d.res, s.requirements()}
		owners = append(owners, o)
		for _, l := range o.labels() {
			often[l]++
		}
	}
	under := map[podLabel][]podOwner{}
	for _, o := range owners {
		rarest := slices.MinFunc(o.labels(), func(a, b podLabel) int {
			return cmp.Or(cmp.Compare(often[a], often[b]), cmp.Compare(b.key, a.key))
		})
		under[rarest] = append(under[rarest], o)
	}
	told := map[[2]Ref]bool{}
	for _, narrow := range slices.Backward(owners) { // of equal ones the later is told of
		if wide := narrow.within(under, told); wide != nil {
			told[[2]Ref{narrow.res.meta().Ref, wide.meta().Ref}] = true
			report(narrow.res, "spec.podSelector", "every pod that it selects is one of "+wide.meta().Ref.String()+" too", "add a label to both that tells their pods apart")
		}
	}
}

// podSelector is how a node or gateway says which pods it stands for, nil if it
// does not.
func podSelector(res Resource) *Selector {
	switch r := res.(type) {
	case *VirtualNode:
		return r.Spec.PodSelector
	case *VirtualGateway:
		return r.Spec.PodSelector
	}
	return nil
}

// itsPods is the selector, spelled.
func itsPods(res Resource) any {
	s := podSelector(res)
	if s == nil {
		return nil
	}
	spelled, err := json.Marshal(s)
	if err != nil {
		panic("schema: " + err.Error()) // a plain struct: cannot happen
	}
	return string(spelled)
}

// within returns an owner of which every pod of another is one, nil if there is
// none or the two are told of already.
func (o podOwner) within(under map[podLabel][]podOwner, told map[[2]Ref]bool) Resource {
	self := o.res.meta().Ref
	for _, l := range o.labels() {
		places := []podLabel{l}
		if l.value != "" {
			places = append(places, podLabel{l.namespace, l.key, "", true})
		}
		for _, place := range places {
			all := under[place]
			for _, wide := range all[:min(len(all), maxOwners)] {
				ref := wide.res.meta().Ref
				if ref != self && !told[[2]Ref{ref, self}] && implies(o.need, wide.need) {
					return wide.res
				}
			}
		}
	}
	return nil
}
