package canary

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// Step takes a rollout on by one look at the world: what is known, what was seen
// and the time give what is known next and what to do. It changes none of its
// arguments. The policy is [schema.Rollout.Policy] of the commit that governs:
// the target of a merge, the base of a pull request.
//
// What goes back comes first: a person's abort, a pull request that is gone, a
// newer merge, a proxy that refuses, a failed judgement. Then what keeps it, and
// last what takes it on. No call publishes more than one step.
func Step(s State, policy schema.RolloutSpec, seen Observation, now Now) (State, []Effect) {
	if s.Phase.Ended() {
		return s, nil
	}
	m := machine{s: s, was: s.Phase, before: s.Live.Keeps, served: seen.Serving == s.ID(), policy: policy, seen: seen, now: now}
	if seen.Removed == "" { // else there is no policy any more
		m.s.Steps = len(policy.Steps)
	}
	m.s.Step = max(0, min(s.Step, m.s.Steps))
	fresh := m.takeUp()
	m.spend()
	m.news = m.news || m.s.Live.Landing != seen.Landing
	m.s.Live.Landing = seen.Landing
	m.hear()
	switch {
	case m.aborts():
	case m.gone():
	case m.refused():
	default:
		for _, said := range m.seen.Said {
			m.listen(said)
		}
		m.follow()
		m.proceed(fresh)
	}
	m.s.Live.Last = now.Mono
	m.s.Approvable = m.approvable()
	m.tell()
	return m.s, m.out
}

// machine is one Step.
type machine struct {
	s      State
	was    Phase  // before
	before string // what kept it
	news   bool   // something else is to be told
	served bool   // what was published last
	policy schema.RolloutSpec
	seen   Observation
	now    Now
	out    []Effect
}

// enter goes over into a phase, for a reason that people read.
func (m *machine) enter(p Phase, why string) {
	var e *Evidence
	if m.s.Phase.watches() {
		e = m.s.evidence()
	}
	m.s.Phase, m.s.Reason = p, why
	m.s.note(m.now, why, e)
}

// publish serves what the state is now.
func (m *machine) publish() {
	m.s.Pushes++
	m.served = false
	m.republish()
}

func (m *machine) republish() {
	m.out = append(m.out, Effect{Do: Publish, ID: m.s.ID(), Mix: m.s.Mix(m.policy)})
}

// takeUp takes a rollout up that this process has not had yet. What it was at is
// published once more, and evidence begins anew.
func (m *machine) takeUp() (fresh bool) {
	if m.s.Live.On {
		return false
	}
	m.s.Live = Live{On: true, Last: m.now.Mono, Told: m.now.Mono, Began: m.now.Mono, Read: m.now.Mono, Judged: m.now.Mono}
	m.news = true
	switch m.s.Phase {
	case Waiting:
		return true
	case Moving, Watching, Paused:
		m.enter(Moving, "the daemon was restarted: the step begins anew")
	}
	m.republish()
	return true
}

// spend counts time towards the deadline, and towards the hold of the step.
func (m *machine) spend() {
	l := &m.s.Live
	passed := max(0, m.now.Mono-l.Last)
	if l.Counts {
		l.Spent += passed
	}
	if m.s.Phase == Watching {
		l.Watched += passed
	}
}

// hear takes in whether proxies tell, which people are to know when they cease.
func (m *machine) hear() {
	a, l := m.policy.Analysis, &m.s.Live
	was := l.Mute
	l.Heard = m.seen.Heard
	l.Mute = a != nil && !a.DryRun && m.s.Phase.watches() && (len(m.seen.Silent) > 0 || m.seen.Reporting == 0)
	m.news = m.news || l.Mute && !was
}

// overdue fails a rollout that gets nowhere.
func (m *machine) overdue() bool {
	if d := m.policy.ProgressDeadline; d <= 0 || m.s.Live.Spent <= d {
		return false
	}
	m.fail(fmt.Sprintf("no step has passed for %s: %s", span(m.policy.ProgressDeadline), m.s.Reason))
	return true
}

// aborts: a person's word, whatever the phase.
func (m *machine) aborts() bool {
	if m.s.Phase == RollingBack {
		return false
	}
	for _, said := range m.seen.Said {
		if said.Verb == Abort {
			m.s.Failure = "aborted by " + said.By
			m.back()
			return true
		}
	}
	return false
}

// gone: what was to come is not to come any more.
func (m *machine) gone() bool {
	end := func(p Phase, why string) bool {
		m.enter(p, why)
		m.publish()
		return true
	}
	at := func() string {
		if m.s.Phase == Waiting {
			return ""
		}
		return " at " + percent(m.s.Weight)
	}
	newer := differs(m.seen.Newer, m.s.Target) && m.s.Phase != Promoting // which is complete in a moment
	switch open := m.s.Start == schema.StartPullRequest && m.seen.Merged == ""; {
	case newer && m.s.Phase == RollingBack: // it is a failure all the same
		return end(RolledBack, m.s.Failure+"; "+short(m.seen.Newer)+" follows")
	case m.seen.Removed != "" && m.s.Phase == RollingBack:
		return end(RolledBack, m.s.Failure+"; "+short(m.seen.Removed)+" removes the Rollout")
	case m.seen.Removed != "" && open:
		return end(Withdrawn, "withdrawn"+at()+": "+short(m.seen.Removed)+" removes the Rollout")
	case m.seen.Removed != "":
		return end(Superseded, "superseded by "+short(m.seen.Removed)+at()+": it removes the Rollout")
	case newer:
		return end(Superseded, "superseded by "+short(m.seen.Newer)+at())
	case m.s.Phase == RollingBack || !open:
		return false
	case m.seen.Closed != "":
		return end(Withdrawn, "withdrawn"+at()+": "+m.seen.Closed)
	case differs(m.seen.Head, m.s.Target):
		return end(Withdrawn, "withdrawn"+at()+": "+short(m.seen.Head)+" was pushed, which needs a new go")
	}
	return false
}

// differs reports whether a commit is known and another than the one before.
func differs(is, was string) bool { return is != "" && is != was }

// refused: a proxy that does not take a step is a failure, and so is one that
// does not take the whole. One that refuses the way back cannot be helped.
func (m *machine) refused() bool {
	if !m.served || len(m.seen.Acks.Rejected) == 0 || m.s.Phase == Waiting || m.s.Phase == RollingBack || m.s.Phase == Held {
		return false
	}
	first := m.seen.Acks.Rejected[0]
	why := fmt.Sprintf("%s refuses it: %s", first.Proxy, first.Message)
	if n := len(m.seen.Acks.Rejected); n > 1 {
		why = fmt.Sprintf("%d proxies refuse it, first %s: %s", n, first.Proxy, first.Message)
	}
	m.fail(why)
	return true
}

// begin publishes a step.
func (m *machine) begin(step int, why string) {
	s := &m.s
	var evidence *Evidence
	if s.Phase.watches() {
		evidence = s.evidence()
	}
	s.Step, s.Weight, s.Phase, s.Reason = step, m.policy.WeightAt(step), Moving, published
	s.Failing, s.Erring, s.ApprovedBy = 0, 0, ""
	s.Live = Live{On: true, Last: m.now.Mono, Told: s.Live.Told, Began: m.now.Mono, Counts: true}
	s.note(m.now, why, evidence)
	m.publish()
}

// promote publishes the target.
func (m *machine) promote(why string) {
	m.enter(Promoting, why)
	m.s.Reason = published
	m.s.Step, m.s.Weight = len(m.policy.Steps), schema.Whole
	m.s.Live.Spent, m.s.Live.Counts = 0, true
	m.publish()
}

// fail ends a rollout for a reason of its own: back, or held.
func (m *machine) fail(why string) {
	m.s.Failure = why
	if m.policy.OnFailure == schema.HoldStill && m.s.Phase != Promoting {
		m.enter(Held, why)
		m.s.Live.Counts = false
		m.out = append(m.out, Effect{Do: Notify, Text: why})
		return
	}
	m.back()
}

// back publishes the base: one step, and nothing keeps it.
func (m *machine) back() {
	m.enter(RollingBack, m.s.Failure)
	m.s.Reason = published
	m.s.Live.Counts = false
	m.publish()
	m.out = append(m.out, Effect{Do: Notify, Text: m.s.Failure})
	if m.s.Start == schema.StartMerge {
		m.out = append(m.out, Effect{Do: Revert, Text: m.s.Failure})
	}
}

// untold is how long the numbers of a step, or whom it waits for, are not told anew, for hosts count
// every write: a minute, and longer the longer the step lasts. A week has less
// than a hundred.
func (l *Live) untold(now Now) time.Duration {
	return max(time.Minute, (now.Mono-l.Began)/10) - (now.Mono - l.Told)
}

// tell has people told, of every transition and now and then of numbers.
func (m *machine) tell() {
	s := &m.s
	news := m.news || s.Phase != m.was || s.Live.Keeps != m.before || slices.ContainsFunc(m.out, func(e Effect) bool { return e.Do == Publish })
	if news || (s.Phase.watches() || s.Phase.travels()) && s.Live.untold(m.now) <= 0 {
		s.Live.Told = m.now.Mono
		m.out = append(m.out, Effect{Do: Report, Text: Line(*s)})
	}
}
