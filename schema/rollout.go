package schema

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// Rollout is the Rollout kind, one of ours: how a change of what it governs
// reaches traffic. What proxies get from a spec does not depend on it; the
// daemon derives other specs by it.
type Rollout struct {
	Meta
	Spec RolloutSpec
}

// RolloutSpec is spec of a Rollout, as written; [Rollout.Policy] has the
// defaults of what is not.
type RolloutSpec struct {
	Targets          []RolloutTarget `json:"targets"`
	Start            RolloutStart    `json:"start,omitempty"`
	Steps            []RolloutStep   `json:"steps"`
	Analysis         *Analysis       `json:"analysis,omitempty"` // nil: steps pass by their holds and gates alone
	Affinity         *Affinity       `json:"affinity,omitempty"`
	Windows          Windows         `json:"windows,omitempty"`
	Hold             *Hold           `json:"hold,omitempty"`
	OnFailure        OnFailure       `json:"onFailure,omitempty"`
	ProgressDeadline time.Duration   `json:"progressDeadline,omitempty"` // without a step that passes
	MeshRef          *MeshReference  `json:"meshRef,omitempty"`
}

// RolloutTarget is a VirtualRouter or a GatewayRoute.
type RolloutTarget struct {
	Kind      Kind   `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// In resolves the target of a rollout of the given namespace.
func (t *RolloutTarget) In(namespace string) Ref {
	return Ref{t.Kind, Reference{t.Name, t.Namespace}.In(namespace)}
}

// RolloutStart is when a canary starts.
type RolloutStart string

// When a canary starts: with the merge, or while the pull request is open.
const (
	StartMerge       RolloutStart = "merge"
	StartPullRequest RolloutStart = "pull-request"
)

// OnFailure is what follows a failed analysis.
type OnFailure string

// What follows a failed analysis: back to the base in one step, or standing
// still until a person says more.
const (
	RollBack  OnFailure = "rollback"
	HoldStill OnFailure = "hold"
)

// Percent counts hundredths of a percent, so that shares are exact: 550 is
// 5.5 %. Routes whose weights sum to [Whole] can be given any of them.
type Percent uint32

// Whole is 100 %.
const Whole Percent = 100_00

// Fraction is the share as a number: 1 is the whole.
func (p Percent) Fraction() float64 { return float64(p) / float64(Whole) }

// String is the number of percent, without the sign: 5.5.
func (p Percent) String() string { return strconv.FormatFloat(float64(p)/100, 'f', -1, 64) }

// RolloutStep is one stage of a canary. A step sets at least one of Weight,
// Header, Mirror and Gate; Header and Mirror hold during their step only.
type RolloutStep struct {
	Weight *Percent      `json:"weight,omitempty"` // the canary's share; nil: that of the step before ([RolloutSpec.WeightAt])
	Hold   time.Duration `json:"hold,omitempty"`   // since all touched proxies have ACKed the step; 0 only with a gate
	Header *HeaderMatch  `json:"header,omitempty"` // requests that match go to the canary
	Mirror *Percent      `json:"mirror,omitempty"` // of the base's requests, copied to the canary
	Gate   *Gate         `json:"gate,omitempty"`   // must be open before the step after this one begins
}

// Gate is one of two things that a step waits for after its hold.
type Gate struct {
	Status   string `json:"status,omitempty"`   // the context of a commit status that has to be success
	Approval bool   `json:"approval,omitempty"` // a person
}

// WeightAt is the canary's share during a step, counted from 0: its own weight
// or that of the last step before it that has one.
func (s *RolloutSpec) WeightAt(step int) Percent {
	for i := min(step, len(s.Steps)-1); i >= 0; i-- {
		if w := s.Steps[i].Weight; w != nil {
			return *w
		}
	}
	return 0
}

// Analysis is how the canary's traffic is judged.
type Analysis struct {
	Interval       time.Duration    `json:"interval,omitempty"`     // one judgement is about so long
	InitialDelay   time.Duration    `json:"initialDelay,omitempty"` // of each step, in which nothing is judged
	SuccessRate    *SuccessRate     `json:"successRate,omitempty"`
	Latency        *Latency         `json:"latency,omitempty"`
	MinRequests    uint32           `json:"minRequests,omitempty"` // of the canary, for an interval to be judged
	OnInsufficient OnInsufficient   `json:"onInsufficient,omitempty"`
	FailureLimit   uint32           `json:"failureLimit,omitempty"` // so many intervals of a step that fail are a failure
	ErrorLimit     uint32           `json:"errorLimit,omitempty"`   // so many measurements in a row that cannot be had are one
	DryRun         bool             `json:"dryRun,omitempty"`       // judge and tell, and pass whatever comes
	Prometheus     []PrometheusRule `json:"prometheus,omitempty"`
}

// OnInsufficient is what an interval with too few requests is.
type OnInsufficient string

// What an interval with too few requests is: none at all (the step waits for
// more), one that passes, or one that fails.
const (
	InsufficientHold OnInsufficient = "hold"
	InsufficientPass OnInsufficient = "pass"
	InsufficientFail OnInsufficient = "fail"
)

// SuccessRate bounds the share of the canary's requests that succeed.
type SuccessRate struct {
	Min              *Percent `json:"min,omitempty"`
	NotWorseThanBase *Percent `json:"notWorseThanBase,omitempty"` // percentage points below the base's
}

// Latency bounds quantiles of the canary's latency; 0 is no bound.
type Latency struct {
	P50 time.Duration `json:"p50,omitempty"`
	P95 time.Duration `json:"p95,omitempty"`
	P99 time.Duration `json:"p99,omitempty"`
	// NotWorseThanBase is how much longer than the base's the quantiles that have
	// a bound may be, relatively; p99 where none has one.
	NotWorseThanBase *Percent `json:"notWorseThanBase,omitempty"`
}

// PrometheusRule bounds the one number that a query gives.
type PrometheusRule struct {
	Name  string   `json:"name"`
	Query string   `json:"query"`
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
}

// Affinity keeps a client on the side, base or canary, that it came to; by one
// of two things of its requests.
type Affinity struct {
	Cookie *AffinityCookie `json:"cookie,omitempty"`
	Header string          `json:"header,omitempty"`
}

// AffinityCookie is given to clients that have none.
type AffinityCookie struct {
	Name string        `json:"name"`
	TTL  time.Duration `json:"ttl,omitempty"`
}

// Hold keeps a rollout from going on, by a word in git.
type Hold struct {
	Reason string `json:"reason"`
	Until  string `json:"until,omitempty"` // RFC 3339; see End
}

// End is when the hold ends by itself; zero: never. It stands no more at that
// time.
func (h *Hold) End() time.Time {
	t, _ := time.Parse(time.RFC3339, h.Until) // a check has read it
	return t
}

// Policy returns what holds: the spec with the defaults of what it does not
// say, and the namespaces of its targets. This is the one place of defaults;
// schema.cue and docs/rollouts.md tell them.
func (r *Rollout) Policy() RolloutSpec {
	s := r.Spec
	s.Targets = slices.Clone(s.Targets)
	for i := range s.Targets {
		s.Targets[i].Namespace = cmp.Or(s.Targets[i].Namespace, r.Ref.Namespace)
	}
	s.Start = cmp.Or(s.Start, StartMerge)
	s.OnFailure = cmp.Or(s.OnFailure, RollBack)
	if s.ProgressDeadline == 0 {
		s.ProgressDeadline = s.longestHold() + time.Hour
	}
	if s.Analysis != nil {
		a := *s.Analysis
		a.Interval = cmp.Or(a.Interval, 10*time.Second)
		a.MinRequests = cmp.Or(a.MinRequests, 100)
		a.OnInsufficient = cmp.Or(a.OnInsufficient, InsufficientHold)
		a.FailureLimit = cmp.Or(a.FailureLimit, 2)
		a.ErrorLimit = cmp.Or(a.ErrorLimit, 5)
		s.Analysis = &a
	}
	if s.Affinity != nil && s.Affinity.Cookie != nil {
		c := *s.Affinity.Cookie
		c.TTL = cmp.Or(c.TTL, 24*time.Hour)
		s.Affinity = &Affinity{Cookie: &c}
	}
	s.Windows = slices.Clone(s.Windows)
	for i := range s.Windows {
		s.Windows[i].Timezone = cmp.Or(s.Windows[i].Timezone, "UTC")
		s.Windows[i].Running = cmp.Or(s.Windows[i].Running, RunningHold)
	}
	return s
}

func (s *RolloutSpec) longestHold() time.Duration {
	var longest time.Duration
	for i := range s.Steps {
		longest = max(longest, s.Steps[i].Hold)
	}
	return longest
}

// Quantile is one of a latency's that has a bound, or that is compared with the
// base's.
type Quantile struct {
	Name string
	Of   float64       // 0 to 1
	Most time.Duration // 0: it is compared only
}

// Quantiles returns those that count: which have a bound, and p99 where none
// has one and the base's counts.
func (l *Latency) Quantiles() []Quantile {
	var out []Quantile
	for _, q := range []Quantile{{"p50", .5, l.P50}, {"p95", .95, l.P95}, {"p99", .99, l.P99}} {
		if q.Most > 0 {
			out = append(out, q)
		}
	}
	if len(out) == 0 && l.NotWorseThanBase != nil {
		out = append(out, Quantile{"p99", .99, 0})
	}
	return out
}
