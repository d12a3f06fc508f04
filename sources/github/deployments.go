package github

import (
	"context"
	"errors"
	"net/http"

	"github.com/meshwright/meshwright/sources"
)

// deployment is what the host knows a deployment of ours by.
type deployment struct{ commit, environment string }

// deployed is a deployment that stands, and its newest status.
type deployed struct {
	id     int64
	status deploymentStatus // zero: none
}

// deploymentStatus is one as it is written and read.
type deploymentStatus struct {
	State       string `json:"state"`
	Description string `json:"description"`
	LogURL      string `json:"log_url,omitempty"`
}

// deploymentStates are GitHub's words for ours.
var deploymentStates = map[sources.StatusState]string{
	sources.Pending: "in_progress", sources.Success: "success", sources.Failure: "failure", sources.Errored: "error",
}

// SetDeployment makes a status the newest of the deployment of a commit to an
// environment; the deployment is made where our account has none. Nothing is
// merged for it and no checks are waited for: what it tells of has happened.
// With a success the host makes older deployments inactive.
//
// [sources.Permanent]: the host does not have the commit, or has no deployments.
func (c *Client) SetDeployment(ctx context.Context, commit, environment string, s sources.Status) error {
	if c.gitea {
		return &sources.Permanent{Err: errors.New(c.name + ": the host has no deployments")}
	}
	key := deployment{commit, environment}
	c.mu.Lock()
	d, known := c.deployments[key]
	c.mu.Unlock()
	if !known {
		var err error
		if d, err = c.findDeployment(ctx, key); err != nil {
			return c.settled(ctx, err)
		}
	}
	status := deploymentStatus{State: deploymentStates[s.State], Description: cut(s.Description, maxDescription), LogURL: s.URL}
	var err error
	if d.status != status {
		d.status = status
		_, err = c.call(ctx, http.MethodPost, c.at("/deployments/%s/statuses", d.id), status, nil, "")
	}
	c.mu.Lock()
	switch {
	case err != nil:
		delete(c.deployments, key) // it may stand
	case len(c.deployments) >= maxRemembered:
		clear(c.deployments)
		fallthrough
	default:
		c.deployments[key] = d
	}
	c.mu.Unlock()
	return c.settled(ctx, err)
}

// maxRemembered is of how many commits it is remembered what stands beside them;
// the rest is read again.
const maxRemembered = 1000

// findDeployment returns the deployment of ours, with its newest status, or makes
// it.
func (c *Client) findDeployment(ctx context.Context, key deployment) (deployed, error) {
	me, err := c.account(ctx)
	if err != nil {
		return deployed{}, err
	}
	found, err := list[[]struct {
		ID      int64 `json:"id"`
		Creator user  `json:"creator"`
	}](ctx, c, c.at("/deployments?sha=%s&environment=%s&per_page=100", key.commit, key.environment))
	if err != nil {
		return deployed{}, err
	}
	d := deployed{}
	for _, f := range found {
		if f.Creator.Login == me && f.ID > d.id {
			d.id = f.ID
		}
	}
	if d.id == 0 {
		return c.newDeployment(ctx, key)
	}
	statuses, err := list[[]struct {
		ID int64 `json:"id"`
		deploymentStatus
	}](ctx, c, c.at("/deployments/%s/statuses?per_page=100", d.id))
	if err != nil {
		return deployed{}, err
	}
	newest := int64(0)
	for _, s := range statuses {
		if s.ID > newest {
			newest, d.status = s.ID, s.deploymentStatus
		}
	}
	return d, nil
}

func (c *Client) newDeployment(ctx context.Context, key deployment) (deployed, error) {
	var out struct {
		ID      int64 `json:"id"`
		Creator user  `json:"creator"`
	}
	_, err := c.call(ctx, http.MethodPost, c.at("/deployments"), map[string]any{
		"ref": key.commit, "environment": key.environment, "description": "mesh configuration",
		"auto_merge": false, "required_contexts": []string{},
	}, &out, "")
	if err != nil {
		return deployed{}, err
	}
	if out.ID == 0 { // a 202 says that something was merged instead
		return deployed{}, errors.New(c.name + ": the answer to a deployment is none")
	}
	c.learn(out.Creator.Login)
	return deployed{id: out.ID}, nil
}
