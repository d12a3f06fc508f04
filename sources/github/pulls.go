package github

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/meshwright/meshwright/sources"
)

// pull is what we read of a pull request: the whole is a hundred times as long.
type pull struct {
	Number int    `json:"number"`
	State  string `json:"state"` // open, closed
	Title  string `json:"title"`
	Draft  bool   `json:"draft"`
	User   user   `json:"user"`
	Labels []struct {
		Name string `json:"name"`
	} `json:"labels"`
	Head        side       `json:"head"`
	Base        side       `json:"base"`
	Created     time.Time  `json:"created_at"`
	MergedAt    *time.Time `json:"merged_at"`
	MergeCommit string     `json:"merge_commit_sha"`
}

type side struct {
	Ref   string `json:"ref"`
	Label string `json:"label"` // OWNER:BRANCH; Gitea's is the branch, also when that is gone
	SHA   string `json:"sha"`
	Repo  *struct {
		ID int64 `json:"id"`
	} `json:"repo"` // null when the fork is deleted
}

// user is an account; a deleted one is GitHub's "ghost", or null.
type user struct {
	Login string `json:"login"`
	Type  string `json:"type"` // "Bot"; Gitea does not say
}

// PullRequests returns the open pull requests against a branch. As long as the
// list stays as it was, asking costs nothing of the limits.
func (c *Client) PullRequests(ctx context.Context, base string) ([]sources.PullRequest, error) {
	pulls, err := poll[[]pull](ctx, c, c.at("/pulls?state=open&per_page=100&base=%s", base))
	if err != nil {
		return nil, err
	}
	var open []sources.PullRequest
	seen := map[int]bool{} // a pull request opened meanwhile moves others to the next page
	for _, pr := range pulls {
		if seen[pr.Number] || pr.Base.Ref != base || pr.Head.SHA == "" { // which Gitea may have lost
			continue
		}
		seen[pr.Number] = true
		var labels []string
		for _, l := range pr.Labels {
			labels = append(labels, l.Name)
		}
		slices.Sort(labels)
		open = append(open, sources.PullRequest{
			Number: pr.Number, Head: pr.Head.SHA, Base: pr.Base.Ref, Title: pr.Title, Author: pr.User.Login, Labels: labels, Draft: pr.Draft,
			Fork: pr.Head.Repo == nil || pr.Base.Repo == nil || pr.Head.Repo.ID != pr.Base.Repo.ID,
		})
	}
	return open, nil
}

// Fate returns what has become of a pull request against a branch. Of one that was
// rebased, Merged is its last commit. [sources.Permanent]: there is none such.
func (c *Client) Fate(ctx context.Context, number int, base string) (sources.Fate, error) {
	var p pull
	if _, err := c.call(ctx, http.MethodGet, c.at("/pulls/%s", number), nil, &p, ""); err != nil {
		return sources.Fate{}, c.settled(ctx, err, c.at("/issues/%s", number))
	}
	switch {
	case p.Base.Ref != base:
		return sources.Fate{}, nil
	case p.MergedAt != nil:
		return sources.Fate{Merged: cmp.Or(p.MergeCommit, p.Head.SHA)}, nil
	}
	return sources.Fate{Open: p.State == "open"}, nil
}

// MergeGroups returns the head commits of the merge queue's groups for a branch,
// in the order of their names; none where the host has no merge queue. As long as
// they stay as they were, asking costs nothing of the limits.
func (c *Client) MergeGroups(ctx context.Context, base string) ([]string, error) {
	if c.gitea {
		return nil, nil
	}
	refs, err := poll[[]struct {
		Ref    string `json:"ref"`
		Object struct {
			SHA string `json:"sha"`
		} `json:"object"`
	}](ctx, c, c.at("/git/matching-refs/heads/gh-readonly-queue/%s/", base))
	// 409: the repository is empty.
	if is(err, http.StatusNotFound, http.StatusConflict) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var heads []string
	for _, r := range refs {
		if r.Object.SHA != "" && !slices.Contains(heads, r.Object.SHA) {
			heads = append(heads, r.Object.SHA)
		}
	}
	return heads, nil
}

// PullOf returns the number of the merged pull request that brought a commit to
// its branch, be the commit the merge, the squash or one that was rebased; 0 when
// there is none. Gitea knows the last commit of those only. For some seconds
// after a merge a host may not know it yet.
func (c *Client) PullOf(ctx context.Context, commit string) (int, error) {
	var pulls []pull
	var err error
	if c.gitea {
		var p pull
		_, err = c.call(ctx, http.MethodGet, c.at("/commits/%s/pull", commit).ifAny(), nil, &p, "")
		pulls = []pull{p}
	} else {
		pulls, err = list[[]pull](ctx, c, c.at("/commits/%s/pulls?per_page=100", commit))
	}
	if is(err, http.StatusNotFound) || unknownCommit(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// A commit of a branch that was merged into a branch that was merged came
	// with the last of these.
	var last pull
	for _, p := range pulls {
		switch {
		case p.MergedAt == nil:
		case p.MergeCommit == commit:
			return p.Number, nil
		case last.MergedAt == nil || p.MergedAt.After(*last.MergedAt):
			last = p
		}
	}
	return last.Number, nil
}
