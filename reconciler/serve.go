package reconciler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
)

// specs are those of commits of the branch, by commit.
type specs map[string]*schema.Spec

// needs are the commits whose specs decide what is served, and what comes next:
// without one of them nothing is published, for proxies never get guessed
// weights.
func (s State) needs() []string {
	need := map[string]bool{s.Good: true, s.Taken: true}
	if s.Doubt != nil {
		need[s.Doubt.Commit] = true
	}
	for _, t := range s.Rollouts {
		need[t.Stable] = true
		if t.Run.live() || t.Run.wentBack() {
			need[t.Run.Base] = true
		}
		if t.Run.live() && t.At != s.Taken {
			need[t.Run.Target] = true
		}
	}
	delete(need, "")
	return slices.Sorted(maps.Keys(need))
}

// has reports whether some specs are there.
func (all specs) has(commits ...string) bool {
	return !slices.ContainsFunc(commits, func(c string) bool { return all[c] == nil })
}

// layer is what lies over the spec of the commit that was taken in: the routes
// of one rollout, where it stands between a commit, or a pull request's head,
// and that spec.
type layer struct {
	commit, head string
	mix          canary.Mix
}

// layers are those of the branch's rollouts, and on top of them those of pull
// requests. Of a head whose spec is missing, the base is served.
func (s State) layers(taken *schema.Spec, heads specs) (all []layer) {
	for _, name := range slices.Sorted(maps.Keys(s.Rollouts)) {
		t := s.Rollouts[name]
		if !t.Run.live() && !t.Run.wentBack() {
			continue
		}
		m := t.Run.Mix(policyOf(taken, t.Rollout))
		switch {
		case m.Side != canary.AtTarget:
			all = append(all, layer{commit: t.Run.Base, mix: m})
		case t.At != s.Taken: // what follows waits until this one is complete
			m.Side = canary.AtBase
			all = append(all, layer{commit: t.Run.Target, mix: m})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Trials)) {
		t := s.Trials[key]
		if m := t.Mix(policyOf(taken, t.Rollout)); m.Side != canary.AtBase && heads[t.Target] != nil {
			all = append(all, layer{head: t.Target, mix: m})
		}
	}
	return all
}

// served is the spec that proxies should have: the layers over that of the
// commit which was taken in.
func (s State) served(layers []layer, all, heads specs) *schema.Spec {
	spec := all[s.Taken]
	if base := s.takenBack(); base != "" {
		// Of that commit, what others govern may never have been completed.
		spec = all[base]
		layers = slices.DeleteFunc(slices.Clone(layers), func(l layer) bool { return l.head == "" })
		var others []layer
		for _, name := range slices.Sorted(maps.Keys(s.Rollouts)) {
			if t := s.Rollouts[name]; t.Stable != base {
				others = append(others, layer{commit: t.Stable, mix: canary.Mix{Governed: targetsOf(all[s.Taken], t.Rollout), Start: schema.StartMerge, Side: canary.AtBase}})
			}
		}
		layers = append(others, layers...)
	}
	for _, l := range layers {
		if l.head != "" {
			spec = canary.Blend(spec, heads[l.head], []canary.Mix{l.mix})
			continue
		}
		// With a mix that governs nothing, no more than what is governed goes back.
		others := canary.Mix{Start: l.mix.Start, Side: canary.Between}
		spec = canary.Blend(all[l.commit], spec, []canary.Mix{l.mix, others})
	}
	return spec
}

// takenBack is the commit to serve in the place of the one taken in, if all that
// the latter has brought under way went back to it: then nothing is served of
// what failed, not even what no Rollout governs. Empty: there is none.
func (s State) takenBack() string {
	base := ""
	for _, t := range s.Rollouts {
		switch run := t.Run; {
		case run == nil || run.Target != s.Taken:
			if run.wentBack() || run.live() {
				return ""
			}
		case !run.wentBack() || base != "" && run.Base != base:
			return ""
		default:
			base = run.Base
		}
	}
	return base
}

// serving is the commit of which the proxies have most, when they are given the
// one that was taken in, or a blend; and what they have for people to read.
func (s State) serving(published string) (commit, words string) {
	if base := s.takenBack(); base != "" && published == s.Taken {
		return base, report.Short(base) + ", the base: " + report.Short(published) + " is rolled back"
	}
	var but []string
	for name, t := range s.Rollouts {
		switch {
		case !t.Run.live() && !t.Run.wentBack():
		case t.At == s.Taken && t.Run.Mix(schema.RolloutSpec{}).Side == canary.AtTarget: // all is on its way
		case t.Run.atBase():
			but = append(but, name+" at its base "+report.Short(t.Run.Base))
		default:
			but = append(but, fmt.Sprintf("%s %s %% from %s", name, t.Run.Weight, report.Short(t.Run.Base)))
		}
	}
	for _, t := range s.Trials {
		if t.live() && !t.atBase() {
			but = append(but, fmt.Sprintf("%s %s %% of #%d", nameOf(t.Rollout), t.Weight, t.Pull))
		}
	}
	words = report.Short(published)
	if len(but) > 0 {
		slices.Sort(but)
		words += ", but " + strings.Join(but, ", ")
	}
	return published, words
}

// policyOf is what a spec says of a Rollout; where it has none, nothing.
func policyOf(spec *schema.Spec, rollout schema.Ref) schema.RolloutSpec {
	if r := spec.Rollouts[rollout.Key]; r != nil {
		return r.Policy()
	}
	return schema.RolloutSpec{}
}

// targetsOf are what a Rollout of a spec governs.
func targetsOf(spec *schema.Spec, rollout schema.Ref) (refs []schema.Ref) {
	policy := policyOf(spec, rollout)
	for i := range policy.Targets {
		refs = append(refs, policy.Targets[i].In(""))
	}
	return refs
}

// label is under which name the proxies are given what is served: the commit,
// and of a blend also which one, so that ACKs can be told apart. [commitOf] is
// the way back: people are shown commits.
func (s State) label(layers []layer) string {
	if len(layers) == 0 {
		return s.Taken
	}
	return fmt.Sprintf("%s+%d", s.Taken, s.Pushes)
}

// commitOf is the commit of a label.
func commitOf(label string) string {
	commit, _, _ := strings.Cut(label, "+")
	return commit
}
