package github

import (
	"encoding/json"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// Event is what a delivery says: that something may have moved. The truth is
// read afresh from where it is.
type Event struct {
	Name     string // push, pull_request, issue_comment, …
	Action   string // of the event's kinds: opened, rerequested, …; "": it has none, or was not read
	Delivery string // the host's id of it, which a redelivery bears too
	// Commit is the head of a check run or suite that somebody asks to be run
	// again; "": nobody does.
	Commit string
}

// wakes are the events after which something may have moved, each with the
// actions that count; none: all of them.
//
// Of check runs and suites, the others tell of what we wrote ourselves. A comment
// that is edited is no command. Gitea tells of a deleted branch with delete, not
// with push; a merge queue makes its branches with create.
var wakes = map[string][]string{
	"push":                      nil,
	"create":                    nil,
	"delete":                    nil,
	"pull_request":              nil,
	"merge_group":               nil,
	"label":                     nil,
	"issue_comment":             {"created"},
	"check_run":                 {"rerequested"},
	"check_suite":               {"rerequested"},
	"repository":                nil,
	"installation":              nil,
	"installation_repositories": nil,
}

// needed are the events without which something is seen at the next poll only.
// Apps are sent those of checks and installations unasked, and only they are sent
// merge_group; a queue's branches are pushed, too.
var needed = []string{"push", "pull_request", "issue_comment"}

// payload is what is read of a delivery. Whatever is missing, or is not what it
// should be, is as if it were not said.
type payload struct {
	Action     string `json:"action"`
	CheckRun   run    `json:"check_run"`
	CheckSuite run    `json:"check_suite"`
	Hook       struct {
		Events []string `json:"events"`
	} `json:"hook"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
}

type run struct {
	HeadSHA string `json:"head_sha"`
}

func parsePayload(body []byte) payload {
	var p payload
	// An error leaves in p what could be read, which is all that is asked.
	_ = json.Unmarshal(body, &p)
	return p
}

// wakes reports whether something may have moved. An event whose action is not
// known counts: one look too many costs little, one too few minutes.
func (p payload) wakes(event string) bool {
	actions, ok := wakes[event]
	return ok && (actions == nil || p.Action == "" || slices.Contains(actions, p.Action))
}

// hash is a full commit hash, SHA-1 or SHA-256.
var hash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func (p payload) commit(event string) string {
	var commit string
	switch {
	case p.Action != "rerequested":
	case event == "check_run":
		commit = p.CheckRun.HeadSHA
	case event == "check_suite":
		commit = p.CheckSuite.HeadSHA
	}
	if !hash.MatchString(commit) {
		return ""
	}
	return commit
}

// advise logs what somebody should see to.
func (p payload) advise(event string, log *slog.Logger) {
	switch {
	case event == "ping" && len(p.Hook.Events) > 0 && !slices.Contains(p.Hook.Events, "*"):
		lacks := slices.DeleteFunc(slices.Clone(needed), func(e string) bool { return slices.Contains(p.Hook.Events, e) })
		if len(lacks) > 0 {
			log.Warn("webhook lacks events: what they tell waits for the next poll", "type", strings.Join(lacks, " "))
		}
	case event == "repository" && slices.Contains([]string{"renamed", "transferred"}, p.Action):
		log.Warn("repository has a new name: the old one works until somebody takes it", "repo", p.Repository.FullName)
	case event == "installation" && slices.Contains([]string{"deleted", "suspend"}, p.Action):
		log.Warn("installation of the app ended: where it was, nothing is written back", "type", p.Action)
	}
}
