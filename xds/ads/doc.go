// Package ads is the ADS server: it brings every connected proxy from what it
// holds to what [xds.State] says it should have, over delta or
// state-of-the-world xDS, and knows how far each one is.
//
// It owns the protocol, the order of a change, who may claim which identity,
// and the tracking of ACKs and NACKs. It does not know what is in a resource
// (translate does), nor when a state should change (the reconciler does).
//
// The one rule to keep: a proxy is never sent what refers to something before
// it has ACKed that something, and nothing is taken from it that it may still
// use (make before break). The order lives in one place, [stream.next], which
// is pure: a stream is a state machine of requests, desired states and times
// in, responses out; the order over several proxies is in stage.go. Everything
// that waits is in server.go and conn.go.
//
//	s, err := ads.New(ads.Config{Address: "127.0.0.1:18000", Logger: log})
//	go s.Run(ctx)
//	s.Publish(state)          // touched streams are woken, others hear nothing
//	for range s.Changed() {   // an ACK, a NACK, a proxy come or gone
//		if p := s.Progress(); p.Done() { … }
//	}
package ads
