package reconciler

import (
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// Kind says what a letter to the forge is.
type Kind string

// The kinds of letters.
const (
	StatusLetter     Kind = "status"     // of a commit
	CommentLetter    Kind = "comment"    // on a pull request, edited in place
	ReactionLetter   Kind = "reaction"   // to a comment
	DeploymentLetter Kind = "deployment" // of a commit
	RevertLetter     Kind = "revert"     // a pull request that takes a commit back
)

// Address is where a letter goes. Of the letters to one address only the newest
// counts.
type Address struct {
	Kind   Kind
	Commit string // of a status or a deployment
	Number int64  // a comment's pull request; the comment that a reaction is to
	Name   string // the status's context, the comment's key, the reaction, the deployment's environment
}

// Content is what a letter says, as far as the state keeps it.
type Content struct {
	sources.Status
	// Digest stands for what is too long to keep: a comment's body, the
	// annotations of a status.
	Digest string `json:"digest,omitempty"`
}

// equal ignores the link: it depends on how this daemon is reached, and nobody
// wants old statuses written anew for that.
func equal(a, b Content) bool {
	return a.State == b.State && a.Description == b.Description && a.Digest == b.Digest
}

// some reports whether there is anything to say.
func (c Content) some() bool { return c.State != "" || c.Digest != "" }

// Write is one letter to write.
type Write struct {
	Address
	Content
	Body   string // of a comment
	Undo   *Undo  // of a revert
	Unsure bool   // look at what stands first
}

// Undo is what a revert takes back, and why.
type Undo struct {
	To, Tip string // commits: what is served, and the newest of the branch
	report.Failed
}

// Written is what the forge answered to a [Write].
type Written struct {
	Write
	Stood   bool  // it stood there already
	Refused error // the forge will never take it
	Opened  int   // of a revert: its pull request
}

// Slot is one letter. Want is what should stand; it is outstanding until the
// forge has confirmed it.
type Slot struct {
	Want Content `json:"want"`
	// Tried is an intent, saved before it is carried out: what may stand there
	// unconfirmed.
	Tried bool     `json:"tried,omitempty"`
	Wrote *Content `json:"wrote,omitempty"`
	// Unsure: an earlier process tried and did not live to tell, or the forge took
	// back what was written; look at what stands before writing.
	Unsure bool `json:"-"`
	// Refused is why the forge will never take Want.
	Refused string `json:"refused,omitempty"`
	// Writes is how many letters the forge has taken.
	Writes int `json:"writes,omitempty"`
}

// mostWrites is after how many letters a status is written for its state only:
// GitHub takes 1,000 of one context beside a commit, and none of them may use up
// the place of the verdict.
const mostWrites = 900

// open reports whether the slot still has something to write.
func (s Slot) open() bool {
	return s.Want.some() && s.Refused == "" && (s.Tried || !s.stands() && !s.spared())
}

// spared reports whether what is wanted is not worth one of the last letters: it
// is not final, or another text for the state that stands.
func (s Slot) spared() bool {
	return s.Writes >= mostWrites && s.Want.State != "" &&
		(s.Want.State == sources.Pending || s.Wrote != nil && s.Wrote.State == s.Want.State)
}

// stands reports whether what was last confirmed is what is wanted.
func (s Slot) stands() bool {
	return s.Wrote != nil && equal(*s.Wrote, s.Want)
}

// wanting is the slot with another content; what is wanted already stays as it
// is.
func (s Slot) wanting(c Content) Slot {
	if s.Want.some() && equal(s.Want, c) {
		return s
	}
	s.Want, s.Refused = c, ""
	return s
}

// answered is the slot after the forge's answer to a letter from it.
func (s Slot) answered(w Written) Slot {
	s.Tried, s.Unsure = false, false
	switch {
	case w.Refused == nil:
		s.Wrote = &w.Content
		if !w.Stood {
			s.Writes++
		}
	case equal(s.Want, w.Content):
		s.Refused = w.Refused.Error()
	}
	return s
}
