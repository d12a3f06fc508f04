package canary

import (
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Observation is one look at all that a rollout depends on. What is not known
// is left empty, and never taken for good.
type Observation struct {
	// Of git and its host.
	Head    string            // of the pull request, as far as it is known
	Closed  string            // how the pull request has ended, which leads nowhere: "the pull request was closed"
	Merged  string            // the commit that the pull request has become on the branch
	Landing bool              // it is merged, and that commit has not been seen yet
	Newer   string            // a newer commit of the branch that changes what is governed
	Follows string            // a newer commit of the branch that does not
	Removed string            // a commit of the branch that has no such Rollout any more
	Behind  string            // which other rollout has a route of this one: "#12 at 25 %"
	Away    string            // why git cannot be asked
	Gates   map[string]string // states of the target's commit statuses, by context
	Said    []Saying          // by people, since the last look

	// Of the proxies. Serving is the ID of what is published of this rollout, and
	// Acks are how far all that is published has come.
	Serving   string
	Acks      xds.Progress
	Lacking   []Straggler // that have not taken it, as far as they are known by name
	Reporting int         // proxies of the callers that tell of traffic
	Silent    []Straggler // and those that should and do not
	// Heard is up to when all of them have told, as [Now] has it; the moment of the
	// look where there is none.
	Heard time.Duration

	// Since the time that [State.Evidence] asks for: of the nodes whose share
	// grows, and of those whose share falls.
	Canary, Base xds.Traffic
	Numbers      map[string]Number // Prometheus's, by the rule's name
}

// Saying is a command, by somebody who may give it.
type Saying struct {
	Verb Verb
	By   string
}

// Verb is what a person says.
type Verb string

// The verbs. Abort beats all others.
const (
	Pause   Verb = "pause"
	Resume  Verb = "resume" // also after a failure that is held, or of the same before: it is tried again
	Abort   Verb = "abort"
	Promote Verb = "promote" // without the steps that are left; windows and holds still keep it
	Approve Verb = "approve" // the gate that waits for a person
)

// Effect is what to do about the world, once the state is written down. To do
// one twice is harmless.
type Effect struct {
	Do   Do
	ID   string // of Publish
	Mix  Mix    // of Publish
	Text string // of Report and Notify
}

// Do is a kind of effect.
type Do string

// The effects. Of several Publish the last one holds.
const (
	Publish Do = "publish" // serve the mix
	Report  Do = "report"  // write the check and the comment anew
	Notify  Do = "notify"  // a comment that stays: it failed, and why
	Revert  Do = "revert"  // open a pull request that reverts the target
)

// Ask is a person's wish that a pull request be the canary.
type Ask struct {
	By       string
	MayWrite bool   // to the repository
	Fork     bool   // the head is another repository's
	Commit   string // that the person named, or saw
	Head     string // of the pull request now
	Start    schema.RolloutStart
}

// Refusal is why it may not; empty: it may.
func (a Ask) Refusal() string {
	switch {
	case a.Fork:
		return "commits of forks never run"
	case !a.MayWrite:
		return a.By + " may not write to the repository"
	case a.Commit == "" || a.Commit != a.Head:
		return short(a.Commit) + " is not the head any more, which is " + short(a.Head)
	case a.Start != schema.StartPullRequest:
		return "the rollout starts with the merge"
	}
	return ""
}

// Evidence says since how long ago the next [Observation] has to tell of traffic;
// false: it need not.
func (s State) Evidence(now Now) (time.Duration, bool) {
	if !s.Live.On || !s.Phase.watches() || now.Mono <= s.Live.Read {
		return 0, false
	}
	return now.Mono - s.Live.Read, true
}

// watches reports whether evidence counts in a phase.
func (p Phase) watches() bool { return p == Watching || p == Paused || p == Passed }

func short(commit string) string {
	if commit == "" {
		return "no commit"
	}
	return commit[:min(7, len(commit))]
}
