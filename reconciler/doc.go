// Package reconciler turns commits into what proxies have and writes back what
// became of them: look, decide, act.
//
// One goroutine, the loop, owns [State]. It looks at what the edges have
// brought (a loaded commit, ACKs, written statuses), decides (decide.go, pure:
// the same state, sight and time give the same decision), saves the new state
// and only then acts. What waits runs beside it: the watcher fetches and loads
// the branch, pulls does so for pull requests, gather asks for what
// rollouts wait for, the outbox writes statuses.
//
// The one rule to keep: a promise is saved before it is carried out, and
// carrying it out twice is harmless. Publishing is a whole assignment; a status
// is an intent in the state until the forge has confirmed it, and after a crash
// the outbox reads what stands before it writes.
//
// What is served is a function of the state and of committed specs (serve.go):
// that of the newest good commit, and over it, where a rollout is on its way or
// went back, a blend with the commit that was completed before. While one of
// those specs is missing, as after a restart, nothing is published.
//
// It does not know what a spec means (schema), what Envoys are sent (Translate
// is handed in) or how a status is worded (report).
package reconciler
