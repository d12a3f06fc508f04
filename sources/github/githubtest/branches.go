package githubtest

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Commit is one that was made by the API: what it changes of the tree it is made
// from.
type Commit struct {
	Author  string // login
	Message string
	Parents []string
	Base    string      // tree
	Changes []TreeEntry // in the order of their paths
}

// TreeEntry is a file of a tree.
type TreeEntry struct {
	Path string  `json:"path"`
	Mode string  `json:"mode"`
	Type string  `json:"type"`
	SHA  *string `json:"sha"` // nil: it goes
}

// Branch returns the commit that a branch was made with; false: nobody has made
// it.
func (h *Host) Branch(name string) (Commit, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sha, ok := h.branches[name]
	return h.made[sha], ok
}

// AddBranch has somebody push a branch.
func (h *Host) AddBranch(name, commit string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.branches[name] = commit
}

// mayPush is the refusal of who may not write contents.
func (h *Host) mayPush(r *request) *reply {
	switch {
	case r.from.app != 0 && !h.app.MayPush:
		return says(403, "Resource not accessible by integration")
	case r.from.app == 0 && !slices.Contains([]string{"write", "maintain", "admin"}, h.permissions[strings.ToLower(r.from.Login)]):
		return missing
	}
	return nil
}

// pushing answers requests for which one has to be allowed to write contents.
func (h *Host) pushing(answer func(*request) *reply) func(*request) *reply {
	return func(r *request) *reply {
		if no := h.mayPush(r); no != nil {
			return no
		}
		return answer(r)
	}
}

var objectName = regexp.MustCompile(`^[0-9a-f]{40}$`)

// nameOf is a hash of what is made.
func nameOf(v any) string {
	b, _ := json.Marshal(v)
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}

func (h *Host) postTree(r *request) *reply {
	var in struct {
		Base string      `json:"base_tree"`
		Tree []TreeEntry `json:"tree"`
	}
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	if len(in.Tree) == 0 {
		return says(422, "Invalid tree info")
	}
	for _, e := range in.Tree {
		switch {
		case e.Path == "" || strings.HasPrefix(e.Path, "/") || slices.Contains(strings.Split(e.Path, "/"), ".."):
			return says(422, "tree.path contains a malformed path component")
		case !slices.Contains([]string{"100644", "100755", "120000"}, e.Mode) || e.Type != "blob":
			return says(422, "Must supply a valid tree.mode")
		case e.SHA != nil && !objectName.MatchString(*e.SHA):
			return says(422, "tree.sha "+*e.SHA+" is not a valid blob")
		}
	}
	if !objectName.MatchString(in.Base) {
		return says(422, "base_tree is not a valid tree oid")
	}
	sha := nameOf(in)
	h.trees[sha] = Commit{Base: in.Base, Changes: in.Tree}
	return ok(201, map[string]any{"sha": sha})
}

func (h *Host) postCommit(r *request) *reply {
	var in struct {
		Message, Tree string
		Parents       []string
	}
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	c, known := h.trees[in.Tree]
	switch {
	case in.Message == "":
		return invalid("Commit", "message", "message is missing")
	case !known:
		return says(422, "Tree SHA does not exist")
	}
	for _, p := range in.Parents {
		if !h.knows(p) {
			return says(422, "Parent SHA does not exist or is not a commit object")
		}
	}
	c.Author, c.Message, c.Parents = r.from.Login, in.Message, in.Parents
	sha := nameOf(c)
	h.made[sha] = c
	return ok(201, map[string]any{"sha": sha, "message": in.Message})
}

func (h *Host) postRef(r *request) *reply {
	var in struct{ Ref, SHA string }
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	branch, isBranch := strings.CutPrefix(in.Ref, "refs/heads/")
	_, exists := h.branches[branch]
	_, made := h.made[in.SHA]
	switch {
	case !isBranch:
		return says(422, "Reference name must start with 'refs/'.")
	case exists:
		return says(422, "Reference already exists")
	case !made && !h.knows(in.SHA):
		return says(422, "Object does not exist")
	}
	h.branches[branch] = in.SHA
	return ok(201, map[string]any{"ref": in.Ref, "object": map[string]any{"sha": in.SHA, "type": "commit"}})
}

func (h *Host) postPull(r *request) *reply {
	var in struct{ Title, Head, Base, Body string }
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	head, known := h.branches[in.Head]
	switch {
	case in.Title == "":
		return invalid("PullRequest", "title", "title can't be blank")
	case utf8.RuneCountInString(in.Title) > 256:
		return invalid("PullRequest", "title", "title is too long (maximum is 256 characters)")
	case utf8.RuneCountInString(in.Body) > 65_536:
		return invalid("PullRequest", "body", "body is too long (maximum is 65536 characters)")
	case !known:
		return &reply{status: 422, body: map[string]any{"message": "Validation Failed", "errors": []any{map[string]string{"resource": "PullRequest", "field": "head", "code": "invalid"}}}}
	}
	for _, p := range h.pulls {
		if p.State == "open" && p.Ref == in.Head && p.Base == in.Base && !p.Fork {
			return &reply{status: 422, body: map[string]any{"message": "Validation Failed", "errors": []any{
				map[string]string{"resource": "PullRequest", "code": "custom", "message": fmt.Sprintf("A pull request already exists for %s:%s.", h.owner(), in.Head)}}}}
		}
	}
	p := h.open(Pull{Head: head, Ref: in.Head, Base: in.Base, Title: in.Title, Body: in.Body, Author: r.from.Login})
	return ok(201, p.json(h.owner()))
}

// activity is a push to a branch.
type activity struct {
	Ref   string    `json:"ref"`
	After string    `json:"after"`
	Kind  string    `json:"activity_type"`
	Time  time.Time `json:"timestamp"`
}

// pushed remembers a push, newest first.
func (h *Host) pushed(p *Pull, kind string) {
	if p.Fork {
		return
	}
	h.activities = append([]activity{{"refs/heads/" + p.Ref, p.Head, kind, time.Now().UTC().Truncate(time.Second)}}, h.activities...)
}

func (h *Host) getActivity(r *request) *reply {
	all := []any{}
	for _, a := range h.activities {
		if ref := r.URL.Query().Get("ref"); ref == "" || ref == a.Ref {
			all = append(all, a)
		}
	}
	return ok(200, all)
}
