package canary

import (
	"cmp"
	"fmt"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// proceed takes a rollout on that nothing ends.
func (m *machine) proceed(fresh bool) {
	s := &m.s
	switch s.Phase {
	case Waiting:
		m.wait(fresh)
	case Moving:
		s.Live.Counts = true
		s.Reason = m.acked()
		switch {
		case s.Reason == "":
			m.watch()
		default:
			m.overdue()
		}
	case Watching, Paused, Passed:
		if m.judge(); s.Phase.watches() && !m.overdue() {
			m.goOn()
		}
	case Held:
		if s.PromotedBy == "" {
			return
		}
		if s.Reason = m.noted(m.kept(false)); s.Reason == "" {
			m.finish("promoted by " + s.PromotedBy)
		}
	case Promoting:
		if s.Reason = m.acked(); s.Reason == "" {
			m.enter(Completed, "after "+span(m.now.Wall.Sub(s.Began)))
			return
		}
		m.overdue()
	case RollingBack:
		if s.Reason = m.acked(); s.Reason == "" {
			m.enter(RolledBack, s.Failure)
		}
	}
}

// wait begins, unless something keeps it.
func (m *machine) wait(fresh bool) {
	s := &m.s
	if s.Skip != "" {
		m.finish(s.Skip)
		return
	}
	why := m.kept(true)
	switch {
	case why == "" && (s.PromotedBy != "" || len(m.policy.Steps) == 0):
		m.finish("promoted by " + s.PromotedBy)
	case why == "":
		m.begin(0, "the first step")
	case fresh && s.Start == schema.StartMerge:
		m.publish() // what no rollout governs does not wait
	}
	if s.Phase == Waiting {
		s.Reason, s.Live.Keeps = m.noted(why), why
	}
}

// noted is what keeps a rollout, and that it is promoted after.
func (m *machine) noted(keeps string) string {
	if by := m.s.PromotedBy; by != "" && keeps != "" {
		return "promotion noted by " + by + ", for when this ends: " + keeps
	}
	return keeps
}

// kept says what of git, of time and of people keeps a rollout from beginning,
// or from going on; empty: nothing. Their time is not the rollout's.
func (m *machine) kept(begin bool) string {
	windows := m.policy.Windows
	if !begin {
		windows = windows.Running()
	}
	opening := windows.Open(m.now.Wall)
	hold := m.policy.Hold
	switch {
	case begin && m.s.Failed != "":
		return m.s.same() + ": retry to try it again"
	case begin && m.seen.Behind != "":
		return "waits for " + m.seen.Behind
	case m.s.PausedBy != "":
		return "paused by " + m.s.PausedBy
	case hold != nil && (hold.End().IsZero() || m.now.Wall.Before(hold.End())):
		if hold.End().IsZero() {
			return "hold: " + hold.Reason
		}
		layout := "Mon 2 Jan 15:04 MST"
		if hold.End().Second() > 0 {
			layout = "Mon 2 Jan 15:04:05 MST"
		}
		return fmt.Sprintf("hold until %s: %s", hold.End().UTC().Format(layout), hold.Reason)
	case m.seen.Away != "":
		return "git cannot be asked: " + m.seen.Away
	}
	return opening.Reason
}

// published is what is said before the first proxy is known to have it.
const published = "on its way to the proxies"

// acked says which proxies do not have what is published; empty: all do.
func (m *machine) acked() string {
	s := &m.s
	if !m.served {
		return published
	}
	s.Live.Touched, s.Live.Applied = m.seen.Acks.Touched, m.seen.Acks.Applied
	if !m.seen.Acks.Done() {
		why := fmt.Sprintf("%d of %d proxies have it", s.Live.Applied, s.Live.Touched)
		if len(m.seen.Lacking) > 0 {
			why += ": waits for " + m.seen.Lacking[0].String()
		}
		return why
	}
	return ""
}

// watch starts the step's clock.
func (m *machine) watch() {
	l := &m.s.Live
	l.Began, l.Watched = m.now.Mono, 0
	l.Read, l.Judged = l.Began, l.Began
	if a := m.policy.Analysis; a != nil {
		l.Read += a.InitialDelay
		l.Judged += a.InitialDelay
	}
	m.enter(Watching, "all proxies have it")
	m.s.Reason = ""
	m.goOn()
}

// goOn begins the next step, or says what is to come before.
func (m *machine) goOn() {
	s := &m.s
	last := s.Step >= len(m.policy.Steps)
	var step schema.RolloutStep
	if !last {
		step = m.policy.Steps[s.Step]
	}
	s.Live.Left = max(0, step.Hold-s.Live.Watched)
	var phase Phase
	switch {
	case s.PausedBy != "":
		phase = Paused
	case last && s.Start == schema.StartPullRequest:
		phase = Passed
	default:
		phase = Watching
	}
	s.Phase = phase
	s.Live.Counts = false
	keeps := m.kept(false)
	s.Live.Keeps = keeps
	switch {
	case s.PromotedBy != "":
		s.Reason = m.noted(keeps)
		if keeps == "" {
			m.finish("promoted by " + s.PromotedBy)
		}
		return
	case phase == Passed:
		s.Reason = ""
		return
	}
	own, gate := m.unproven(step), m.shut(step.Gate)
	if keeps != "" || gate != "" || s.Live.Left > 0 || m.acked() != "" {
		s.Live.Due = 0
	} else if s.Live.Due == 0 {
		s.Live.Due = m.now.Mono
	}
	s.Live.Counts = own != "" && keeps == ""
	if s.Reason = cmp.Or(keeps, own); s.Reason != "" {
		return
	}
	if s.Reason = gate; gate != "" {
		s.Live.Keeps = gate
		return
	}
	why := m.lastLook(step)
	if !s.Phase.watches() {
		return // it failed
	}
	if s.Reason = why; why != "" {
		s.Live.Counts = true
		return
	}
	why = fmt.Sprintf("%s passed in %s", percent(s.Weight), span(m.now.Mono-s.Live.Began))
	if a := m.policy.Analysis; a != nil && a.DryRun && s.Failing > 0 {
		why += fmt.Sprintf(", by a dry run: %s%s", s.Live.Bad, lastOf(s.Failing, "interval"))
	}
	if s.ApprovedBy != "" {
		why += ", approved by " + s.ApprovedBy
	}
	if s.Step+1 < len(m.policy.Steps) {
		m.begin(s.Step+1, why)
		return
	}
	m.finish(why)
}

// finish follows the last step, or takes its place. A pull request gets no more
// than its steps gave it before it is merged.
func (m *machine) finish(why string) {
	s := &m.s
	if s.Start != schema.StartPullRequest {
		m.promote(why)
		return
	}
	jumps := s.Phase == Waiting || s.Step < len(m.policy.Steps)-1
	s.Step = len(m.policy.Steps)
	m.enter(Passed, why)
	s.Reason, s.PromotedBy = "", ""
	if jumps { // the last step may have another mirror, or header
		m.publish()
	}
}

// unproven says what the step itself still lacks; empty: nothing.
func (m *machine) unproven(step schema.RolloutStep) string {
	l := &m.s.Live
	a := m.policy.Analysis
	switch why := m.acked(); {
	case why != "":
		return why
	case l.Left > 0 && l.Mute:
		return m.silence() + " · " + span(l.Left) + " left"
	case l.Left > 0:
		return span(l.Left) + " left"
	case a == nil || a.DryRun:
		return ""
	case l.Mute:
		return m.silence()
	case l.Verdict == Pass:
		return ""
	case m.previews(step):
		return ""
	case l.Why != "":
		return l.Why
	}
	return "no judgement yet"
}

// previews: who asks for the canary by header may be too few to judge, and a
// gate decides.
func (m *machine) previews(step schema.RolloutStep) bool {
	v := m.s.Live.Verdict
	return m.s.Weight == 0 && step.Mirror == nil && step.Gate != nil && (v == NotYet || v == Insufficient)
}

// shut says what a gate waits for; empty: it is open.
func (m *machine) shut(g *schema.Gate) string {
	switch {
	case g == nil:
		return ""
	case g.Approval && m.s.ApprovedBy == "":
		return "waits for an approval"
	case g.Status != "":
		switch state := m.seen.Gates[g.Status]; state {
		case "success":
		case "":
			return "waits for " + g.Status
		default:
			return fmt.Sprintf("waits for %s, which is %s", g.Status, state)
		}
	}
	return ""
}

// heed is how often it is looked whether proxies are silent at the least, and peek
// whether those that report have told of a step's end.
const (
	heed = 30 * time.Second
	peek = time.Second / 2
)

// Next says in how long [Step] is to be called at the latest though nothing
// happens; false: not at all.
func (s State) Next(policy schema.RolloutSpec, now Now) (time.Duration, bool) {
	if s.Phase.Ended() {
		return 0, false
	}
	next := 10 * time.Minute // of whatever keeps it
	sooner := func(d time.Duration) { next = min(next, max(0, d)) }
	for _, windows := range []schema.Windows{policy.Windows, policy.Windows.Running()} {
		if o := windows.Open(now.Wall); !o.Until.IsZero() {
			sooner(o.Until.Sub(now.Wall))
		}
	}
	if h := policy.Hold; h != nil && now.Wall.Before(h.End()) {
		sooner(h.End().Sub(now.Wall))
	}
	if s.Phase.watches() {
		if s.Live.Left > 0 {
			sooner(s.Live.Left)
		}
		if a := policy.Analysis; a != nil {
			sooner(s.Live.Read + tick(a) - now.Mono)
			sooner(heed)
		}
		if s.Live.Due > 0 && s.Live.Verdict == Pass && s.Live.Heard < s.Live.Due {
			sooner(peek)
		}
	}
	if s.Phase.watches() || s.Phase.travels() {
		sooner(s.Live.untold(now))
	}
	if s.Live.Counts && policy.ProgressDeadline > 0 {
		sooner(policy.ProgressDeadline - s.Live.Spent + 1)
	}
	return next, true
}
