package reconciler

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// View is what the reconciler knows at one moment, for pages and the API. It
// is a copy that nobody changes. Its JSON is public: /api/v1/proxies is
// Proxies, /api/v1/commits is Commits, /api/v1/pulls is Pulls,
// /api/v1/rollouts is Rollouts,
// /api/v1/resources is Resources; fields are added, never renamed.
type View struct {
	Environment string `json:"environment,omitempty"`
	// Ready: a good spec is published.
	Ready bool `json:"ready"`
	// Serving is the commit whose spec the proxies should have; empty before
	// the first good one. Of one that was rolled back it is the base.
	Serving string `json:"serving"`
	// Serves is the same for people, short, and what of it the proxies do not have:
	// "4be1c0d, but shop/api 25 % from 9a31f02".
	Serves string `json:"serves"`
	// Head is the newest commit of the branch that was judged; it differs from
	// Serving when it was refused.
	Head      string         `json:"head"`
	Source    SourceView     `json:"source"`
	Proxies   []ProxyView    `json:"proxies"`   // by identity, then id
	Commits   []CommitView   `json:"commits"`   // newest first
	Pulls     []PullView     `json:"pulls"`     // newest first, those that are open before others
	Rollouts  []RolloutView  `json:"rollouts"`  // by name, those of pull requests after the branch's
	Resources []ResourceView `json:"resources"` // of the served spec, by ref

	labels    []given               // that proxies may have, newest first
	resources func() []ResourceView // which Resources are made of
}

// SourceView is the condition of the git repository.
type SourceView struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// Since is when the condition began; the zero time before the first look.
	Since time.Time `json:"since,omitzero"`
	// Fetched is the last time that the repository answered.
	Fetched time.Time `json:"fetched,omitzero"`
}

// Results of a commit.
const (
	Good   = "good"   // its spec is valid
	Bad    = "bad"    // its spec is refused
	Unread = "unread" // its files could not be read; it is tried again
	// Awaited is what a view says of a head before there is a result.
	Awaited = "pending"
)

// CommitView is one commit: a newest one of the branch, or the head of a pull
// request or a merge group, of which it tells what became of its merge.
type CommitView struct {
	Commit string    `json:"commit"`
	Title  string    `json:"title"`
	Author string    `json:"author"`
	When   time.Time `json:"when"`
	// Branch: it has been the newest of the watched branch.
	Branch bool `json:"branch"`
	// Pulls are the open pull requests whose head it is.
	Pulls   []int `json:"pulls,omitempty"`
	Serving bool  `json:"serving"`
	// Group: a merge queue waits for it.
	Group bool `json:"group,omitempty"`
	// Result is "good", "bad", "unread" or, of a head, "pending".
	Result    string `json:"result"`
	Errors    int    `json:"errors"`
	Warnings  int    `json:"warnings"`
	Documents int    `json:"documents"` // resources in its files
	// Diagnostics are the first of them, errors before warnings; at most 50.
	Diagnostics schema.Diagnostics `json:"diagnostics,omitempty"`
	// Applied is missing for what was never on the branch.
	Applied *AppliedView `json:"applied,omitempty"`
	// Health is how a commit of the branch does since; missing while nothing is
	// known.
	Health *sources.Status `json:"health,omitempty"`
	// Canary is where its rollouts stand, or how they ended; missing where it has none.
	Canary *sources.Status `json:"canary,omitempty"`
	// Statuses are empty without a forge.
	Statuses []StatusView `json:"statuses,omitempty"`
}

// Caveat is what there is to say of a commit that all proxies have: it was served at
// once, and no steps have judged it. Empty: nothing.
func (v CommitView) Caveat() string {
	if v.Canary == nil || v.Canary.State != sources.Errored || v.Applied == nil || v.Applied.State != sources.Success {
		return ""
	}
	return v.Canary.Description
}

// AppliedView is how far a commit has come on the proxies.
type AppliedView struct {
	// State is pending, success, failure (refused by check or by a proxy) or
	// error (superseded).
	State       sources.StatusState `json:"state"`
	Description string              `json:"description"`
	// Progress counts the proxies; missing when there is none to tell of.
	Progress *xds.Progress `json:"progress,omitempty"`
}

// StatusView is one commit status.
type StatusView struct {
	Context string `json:"context"`
	sources.Status
	// Written: this is what stands beside the commit. Otherwise it is queued,
	// or Error says why the forge refused it for good.
	Written bool   `json:"written"`
	Error   string `json:"error,omitempty"`
}

// ResourceView is one resource of the served spec.
type ResourceView struct {
	Ref     schema.Ref `json:"ref"`
	Mesh    string     `json:"mesh"`
	AWSName string     `json:"awsName"`
	Pos     schema.Pos `json:"pos"`
	Digest  string     `json:"digest"`
}

// view shows a state. Proxies, Resources and Source are added when somebody asks.
func view(environment string, s State, seen Seen, resources func() []ResourceView, now time.Time) *View {
	v := &View{
		Environment: environment, Ready: seen.Published != "", Serving: seen.Published, Head: s.Head,
		Commits: make([]CommitView, 0, len(s.Records)), Pulls: pullViews(environment, s, seen.Open), Rollouts: rolloutViews(s, now), resources: resources,
	}
	if seen.Published != "" {
		v.Serving, v.Serves = s.serving(seen.Published)
	}
	for _, r := range s.Records {
		c := CommitView{
			Commit: r.Commit, Title: r.Title, Author: r.Author, When: r.When, Branch: r.Branch, Pulls: r.Pulls, Group: r.Group,
			Serving: r.Commit == v.Serving, Result: cmp.Or(r.Result, Awaited), Errors: r.Errors, Warnings: r.Warnings,
			Documents: r.Documents, Diagnostics: r.Diagnostics, Health: r.Health, Canary: r.Canary,
		}
		if a := r.Applied; a != nil {
			c.Applied = &AppliedView{State: a.Status.State, Description: a.Status.Description, Progress: a.Progress}
			if seen.Published == r.Commit && seen.Progress.Commit == r.Commit { // what happens now; the verdict may be held back
				p := bounded(seen.Progress)
				c.Applied.Progress = &p
				now := max(seen.Connected, p.Touched)
				_, rolling := s.underWay() // of which there is more to say than of a push
				switch {
				case rolling && s.about(r.Commit) != nil:
					st := canaries(s.about(r.Commit))
					c.Applied.State, c.Applied.Description = st.State, st.Description
				case rolling:
				case a.Status.State == sources.Pending:
					c.Applied.Description = report.Applied(seen.Progress, seen.Connected).Description
				case now > 0 && same(a.Status, report.Applied(xds.Progress{}, 0)): // the verdict stands, those who come get the same
					c.Applied.Description += fmt.Sprintf(" then; %d now", now)
				}
			}
		}
		for _, context := range slices.Sorted(maps.Keys(r.Statuses)) {
			slot := r.Statuses[context]
			c.Statuses = append(c.Statuses, StatusView{Context: context, Status: slot.Want.Status, Written: slot.stands() && !slot.Tried, Error: slot.Refused})
		}
		v.Commits = append(v.Commits, c)
	}
	return v
}

func resourceViews(spec *schema.Spec, folder string) []ResourceView {
	views := []ResourceView{}
	for ref, r := range spec.All() {
		m := schema.MetaOf(r)
		v := ResourceView{Ref: ref, Mesh: m.Mesh, AWSName: m.AWSName, Pos: m.Pos, Digest: m.Digest}
		v.Pos.File = path.Join(folder, v.Pos.File)
		views = append(views, v)
	}
	return views
}
