package githubtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Comment is one on a pull request.
type Comment struct {
	ID        int64     `json:"id"`
	Pull      int       `json:"-"`
	User      User      `json:"user"`
	Body      string    `json:"body"`
	Page      string    `json:"html_url"`
	Created   time.Time `json:"created_at"`
	Updated   time.Time `json:"updated_at"`
	Edits     int       `json:"-"`
	Reactions []string  `json:"-"` // "LOGIN eyes"
}

// Comments returns the comments of a pull request, oldest first.
func (h *Host) Comments(pull int) []Comment {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Comment
	for _, c := range h.comments {
		if c.Pull == pull {
			copied := *c
			copied.Reactions = slices.Clone(c.Reactions)
			all = append(all, copied)
		}
	}
	return all
}

// Comment has somebody comment on a pull request, and returns the comment's id.
// A number that is no pull request's is an issue's.
func (h *Host) Comment(login string, pull int, body string) int64 {
	h.mu.Lock()
	c := h.addComment(userOf(login), pull, body)
	said := *c
	h.mu.Unlock()
	h.tellComment("created", said)
	return said.ID
}

// Edit changes a comment's text.
func (h *Host) Edit(id int64, body string) {
	h.mu.Lock()
	c := h.comment(id)
	c.Body, c.Updated = body, time.Now().UTC().Truncate(time.Second)
	c.Edits++
	said := *c
	h.mu.Unlock()
	h.tellComment("edited", said)
}

// Delete takes a comment away.
func (h *Host) Delete(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.comments = slices.DeleteFunc(h.comments, func(c *Comment) bool { return c.ID == id })
}

// Permit gives an account a permission: admin, maintain, write, triage, read, none.
func (h *Host) Permit(login, permission string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.permissions[strings.ToLower(login)] = permission
}

func (h *Host) comment(id int64) *Comment {
	for _, c := range h.comments {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (h *Host) addComment(by User, number int, body string) *Comment {
	kind := "pull"
	if h.pull(number) == nil {
		kind = "issues"
	}
	now := time.Now().UTC().Truncate(time.Second)
	c := &Comment{ID: h.next(), Pull: number, User: by, Body: body, Created: now, Updated: now}
	c.Page = fmt.Sprintf("https://git.example.com/%s/%s/%d#issuecomment-%d", h.repo, kind, number, c.ID)
	h.comments = append(h.comments, c)
	return c
}

// body reads and judges the text of a comment.
func (h *Host) body(r *request) (string, *reply) {
	var in struct{ Body *string }
	if bad := r.decode(&in); bad != nil {
		return "", bad
	}
	switch {
	case in.Body == nil || strings.TrimSpace(*in.Body) == "":
		return "", invalid("IssueComment", "data", "Body cannot be blank")
	case utf8.RuneCountInString(*in.Body) > 65_536:
		return "", invalid("IssueComment", "data", "Body is too long (maximum is 65536 characters)")
	}
	return *in.Body, nil
}

func (h *Host) postComment(r *request) *reply {
	p := h.pull(int(r.number("number")))
	if p == nil {
		return missing
	}
	if p.Locked {
		return says(403, "Unable to create comment because issue is locked.")
	}
	body, bad := h.body(r)
	if bad != nil {
		return bad
	}
	return ok(201, h.addComment(r.from.User, p.Number, body))
}

func (h *Host) patchComment(r *request) *reply {
	c := h.comment(r.number("id"))
	if c == nil {
		return missing
	}
	if c.User != r.from.User { // who may administer could, but ought not to
		return says(403, "Must have admin rights to Repository.")
	}
	body, bad := h.body(r)
	if bad != nil {
		return bad
	}
	c.Body, c.Updated = body, time.Now().UTC().Truncate(time.Second)
	c.Edits++
	return ok(200, c)
}

func (h *Host) deleteComment(r *request) *reply {
	c := h.comment(r.number("id"))
	if c == nil {
		return missing
	}
	if c.User != r.from.User {
		return says(403, "Must have admin rights to Repository.")
	}
	h.comments = slices.DeleteFunc(h.comments, func(o *Comment) bool { return o == c })
	return ok(204, nil)
}

func (h *Host) getIssue(r *request) *reply {
	p := h.pull(int(r.number("number")))
	if p == nil {
		return missing
	}
	return ok(200, map[string]any{"number": p.Number, "title": p.Title, "state": p.State, "locked": p.Locked, "pull_request": map[string]any{}})
}

// getCommentOrCommentsOf answers issues/comments/ID, issues/NUMBER/comments and
// issues/NUMBER/events, patterns that a ServeMux cannot tell apart.
func (h *Host) getCommentOrCommentsOf(r *request) *reply {
	if r.PathValue("number") == "comments" {
		if c := h.comment(r.number("id")); c != nil {
			return ok(200, c)
		}
		return missing
	}
	if r.PathValue("id") == "events" {
		return h.getEvents(r)
	}
	if h.pull(int(r.number("number"))) == nil || r.PathValue("id") != "comments" {
		return missing
	}
	all := []any{}
	for _, c := range h.comments {
		if c.Pull == int(r.number("number")) {
			all = append(all, c)
		}
	}
	return ok(200, all)
}

// getComments lists those of all pull requests and issues; since is of the last
// edit.
func (h *Host) getComments(r *request) *reply {
	since, _ := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
	all := []any{}
	for _, c := range h.comments {
		if !c.Updated.Before(since) {
			all = append(all, c)
		}
	}
	if r.URL.Query().Get("direction") != "asc" {
		slices.Reverse(all)
	}
	return ok(200, all)
}

func (h *Host) postReaction(r *request) *reply {
	c := h.comment(r.number("id"))
	if c == nil {
		return missing
	}
	var in struct{ Content string }
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	if !slices.Contains([]string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}, in.Content) {
		return invalid("Reaction", "content", "content is not included in the list")
	}
	said := r.from.Login + " " + in.Content
	status := 200
	if !slices.Contains(c.Reactions, said) {
		c.Reactions = append(c.Reactions, said)
		status = 201
	}
	return ok(status, map[string]any{"id": 1, "content": in.Content, "user": r.from.User})
}

func (h *Host) getPermission(r *request) *reply {
	role, known := h.permissions[strings.ToLower(r.PathValue("login"))]
	if !known {
		return says(404, r.PathValue("login")+" is not a user")
	}
	// GitHub's older word has no maintain and no triage.
	permission := map[string]string{"maintain": "write", "triage": "read"}[role]
	if permission == "" {
		permission = role
	}
	return ok(200, map[string]any{"permission": permission, "role_name": role, "user": userOf(r.PathValue("login"))})
}
