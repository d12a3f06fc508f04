package canary_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	. "github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// policies are what random walks go by.
var policies = []string{
	usual,
	`{steps: [{header: {name: x}, gate: {approval: true}}, {mirror: 10, hold: 1m}, {weight: 0.1, hold: 1m}, {weight: 33.33, hold: 90s}, {weight: 100, hold: 1m}], analysis: {successRate: {min: 99, notWorseThanBase: 1}}}`,
	`{start: pull-request, steps: [{weight: 10, hold: 1m}, {weight: 50, hold: 2m, gate: {status: ci/smoke}}], analysis: {successRate: {min: 99}, failureLimit: 1}}`,
	`{steps: [{weight: 20, hold: 1m}, {weight: 60, hold: 1m}], windows: [{kind: allow, schedule: "0 9 * * *", duration: 2h}, {kind: deny, schedule: "30 10 * * *", duration: 10m}], onFailure: hold, analysis: {successRate: {min: 99}}}`,
	`{steps: [{weight: 20, hold: 1m}, {weight: 60, hold: 1m}], progressDeadline: 20m, analysis: {latency: {p99: 200ms}, errorLimit: 3, prometheus: [{name: queue, query: q, max: 10}]}}`,
	`{start: pull-request, steps: [{weight: 20, hold: 1m}], hold: {reason: counting, until: 2026-11-23T10:20:00Z}, windows: [{kind: deny, schedule: "0 11 * * *", duration: 5m, running: continue}]}`,
}

// A random walk of pushes, labels, merges, commands, refusals, silence, crashes
// and clocks keeps to the rules of [world.check]; and once all is quiet and
// well, it ends, with what is served that of one commit.
func TestRandomWalks(t *testing.T) {
	walks := 400
	if testing.Short() {
		walks = 200
	}
	ends := map[Phase]int{}
	for seed := range walks {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		w := newWorld(t)
		w.setPolicy(policies[r.IntN(len(policies))])
		trail := walk(w, r, 60)
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, trail)
		}
		w.calm()
		if p := w.state.Phase; w.began && !p.Ended() && p != Passed && p != Held {
			t.Fatalf("seed %d: after a quiet day it is %s\n%s\n%v", seed, Line(w.state), trail, Timeline(w.state))
		}
		if s := w.share(); w.began && w.state.Phase.Ended() && s != 0 && s != schema.Whole {
			t.Fatalf("seed %d: it has ended, and the canary has %s", seed, s)
		}
		ends[w.state.Phase]++
	}
	for _, p := range []Phase{Completed, RolledBack, Withdrawn, Passed} {
		if ends[p] == 0 {
			t.Errorf("no walk ended %s: %v", p, ends)
		}
	}
}

// walk does random things, and returns what it did.
func walk(w *world, r *rand.Rand, n int) (trail []string) {
	pull := 0
	for i := range n {
		commit, content := fmt.Sprint("c", i+1), fmt.Sprint("v", 1+r.IntN(4))
		number := fmt.Sprint(pull)
		line := ""
		switch r.IntN(30) {
		case 0:
			line = "commit " + commit + " " + content
		case 1, 2:
			if w.policy.Start != schema.StartPullRequest || w.began && !w.state.Phase.Ended() {
				continue
			}
			pull++
			line = fmt.Sprintf("open %d %s %s", pull, commit, content)
			if err := w.do(line); err != nil {
				w.t.Fatal(err)
			}
			trail = append(trail, line)
			line = fmt.Sprintf("label %d alice", pull)
		case 3:
			if w.pulls[number] == nil {
				continue
			}
			line = []string{"push " + number + " " + commit + " " + content, "merge " + number + " " + commit, "close " + number, "merge " + number + " " + commit}[r.IntN(4)]
		case 4:
			line = []string{"pause bob", "resume bob", "abort bob", "promote bob", "approve bob"}[r.IntN(5)]
		case 5:
			line = []string{"acks off", "acks on", "nack no such route", "nack"}[r.IntN(4)]
		case 6:
			line = fmt.Sprint("silent ", r.IntN(3))
		case 7:
			line = []string{"gate ci/smoke success", "gate ci/smoke failure", "approve carol", "behind #3", "behind"}[r.IntN(5)]
		case 8:
			line = []string{"crash", "crash", "clockjump 3h", "clockjump -2h", "away no route", "away"}[r.IntN(6)]
		case 9, 10:
			line = fmt.Sprintf("observe canary %d/s %d%% %dms", r.IntN(40), r.IntN(4)/2, 30+r.IntN(200))
		case 11:
			line = []string{"prometheus queue 5", "prometheus queue 50", "prometheus queue error timeout", "prometheus queue none"}[r.IntN(4)]
		case 12:
			line = fmt.Sprintf("observe base %d/s", r.IntN(100))
		case 13:
			if w.began && !w.state.Phase.Ended() {
				continue
			}
			line = "commit " + commit + " " + content
		default:
			line = fmt.Sprintf("advance %ds", 1+r.IntN(120))
		}
		trail = append(trail, line)
		if err := w.do(line); err != nil {
			w.t.Fatalf("%s: %v", line, err)
		}
	}
	return trail
}

// calm is a day in which all is well.
func (w *world) calm() {
	w.seen.Silent, w.seen.Away, w.seen.Behind, w.nack, w.acking = nil, "", "", "", true
	w.seen.Gates["ci/smoke"] = "success"
	w.seen.Numbers["queue"] = Number{Name: "queue", Value: 1}
	w.canary, w.base = flow{20, 0, 40 * time.Millisecond}, flow{100, 0, 40 * time.Millisecond}
	w.say(Resume, "dora")
	for range 12 {
		w.say(Approve, "dora")
		w.advance(2 * time.Hour)
	}
}

// A state that is written down and read is the same; and after it, so is what
// happens.
func TestStateIsJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	w := newWorld(t)
	w.commit("c1", "v2")
	walk(w, r, 40)
	data, err := json.Marshal(w.state)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.state, back, cmpopts.IgnoreFields(State{}, "Live")); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}

// Whatever is read as a state, whatever is seen: no panic, an abort leads back,
// and nothing is served but a weight of the policy or one of the commits.
func FuzzStep(f *testing.F) {
	w := newWorld(f)
	w.commit("c1", "v2")
	for range 5 {
		data, _ := json.Marshal(w.state)
		f.Add(data, 1, uint32(2500), int64(5), uint64(100), uint64(3), uint8(0b1011), "c1+1", "")
		w.advance(97 * time.Second)
	}
	read := make([]schema.RolloutSpec, len(policies))
	for i := range policies {
		w.setPolicy(policies[i])
		read[i] = w.policy
	}
	f.Fuzz(func(t *testing.T, data []byte, step int, weight uint32, seconds int64, requests, errors uint64, bits uint8, serving, newer string) {
		var s State
		if json.Unmarshal(data, &s) != nil {
			return
		}
		s.Step, s.Weight = step, schema.Percent(weight)
		policy := read[int(bits>>4)%len(read)]
		bit := func(i int) bool { return bits>>i&1 == 1 }
		seen := Observation{Serving: serving, Heard: time.Second, Newer: newer, Reporting: int(bits) % 3, Canary: xds.Traffic{Requests: requests, Errors: errors}, Acks: xds.Progress{Touched: 1}}
		if bit(0) {
			seen.Serving = s.ID()
		}
		if bit(1) {
			seen.Acks.Applied = 1
		}
		if bit(2) {
			seen.Acks.Rejected = []xds.Rejection{{Proxy: "p"}}
		}
		now := Now{aMonday, time.Second}
		weights := map[schema.Percent]bool{0: true, schema.Whole: true, s.Weight: true}
		for i := range policy.Steps {
			weights[policy.WeightAt(i)] = true
		}
		for range 4 {
			next, effects := Step(s, policy, seen, now)
			for _, e := range effects {
				if !weights[e.Mix.Weight] {
					t.Errorf("a weight of %s", e.Mix.Weight)
				}
			}
			_, _, _ = Line(next), Timeline(next), Chart(next, now.Wall)
			_, _ = next.Next(policy, now)
			seen.Said = []Saying{{Abort, "a"}}
			if back, effects := Step(next, policy, seen, now); !next.Phase.Ended() && back.Mix(policy).Side != AtBase {
				t.Errorf("aborted, it is %s: %v", back.Phase, effects)
			}
			seen.Said = nil
			s = next
			seen.Heard = now.Mono
			now.Mono += time.Duration(seconds%100000) * time.Second
			now.Wall = now.Wall.Add(time.Duration(seconds%100000) * time.Second)
		}
	})
}

// BenchmarkMonth is a rollout of four weeks, judged each hour.
func BenchmarkMonth(b *testing.B) {
	w := newWorld(b)
	w.setPolicy(`{steps: [{weight: 1, hold: 168h}, {weight: 5, hold: 168h}, {weight: 25, hold: 168h}, {weight: 50, hold: 168h}], analysis: {interval: 1h, successRate: {min: 99.5}}}`)
	begun := Begin(State{Start: schema.StartMerge, Base: "c0", Target: "c1"}, w.policy, w.now)
	traffic := w.canary.during(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		s, now := begun, w.now
		seen := Observation{Reporting: 5, Acks: xds.Progress{Touched: 5, Applied: 5}, Canary: traffic, Base: traffic}
		for !s.Phase.Ended() {
			seen.Serving, seen.Heard = s.ID(), now.Mono
			s, _ = Step(s, w.policy, seen, now)
			d := time.Hour
			now.Mono += d
			now.Wall = now.Wall.Add(d)
		}
		if s.Phase != Completed {
			b.Fatal(Line(s))
		}
	}
}
