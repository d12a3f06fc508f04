package reconciler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// Side is one side of a plan: what is served, or what would be.
type Side struct {
	Commit string
	// Label tells the specs apart that are served of one commit: see [State.label].
	Label string
	// Spec is what is served but for the canaries of pull requests, which stay above
	// whatever is merged.
	Spec *schema.Spec
	// State is what proxies are given, of Spec or with such canaries; nil for what
	// would be: who compares makes it.
	State xds.State
}

// planner merges, loads and plans heads, one after the other. The loop gives it
// all that is outstanding ([planner.sync]) and takes what became of it
// ([planner.take]).
type planner struct {
	branch  Branch
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	ready   bell // to the loop: take
	more    bell // to run: something to do

	// Of run.
	tries map[string]int       // failed attempts by head
	due   map[string]time.Time // of the next one

	mu     sync.Mutex // guards:
	queue  []Job
	served Side
	specs  []Side // served lately, newest last, without State
	done   []Planned
}

func newPlanner(cfg Config, m *metrics, ready bell) *planner {
	return &planner{
		branch: cfg.Branch, cfg: cfg, log: cfg.Logger, metrics: m,
		ready: ready, more: newBell(), tries: map[string]int{}, due: map[string]time.Time{},
	}
}

// sync makes jobs all that is outstanding, with what is served now.
func (p *planner) sync(jobs []Job, served Side) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.served = served
	if !slices.ContainsFunc(p.specs, func(old Side) bool { return old.Label == served.Label }) {
		p.specs = append(p.specs, Side{Commit: served.Commit, Label: served.Label, Spec: served.Spec})
		p.specs = slices.Clone(p.specs[max(0, len(p.specs)-keepSpecs):])
	}
	p.queue = slices.DeleteFunc(jobs, func(j Job) bool { // done, and the loop has not heard of it yet
		return slices.ContainsFunc(p.done, func(d Planned) bool { return d.Job.same(j) })
	})
	p.more.ring()
}

// take returns what was done since the last take.
func (p *planner) take() []Planned {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := p.done
	p.done = nil
	return done
}

// run works until ctx ends.
func (p *planner) run(ctx context.Context) {
	for {
		j, served, wait := p.next()
		if j == nil {
			if !sleep(ctx, wait, p.more) {
				return
			}
			continue
		}
		result, err := p.do(ctx, *j, served)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			delete(p.tries, j.Head)
			delete(p.due, j.Head)
		} else if !p.failed(*j, err) {
			continue
		}
		result.Err = err
		p.mu.Lock()
		p.done = append(p.done, result)
		p.queue = slices.DeleteFunc(p.queue, j.same)
		p.mu.Unlock()
		p.ready.ring()
	}
}

// next returns the job to do now, or nil and how long to wait (negative: until
// there is more).
func (p *planner) next() (*Job, Side, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait, now := time.Duration(-1), p.cfg.Now()
	for i := range p.queue {
		d := p.due[p.queue[i].Head].Sub(now)
		if d <= 0 {
			j := p.queue[i]
			return &j, p.served, 0
		}
		if wait < 0 || d < wait {
			wait = d
		}
	}
	return nil, Side{}, wait
}

// keepSpecs is how many specs that were served are kept, to tell what has
// changed since a plan was made.
const keepSpecs = 8

// unreadableAfter is how many failed attempts of a head it takes until its check
// says so; it is tried on.
const unreadableAfter = 3

// failed notes a failed attempt, and reports whether to tell of it.
func (p *planner) failed(j Job, err error) bool {
	if len(p.tries) > 1000 { // heads that are long gone
		clear(p.tries)
		clear(p.due)
	}
	p.tries[j.Head]++
	p.due[j.Head] = p.cfg.Now().Add(max(p.cfg.PullSpacing, backoff(p.tries[j.Head])))
	log, tell := p.log.Debug, p.tries[j.Head] == unreadableAfter || permanent(err)
	if tell {
		log = p.log.Warn
	}
	log("pull request not readable", "pr", j.Pull, "commit", j.Head, "err", err)
	return tell
}

// do does a job. An error says that it could not be done. What strangers wrote
// must not end the daemon, whatever it does to the code that reads it.
func (p *planner) do(ctx context.Context, j Job, served Side) (result Planned, err error) {
	defer func() {
		if x := recover(); x != nil {
			p.log.Error("pull request not planned", "pr", j.Pull, "commit", j.Head, "err", x, "reason", string(debug.Stack()))
			err = fmt.Errorf("the daemon has a mistake: %v", x)
		}
	}()
	result = Planned{Job: j}
	result.Revision = sources.Revision{Commit: j.Head}
	if j.Was != nil && p.stands(ctx, j) {
		p.metrics.pulls.WithLabelValues("skipped").Inc()
		result.Stands, result.Basis.Files, result.Basis.More = true, j.Was.Files, j.Was.More
		return result, nil
	}
	ref := "" // a merge queue's: it goes by its commit
	if j.Pull != 0 {
		ref = fmt.Sprintf("refs/pull/%d/head", j.Pull)
	}
	rev, err := p.branch.FetchCommit(ctx, j.Head, ref)
	if err != nil && !errors.Is(err, sources.ErrNoPath) {
		return result, err
	}
	merge, err := p.branch.Merge(ctx, j.Basis.Base, j.Head)
	if err != nil {
		return result, err
	}
	result.Revision = *rev
	result.Revision.Files = nil
	result.Basis.Files, result.Basis.More = first(keepFiles, merge.Changed), len(merge.Changed) > keepFiles
	for _, file := range merge.Conflicts {
		result.Conflicts = append(result.Conflicts, path.Join(p.cfg.Path, file))
	}
	if len(merge.Conflicts) > 0 || len(merge.Changed) == 0 && !slices.ContainsFunc(j.Questions, func(q Question) bool { return !q.plan() }) {
		return result, nil
	}
	begin := p.cfg.Now()
	loads, err := load(ctx, p.cfg.LoadPull, merge.Revision)
	if err != nil {
		return result, err
	}
	p.metrics.load.Observe(p.cfg.Now().Sub(begin).Seconds())
	p.metrics.pulls.WithLabelValues("planned").Inc()
	result.Loaded = loaded(merge.Revision, loads, p.cfg.Path)
	if result.Spec == nil {
		return result, nil
	}
	to := Side{Commit: j.Head, Spec: result.Spec}
	if j.Keep && len(merge.Changed) > 0 {
		result.Merged = result.Spec
	}
	result.Spec = nil // its check and plan are wanted; a mesh is large
	// The settings are those of the branch. A merge queue's group has no labels:
	// its pull requests had them when they came into the queue.
	if served.Spec != nil && j.Pull != 0 {
		result.Protected = schema.Protected(served.Spec.Settings, merge.Changed, schema.Diff(served.Spec, to.Spec), j.Labels, p.cfg.Path)
	}
	if p.cfg.Plan != nil {
		result.Plan = p.cfg.Plan(served, to, p.observed(served, j))
		result.Plan.Within(p.cfg.Path)
	}
	for _, q := range j.Questions {
		if q.plan() {
			continue // the plan itself tells
		}
		if result.Answers == nil {
			result.Answers = map[int64]string{}
		}
		result.Answers[q.Comment] = "nobody here can explain"
		if p.cfg.Explain != nil {
			result.Answers[q.Comment] = p.cfg.Explain(served, to, q.Args)
		}
	}
	return result, nil
}

// observed is what a plan is told of the living mesh.
func (p *planner) observed(served Side, j Job) plan.Observed {
	now := p.cfg.Now()
	seen := plan.Observed{Proxies: p.cfg.Proxies.Proxies(), Rollouts: j.Rollouts, Completed: j.Completed, Now: now}
	if p.cfg.Traffic != nil && served.State != nil {
		seen.Traffic, _, _ = p.cfg.Traffic(served.State, now.Add(-before), now)
	}
	return seen
}
