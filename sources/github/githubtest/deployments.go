package githubtest

import (
	"slices"
	"unicode/utf8"
)

// Deployment is one, with its statuses, newest first.
type Deployment struct {
	ID          int64              `json:"id"`
	Commit      string             `json:"sha"`
	Ref         string             `json:"ref"`
	Environment string             `json:"environment"`
	Description string             `json:"description"`
	Creator     User               `json:"creator"`
	Statuses    []DeploymentStatus `json:"-"`
}

// DeploymentStatus is one of a deployment.
type DeploymentStatus struct {
	ID          int64  `json:"id"`
	State       string `json:"state"`
	Description string `json:"description"`
	LogURL      string `json:"log_url"`
}

// Deployments returns all, oldest first.
func (h *Host) Deployments() []Deployment {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Deployment
	for _, d := range h.deployments {
		copied := *d
		copied.Statuses = slices.Clone(d.Statuses)
		all = append(all, copied)
	}
	return all
}

// AddDeployment has somebody make a deployment.
func (h *Host) AddDeployment(login, commit, environment string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deployments = append(h.deployments, &Deployment{ID: h.next(), Commit: commit, Ref: commit, Environment: environment, Creator: userOf(login)})
}

func (h *Host) postDeployment(r *request) *reply {
	in := struct {
		Ref         string
		Environment string
		Description string
		AutoMerge   *bool     `json:"auto_merge"`
		Required    *[]string `json:"required_contexts"`
	}{Environment: "production"}
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	switch {
	case !h.knows(in.Ref):
		return says(422, "No ref found for: "+in.Ref)
	case utf8.RuneCountInString(in.Description) > 140:
		return invalid("Deployment", "description", "description is too long (maximum is 140 characters)")
	case in.AutoMerge == nil || *in.AutoMerge:
		return ok(202, map[string]any{"message": "Auto-merged main into topic on deployment."})
	case in.Required == nil || len(*in.Required) > 0:
		return says(409, "Conflict: Commit status checks failed for "+in.Ref+".")
	}
	d := &Deployment{ID: h.next(), Commit: in.Ref, Ref: in.Ref, Environment: in.Environment, Description: in.Description, Creator: r.from.User}
	h.deployments = append(h.deployments, d)
	return ok(201, d)
}

func (h *Host) getDeployments(r *request) *reply {
	q := r.URL.Query()
	all := []any{}
	for _, d := range slices.Backward(h.deployments) {
		if (q.Get("sha") == "" || q.Get("sha") == d.Commit) && (q.Get("environment") == "" || q.Get("environment") == d.Environment) {
			all = append(all, d)
		}
	}
	return ok(200, all)
}

func (h *Host) deployment(r *request) *Deployment {
	for _, d := range h.deployments {
		if d.ID == r.number("id") {
			return d
		}
	}
	return nil
}

func (h *Host) postDeploymentStatus(r *request) *reply {
	d := h.deployment(r)
	if d == nil {
		return missing
	}
	var in DeploymentStatus
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	switch {
	case !slices.Contains([]string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}, in.State):
		return invalid("DeploymentStatus", "state", "state is not included in the list")
	case utf8.RuneCountInString(in.Description) > 140:
		return invalid("DeploymentStatus", "description", "description is too long (maximum is 140 characters)")
	}
	in.ID = h.next()
	d.Statuses = append([]DeploymentStatus{in}, d.Statuses...)
	return ok(201, in)
}

func (h *Host) getDeploymentStatuses(r *request) *reply {
	d := h.deployment(r)
	if d == nil {
		return missing
	}
	return ok(200, anys(d.Statuses))
}
