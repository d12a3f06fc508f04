package reconciler

import (
	"path"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
)

// Track is how far the branch's commits have come on the routes that one
// Rollout governs.
type Track struct {
	Start schema.RolloutStart `json:"start"` // as the Rollout has it
	// At is the good commit that was looked at last.
	At string `json:"at"`
	// Stable is the commit that the governed routes were completed at last.
	Stable string `json:"stable"`
	// Completed are the contents (see [canary.Content]) that were completed, newest
	// first: Stable's is the first. To go back to one of them takes no steps.
	Completed []string `json:"completed"`
	// Run is the last change that was on its way from Stable, or to it; nil: there
	// was none. One that went back stays, and what is served with it, as long as
	// the branch has the content that failed.
	Run *canary.State `json:"run,omitempty"`
	// Content is that of Run's target.
	Content string `json:"content,omitempty"`
}

// nameOf is the name of a Rollout: namespace/name.
func nameOf(rollout schema.Ref) string { return path.Join(rollout.Namespace, rollout.Name) }

// keepCompleted is how many contents are known to be good.
const keepCompleted = 5
