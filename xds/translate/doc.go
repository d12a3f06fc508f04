// Package translate makes a spec into what Envoys are served: for each proxy
// its listeners, routes, clusters, endpoints and secrets, under App Mesh's
// names and with App Mesh's defaults.
//
// It is pure: no clock, network, disk or globals, so that `meshwright xds`, a
// golden test and the daemon get the same bytes from the same input. It owns
// every name on the wire (name.go) and none of the delivery: order, scope and
// ACKs are xds/ads.
//
// The one rule: cost follows the change. A [Snapshot] builds a proxy's
// resources when they are first asked for, takes over from the snapshot before
// it whatever depends on nothing that changed, and makes one [xds.Resource] of
// one content, however many proxies have it.
//
//	snap := translate.New(translate.Inputs{Commit: "84cf562", Spec: spec}, nil)
//	res, err := snap.Resources(xds.Profile{Identity: id})
package translate
