// Package reconciler turns commits into what proxies have and writes back what
// became of them: look, decide, act.
//
// One goroutine, the loop, owns [State]. It looks at what the edges have
// brought (a loaded commit, ACKs, written statuses), decides (decide.go, pure:
// the same state, sight and time give the same decision), saves the new state
// and only then acts. What waits runs beside it: the watcher fetches and loads
// the branch, pulls does so for pull requests, the outbox writes statuses.
//
// The one rule to keep: a promise is saved before it is carried out, and
// carrying it out twice is harmless. Publishing is a whole assignment; a status
// is an intent in the state until the forge has confirmed it, and after a crash
// the outbox reads what stands before it writes.
//
// It does not know what a spec means (schema), what Envoys are sent (Translate
// is handed in) or how a status is worded (report).
package reconciler
