package reconciler

import (
	"maps"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// RolloutView is a Rollout of what is served, and where it stands; and, beside
// it, each canary of a pull request. Weights are in percent.
type RolloutView struct {
	Name     string              `json:"name"`               // namespace/name
	Start    schema.RolloutStart `json:"start"`              // "merge" or "pull-request"
	Governed []schema.Ref        `json:"governed,omitempty"` // what moves together
	// Base is the commit that was completed last, Target the one to come; they are
	// the same where nothing is on its way.
	Base   string `json:"base"`
	Target string `json:"target"`
	Pull   int    `json:"pull,omitempty"` // whose head Target is, or was
	By     string `json:"by,omitempty"`   // who asked for it

	// Phase is one of [canary.Phase]; empty: nothing was on its way yet. Ended: nor
	// is it now.
	Phase canary.Phase `json:"phase"`
	Ended bool         `json:"ended"`
	// Past: its Rollout was removed, or its pull request closed. It is shown for a day.
	Past   bool                `json:"past,omitempty"`
	State  sources.StatusState `json:"state"`            // of the check meshwright/canary; empty without a phase
	Line   string              `json:"line"`             // of the same: where it stands, in one line
	Reason string              `json:"reason,omitempty"` // of the phase, or what keeps it
	Step   int                 `json:"step"`             // that it is at, or ended at, counted from 1; 0 before the first
	Steps  int                 `json:"steps"`
	Weight float64             `json:"weight"` // the canary's part of the requests now; 0 after it went back

	// Unfit is why what the rollout begins at has no spec, so that nothing is served;
	// empty: it has one.
	Unfit string `json:"unfit,omitempty"`
	// Approvable: its step has a gate that a person has yet to open.
	Approvable bool      `json:"approvable,omitempty"`
	PausedBy   string    `json:"pausedBy,omitempty"`
	Failed     string    `json:"failed,omitempty"` // a commit that led to the same, and was rolled back
	Began      time.Time `json:"began,omitzero"`
	// History has the transitions, oldest first; Timeline and Chart are the same as
	// lines of text.
	History  []RolloutEvent `json:"history,omitempty"`
	Timeline []string       `json:"timeline,omitempty"`
	Chart    []string       `json:"chart,omitempty"`
	// Evidence is that of the step which ended last; missing before one has.
	Evidence *canary.Evidence `json:"evidence,omitempty"`
}

// RolloutEvent is a transition of a rollout, and why.
type RolloutEvent struct {
	At       time.Time        `json:"at"`
	Phase    canary.Phase     `json:"phase"`
	Step     int              `json:"step"` // as in [RolloutView]
	Weight   float64          `json:"weight"`
	Reason   string           `json:"reason"`
	Evidence *canary.Evidence `json:"evidence,omitempty"`
}

// rolloutViews shows the rollouts of a state: those of the branch by name, then
// those of pull requests, and last those of the past.
func rolloutViews(s State, now time.Time) []RolloutView {
	views := []RolloutView{}
	for _, name := range slices.Sorted(maps.Keys(s.Rollouts)) {
		t := s.Rollouts[name]
		if t.Run != nil {
			v := rolloutView(t.Run.State, now)
			if v.Unfit = s.Unfit[t.Run.Base]; v.Unfit != "" && (t.Run.live() || t.Run.wentBack()) {
				v.Line = unfitLine(t.Run.Base, v.Unfit)
			}
			views = append(views, v)
			continue
		}
		views = append(views, RolloutView{
			Name: name, Start: t.Start, Base: t.Stable, Target: t.Stable, Ended: true, Line: "nothing is on its way",
		})
	}
	if d := s.Doubt; d != nil {
		for _, ref := range d.Rollouts {
			views = append(views, RolloutView{Name: nameOf(ref), Target: d.Commit, Phase: canary.Waiting, State: sources.Pending, Line: inDoubt, Unfit: "no commit is known to be completed"})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Trials)) {
		views = append(views, rolloutView(s.Trials[key].State, now))
	}
	for _, run := range s.Past {
		v := rolloutView(run.State, now)
		v.Past = true
		views = append(views, v)
	}
	return views
}

// counted are the steps of a history, and the one that it led to, as people count
// them: from 1, and 0 before the first. What ends while it waits has had none.
func counted(c canary.State) (steps []int, now int) {
	began := false
	count := func(phase canary.Phase, step int) int {
		switch phase {
		case canary.Waiting, canary.RollingBack, canary.RolledBack, canary.Superseded, canary.Withdrawn:
		default:
			began = true
		}
		if !began || phase == canary.Waiting {
			return 0
		}
		return min(step+1, c.Steps)
	}
	for _, e := range c.History {
		steps = append(steps, count(e.Phase, e.Step))
	}
	return steps, count(c.Phase, c.Step)
}

// weightOf is the canary's part of the requests as they are served, in percent.
func weightOf(c canary.State) float64 {
	if c.Mix(schema.RolloutSpec{}).Side == canary.AtBase {
		return 0
	}
	return 100 * c.Weight.Fraction()
}

func rolloutView(c canary.State, now time.Time) RolloutView {
	status := c.Status()
	steps, step := counted(c)
	v := RolloutView{
		Name: nameOf(c.Rollout), Start: c.Start, Governed: c.Governed, Base: c.Base, Target: c.Target, Pull: c.Pull, By: c.By,
		Phase: c.Phase, Ended: c.Phase.Ended(), State: status.State, Line: status.Description, Reason: c.Reason,
		Step: step, Steps: c.Steps, Weight: weightOf(c), PausedBy: c.PausedBy, Failed: c.Failed, Approvable: c.Approvable, Began: c.Began,
		Timeline: canary.Timeline(c), Chart: canary.Chart(c, now),
	}
	for i, e := range c.History {
		v.History = append(v.History, RolloutEvent{e.At, e.Phase, steps[i], 100 * e.Weight.Fraction(), e.Reason, e.Evidence})
		if e.Evidence != nil {
			v.Evidence = e.Evidence
		}
	}
	return v
}
