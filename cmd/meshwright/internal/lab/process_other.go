//go:build !linux

package lab

import (
	"os/exec"
	"syscall"
)

// Elsewhere the program builds; the lab needs Linux (all of 127.0.0.0/8 is
// loopback there, and there are Envoy binaries).
func ownGroup(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, sig syscall.Signal) { _ = cmd.Process.Signal(sig) }
