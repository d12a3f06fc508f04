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

// Retry starts a rollout anew that went back. It is the one verb that is about
// no rollout on its way.
const Retry canary.Verb = "retry"

// Unknown is the error of a word to a rollout that there is none of, or of a verb
// that is none.
type Unknown struct{ What string }

func (e Unknown) Error() string { return e.What }

// said is what somebody says to a rollout; who says it may.
type said struct {
	name, by string
	verb     canary.Verb
	pull     int // from which; 0: from elsewhere
}

// Say tells a rollout something, in somebody's name: namespace/name, or the name
// alone where one Rollout has it; of several of one name, as the canaries of
// pull requests are, all that are on their way hear it. An error is a line for
// people: there is no such rollout or verb ([Unknown]), or it is not where the
// verb does anything. It returns at once; what becomes of it, [View] shows.
func (r *Reconciler) Say(rollout string, verb canary.Verb, by string) error {
	if err := sayable(r.shown.Load().Rollouts, rollout, verb); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sayings = append(r.sayings, said{name: rollout, by: by, verb: verb})
	r.wake.ring()
	return nil
}

// sayable is why a word to a rollout does nothing; nil: it does.
func sayable(views []RolloutView, name string, verb canary.Verb) error {
	verbs := []canary.Verb{canary.Pause, canary.Resume, canary.Abort, canary.Promote, canary.Approve, Retry}
	if !slices.Contains(verbs, verb) {
		return Unknown{fmt.Sprintf("no such word to a rollout: %s", verb)}
	}
	var found []RolloutView
	names := map[string]bool{}
	for _, v := range views {
		if sameName(v.Name, name) && !v.Past {
			found = append(found, v)
			names[v.Name] = true
		}
	}
	switch {
	case len(found) == 0:
		return Unknown{"there is no rollout " + name + Instead(views, name)}
	case len(names) > 1:
		all := []string{}
		for _, v := range found {
			all = append(all, v.Name)
		}
		return fmt.Errorf("%s is several: %s", name, strings.Join(slices.Compact(all), ", "))
	}
	why := ""
	for _, v := range found {
		if why = unmoved(v, verb); why == "" {
			return nil
		}
	}
	return fmt.Errorf("the rollout %s %s", found[0].Name, why)
}

// named says which rollouts there are to name.
func named(views []RolloutView) string {
	var names []string
	for _, v := range views {
		if !v.Past && !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	switch {
	case len(names) == 0:
		return "what is served has no Rollout"
	case len(names) == 1:
		return "NAME is " + names[0]
	case len(names) > 5:
		return fmt.Sprintf("NAME is one of %s and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return "NAME is one of " + strings.Join(names, ", ")
}

// Instead says, after a rollout's name that there is not, which one may be meant
// or which there are.
func Instead(views []RolloutView, name string) string {
	full, words := []string{}, map[string]string{} // and by what they may be called
	for _, v := range views {
		if v.Past {
			continue
		}
		if !slices.Contains(full, v.Name) {
			full = append(full, v.Name)
		}
		words[v.Name] = v.Name
		words[v.Name[strings.LastIndexByte(v.Name, '/')+1:]] = v.Name
	}
	near := schema.Nearest(name, slices.Sorted(maps.Keys(words)))
	switch {
	case len(near) > 0:
		return "; did you mean " + words[near[0]] + "?"
	case len(full) == 0:
		return ": what is served has no Rollout"
	case len(full) > 5:
		return fmt.Sprintf(", but %s and %d more", strings.Join(full[:5], ", "), len(full)-5)
	}
	return ", but " + strings.Join(full, ", ")
}

// unmoved is why a rollout does nothing at a word; empty: it does.
func unmoved(v RolloutView, verb canary.Verb) string {
	switch {
	case v.Unfit != "" && verb == canary.Promote:
		return ""
	case v.Unfit != "":
		return "has nothing to begin from: promote takes its commit as it is"
	case verb == Retry && v.Pull != 0 && v.Start == schema.StartPullRequest:
		return "is of a pull request: comment /canary there to try it again"
	case verb == Retry && (v.Phase == canary.RolledBack || v.Failed != ""):
	case verb == Retry && v.Phase == canary.RollingBack:
		return "is still going back: retry it when it has"
	case verb == Retry:
		return "has not gone back: there is nothing to retry"
	case v.Phase == canary.RolledBack && v.Pull == 0:
		return "went back already: retry begins it anew"
	case v.Ended || v.Phase == "":
		return "has nothing on its way"
	case v.Phase == canary.RollingBack:
		return "is going back already"
	case v.Failed != "" && verb != canary.Resume:
		if v.Failed == v.Target {
			return "waits at its base, for it failed before the state was lost: retry it first"
		}
		return "waits at its base, for the same failed as " + report.Short(v.Failed) + ": retry it first"
	case verb == canary.Resume && v.PausedBy == "" && v.Failed == "" && v.Phase != canary.Held:
		return "is not paused"
	case verb == canary.Approve && !v.Approvable && v.Step > 0:
		return fmt.Sprintf("has no gate that waits for an approval at its step %d/%d", v.Step, v.Steps)
	case verb == canary.Approve && !v.Approvable:
		return "has not begun: there is nothing to approve yet"
	case verb == canary.Pause && v.PausedBy != "":
		return "is paused already, by " + v.PausedBy
	}
	return ""
}
