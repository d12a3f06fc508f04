package reconciler

import (
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// evidence is what proxies tell of the rollouts that are watched.
func (r *Reconciler) evidence() map[string]Evidence {
	runs := r.state.runs()
	r.stopGauges(runs)
	if len(runs) == 0 || r.spec == nil {
		return nil
	}
	now := r.cfg.Now()
	proxies, found := r.cfg.Proxies.Proxies(), r.gather.take()
	out, lacking := map[string]Evidence{}, canary.Lacking(proxies, r.label, now)
	for key, run := range runs {
		e := Evidence{Lacking: lacking}
		if f := found[key]; f.Commit == run.Target { // else it is about another
			e.Found = f
		}
		at := canary.Now{Wall: now, Mono: now.Sub(r.state.Started)}
		var ago time.Duration
		e.Reporting, e.Silent, ago = canary.Reporting(proxies, run.Callers, now)
		e.Heard = at.Mono - ago
		if ago, ok := run.Evidence(at); ok && r.cfg.Meter != nil {
			e.Canary, e.Base = r.measure(key, run, now, ago)
		}
		out[key] = e
	}
	return out
}

// over adds up the traffic of some nodes.
func over(got map[schema.Ref]xds.Traffic, nodes []schema.Ref) (sum xds.Traffic) {
	for _, n := range nodes {
		sum.Add(got[n])
	}
	return sum
}

// byCommit is progress as people are told of it: by commit.
func byCommit(p xds.Progress) xds.Progress {
	p.Commit = commitOf(p.Commit)
	p.Rejected = slices.Clone(p.Rejected)
	for i := range p.Rejected {
		p.Rejected[i].Commit = commitOf(p.Rejected[i].Commit)
	}
	return p
}
