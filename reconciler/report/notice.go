package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
)

// Notice is the comment that tells of a failed rollout, with its evidence: one
// of its own, which stays. It has at most limit characters.
func Notice(environment string, c canary.State, now time.Time, limit int) string {
	var b strings.Builder
	if environment != "" {
		fmt.Fprintf(&b, "%s: ", code(environment))
	}
	fmt.Fprintf(&b, "**The canary %s of %s failed**: %s\n\n", code(c.Rollout.Name), commit(c.Target), prose(c.Failure))
	switch c.Phase {
	case canary.Held:
		fmt.Fprintf(&b, "It stands at %s %% until somebody says more: resume, promote or abort.\n", c.Weight)
	default:
		fmt.Fprintf(&b, "Proxies go back to %s.\n", commit(c.Base))
	}
	return compose(b.String(), []section{timeline(c, now)}, "", limit)
}

// timeline is how a rollout came to where it is: lines of text, each of which is
// code by its indent, so that as many stay as have room.
func timeline(c canary.State, now time.Time) section {
	s := section{title: "Timeline", where: "`meshwright get rollouts` has it"}
	for _, line := range slices.Concat(canary.Chart(c, now), canary.Timeline(c)) {
		s.rows = append(s.rows, "    "+clip(strings.Map(visible, line), maxText)+"\n")
	}
	return s
}
