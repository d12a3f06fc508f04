package report

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
)

// Pull is all that is known of a pull request: the facts of its one comment.
// It is plain data that is stored as JSON.
type Pull struct {
	Environment string `json:"environment,omitempty"` // of the daemon
	Number      int    `json:"number"`
	Head        string `json:"head"`              // its commit
	Base        string `json:"base"`              // tip of the branch that it was merged with to check it
	Serving     string `json:"serving,omitempty"` // commit that the plan starts from; empty: nothing is served yet
	// Serves says what is served where that is not all of Serving; empty: it is.
	Serves  string `json:"serves,omitempty"`
	Version string `json:"version,omitempty"` // of the daemon

	Check      sources.Status `json:"check"`
	PlanStatus sources.Status `json:"planStatus"`

	// Diagnostics may be fewer than there are: Errors and Warnings count them all.
	// Their files are named from the repository's root.
	Diagnostics schema.Diagnostics `json:"diagnostics,omitempty"`
	Errors      int                `json:"errors,omitempty"`
	Warnings    int                `json:"warnings,omitempty"`

	// Refused is the branch's newest commit while that has errors itself, so that
	// a merge would be refused whatever is said here; empty: it has none, or this
	// would mend them.
	Refused   string     `json:"refused,omitempty"`
	Conflicts []string   `json:"conflicts,omitempty"` // files changed on both sides
	Protected []string   `json:"protected,omitempty"` // what needs a label, a line each: "needs label mesh-gateway: spec/gateway.yaml"
	Plan      *plan.Plan `json:"plan,omitempty"`      // nil: there is nothing to plan, or it could not be
	Past      []PastPlan `json:"past,omitempty"`      // of earlier heads, newest first
	Answers   []Answer   `json:"answers,omitempty"`   // newest first
	Rollouts  []Rollout  `json:"rollouts,omitempty"`  // of its head, or of the commit that it was merged as
	After     *After     `json:"after,omitempty"`     // nil while it is not merged

	// Files is the prefix of a file's address at the head, as
	// https://github.com/OWNER/REPO/blob/COMMIT/; empty: files are not linked.
	Files string `json:"files,omitempty"`
}

// PastPlan is what was said of an earlier head.
type PastPlan struct {
	Head    string    `json:"head"`
	When    time.Time `json:"when"`
	Verdict string    `json:"verdict"` // as [Verdict] had it
}

// Answer is what became of a command in a comment.
type Answer struct {
	Who     string `json:"who"`     // login
	Command string `json:"command"` // as it was written: "/meshwright explain web api /x"
	Text    string `json:"text"`    // a sentence, or lines of an explanation
	// Asked is when the comment was written; zero: in an older version.
	Asked time.Time `json:"asked,omitzero"`
}

// After is what a merge did.
type After struct {
	Commit string `json:"commit"` // on the branch
	// By is the commit that overtook it before all proxies had it, whose Applied
	// and Health these are; empty: none did.
	By      string         `json:"by,omitempty"`
	Applied sources.Status `json:"applied"`
	Health  sources.Status `json:"health"` // zero: nothing is known yet
}

// Comment is the one comment on a pull request, in GitHub's Markdown, of at
// most limit characters. The first line is the verdict, then comes what to act
// on; the rest is folded. The same facts are the same text, so that a comment
// is edited only when there is news.
func Comment(p Pull, limit int) string {
	v := verdictOf(p)
	first := v.markdown()
	if p.Environment != "" {
		first = code(p.Environment) + ": " + first
	}
	sections := slices.Concat([]section{branch(p)}, todo(p), rollouts(p), planned(p.Plan, p.Files), []section{answers(p)}, folded(p.Plan, p.Files), []section{warnings(p), past(p)})
	return compose(first, sections, footer(p), limit)
}

// Unmade is the comment where [Comment] has failed, which it never should.
const Unmade = "**Not told**: the daemon has a mistake and could not write this comment; its log says why. The statuses beside the commit hold.\n"

// PlanMarkdown is a plan alone as Markdown, for the summary of somebody's own
// build. Files is as [Pull.Files].
func PlanMarkdown(p *plan.Plan, files string) string {
	return compose(changes(Pull{Plan: p}).markdown(), slices.Concat(planned(p, files), folded(p, files)), "", math.MaxInt32)
}

// footer names what was compared, so that a reader knows how old it is.
func footer(p Pull) string {
	var parts []string
	switch {
	case p.Head == "":
	case p.Serving == "":
		parts = append(parts, "Head "+commit(p.Head)+"; nothing is served yet")
	case p.Serves != "":
		parts = append(parts, "Head "+commit(p.Head)+" merged with "+commit(p.Base)+", compared with what was served then: "+prose(p.Serves))
	default:
		parts = append(parts, "Head "+commit(p.Head)+" merged with "+commit(p.Base)+", compared with "+commit(p.Serving)+", which is served")
	}
	if p.Version != "" {
		parts = append(parts, "meshwright "+code(p.Version))
	}
	return "<sub>" + strings.Join(parts, " · ") + "</sub>\n"
}
