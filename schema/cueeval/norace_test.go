//go:build !race

package cueeval

// hugeAnswer is what stops a huge answer.
const hugeAnswer = "more than 64 MB"
