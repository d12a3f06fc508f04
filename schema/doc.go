// Package schema says what a mesh spec is: the CUE schema of every kind, the
// Go model that validated documents become, the rules that hold across
// documents, who refers to whom, and what differs between two specs.
//
// It owns the words of App Mesh (mesh, virtual node, virtual service, …) and
// every diagnostic a person gets about a spec. It knows nothing of Envoy, git
// or GitHub, and it does no I/O beyond reading the [io/fs.FS] it is handed:
// same files, same [Spec], same [Diagnostics].
//
// The one rule: a [Spec] is never changed after [Loader.Load] returned it, so
// anybody may keep it and read it from any goroutine.
package schema
