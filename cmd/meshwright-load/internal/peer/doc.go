// Package peer is what the daemon is measured against: control planes that
// serve the same resources to the same streams.
//
//   - Snapshot, the yardstick: one as it is written in an afternoon, on
//     go-control-plane's SnapshotCache keyed by node. Who uses what changed has
//     its whole snapshot built anew.
//   - Linear: go-control-plane's LinearCache, and a small route configuration
//     for each service in the place of one for each proxy.
//   - Floor: no cache at all. One frame, encoded before, is written to each
//     stream that uses what changed.
//
// It is benchmark code: the product does not link it. Each peer runs in a
// process of its own ([Serve]) so that its CPU and memory are its own, and gets
// what it serves as a [World], which it does not have to make: neither loading
// nor translating is in its numbers.
package peer
