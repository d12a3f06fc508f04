package github

import (
	"context"
	"net/url"

	"github.com/meshwright/meshwright/sources"
)

// pull is what we read of a pull request: the whole is a hundred times as long.
type pull struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	Head   side   `json:"head"`
	Base   side   `json:"base"`
}

type side struct {
	Ref  string `json:"ref"`
	SHA  string `json:"sha"`
	Repo *struct {
		ID int64 `json:"id"`
	} `json:"repo"` // null when the fork is deleted
}

// PullRequests returns the open pull requests against a branch. As long as the
// list stays as it was, asking costs nothing of the limits.
func (c *Client) PullRequests(ctx context.Context, base string) ([]sources.PullRequest, error) {
	c.mu.Lock()
	known := c.pulls[base]
	c.mu.Unlock()
	pages, err := list(ctx, c, c.repo+"/pulls?state=open&per_page=100&base="+url.QueryEscape(base), known)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.pulls[base] = pages
	c.mu.Unlock()

	var open []sources.PullRequest
	seen := map[int]bool{} // a pull request opened meanwhile moves others to the next page
	for _, p := range pages {
		for _, pr := range p.items {
			if seen[pr.Number] || pr.Base.Ref != base {
				continue
			}
			seen[pr.Number] = true
			fork := pr.Head.Repo == nil || pr.Base.Repo == nil || pr.Head.Repo.ID != pr.Base.Repo.ID
			open = append(open, sources.PullRequest{Number: pr.Number, Head: pr.Head.SHA, Base: pr.Base.Ref, Title: pr.Title, Fork: fork})
		}
	}
	return open, nil
}
