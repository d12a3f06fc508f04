// Package xds holds the words that the translator and the server share: who a
// proxy is ([Identity], [Profile]), what it should have ([Resources]) and what
// it told us ([Proxy]).
//
// It is pure: values only, nothing that waits or listens. The one rule: a
// [Resource] is never changed once made, so one resource is shared by every
// proxy that has it.
package xds
