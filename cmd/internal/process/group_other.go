//go:build !linux

package process

import (
	"os/exec"
	"syscall"
)

// Own has an effect on Linux only. Elsewhere programs that use this build; a lab
// and measuring need Linux (all of 127.0.0.0/8 is loopback there, and there is
// /proc).
func Own(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, sig syscall.Signal) { _ = cmd.Process.Signal(sig) }
