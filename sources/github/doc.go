// Package github speaks with a git host over GitHub's REST API: it lists open
// pull requests, merge groups and comments, writes commit statuses, comments,
// reactions, deployments and the pull requests of reverts so that each stands
// once whatever happens on the way, and takes webhooks. By a token it acts as a person; as an [App] it writes
// check runs in the place of statuses. Gitea speaks the same API, but for the
// differences named where they matter.
//
//	c, err := github.New(github.Config{Owner: "acme", Repo: "mesh", Token: token})
//	pulls, err := c.PullRequests(ctx, "main")
//	err = c.SetStatus(ctx, commit, "meshwright/check", sources.Status{State: sources.Success})
//
// The one rule: whoever calls learns from the error what to do, and this package
// keeps no queue of its own. [sources.RetryAfter]: nothing was done, the limits
// are used up, come again then. [sources.Permanent]: this one thing will never
// be taken. Anything else, such as a token that has expired, a repository out of
// sight or an answer that was lost: come again, slowly, and look what stands
// before writing.
package github
