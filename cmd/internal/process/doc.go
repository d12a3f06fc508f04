// Package process runs other programs for as long as one of ours does: the
// daemon, Envoys, git hosts, control planes to compare with.
//
// It owns their end. Each has a process group of its own, so that a Ctrl-C is
// ours to act upon, and on Linux dies with us even when we are killed. What they
// are for, it does not know. The one rule: whoever starts one stops it.
//
//	said := process.NewLines()
//	cmd := exec.Command("meshwright", "serve", …)
//	cmd.Stdout = said
//	p, err := process.Start("the daemon", "daemon.log", cmd)
//	defer p.Stop()
//	line, err := said.Next(ctx, p)
package process
