package canary

import "github.com/meshwright/meshwright/schema"

// lastLook judges what came since the last judgement, once only evidence is
// awaited, so that a step passes over no request; empty: it may pass. What
// proxies saw until then they have told when each has reported after it.
//
// A rest with too few requests is no interval of its own, and is judged with the
// one before; but one that is bad in itself, or of half an interval and more,
// goes on until it has enough, as any does.
func (m *machine) lastLook(step schema.RolloutStep) string {
	a, l := m.policy.Analysis, &m.s.Live
	preview := m.previews(step)
	switch {
	case a == nil:
		return ""
	case a.DryRun:
		if m.takeIn(a); l.Canary.Requests >= least(a) {
			m.rule(m.verdict(a, l.Canary, l.Base))
		}
		return ""
	case l.Verdict == Pass && l.Covered >= l.Due:
		return ""
	case m.seen.Heard < l.Due:
		return "waits for the proxies' reports on its end"
	}
	m.takeIn(a)
	switch {
	case l.Canary.Requests >= least(a):
		m.rule(m.verdict(a, l.Canary, l.Base))
	case preview:
		return ""
	case 2*(m.now.Mono-l.Judged) >= a.Interval && a.OnInsufficient != schema.InsufficientPass || m.bad(a):
		return few(a, l.Canary)
	default:
		m.rule(m.verdict(a, plus(l.Before, l.Canary), plus(l.BeforeBase, l.Base)))
	}
	if l.Verdict == Pass {
		return ""
	}
	return l.Why
}

// bad reports whether the interval under way is, as far as it goes.
func (m *machine) bad(a *schema.Analysis) bool {
	v, _ := compare(a, m.s.Live.Canary, m.s.Live.Base, m.s.Weight >= schema.Whole)
	return v == Fail
}
