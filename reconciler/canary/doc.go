// Package canary decides how a change of weights reaches traffic: which step a
// rollout is at, what is served meanwhile, and when it goes on, waits or goes
// back.
//
// [EndsOf] compares two commits, [Blend] makes the spec that is served between
// them, [Step] is the state machine, and [State] tells people where it stands.
// All of it is pure: a month of a rollout runs in a millisecond, and the same
// events give the same history.
//
// The one rule to keep: what is missing is never good. A step is passed only by
// evidence of its own, gathered after every proxy that it touches has taken it;
// back it goes in one step, and nothing keeps it from that.
//
// A shell that carries a rollout through looks like this:
//
//	ends := canary.EndsOf(base, target, policy)
//	s := canary.Begin(canary.State{Rollout: ref, Start: policy.Start, Governed: ends.Governed, Base: b, Target: t}, policy, now)
//	for {
//		next, effects := canary.Step(s, policy, observe(s), now)
//		journal(next)          // before anything happens
//		carryOut(effects)      // Publish: serve Blend(base, target, the mixes of all rollouts)
//		s = next               // again when something is seen, at the latest after s.Next
//	}
//
// It knows neither GitHub nor Envoy, reads no clock and no metrics: the shell
// observes, writes the state down before it acts, and carries out [Effect]s.
package canary
