// Package envoys is a fleet of ADS streams that behave like Envoys, and are so
// cheap that thousands of them leave the machine to the server under load.
//
// Each stream has a connection of its own. It asks for clusters and then for
// listeners, for endpoints, routes and secrets as those name them, and
// acknowledges all that comes. It owns what a proxy says and counts what it
// hears; what ought to come is its caller's to know. The one rule: a response is
// decoded as far as its names, and what a body refers to is worked out once,
// however many streams are sent it.
//
//	fleet := envoys.Connect(ctx, envoys.Config{Address: "127.0.0.1:18000", Nodes: nodes})
//	defer fleet.Close()
//	err := fleet.Settled(ctx)
//	all := fleet.Expect(touched)   // then make the change
//	<-all
//	counts := fleet.Counts()
package envoys
