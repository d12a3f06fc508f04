package githubtest

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Pull is a pull request. Head is needed to open one.
type Pull struct {
	Number int
	Head   string // commit
	Ref    string // branch of the head; default: topic
	Base   string // branch; default: main
	Title  string
	Body   string
	Author string // login; default: ada
	Labels []string
	Draft  bool
	Fork   bool // its head is in another repository
	Gone   bool // that repository is deleted

	Created     time.Time
	State       string // open, closed
	Locked      bool
	Merged      *time.Time
	MergeCommit string
	Commits     []string // that a merge by rebasing brought, besides MergeCommit
}

// Open opens a pull request and returns its number.
func (h *Host) Open(p Pull) int {
	h.mu.Lock()
	opened := *h.open(p)
	h.mu.Unlock()
	h.tellPull("opened", opened)
	return opened.Number
}

func (h *Host) open(p Pull) *Pull {
	p.Number, p.State, p.Created = len(h.pulls)+1, "open", time.Now().UTC().Truncate(time.Second)
	for _, or := range []struct {
		field *string
		value string
	}{{&p.Ref, "topic"}, {&p.Base, "main"}, {&p.Author, "ada"}} {
		if *or.field == "" {
			*or.field = or.value
		}
	}
	h.pulls = append([]*Pull{&p}, h.pulls...)
	h.pushed(&p, "branch_creation")
	return &p
}

// Change changes a pull request; action is what the webhook hears, such as
// synchronize, labeled, closed.
func (h *Host) Change(number int, action string, change func(*Pull)) {
	h.mu.Lock()
	p := h.pull(number)
	head := p.Head
	if change(p); p.Head != head {
		h.pushed(p, "push")
	}
	now := *p
	h.mu.Unlock()
	h.tellPull(action, now)
}

// Merge merges a pull request: the commit is the merge, the squash or the last of
// those that were rebased.
func (h *Host) Merge(number int, commit string, rebased ...string) {
	h.Change(number, "closed", func(p *Pull) {
		now := time.Now().UTC().Truncate(time.Second)
		p.State, p.Merged, p.MergeCommit, p.Commits = "closed", &now, commit, rebased
	})
}

// Queue puts the head of a group into the merge queue of a branch, or takes it out
// where head is empty.
func (h *Host) Queue(base, group, head string) {
	h.mu.Lock()
	ref := "refs/heads/gh-readonly-queue/" + base + "/" + group
	if h.groups[ref] = head; head == "" {
		delete(h.groups, ref)
	}
	h.mu.Unlock()
	if head != "" {
		h.tell("merge_group", map[string]any{"action": "checks_requested", "merge_group": map[string]any{
			"head_sha": head, "head_ref": ref, "base_ref": "refs/heads/" + base,
		}})
	}
}

// pull returns a pull request; nil: there is none.
func (h *Host) pull(number int) *Pull {
	for _, p := range h.pulls {
		if p.Number == number {
			return p
		}
	}
	return nil
}

// json is the pull request as the API shows it.
func (p Pull) json(owner string) map[string]any {
	labels := []any{}
	for _, l := range p.Labels {
		labels = append(labels, map[string]any{"name": l})
	}
	repo := map[string]any{"id": 1}
	label := owner + ":" + p.Ref
	var head any = repo
	if p.Fork {
		head, label = map[string]any{"id": 2}, p.Author+":"+p.Ref
	}
	if p.Gone {
		head = nil
	}
	var commit any
	if p.MergeCommit != "" {
		commit = p.MergeCommit
	}
	return map[string]any{
		"number": p.Number, "state": p.State, "locked": p.Locked, "title": p.Title, "draft": p.Draft, "user": userOf(p.Author), "labels": labels,
		"body": p.Body, "created_at": p.Created, "merged_at": p.Merged, "merge_commit_sha": commit,
		"head": map[string]any{"ref": p.Ref, "label": label, "sha": p.Head, "repo": head},
		"base": map[string]any{"ref": p.Base, "label": owner + ":" + p.Base, "sha": strings.Repeat("b", 40), "repo": repo},
	}
}

func (h *Host) getPulls(r *request) *reply {
	q := r.URL.Query()
	all := []any{}
	for _, p := range h.pulls {
		shown := p.json(h.owner())
		if (q.Get("state") == "all" || p.State == "open") && (q.Get("base") == "" || q.Get("base") == p.Base) &&
			(q.Get("head") == "" || q.Get("head") == shown["head"].(map[string]any)["label"]) {
			all = append(all, shown)
		}
	}
	return ok(200, all)
}

func (h *Host) getPullsOf(r *request) *reply {
	commit := r.PathValue("sha")
	if !h.knows(commit) {
		return says(422, "No commit found for SHA: "+commit)
	}
	all := []any{}
	for _, p := range h.pulls {
		if p.Head == commit || p.MergeCommit == commit || slices.Contains(p.Commits, commit) {
			all = append(all, p.json(h.owner()))
		}
	}
	return ok(200, all)
}

func (h *Host) getRefs(r *request) *reply {
	all := []any{}
	for _, ref := range slices.Sorted(maps.Keys(h.groups)) {
		if strings.HasPrefix(ref, "refs/"+r.PathValue("ref")) {
			all = append(all, map[string]any{"ref": ref, "object": map[string]any{"type": "commit", "sha": h.groups[ref]}})
		}
	}
	return ok(200, all)
}
