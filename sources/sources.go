// Package sources has the words for where truth comes from: revisions of a git
// branch, pull requests, and the wake-ups that say something may have moved.
// Its sub-packages are the edges: git reads repositories, github answers pull
// requests and takes webhooks.
package sources

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Errors that say something about the watched branch rather than about the way
// to it.
var (
	// ErrNoBranch: the repository was reached and has no such branch (any more).
	ErrNoBranch = errors.New("no such branch")
	// ErrNoPath: the commit has no folder at the spec path. The revision that
	// comes with it says which commit, and has no files.
	ErrNoPath = errors.New("no such folder")
)

// RetryAfter says that the git host's limits are used up until a time.
type RetryAfter struct {
	At  time.Time
	Err error
}

func (e *RetryAfter) Error() string {
	return fmt.Sprintf("%v; again at %s", e.Err, e.At.UTC().Format(time.TimeOnly+" UTC"))
}

func (e *RetryAfter) Unwrap() error { return e.Err }

// Permanent is an error that a retry cannot mend, of the git host or of what
// somebody pushed: somebody must change something. Its text says what.
type Permanent struct{ Err error }

func (e *Permanent) Error() string { return e.Err.Error() }
func (e *Permanent) Unwrap() error { return e.Err }

// Secret is a string that does not print itself.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// MarshalText hides the secret from JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Revision is the spec path of a repository at one commit, read from the
// object store without a work tree.
type Revision struct {
	Commit string    // full hash
	Tree   string    // hash of the spec path's tree: equal trees hold equal files
	Author string    // name of the commit's author
	Title  string    // first line of the commit's message
	When   time.Time // committer's time
	Forced bool      // fetched, and does not descend from the tip fetched before it
	// Landed are the commits that came to the branch with this one, since the tip
	// fetched before it: the way back by first parents, newest first, the last of them.
	Landed []string
	Files  fs.FS // files below the spec path; FileInfo.Sys() is a schema.BlobID
}

// Merge is what a merge of a commit into another would give below the spec path.
// Paths are from the spec path, sorted, and of files: of one that was renamed
// both are listed.
type Merge struct {
	// Revision is the result: Commit, Author, Title and When of the head, Tree
	// and Files of the merge. nil with conflicts. Its Files are nil when the
	// merge leaves no folder at the spec path.
	Revision    *Revision
	Base        string   // merge base; one of them, when the histories cross
	Changed     []string // what the head changed since the merge base
	BaseChanged []string // what the base changed since the merge base
	Conflicts   []string // what both changed, in different ways
}

// PullRequest is an open pull request against the watched branch.
type PullRequest struct {
	Number int
	Head   string // commit
	Base   string // branch
	Title  string
	Author string   // login
	Labels []string // names, sorted
	Draft  bool
	Fork   bool // its head is in another repository
}

// Fate is what has become of a pull request that is not listed as open; zero: it
// was closed, or leads to another branch.
type Fate struct {
	Open   bool   // it is all the same: a list may lag behind
	Merged string // the commit of the branch that it was merged as
}

// Comment is what somebody wrote on a pull request, or elsewhere.
type Comment struct {
	ID      int64
	Pull    int    // number; 0: it is not on a pull request
	Author  string // login
	Bot     bool   // an app or a bot account, we among them
	Edited  bool   // it is not what its author wrote at first
	Created time.Time
	Body    string
}

// Limits are what a git host can do, and how much it takes.
type Limits struct {
	Description int  // characters of a status's description
	Comment     int  // characters of a comment; 0: there are none
	Annotations bool // statuses show their annotations on the lines of files
	Deployments bool
}

// Annotation is a remark on a line of a file, which a git host shows there.
type Annotation struct {
	File    string // from the repository's root
	Line    int    // 1-based
	Column  int    // 1-based; 0: the whole line
	Failure bool   // else a warning
	Title   string
	Message string
}

// Status is one commit status: what stands beside a commit under a context.
type Status struct {
	State       StatusState `json:"state"`
	Description string      `json:"description"` // at most 140 characters
	URL         string      `json:"url,omitempty"`
	// Annotations are for hosts that can show them ([Limits]); errors first.
	Annotations []Annotation `json:"-"`
}

// StatusState is GitHub's: failure = the spec is bad; error = our own trouble.
type StatusState string

// The states of a commit status.
const (
	Pending StatusState = "pending"
	Success StatusState = "success"
	Failure StatusState = "failure"
	Errored StatusState = "error"
)
