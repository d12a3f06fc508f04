package githubtest

import (
	"slices"
	"time"
	"unicode/utf8"
)

// Status is a commit status.
type Status struct {
	ID          int64     `json:"id"`
	Commit      string    `json:"-"`
	State       string    `json:"state"`
	Context     string    `json:"context"`
	Description *string   `json:"description"`
	TargetURL   *string   `json:"target_url"`
	Creator     User      `json:"creator"`
	Created     time.Time `json:"created_at"`
}

// Statuses returns every status that was written beside a commit, newest first.
func (h *Host) Statuses(commit string) []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Status
	for _, s := range slices.Backward(h.statuses) {
		if s.Commit == commit {
			all = append(all, *s)
		}
	}
	return all
}

// AddStatus has somebody write a status.
func (h *Host) AddStatus(login string, s Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addStatus(userOf(login), &s)
}

func (h *Host) addStatus(by User, s *Status) {
	s.ID, s.Creator, s.Created = h.next(), by, time.Now().UTC().Truncate(time.Second)
	h.statuses = append(h.statuses, s)
}

func (h *Host) postStatus(r *request) *reply {
	s := &Status{}
	if bad := r.decode(s); bad != nil {
		return bad
	}
	s.Commit = r.PathValue("sha")
	same := 0
	for _, old := range h.statuses {
		if old.Commit == s.Commit && old.Context == s.Context {
			same++
		}
	}
	switch {
	case !h.knows(s.Commit):
		return says(422, "No commit found for SHA: "+s.Commit)
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, s.State):
		return invalid("Status", "state", "state is not included in the list")
	case s.Description != nil && utf8.RuneCountInString(*s.Description) > 140:
		return invalid("Status", "description", "description is too long (maximum is 140 characters)")
	case utf8.RuneCountInString(s.Context) > 255:
		return invalid("Status", "context", "context is too long (maximum is 255 characters)")
	case same >= 1000:
		return invalid("Status", "base", "This SHA and context has reached the maximum number of statuses.")
	}
	h.addStatus(r.from.User, s)
	return ok(201, s)
}

func (h *Host) getStatuses(r *request) *reply {
	commit := r.PathValue("sha")
	if !h.knows(commit) {
		return says(422, "No commit found for SHA: "+commit)
	}
	all := []any{}
	for _, s := range slices.Backward(h.statuses) {
		if s.Commit == commit {
			all = append(all, s)
		}
	}
	return ok(200, all)
}
