package reconciler

import (
	"context"
	"path"
	"reflect"
	"slices"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
)

// stands reports whether nothing has moved that a verdict depends on: neither
// the files that the head changes, nor the resources around its plan.
func (p *planner) stands(ctx context.Context, j Job) bool {
	was, is := *j.Was, j.Basis
	if was.Base != is.Base {
		moved, err := p.branch.Merge(ctx, is.Base, was.Base)
		if err != nil || moved.Base != was.Base { // the branch was rewritten: the head may change other files now
			return false
		}
		if was.More || slices.ContainsFunc(moved.BaseChanged, func(file string) bool { return slices.Contains(was.Files, file) }) {
			return false
		}
		// The CUE files of a package are one text: what one says of a resource
		// another may change.
		isCUE := func(file string) bool { return path.Ext(file) == ".cue" }
		if slices.ContainsFunc(moved.BaseChanged, isCUE) && slices.ContainsFunc(was.Files, isCUE) {
			return false
		}
		if j.Broken && len(moved.BaseChanged) > 0 { // perhaps by the branch, which is mended now
			return false
		}
	}
	if len(was.Files) == 0 {
		return true
	}
	ofRollout := func(r plan.Resource) bool { return r.Ref.Kind == schema.KindRollout }
	if was.Rollouts != is.Rollouts && j.Last != nil && slices.ContainsFunc(j.Last.Resources, ofRollout) {
		return false
	}
	if was.label() == is.label() {
		return true
	}
	from, to := p.spec(was.label()), p.spec(is.label())
	if from == nil || to == nil || !reflect.DeepEqual(from.Settings, to.Settings) {
		return false
	}
	moved := schema.Diff(from, to)
	if j.Last == nil { // its check failed, or it has no plan: whatever has changed may matter
		return len(moved) == 0
	}
	// What the head's files have may have been served, and so be in no plan.
	inFiles := func(c schema.Change) bool { return was.has(from, c.Ref) || was.has(to, c.Ref) }
	return !slices.ContainsFunc(moved, inFiles) && !j.Last.Stale(from, to)
}

// has reports whether a spec has a resource in one of the files that the head
// changes, or may have.
func (b Basis) has(spec *schema.Spec, ref schema.Ref) bool {
	r := spec.Find(ref)
	if r == nil {
		return false
	}
	file := schema.MetaOf(r).Pos.File
	isCUE := func(file string) bool { return path.Ext(file) == ".cue" }
	return b.More || slices.Contains(b.Files, file) || isCUE(file) && slices.ContainsFunc(b.Files, isCUE)
}

// spec is one that was served lately; nil when it is not known any more.
func (p *planner) spec(label string) *schema.Spec {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.specs {
		if s.Label == label {
			return s.Spec
		}
	}
	return nil
}
