// Package sources has the words for where truth comes from: revisions of a git
// branch, pull requests, and the wake-ups that say something may have moved.
// Its sub-packages are the edges: git reads repositories, github answers pull
// requests and takes webhooks.
package sources

import (
	"io/fs"
	"time"
)

// Revision is the spec path of a repository at one commit, read from the
// object store without a work tree.
type Revision struct {
	Commit string    // full hash
	Tree   string    // hash of the spec path's tree: equal trees hold equal files
	Author string    // name of the commit's author
	Title  string    // first line of the commit's message
	When   time.Time // committer's time
	Files  fs.FS     // files below the spec path; FileInfo.Sys() is a schema.BlobID
}

// PullRequest is an open pull request against the watched branch.
type PullRequest struct {
	Number int
	Head   string // commit
	Base   string // branch
	Title  string
	Fork   bool // its head is in another repository
}

// Status is one commit status: what stands beside a commit under a context.
type Status struct {
	State       StatusState `json:"state"`
	Description string      `json:"description"` // at most 140 characters
	URL         string      `json:"url,omitempty"`
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
