package reconciler

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/store"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// Branch is the repository of the specs; sources/git has it. It is used from
// two goroutines: the watcher fetches while the planner reads a pull request. A
// commit without the folder of the specs is a revision without Files, and
// [sources.ErrNoPath] comes with it.
type Branch interface {
	// Fetch asks the host for the newest commit of the branch. A revision that
	// it returns is whole: its files can be read without network.
	Fetch(ctx context.Context) (*sources.Revision, error)
	// Commit returns a commit that is already here, without network.
	Commit(hash string) (*sources.Revision, error)
	// FetchCommit fetches one commit, with its history, that the host has under
	// ref; an empty one leaves it to the commit's hash.
	FetchCommit(ctx context.Context, hash, ref string) (*sources.Revision, error)
	// Merge returns what merging head into base would give; both are here, and
	// nothing is written. A [sources.Permanent] error is head's author's to mend.
	Merge(ctx context.Context, base, head string) (*sources.Merge, error)
	// Revert returns what takes the specs at the commit tip back to what they are
	// at the commit to, as far as that undoes what commit has changed since. A
	// [sources.Permanent] error: it is too much.
	Revert(ctx context.Context, commit, to, tip string) (*sources.Revert, error)
	// History returns the branch's last n commits, newest first, without network
	// and without their files.
	History(ctx context.Context, n int) ([]sources.Revision, error)
}

// Proxies serves the desired state; xds/ads has it.
type Proxies interface {
	// Publish makes a state the one that proxies should have. When it returns,
	// Progress speaks of that state, and knows which proxies it touches. A state
	// of the commit before goes on with its progress.
	Publish(xds.State)
	Proxies() []xds.Proxy
	// Connected is how many Proxies are.
	Connected() int
	Progress() xds.Progress
	// Changed receives after Proxies or Progress have changed; capacity 1.
	Changed() <-chan struct{}
}

// Forge is the API of a git host: what is open there, what people ask for, and
// where letters go; sources/github has it. A [sources.RetryAfter] says that
// nothing was taken and when to come again; a [sources.Permanent] that the same
// letter will never be taken. Any other error leaves open whether it was
// written: a status is looked up then, the other letters are the same when they
// are written twice.
type Forge interface {
	// Limits are what the host takes and can do.
	Limits() sources.Limits
	// PullRequests returns those that are open against a branch; it costs nothing
	// while nothing has changed.
	PullRequests(ctx context.Context, base string) ([]sources.PullRequest, error)
	// Fate returns what has become of a pull request that is not among the open ones
	// against a branch; a [sources.Permanent] error: there is none any more.
	Fate(ctx context.Context, pull int, base string) (sources.Fate, error)
	// MergeGroups returns the heads that a merge queue wants to have checked.
	MergeGroups(ctx context.Context, base string) ([]string, error)
	SetStatus(ctx context.Context, commit, context string, s sources.Status) error
	// Statuses returns what stands beside a commit by context: the newest of
	// those that our own account wrote.
	Statuses(ctx context.Context, commit string) (map[string]sources.Status, error)
	// SetComment makes body our one comment with a key on a pull request.
	SetComment(ctx context.Context, pull int, key, body string) error
	// Comments returns those that were created at or after a time, oldest first,
	// on pull requests and elsewhere; of too many, the first. It costs nothing while nothing has changed.
	Comments(ctx context.Context, since time.Time) ([]sources.Comment, error)
	// MayWrite reports whether somebody may write to the repository.
	MayWrite(ctx context.Context, login string) (bool, error)
	// LabeledBy returns who has set a label that a pull request bears, and when; an
	// empty login: nobody says so.
	LabeledBy(ctx context.Context, pull int, label string) (login string, at time.Time, err error)
	// HeadSince returns since when a commit is the head of a pull request, by the
	// host's clock: what was asked for later is meant for it.
	HeadSince(ctx context.Context, pull int, head string) (time.Time, error)
	// Approvals returns who has approved a pull request at exactly this head and
	// may write.
	Approvals(ctx context.Context, pull int, head string) ([]string, error)
	// StatusOf returns how a status of anybody stands beside a commit; empty: there
	// is none.
	StatusOf(ctx context.Context, commit, context string) (sources.StatusState, error)
	// OpenRevert opens the pull request of a revert, once, and returns its number. A
	// [sources.Permanent] error says what to do by hand.
	OpenRevert(ctx context.Context, r sources.Revert) (int, error)
	// React puts a reaction of ours ("+1", "eyes", "confused") to a comment.
	React(ctx context.Context, comment int64, reaction string) error
	// PullOf returns the merged pull request that brought a commit to the branch;
	// 0: there is none.
	PullOf(ctx context.Context, commit string) (int, error)
	// SetDeployment makes s the newest status of our deployment of a commit.
	SetDeployment(ctx context.Context, commit, environment string, s sources.Status) error
}

// Load reads a tree into a spec: mistakes in the files are diagnostics; an
// error means that the files could not be read.
type Load func(context.Context, fs.FS) (*schema.Result, error)

// Config of a [Reconciler]. Branch, Load, Translate, Proxies, Store and Wake
// are needed.
type Config struct {
	Branch Branch
	// Load loads the branch's commits. It is called by one goroutine at a time.
	Load Load
	// LoadPull loads pull requests' heads: a loader of its own, so that a pull
	// request that is slow to load holds up nothing. nil: Load, in turns.
	LoadPull Load
	// Translate makes a spec the state that proxies get; it keeps what prev
	// (nil at first) has for profiles that the change does not touch.
	Translate func(commit string, spec *schema.Spec, prev xds.State) xds.State
	// Moved says that something has changed that Translate reads besides the
	// spec (endpoints, certificates): what is served is translated and published
	// anew. It should have capacity 1 and coalesce; nil: there is nothing else.
	Moved   <-chan struct{}
	Proxies Proxies
	// Traffic is what virtual nodes got between two times, over all proxies that
	// call them, as these report it to who serves the state; and how many are
	// connected and report. nil: nobody does, and no change is judged by it.
	Traffic func(served xds.State, from, to time.Time) (got map[schema.Ref]xds.Traffic, proxies, reporting int)
	// Query asks Prometheus for the one number that a query gives; nil: there is
	// none, so that what a rollout asks of it is never known.
	Query func(ctx context.Context, query string) (float64, error)
	// Meter starts to count what virtual nodes get from now on, of the time since a
	// moment, as the proxies of some callers report it: the evidence of rollouts.
	// nil: there is none.
	Meter func(since time.Time, callers []xds.Identity) Meter
	// Plan compares what is served with what a pull request would make of it,
	// without asking the network for anything; nil: nothing is planned. It is
	// called beside the loop.
	Plan func(served, to Side, seen plan.Observed) *plan.Plan
	// Explain answers `explain FROM TO PATH` with what a pull request would make
	// of it; nil: nobody can.
	Explain func(served, to Side, args []string) string
	// Forge tells of pull requests and takes the letters; nil: nothing is known of
	// the former, and nothing is written back.
	Forge Forge
	// Store holds the progress, under the keys "state" and "pull/NUMBER".
	Store store.Store
	// Wake says that the branch or a pull request may have moved. It should
	// have capacity 1 and coalesce.
	Wake <-chan struct{}

	// Environment is part of the statuses' contexts; may be empty.
	Environment string
	// Path is the folder of the specs in the repository; empty: its root. It goes
	// before the names of files, so that people find them.
	Path string
	// BaseBranch is the watched branch: open pull requests against it are
	// checked.
	BaseBranch string
	// Link is the page of a commit, which its statuses point to; nil: none.
	Link func(commit string) string
	// Files is the prefix of the pages of a commit's files; nil: none.
	Files func(commit string) string
	// Deployments: a deployment is written for each commit that is served, to the
	// environment of that name, or of the mesh's.
	Deployments bool
	// Version is that of this program, for people.
	Version string

	Logger  *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: none
	Now     func() time.Time      // nil: time.Now

	// HealthWindow is how long the traffic after a change is looked at; zero: 1 min.
	HealthWindow time.Duration
	// WriteSpacing is the least time between two writes to the forge; zero: 1 s,
	// which is what GitHub asks for.
	WriteSpacing time.Duration
	// PullSpacing is the least time between two lists of the pull requests,
	// unless [Reconciler.Poke] says that one has moved; zero: 10 s. A list that has
	// not changed costs nothing of GitHub's hourly limit, but each look takes three of
	// the 900 requests that it answers in a minute.
	PullSpacing time.Duration
	// Settle is how long after the start proxies may take to come back before a
	// commit counts as applied on all of them; zero: 5 s.
	Settle time.Duration
	// Grace is how long queued statuses may still be written after the end of
	// Run's context; zero: 3 s. What is left is written after the next start.
	Grace time.Duration
}

// withDefaults fills in the zero values and says what is missing.
func (c Config) withDefaults() (Config, error) {
	for _, need := range []struct {
		field   string
		missing bool
	}{
		{"Branch", c.Branch == nil}, {"Load", c.Load == nil}, {"Translate", c.Translate == nil},
		{"Proxies", c.Proxies == nil}, {"Store", c.Store == nil}, {"Wake", c.Wake == nil},
	} {
		if need.missing {
			return c, errors.New("reconciler: Config." + need.field + " is missing")
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.LoadPull == nil {
		c.Load = inTurns(c.Load)
		c.LoadPull = c.Load
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.HealthWindow, time.Minute}, {&c.WriteSpacing, time.Second}, {&c.PullSpacing, 10 * time.Second}, {&c.Settle, 5 * time.Second}, {&c.Grace, 3 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c, nil
}

// inTurns lets one load happen at a time.
func inTurns(load Load) Load {
	var mu sync.Mutex
	return func(ctx context.Context, files fs.FS) (*schema.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		return load(ctx, files)
	}
}
