package canary_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	. "github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// world is a small shell around one governed router: git, proxies and people
// that a story or a random walk tells what to do. Commits have a content, by
// which a revert is known.
type world struct {
	t      testing.TB
	policy schema.RolloutSpec
	now    Now

	content   map[string]string // by commit
	completed []string          // commits, oldest first
	state     State
	began     bool
	pulls     map[string]*pull // by number

	seen    Observation
	serving string        // what is published, as the proxies see it
	watched time.Duration // of the step, while nobody had paused it
	mix     Mix
	ackAt   time.Duration // when all have it
	acking  bool
	nack    string // what proxies say to the next step
	proxies int
	reports time.Duration // how far apart they are; 0: each look sees all
	frozen  time.Duration // when one proxy told last, which does not any more; 0: all tell
	canary  flow
	base    flow
	effects []Effect // since the last look
	refusal string
}

type pull struct {
	head string
	fork bool
}

// flow is traffic per second.
type flow struct {
	perSecond, errors float64 // errors as a share
	p99               time.Duration
}

func (f flow) during(d time.Duration) xds.Traffic {
	n := uint64(f.perSecond*d.Seconds() + .5)
	t := xds.Traffic{Window: d, Requests: n, Errors: uint64(float64(n)*f.errors + .5)}
	if f.p99 > 0 {
		t.Latency.Counts = make([]uint64, len(xds.LatencyBounds)+1)
		at, _ := slices.BinarySearch(xds.LatencyBounds, float64(f.p99)/float64(time.Millisecond))
		t.Latency.Counts[at] = n
	}
	return t
}

// aMonday is when stories begin.
var aMonday = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

const usual = `{steps: [{weight: 5, hold: 2m}, {weight: 25, hold: 5m}, {weight: 50, hold: 10m}], analysis: {successRate: {min: 99.5}, latency: {p99: 300ms}}}`

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, now: Now{aMonday, time.Hour}, acking: true, proxies: 5,
		content: map[string]string{"c0": "v1"}, completed: []string{"c0"}, pulls: map[string]*pull{},
		canary: flow{20, 0, 40 * time.Millisecond}, base: flow{100, 0, 40 * time.Millisecond},
	}
	w.seen.Gates = map[string]string{}
	w.seen.Numbers = map[string]Number{}
	w.setPolicy(usual)
	return w
}

const policyMesh = `
{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: api, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}]}}
---
{apiVersion: meshwright.dev/v1alpha1, kind: Rollout, metadata: {name: api, namespace: shop}, spec: `

// setPolicy reads a rollout's spec, without targets, as a document has it.
func (w *world) setPolicy(text string) {
	w.t.Helper()
	spec := "{targets: [{kind: VirtualRouter, name: api}], " + strings.TrimPrefix(text, "{")
	r, err := schema.NewLoader(schema.Config{}).Load(w.t.Context(), fstest.MapFS{"a.yaml": {Data: []byte(policyMesh + spec + "}")}})
	if err != nil || r.Spec == nil {
		w.t.Fatalf("policy %s: %v %v", text, err, r.Diagnostics)
	}
	w.policy = r.Spec.Rollouts[schema.Key{Namespace: "shop", Name: "api"}].Policy()
}

// commit is a commit of the branch.
func (w *world) commit(name, content string) {
	w.content[name] = content
	if w.began && !w.state.Phase.Ended() {
		if w.state.Start == schema.StartMerge && w.content[w.state.Target] == content {
			w.seen.Follows = name
			w.step()
			w.seen.Follows = ""
			return
		}
		for i := 0; !w.state.Phase.Ended() && i < 20; i++ { // what is complete in a moment may be so
			w.seen.Newer = name
			w.step()
			w.seen.Newer = ""
			if !w.state.Phase.Ended() {
				w.pass(time.Second)
			}
		}
	}
	w.begin(State{Start: schema.StartMerge, Target: name})
}

// begin starts a rollout from what was completed last.
func (w *world) begin(s State) {
	s.Base = w.completed[len(w.completed)-1]
	s.Governed = []schema.Ref{{Kind: schema.KindVirtualRouter, Key: schema.Key{Namespace: "shop", Name: "api"}}}
	s.Rollout = schema.Ref{Kind: schema.KindRollout, Key: schema.Key{Namespace: "shop", Name: "api"}}
	for _, was := range w.completed[max(0, len(w.completed)-5):] {
		if w.content[was] == w.content[s.Target] {
			s.Skip = "no steps: it leads where " + was + " did, which was completed"
		}
	}
	if was := w.state; was.Phase == RolledBack && s.Start == schema.StartMerge && w.content[was.Target] == w.content[s.Target] {
		s.Failed = was.Target
	}
	w.state, w.began = Begin(s, w.policy, w.now), true
	w.step()
}

// ask labels a pull request.
func (w *world) ask(number, by, commit string, mayWrite bool) string {
	p := w.pulls[number]
	if commit == "" {
		commit = p.head
	}
	if why := (Ask{By: by, MayWrite: mayWrite, Fork: p.fork, Commit: commit, Head: p.head, Start: w.policy.Start}).Refusal(); why != "" {
		return why
	}
	n := 0
	_, _ = fmt.Sscan(number, &n)
	w.begin(State{Start: schema.StartPullRequest, Target: p.head, Pull: n, By: by})
	return ""
}

// ofPull reports whether the rollout is a pull request's.
func (w *world) ofPull(number string) bool {
	return w.began && fmt.Sprint(w.state.Pull) == number && w.state.Start == schema.StartPullRequest && !w.state.Phase.Ended()
}

func (w *world) push(number, head, content string) {
	w.content[head], w.pulls[number].head = content, head
	if w.ofPull(number) {
		w.seen.Head = head
		w.step()
		w.seen.Head = ""
	}
}

func (w *world) close(number string) {
	if w.ofPull(number) {
		w.seen.Closed = "the pull request was closed"
		w.step()
		w.seen.Closed = ""
	}
	delete(w.pulls, number)
}

func (w *world) merge(number, as string) {
	p := w.pulls[number]
	delete(w.pulls, number)
	if w.ofPull(number) && w.state.Phase != RollingBack {
		w.content[as] = w.content[p.head]
		w.seen.Merged = as
		w.step()
		w.seen.Merged = ""
		return
	}
	w.commit(as, w.content[p.head])
}

func (w *world) say(verb Verb, by string) {
	w.seen.Said = []Saying{{verb, by}}
	w.step()
	w.seen.Said = nil
}

// crash forgets all but what is written down.
func (w *world) crash() {
	data, err := json.Marshal(w.state)
	if err != nil {
		w.t.Fatal(err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		w.t.Fatal(err)
	}
	w.state, w.now.Mono = s, time.Minute
	w.serving, w.ackAt = "", 0
	w.step()
}

// advance lets time pass, with a Step whenever one is due and when ACKs come.
func (w *world) advance(d time.Duration) {
	for end := w.now.Mono + d; w.now.Mono < end; {
		next := end - w.now.Mono
		if w.began {
			if due, ok := w.state.Next(w.policy, w.now); ok {
				next = min(next, max(due, time.Millisecond))
			}
		}
		if w.ackAt > w.now.Mono {
			next = min(next, w.ackAt-w.now.Mono)
		}
		w.pass(next)
		w.step()
	}
}

func (w *world) pass(d time.Duration) {
	if w.state.Phase == Watching {
		w.watched += d
	}
	w.now.Mono += d
	w.now.Wall = w.now.Wall.Add(d)
}

// step looks, steps, holds the step to the rules, and acts.
func (w *world) step() {
	w.t.Helper()
	if !w.began {
		return
	}
	seen := w.look()
	next, effects := Step(w.state, w.policy, seen, w.now)
	w.check(seen, next, effects)
	w.state = next
	if next.Phase == Moving {
		w.watched = 0
	}
	w.effects = append(w.effects, effects...)
	for _, e := range effects {
		if e.Do != Publish {
			continue
		}
		w.serving, w.mix, w.ackAt = e.ID, e.Mix, w.now.Mono+time.Second
		if e.Mix.Side == AtBase {
			w.nack = "" // they refuse what is new
		}
	}
	if w.state.Phase == Completed && w.completed[len(w.completed)-1] != w.state.Target {
		w.completed = append(w.completed, w.state.Target)
	}
}

func (w *world) look() Observation {
	seen := w.seen
	seen.Serving = w.serving
	seen.Reporting = w.proxies - len(seen.Silent)
	seen.Heard = w.heard(w.now.Mono)
	if w.frozen > 0 {
		seen.Heard = w.frozen
	}
	for _, s := range seen.Silent {
		seen.Heard = min(seen.Heard, w.now.Mono-s.Silent)
	}
	seen.Acks = xds.Progress{Touched: w.proxies}
	switch {
	case w.nack != "" && w.now.Mono >= w.ackAt:
		seen.Acks.Applied = w.proxies - 1
		seen.Acks.Rejected = []xds.Rejection{{Proxy: "web-1", NACK: xds.NACK{Message: w.nack}}}
	case w.acking && w.now.Mono >= w.ackAt:
		seen.Acks.Applied = w.proxies
	}
	if d, ok := w.state.Evidence(w.now); ok {
		d = w.heard(w.now.Mono) - w.heard(w.now.Mono-d)
		seen.Canary, seen.Base = w.canary.during(d), w.base.during(d)
	}
	return seen
}

// heard is up to when proxies have told at a time.
func (w *world) heard(at time.Duration) time.Duration {
	if w.reports == 0 {
		return at
	}
	return at.Truncate(w.reports)
}

// check holds one step to the rules that hold for all.
func (w *world) check(seen Observation, next State, effects []Effect) {
	w.t.Helper()
	was := w.state
	again, same := Step(was, w.policy, seen, w.now)
	if !reflect.DeepEqual(next, again) || !reflect.DeepEqual(effects, same) {
		w.t.Fatalf("the same events give another history:\n%s", cmp.Diff(next, again)+cmp.Diff(effects, same))
	}
	bad := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf("%s: %s → %s at %v\n%s", fmt.Sprintf(format, args...), was.Phase, next.Phase, w.now, strings.Join(Timeline(next), "\n"))
	}
	mix := w.mix
	forward := 0
	for _, e := range effects {
		if e.Do == Publish {
			mix = e.Mix
		}
	}
	if w.serving != "" && next.Phase != Waiting && mix.Side != next.Mix(w.policy).Side {
		bad("%s is served", mix.Side)
	}
	if !reflect.DeepEqual(next.Mix(w.policy), mix) && next.Phase != Waiting {
		bad("what is served is not what the state says (-state +served):\n%s", cmp.Diff(next.Mix(w.policy), mix))
	}
	weights := []schema.Percent{0, schema.Whole}
	for i := range w.policy.Steps {
		weights = append(weights, w.policy.WeightAt(i))
	}
	if !slices.Contains(weights, mix.Weight) {
		bad("a weight of %s", mix.Weight)
	}
	// Forward: to a later step, or to the target.
	if next.Phase == Moving && was.Phase != Waiting && next.Step > was.Step || next.Phase == Promoting && was.Phase != Promoting && next.Skip == "" {
		forward++
	}
	begins := was.Phase == Waiting && next.Phase == Moving
	if was.Failed != "" && next.Phase != Waiting && next.Skip == "" && !slices.Contains(verbs(seen), Resume) && next.Mix(w.policy).Side != AtBase {
		bad("what failed is tried again, and nobody said so")
	}
	if begins || forward > 0 {
		windows := w.policy.Windows
		if forward > 0 {
			windows = windows.Running()
		}
		merged := was.Phase == Passed && seen.Merged != ""
		if !windows.Open(w.now.Wall).Open && !merged {
			bad("it goes on out of its window")
		}
		if h := w.policy.Hold; h != nil && (h.End().IsZero() || w.now.Wall.Before(h.End())) && !merged {
			bad("it goes on in a hold")
		}
	}
	if begins && seen.Behind != "" {
		bad("it does not wait for another")
	}
	if forward > 0 && next.PromotedBy == "" && was.Phase != Passed {
		if len(seen.Acks.Rejected) > 0 || seen.Acks.Applied != seen.Acks.Touched || seen.Serving != was.ID() {
			bad("it goes on without the ACKs: %+v", seen.Acks)
		}
		step := w.policy.Steps[was.Step]
		if w.watched < step.Hold {
			bad("it goes on after %s of %s", w.watched, step.Hold)
		}
		if a := w.policy.Analysis; a != nil && !a.DryRun {
			if len(seen.Silent) > 0 {
				bad("it goes on though a proxy is silent")
			}
			if next.Live.Sum.Requests == 0 && a.OnInsufficient == schema.InsufficientHold && was.Live.Sum.Requests < uint64(a.MinRequests) &&
				was.Live.Sum.Requests+seen.Canary.Requests < uint64(a.MinRequests) && (was.Weight > 0 || step.Mirror != nil || step.Gate == nil) {
				bad("it goes on after %d requests", was.Live.Sum.Requests)
			}
		}
		if g := step.Gate; g != nil && (g.Approval && was.ApprovedBy == "" && !slices.Contains(verbs(seen), Approve) || g.Status != "" && seen.Gates[g.Status] != "success") {
			bad("it goes on through a gate that is shut")
		}
	}
	if slices.Contains(verbs(seen), Abort) && !was.Phase.Ended() && was.Phase != RollingBack {
		if n := len(effects); n == 0 || mix.Side != AtBase || next.Phase != RollingBack {
			bad("an abort does not lead back at once")
		}
	}
	if len(Line(next)) == 0 || len([]rune(Line(next))) > 140 {
		bad("its line is %q", Line(next))
	}
}

func verbs(seen Observation) (all []Verb) {
	for _, s := range seen.Said {
		all = append(all, s.Verb)
	}
	return all
}

// share is the canary's part of what is served.
func (w *world) share() schema.Percent {
	switch w.mix.Side {
	case AtTarget:
		return schema.Whole
	case Between:
		return w.mix.Weight
	}
	return 0
}
