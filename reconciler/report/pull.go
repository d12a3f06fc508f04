package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/sources"
)

// Checking is the status of a head that is being looked at.
func Checking() sources.Status {
	return sources.Status{State: sources.Pending, Description: "merging with the branch, checking, planning"}
}

// Late is the end of a status that was pending for too long.
func Late(after time.Duration) sources.Status {
	return sources.Status{State: sources.Errored, Description: fmt.Sprintf("no verdict within %s: see the daemon's log; it is tried on", Took(after))}
}

// Closed is the end of a pending status of a pull request that was closed, or
// of a merge group that is gone.
func Closed() sources.Status {
	return sources.Status{State: sources.Errored, Description: "closed before it was checked"}
}

// Untouched is the status of a head that changes no file of the specs.
func Untouched() sources.Status {
	return sources.Status{State: sources.Success, Description: "no mesh changes"}
}

// Rebase is the status of a head that cannot be merged: these files were
// changed on both sides.
func Rebase(files []string) sources.Status {
	if len(files) == 0 {
		return sources.Status{}
	}
	more := ""
	if n := len(files) - 1; n > 0 {
		more = fmt.Sprintf(" (+%d more)", n)
	}
	const before, after = "needs a rebase: ", " changed on both sides"
	return sources.Status{State: sources.Failure, Description: before + clamp(files[0], Limit-len(before)-len(after)-len(more)) + more + after}
}

// Unmergeable is the status of a head whose author has to do something about it
// before it can be merged, as the error says.
func Unmergeable(err error) sources.Status {
	return sources.Status{State: sources.Failure, Description: Clamp(err.Error())}
}

// Protected is the check of a head whose spec is good and that lacks a label,
// as these lines say.
func Protected(lacks []string) sources.Status {
	more := ""
	if n := len(lacks) - 1; n > 0 {
		more = fmt.Sprintf(" (+%d more)", n)
	}
	return sources.Status{State: sources.Failure, Description: clamp(lacks[0], Limit-len(more)) + more}
}

// Plan is the status of a plan; nil: the check failed, so that there is none.
func Plan(p *plan.Plan) sources.Status {
	if p == nil {
		return sources.Status{State: sources.Failure, Description: "no plan: the check failed"}
	}
	return sources.Status{State: sources.Success, Description: Clamp(p.Summary())}
}

// diverged begins the health of what proxies do not have.
const diverged = "diverged: "

// Diverged is the health of a commit while proxies have something else, and why.
func Diverged(why string) sources.Status {
	return sources.Status{State: sources.Failure, Description: Clamp(diverged + why)}
}

// IsDiverged reports whether a health is [Diverged] on account of a rollout.
func IsDiverged(health sources.Status, rollout string) bool {
	return health.State == sources.Failure && strings.HasPrefix(health.Description, diverged+rollout+" ")
}

// Converging is the health of a commit that has diverged while what failed of it is
// tried again.
func Converging(rollout string) sources.Status {
	return sources.Status{State: sources.Pending, Description: Clamp(rollout + " is tried again: see its rollout")}
}

// Converged is the health of a commit that has diverged and does no more.
func Converged(applied sources.Status) sources.Status {
	return sources.Status{State: sources.Success, Description: Clamp("converged: " + applied.Description)}
}
