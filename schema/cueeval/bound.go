package cueeval

import (
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
)

// maxStack of one goroutine: CUE recurses, and the runtime's own bound of 1 GB
// is above ours.
const maxStack = 128 << 20

// bound holds this process to cpuTime and memory. It does so itself, for
// nothing hostile runs yet, and the parent could only do it after the start.
func bound() error {
	debug.SetMaxStack(maxStack)
	debug.SetMemoryLimit(memory * 3 / 4) // collect harder before the end
	seconds := uint64(cpuTime.Seconds())
	if err := syscall.Setrlimit(syscall.RLIMIT_CPU, &syscall.Rlimit{Cur: seconds, Max: seconds}); err != nil {
		return err
	}
	// Go maps far more address space than it uses, how much depends on its
	// version: the bound is on what comes on top.
	mapped, err := addressSpace()
	if err != nil {
		return err
	}
	space := mapped + memory
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: space, Max: space}); err != nil {
		return err
	}
	// Where the memory of the machine or container is short, the kernel is to
	// take this process and not the daemon. Only Linux has it; it may fail.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	return nil
}

// addressSpace is how much this process maps now; where /proc is missing, what
// a Go program is known to map.
func addressSpace() (uint64, error) {
	const usual = 4 << 30
	text, err := os.ReadFile("/proc/self/statm")
	if os.IsNotExist(err) {
		return usual, nil
	} else if err != nil {
		return 0, err
	}
	var pages uint64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}
