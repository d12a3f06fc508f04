package github

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/sources"
)

// review is one of a pull request, as the host has it.
type review struct {
	User      user      `json:"user"`
	State     string    `json:"state"`     // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, PENDING; Gitea: REQUEST_CHANGES, COMMENT, …
	Dismissed bool      `json:"dismissed"` // Gitea's, which leaves the state
	Commit    string    `json:"commit_id"`
	Submitted time.Time `json:"submitted_at"`
}

// Approvals returns the logins, sorted, of those who have approved a pull request
// at exactly this head, have not thought better of it, and may write to the
// repository. Bots are none of them, and neither are we.
func (c *Client) Approvals(ctx context.Context, pull int, head string) ([]string, error) {
	reviews, err := list[[]review](ctx, c, c.at("/pulls/%s/reviews?per_page=100", pull))
	if err != nil {
		return nil, c.settled(ctx, err, c.at("/issues/%s", pull))
	}
	me, err := c.account(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(reviews, func(a, b review) int { return a.Submitted.Compare(b.Submitted) })
	approves := map[string]bool{} // by each one's last word
	for _, r := range reviews {
		switch r.State {
		case "APPROVED", "CHANGES_REQUESTED", "REQUEST_CHANGES", "DISMISSED":
			approves[r.User.Login] = r.State == "APPROVED" && !r.Dismissed && r.Commit == head &&
				r.User.Type != "Bot" && !strings.HasSuffix(r.User.Login, "[bot]") && !r.User.is(me)
		}
	}
	var out []string
	for _, login := range slices.Sorted(maps.Keys(approves)) {
		if !approves[login] {
			continue
		}
		may, err := c.MayWrite(ctx, login)
		if err != nil {
			return nil, err
		}
		if may {
			out = append(out, login)
		}
	}
	return out, nil
}

// StatusOf returns how a status of any account stands beside a commit, the newest
// under its context; "": there is none. Where there is no such commit status,
// check runs of that name count, the newest of each App; of several the worst.
// Whoever may push may write statuses.
func (c *Client) StatusOf(ctx context.Context, commit, context string) (sources.StatusState, error) {
	all, err := list[[]commitStatus](ctx, c, c.at("/commits/%s/statuses?per_page=100", commit))
	if unknownCommit(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var newest commitStatus
	for _, s := range all {
		if s.GetContext() == context && s.GetID() >= newest.GetID() {
			newest = s
		}
	}
	if state := newest.state(); state != "" || c.gitea {
		return state, nil
	}
	runs, err := list[checkRuns](ctx, c, c.at("/commits/%s/check-runs?check_name=%s&filter=latest&per_page=100", commit, context))
	if r, _ := errors.AsType[*refusal](err); is(err, http.StatusForbidden) {
		return "", fmt.Errorf("%s; to see check runs, the daemon needs checks (read) of %s", r.text, c.name)
	}
	if err != nil {
		return "", err
	}
	latest := map[int64]checkRun{}
	for _, r := range runs {
		if r.Name == context && r.ID > latest[r.App.ID].ID {
			latest[r.App.ID] = r
		}
	}
	for _, state := range []sources.StatusState{sources.Failure, sources.Errored, sources.Pending, sources.Success} {
		for _, r := range latest {
			if r.verdict() == state {
				return state, nil
			}
		}
	}
	return "", nil
}

// verdict is what anybody's run says, as GitHub takes it for a required check.
func (r checkRun) verdict() sources.StatusState {
	if r.Status != "completed" {
		return sources.Pending
	}
	switch r.Conclusion {
	case "success", "neutral", "skipped":
		return sources.Success
	case "cancelled", "stale":
		return sources.Errored
	}
	return sources.Failure
}
