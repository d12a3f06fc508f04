// Package certs has what stands for the certificates that specs name and that
// are not on a proxy's disk: ARNs of AWS Certificate Manager, and secrets of
// SDS. It reads them from files, which it watches, or issues them by an
// authority, built in or of one's own, and renews them before they end.
//
// It decides nothing about traffic: it hands out [xds.Certificates], immutable
// values that the translator reads, and says when there is a new one. Its one
// rule: a source that fails keeps what it had, and says so; a private key goes
// to the proxy that it is for, and nowhere else.
//
//	settings, err := certs.ReadSettings("certificates.yaml")
//	keeper, err := certs.Open(certs.Config{Settings: settings, Dir: stateDir})
//	go keeper.Run(ctx)
//	in.Certificates = keeper.For(spec)
package certs
