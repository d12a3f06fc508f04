package report

import (
	"fmt"
	"strings"

	"github.com/meshwright/meshwright/sources"
)

// Rollout is where a rollout stands, for a comment.
type Rollout struct {
	Name    string         `json:"name"`
	Base    string         `json:"base"`   // commit that was completed last
	Target  string         `json:"target"` // commit to come
	Status  sources.Status `json:"status"`
	Failure string         `json:"failure,omitempty"` // why it failed
	Held    bool           `json:"held,omitempty"`    // it stands where it failed
	// Chart and Timeline are lines of text, in which spaces count.
	Chart    []string `json:"chart,omitempty"`
	Timeline []string `json:"timeline,omitempty"`
}

// Notice is the comment that tells of a failed rollout, with its evidence: one
// of its own, which stays. It has at most limit characters.
func Notice(environment string, r Rollout, limit int) string {
	var b strings.Builder
	if environment != "" {
		fmt.Fprintf(&b, "%s: ", code(environment))
	}
	fmt.Fprintf(&b, "**The canary %s of %s failed**: %s\n\n", code(r.Name), commit(r.Target), prose(r.Failure))
	if r.Held {
		b.WriteString("It stands until somebody says more: resume, promote or abort.\n")
	} else {
		fmt.Fprintf(&b, "Proxies go back to %s.\n", commit(r.Base))
	}
	return compose(b.String(), []section{timeline(r)}, "", limit)
}

// Removed is the comment on a pull request by which a Rollout "is removed", or has
// lost a target (how), while what it governs had not come to all requests (why): it
// tells that this has happened now.
func Removed(environment, rollout, target, how, why string) string {
	var b strings.Builder
	if environment != "" {
		fmt.Fprintf(&b, "%s: ", code(environment))
	}
	fmt.Fprintf(&b, "**All requests get %s at once**: the Rollout %s %s, by which %s.\n", commit(target), code(rollout), prose(how), prose(why))
	return b.String()
}

// rollouts are those of a pull request, one after the other.
func rollouts(p Pull) (sections []section) {
	for _, r := range p.Rollouts {
		s := timeline(r)
		s.head = fmt.Sprintf("Canary %s: %s\n\n", code(r.Name), prose(r.Status.Description))
		sections = append(sections, s)
	}
	return sections
}

// timeline is how a rollout came to where it is. Each line is code by its
// indent, so that as many stay as have room.
func timeline(r Rollout) section {
	s := section{title: "Timeline", where: "`meshwright get rollouts` has it"}
	for i, line := range append(append([]string{}, r.Chart...), r.Timeline...) {
		if i > 0 && i == len(r.Chart) {
			s.rows = append(s.rows, "\n")
		}
		s.rows = append(s.rows, "    "+clip(strings.ReplaceAll(strings.Map(visible, line), "<!--", "<! --"), maxText)+"\n")
	}
	return s
}
