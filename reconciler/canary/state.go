package canary

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// State is one rollout on its way from a completed commit to another. It is
// plain JSON, to be written down before the effects of a [Step] are carried
// out; what is not in it, a restart begins anew.
type State struct {
	Rollout  schema.Ref          `json:"rollout"`
	Start    schema.RolloutStart `json:"start"`
	Governed []schema.Ref        `json:"governed"` // [Ends].Governed
	Base     string              `json:"base"`     // the commit that was completed last
	Target   string              `json:"target"`   // the commit to come: of the branch, or a pull request's head
	Pull     int                 `json:"pull,omitempty"`
	By       string              `json:"by,omitempty"`   // who asked for it, of a pull request
	Skip     string              `json:"skip,omitempty"` // why there is nothing to do in steps
	// Failed is a commit of the same [Content] that was rolled back, and FailedIn the
	// pull request of which it was the head, if it was one's canary: the same is not
	// tried again because something is merged, but when a person says so.
	Failed   string `json:"failed,omitempty"`
	FailedIn int    `json:"failedIn,omitempty"`

	Phase  Phase          `json:"phase"`
	Reason string         `json:"reason,omitempty"` // of the phase, or what keeps it
	Step   int            `json:"step"`             // counted from 0; as many as there are: all have passed
	Steps  int            `json:"steps"`
	Weight schema.Percent `json:"weight"`
	Pushes int            `json:"pushes"` // how often something was published; see ID

	PausedBy   string `json:"pausedBy,omitempty"`
	PromotedBy string `json:"promotedBy,omitempty"`
	ApprovedBy string `json:"approvedBy,omitempty"` // of the step's gate
	Approvable bool   `json:"approvable,omitempty"` // its gate waits for an approval
	Failing    uint32 `json:"failing,omitempty"`    // intervals of the step
	Erring     uint32 `json:"erring,omitempty"`     // measurements in a row that could not be had
	Failure    string `json:"failure,omitempty"`    // why it failed; what stands in the comment

	Verdicts map[Verdict]uint64 `json:"verdicts,omitempty"` // on intervals of all steps, counted

	Began   time.Time `json:"began"`
	History []Event   `json:"history"` // oldest first; see keepEvents

	Live Live `json:"-"`
}

// Phase is where a rollout stands.
type Phase string

// The phases; docs/rollouts.md draws how one leads to another.
const (
	Waiting     Phase = "waiting"  // for a window, a hold, another rollout
	Moving      Phase = "moving"   // a step is published, and not all proxies have it
	Watching    Phase = "watching" // evidence is gathered
	Paused      Phase = "paused"   // the same, and a person keeps it
	Passed      Phase = "passed"   // a pull request may be merged
	Held        Phase = "held"     // it failed, and stands until a person says more
	Promoting   Phase = "promoting"
	Completed   Phase = "completed"
	RollingBack Phase = "rolling-back"
	RolledBack  Phase = "rolled-back"
	Superseded  Phase = "superseded" // by a newer merge
	Withdrawn   Phase = "withdrawn"  // the pull request was closed, or is another by now
)

// Ended reports whether nothing follows.
func (p Phase) Ended() bool {
	return p == Completed || p == RolledBack || p == Superseded || p == Withdrawn
}

// travels reports whether proxies are awaited in a phase.
func (p Phase) travels() bool { return p == Moving || p == Promoting || p == RollingBack }

// same says what the rollout leads to again; see Failed.
func (s State) same() string {
	if s.FailedIn != 0 {
		return fmt.Sprintf("the same failed in #%d, as %s", s.FailedIn, short(s.Failed))
	}
	if s.Failed == s.Target {
		return "it failed before the state was lost"
	}
	return "the same failed as " + short(s.Failed)
}

// Event is a transition, and why.
type Event struct {
	At       time.Time      `json:"at"`
	Phase    Phase          `json:"phase"`
	Step     int            `json:"step"`
	Weight   schema.Percent `json:"weight"`
	Reason   string         `json:"reason"`
	Evidence *Evidence      `json:"evidence,omitempty"` // of the step that ended
}

// keepEvents bounds a history: the first and the last stay.
const keepEvents = 100

// Evidence is what was seen during a step, as the proxies that called told it.
type Evidence struct {
	Proxies int           `json:"proxies"` // that reported
	Window  time.Duration `json:"window"`  // that the numbers cover
	Canary  Reading       `json:"canary"`
	Base    Reading       `json:"base"`
	Numbers []Number      `json:"numbers,omitempty"` // Prometheus's, of the last interval
}

// Reading is traffic in numbers that people compare; quantiles are 0 where
// there are none.
type Reading struct {
	Requests uint64        `json:"requests"`
	Errors   uint64        `json:"errors"`
	P50      time.Duration `json:"p50"`
	P95      time.Duration `json:"p95"`
	P99      time.Duration `json:"p99"`
}

// Number is what a Prometheus query gave, or why it gave none.
type Number struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Error string  `json:"error,omitempty"`
}

// Live is what one process knows of a rollout: what it has timed and counted.
// A restart forgets it, and the step's evidence begins anew.
type Live struct {
	On      bool          // the process has taken the rollout up
	Last    time.Duration // the rest are monotonic times: of the last Step,
	Began   time.Duration // since all proxies have the step,
	Read    time.Duration // up to when traffic is counted,
	Judged  time.Duration // and judged,
	Told    time.Duration // of the last Report
	Spent   time.Duration // without a step that passed, towards the deadline
	Counts  bool          // time goes towards the deadline
	Watched time.Duration // of the step, unpaused: a pause stops the hold's clock
	Left    time.Duration // of the hold
	Verdict Verdict       // of the last interval
	Why     string        // of it
	Bad     string        // why of the last that failed
	Keeps   string        // what keeps it that is not its own
	Landing bool          // as the last [Observation] has it
	Touched int           // proxies of the step
	Applied int

	Mute    bool          // proxies do not tell, though it takes their evidence
	Heard   time.Duration // as the last [Observation] has it
	Covered time.Duration // the same, at the last judgement
	Due     time.Duration // since when the step lacks only evidence; 0: it lacks more

	Proxies      int         // that reported
	Canary, Base xds.Traffic // of the interval that is judged next
	Before       xds.Traffic // of the one before,
	BeforeBase   xds.Traffic // which was judged last
	Sum, SumBase xds.Traffic // of the step
	Numbers      []Number
}

// Now is a moment on two clocks. Windows go by the wall's, which may be set;
// holds, intervals and deadlines by one that only goes forward.
type Now struct {
	Wall time.Time
	Mono time.Duration // since the process began
}

// ID names what a rollout has published last, so that ACKs can be told apart.
func (s State) ID() string { return s.Target[:min(12, len(s.Target))] + "+" + strconv.Itoa(s.Pushes) }

// Begin returns a rollout that waits for its first [Step]. The caller sets what
// it is about: Rollout, Start, Governed, Base, Target, and Pull and By, Skip or
// Failed.
func Begin(s State, policy schema.RolloutSpec, now Now) State {
	s.Phase, s.Began, s.Steps = Waiting, now.Wall, len(policy.Steps)
	s.Reason = "it has not begun"
	why := fmt.Sprintf("from %.7s to %.7s", s.Base, s.Target)
	if s.By != "" {
		why += ", as " + s.By + " asked"
	}
	s.note(now, why, nil)
	return s
}

// Complete returns a rollout that is complete at once, since it has nothing to
// begin from. The caller sets what it is about, as for [Begin].
func Complete(s State, policy schema.RolloutSpec, why string, now Now) State {
	s.Began, s.Steps, s.Step = now.Wall, len(policy.Steps), len(policy.Steps)
	s.Phase, s.Reason, s.Weight = Completed, why, schema.Whole
	s.note(now, why, nil)
	return s
}

// Mix is what has to be served of the rollout.
func (s State) Mix(policy schema.RolloutSpec) Mix {
	m := Mix{Governed: s.Governed, Start: s.Start, Side: Between}
	switch s.Phase {
	case Promoting, Completed:
		m.Side = AtTarget
	case RollingBack, RolledBack, Superseded, Withdrawn:
		m.Side = AtBase
	case Waiting:
		if s.Start == schema.StartPullRequest {
			m.Side = AtBase
		}
	default:
		m.Weight, m.Affinity = s.Weight, policy.Affinity
		if at := min(s.Step, len(policy.Steps)-1); at >= 0 {
			m.Header = policy.Steps[at].Header
			if mirror := policy.Steps[at].Mirror; mirror != nil {
				m.Mirror = *mirror
			}
		}
	}
	return m
}

// note writes a transition down.
func (s *State) note(now Now, why string, e *Evidence) {
	s.History = append(slices.Clip(s.History), Event{now.Wall, s.Phase, s.Step, s.Weight, why, e})
	if over := len(s.History) - keepEvents; over > 0 {
		s.History = slices.Delete(slices.Clone(s.History), keepEvents/2, keepEvents/2+over)
	}
}

// evidence is what the step's was.
func (s *State) evidence() *Evidence {
	l := &s.Live
	if l.Sum.Requests == 0 && l.SumBase.Requests == 0 && len(l.Numbers) == 0 {
		return nil
	}
	return &Evidence{Proxies: l.Proxies, Window: max(l.Sum.Window, l.SumBase.Window), Canary: readingOf(l.Sum), Base: readingOf(l.SumBase), Numbers: l.Numbers}
}

func readingOf(t xds.Traffic) Reading {
	r := Reading{Requests: t.Requests, Errors: t.Errors}
	r.P50, _ = t.Latency.Quantile(.5)
	r.P95, _ = t.Latency.Quantile(.95)
	r.P99, _ = t.Latency.Quantile(.99)
	return r
}
