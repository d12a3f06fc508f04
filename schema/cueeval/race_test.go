//go:build race

package cueeval

// hugeAnswer is what stops a huge answer: the race detector's own memory comes
// on top of it, and is first at its bound.
const hugeAnswer = "memory"
