// Package lab runs a mesh for real on one machine: Envoys, the daemon, a git
// host, a DNS server and small stand-ins for the applications of App Mesh's
// Yelb, so that the demo and the end-to-end tests speak of the same thing.
//
// Everything listens on loopback, on addresses of its own, so that labs can run
// beside each other and each service keeps the port its manifests give it. A
// [Lab] owns what it starts: Close ends all of it, newest first, and removes
// its folder. It knows the program only from outside, by its commands and its
// API.
package lab
