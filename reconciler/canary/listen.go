package canary

import "github.com/meshwright/meshwright/schema"

// listen takes in what a person says, which changes nothing of what is on its
// way back or to its end.
func (m *machine) listen(said Saying) {
	s := &m.s
	if s.Phase == RollingBack || s.Phase == Promoting {
		return
	}
	switch said.Verb {
	case Pause:
		if s.PausedBy != "" || s.Phase == Held || s.Failed != "" {
			return
		}
		if s.PausedBy = said.By; s.Phase == Watching {
			s.Phase = Paused
		}
		m.heard("paused by " + said.By)
	case Resume:
		m.resume(said.By)
	case Promote:
		if s.PromotedBy != "" || s.Phase == Passed || s.Failed != "" { // what failed begins anew first
			return
		}
		s.PromotedBy, s.PausedBy, s.Failure = said.By, "", ""
		m.heard("promoted by " + said.By)
	case Approve:
		if m.approvable() {
			s.ApprovedBy = said.By
			m.heard("approved by " + said.By)
		}
	}
}

// approvable reports whether the step has a gate that a person has yet to open.
func (m *machine) approvable() bool {
	s := &m.s
	if s.ApprovedBy != "" || s.Phase != Moving && s.Phase != Watching && s.Phase != Paused || s.Step >= len(m.policy.Steps) {
		return false
	}
	g := m.policy.Steps[s.Step].Gate
	return g != nil && g.Approval
}

// resume takes back a pause, and tries again what has failed.
func (m *machine) resume(by string) {
	s := &m.s
	switch {
	case s.Phase == Held:
		s.Failure = ""
		m.begin(s.Step, "resumed by "+by+": the step begins anew")
	case s.PausedBy != "" || s.Failed != "":
		if s.PausedBy, s.Failed, s.FailedIn = "", "", 0; s.Phase == Paused {
			s.Phase = Watching
		}
		m.heard("resumed by " + by)
	}
}

// heard writes down what was said.
func (m *machine) heard(what string) {
	m.s.note(m.now, what, nil)
	m.news = true
}

// follow has the rollout lead to a newer commit that changes nothing of it: the
// pull request's merge, or another commit of the branch.
func (m *machine) follow() {
	s := &m.s
	if s.Phase == RollingBack {
		return
	}
	if s.Start == schema.StartPullRequest {
		if m.seen.Merged == "" {
			return
		}
		passed := s.Phase == Passed
		s.Start, s.Target = schema.StartMerge, m.seen.Merged
		switch {
		case passed:
			m.promote("merged as " + short(m.seen.Merged))
		case s.Phase == Waiting:
			s.note(m.now, "merged as "+short(m.seen.Merged)+" before it began", nil)
			m.publish()
		case s.Phase == Held:
			s.note(m.now, "merged as "+short(m.seen.Merged), nil)
			m.publish()
		default:
			m.begin(s.Step, "merged as "+short(m.seen.Merged)+" before all steps had passed: the step begins anew")
		}
		return
	}
	if differs(m.seen.Follows, s.Target) {
		s.Target = m.seen.Follows
		s.note(m.now, short(s.Target)+" follows, and changes nothing here", nil)
		m.publish() // its ACKs are awaited before the next step; what was seen counts
	}
}
