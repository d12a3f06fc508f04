package process

import (
	"os/exec"
	"syscall"
)

// Own gives a command that is not yet started its own process group, and
// lets it die with us even when we are killed.
func Own(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// signalGroup sends a signal to a started command and all its children. A group
// that is gone already is what was wanted.
func signalGroup(cmd *exec.Cmd, sig syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, sig) }
