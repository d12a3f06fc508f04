package reconciler

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
)

// Wish is what a step of a rollout has to know that neither git nor the proxies
// tell.
type Wish struct {
	Key      string // of the rollout
	Commit   string // its target
	Status   string // a context of anybody's status beside it; empty: none
	Approval int    // a pull request whose approvals count; 0: none
	Queries  []schema.PrometheusRule
}

// Found is what became of a [Wish]; what could not be found is missing.
type Found struct {
	Commit   string            // of the wish
	Gates    map[string]string // states by context
	Approved []string          // by whom
	Numbers  map[string]canary.Number
}

// wishes are those of the steps that are watched.
func (s State) wishes(taken *schema.Spec) (all []Wish) {
	for key, run := range s.runs() {
		policy := policyOf(taken, run.Rollout)
		w := Wish{Key: key, Commit: run.Target}
		if run.Step < len(policy.Steps) {
			if g := policy.Steps[run.Step].Gate; g != nil {
				w.Status = g.Status
				if g.Approval && run.Start == schema.StartPullRequest {
					w.Approval = run.Pull
				}
			}
		}
		if policy.Analysis != nil {
			w.Queries = policy.Analysis.Prometheus
		}
		if w.Status != "" || w.Approval != 0 || len(w.Queries) > 0 {
			all = append(all, w)
		}
	}
	return all
}

// gathering is how often wishes are looked after.
const gathering = 10 * time.Second

// gather finds out what rollouts wish to know. The loop tells it what that is
// ([gather.sync]) and takes what was found ([gather.take]).
type gather struct {
	forge Forge // nil: there is none
	query func(ctx context.Context, query string) (float64, error)
	ready bell // to the loop: take
	more  bell // to run: there is something to find

	mu     sync.Mutex // guards:
	wishes []Wish
	found  map[string]Found
}

func newGather(cfg Config, ready bell) *gather {
	return &gather{forge: cfg.Forge, query: cfg.Query, ready: ready, more: newBell()}
}

// sync makes wishes all that there are.
func (g *gather) sync(wishes []Wish) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wishes = wishes
	wanted := func(key string) bool {
		return slices.ContainsFunc(wishes, func(w Wish) bool { return w.Key == key })
	}
	maps.DeleteFunc(g.found, func(key string, _ Found) bool { return !wanted(key) })
	if slices.ContainsFunc(wishes, func(w Wish) bool { _, ok := g.found[w.Key]; return !ok }) {
		g.more.ring()
	}
}

// take returns what is known, by rollout.
func (g *gather) take() map[string]Found {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.found)
}

// run looks until ctx ends.
func (g *gather) run(ctx context.Context) {
	for {
		g.mu.Lock()
		wishes := g.wishes
		g.mu.Unlock()
		for _, w := range wishes {
			f := g.find(ctx, w)
			if ctx.Err() != nil {
				return
			}
			g.mu.Lock()
			if g.found == nil {
				g.found = map[string]Found{}
			}
			g.found[w.Key] = f
			g.mu.Unlock()
		}
		wait, wake := time.Duration(-1), g.more
		if len(wishes) > 0 {
			g.ready.ring()
			wait, wake = gathering, nil
		}
		if !sleep(ctx, wait, wake) {
			return
		}
	}
}

// find looks after one wish.
func (g *gather) find(ctx context.Context, w Wish) Found {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	f := Found{Commit: w.Commit, Gates: map[string]string{}, Numbers: map[string]canary.Number{}}
	if w.Status != "" && g.forge != nil {
		if state, err := g.forge.StatusOf(ctx, w.Commit, w.Status); err == nil && state != "" {
			f.Gates[w.Status] = string(state)
		}
	}
	if w.Approval != 0 && g.forge != nil {
		if who, err := g.forge.Approvals(ctx, w.Approval, w.Commit); err == nil {
			f.Approved = who
		}
	}
	for _, rule := range w.Queries {
		n := canary.Number{Name: rule.Name}
		err := errors.New("the daemon was given no Prometheus")
		if g.query != nil {
			n.Value, err = g.query(ctx, rule.Query)
		}
		if err != nil {
			n = canary.Number{Name: rule.Name, Error: err.Error()}
		}
		f.Numbers[rule.Name] = n
	}
	return f
}
