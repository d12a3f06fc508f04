package githubtest

import (
	"slices"
	"time"
)

// issueEvent is what has happened to a pull request.
type issueEvent struct {
	Pull    int            `json:"-"`
	Event   string         `json:"event"`
	Actor   User           `json:"actor"`
	Label   map[string]any `json:"label"`
	Created time.Time      `json:"created_at"`
}

// Label has somebody set a label on a pull request, or take it away.
func (h *Host) Label(login string, number int, label string, set bool) {
	action := "unlabeled"
	if set {
		action = "labeled"
	}
	h.mu.Lock()
	h.events = append(h.events, issueEvent{number, action, userOf(login), map[string]any{"name": label}, time.Now().UTC().Truncate(time.Second)})
	h.mu.Unlock()
	h.Change(number, action, func(p *Pull) {
		p.Labels = slices.DeleteFunc(slices.Clone(p.Labels), func(l string) bool { return l == label })
		if set {
			p.Labels = append(p.Labels, label)
		}
	})
}

// review is one of a pull request.
type review struct {
	ID        int64     `json:"id"`
	Pull      int       `json:"-"`
	User      User      `json:"user"`
	State     string    `json:"state"`
	Commit    string    `json:"commit_id"`
	Submitted time.Time `json:"submitted_at"`
}

// Review has somebody review the head of a pull request: APPROVED,
// CHANGES_REQUESTED, COMMENTED. DISMISSED makes that of their last one.
func (h *Host) Review(login string, number int, state string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if state == "DISMISSED" {
		for i, r := range slices.Backward(h.reviews) {
			if r.Pull == number && r.User.Login == login {
				h.reviews[i].State = state
				return
			}
		}
	}
	h.reviews = append(h.reviews, review{h.next(), number, userOf(login), state, h.pull(number).Head, time.Now().UTC().Truncate(time.Second)})
}

func (h *Host) getEvents(r *request) *reply {
	return of(h, r, h.events, func(e issueEvent) int { return e.Pull })
}

func (h *Host) getReviews(r *request) *reply {
	return of(h, r, h.reviews, func(v review) int { return v.Pull })
}

// of answers with what belongs to a pull request.
func of[T any](h *Host, r *request, items []T, pull func(T) int) *reply {
	number := int(r.number("number"))
	if h.pull(number) == nil {
		return missing
	}
	all := []any{}
	for _, item := range items {
		if pull(item) == number {
			all = append(all, item)
		}
	}
	return ok(200, all)
}

func (h *Host) getPull(r *request) *reply {
	p := h.pull(int(r.number("number")))
	if p == nil {
		return missing
	}
	return ok(200, p.json(h.owner()))
}
