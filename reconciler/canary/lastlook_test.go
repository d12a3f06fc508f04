package canary_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	. "github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// report is what one proxy tells at its end of the time since its beginning.
type report struct {
	from, to time.Duration
	traffic  xds.Traffic
}

// teller is a proxy that reports every so often.
type teller struct{ reports []report }

// heard is up to when it has told at a time.
func (p teller) heard(now time.Duration) (at time.Duration) {
	for _, r := range p.reports {
		if r.to <= now {
			at = r.to
		}
	}
	return at
}

// Whatever traffic comes and goes, and whenever proxies report: no step passes
// before all that they saw until its hold was over is in an interval that was
// judged; and what its evidence says is what was judged.
func TestEveryRequestIsJudged(t *testing.T) {
	ends := map[Phase]int{}
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(t)
		interval, hold, delay := 1+r.IntN(40), 5+r.IntN(120), 1+r.IntN(2)*r.IntN(20)
		w.setPolicy(fmt.Sprintf(`{steps: [{weight: 50, hold: %ds}], progressDeadline: 1h, analysis: {interval: %ds, initialDelay: %ds, minRequests: %d, successRate: {min: 97}}}`,
			max(hold, interval+delay), interval, delay, 1+r.IntN(200)))
		w.now.Mono = 0
		ends[judged(t, r, w.policy, w.now)]++
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, w.policy.Analysis)
		}
	}
	if ends[Promoting] < 40 || ends[RollingBack] < 40 {
		t.Errorf("ends: %v", ends)
	}
}

// judged plays one step, and returns how it ended.
func judged(t *testing.T, r *rand.Rand, policy schema.RolloutSpec, now Now) Phase {
	proxies := make([]teller, 1+r.IntN(4))
	badFrom := time.Duration(r.IntN(400)) * time.Second
	for i := range proxies {
		every := time.Duration(500+r.IntN(4500)) * time.Millisecond
		for at := time.Duration(r.Int64N(int64(every))); at < 2*time.Hour; at += every {
			n := uint64(r.IntN(60))
			traffic := xds.Traffic{Requests: n}
			if at > badFrom {
				traffic.Errors = n
			}
			proxies[i].reports = append(proxies[i].reports, report{at, at + every, traffic})
		}
	}
	s, _ := Step(Begin(State{Start: schema.StartMerge, Base: "c0", Target: "c1"}, policy, now), policy, Observation{}, now)
	var taken, done uint64 // requests that were counted, and judged
	shown := xds.Traffic{}
	for !s.Phase.Ended() && now.Mono < 90*time.Minute {
		seen := Observation{Serving: s.ID(), Acks: xds.Progress{Touched: 1, Applied: 1}, Reporting: len(proxies), Heard: now.Mono}
		since := s.Live.Began + policy.Analysis.InitialDelay
		all := xds.Traffic{}
		for _, p := range proxies {
			seen.Heard = min(seen.Heard, p.heard(now.Mono))
			for _, r := range p.reports {
				if r.from >= since && r.to <= now.Mono {
					all.Add(r.traffic)
				}
			}
		}
		if ago, ok := s.Evidence(now); ok {
			seen.Canary = all.Since(shown)
			seen.Canary.Window = ago
		}
		was := s
		s, _ = Step(s, policy, seen, now)
		verdicts := func(s State) uint64 { return s.Verdicts[Pass] + s.Verdicts[Fail] }
		if s.Live.Read != was.Live.Read && was.Phase == Watching { // it was taken in
			taken, shown = all.Requests, all
		}
		if verdicts(s) > verdicts(was) {
			done = taken
		}
		if was.Phase == Watching && s.Phase == Promoting {
			e := s.History[len(s.History)-1].Evidence
			end := was.Live.Began + policy.Steps[0].Hold
			var least uint64
			for _, p := range proxies {
				for _, r := range p.reports {
					if r.from >= since && r.from < end {
						least += r.traffic.Requests
					}
				}
			}
			switch {
			case e.Canary.Requests < least:
				t.Errorf("it passes at %s on %d requests; until the end of its hold, %s, were %d", now.Mono, e.Canary.Requests, end, least)
			case done != e.Canary.Requests:
				t.Errorf("it passes at %s on %d requests, of which %d were judged", now.Mono, e.Canary.Requests, done)
			}
		}
		if s.Phase == Promoting || s.Phase == RollingBack {
			return s.Phase
		}
		next, _ := s.Next(policy, now)
		d := max(time.Millisecond, min(next, time.Duration(r.Int64N(int64(20*time.Second))))+time.Duration(r.IntN(20))*time.Millisecond)
		now.Mono += d
		now.Wall = now.Wall.Add(d)
	}
	return s.Phase
}
