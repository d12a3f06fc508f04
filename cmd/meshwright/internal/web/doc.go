// Package web is the daemon's HTTP surface: the page, the JSON API, health,
// metrics and the webhooks' mount point. It reads the reconciler's View, and
// changes nothing but by what who shows a token says to a rollout.
package web
