package cueeval

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// bounds are what an evaluation may use.
type bounds struct {
	each   time.Duration // processor time of one package, of all its threads
	all    time.Duration // processor time of all packages of a request
	memory uint64        // bytes beyond what the program itself maps
}

// The usual bounds. 1,000 resources of a typical CUE package take 2 s and
// 450 MB.
var usual = bounds{each: 10 * time.Second, all: time.Minute, memory: 1 << 30}

// maxStack of one goroutine: CUE recurses, and the runtime's own bound of 1 GB
// is not below ours.
const maxStack = 128 << 20

// tooLong is what a child says before it ends itself for its processor time.
const tooLong = "of processor time"

// Serve is the child's side: it takes the bounds upon itself, before it reads
// anything that could be hostile, and answers one request. The parent could
// bound it only after its start, and not package by package.
func Serve(in io.Reader, out io.Writer) error { return usual.serve(in, out) }

func (b bounds) serve(in io.Reader, out io.Writer) error {
	debug.SetMaxStack(maxStack)
	// This process lives for a second: it collects little at first, and harder
	// before the end.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(int64(b.memory) * 3 / 4)
	// Go maps far more address space than it uses, how much depends on its
	// version: the bound is on what comes on top.
	space := mapped() + b.memory
	if err := limit(syscall.RLIMIT_AS, space, space); err != nil {
		return fmt.Errorf("bound the memory: %w", err)
	}
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGXCPU)
	go func() {
		<-over
		fmt.Fprintf(os.Stderr, "it takes more than %v %s\n", b.each, tooLong)
		os.Exit(1)
	}()
	each := perAnswer{out, b}
	if err := each.renew(); err != nil {
		return err
	}
	// Where the memory of the machine or container is short, the kernel is to
	// take this process and not the daemon. Only Linux has it; it may fail.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	return schema.EvaluateCUE(in, each)
}

// perAnswer gives each package its own processor time: it counts from the
// answer before.
type perAnswer struct {
	io.Writer
	bounds
}

func (p perAnswer) Write(answer []byte) (int, error) {
	if err := p.renew(); err != nil {
		return 0, err
	}
	return p.Writer.Write(answer)
}

// renew sets the soft limit, which sends a signal, to the time of one package
// from now; the hard one, which kills, stays.
func (p perAnswer) renew() error {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return fmt.Errorf("measure processor time: %w", err)
	}
	all := uint64(p.all.Seconds())
	until := min(uint64(used.Utime.Sec)+uint64(used.Stime.Sec)+1+uint64(p.each.Seconds()), all)
	if err := limit(syscall.RLIMIT_CPU, until, all); err != nil {
		return fmt.Errorf("bound processor time: %w", err)
	}
	return nil
}

// limit sets a limit, or leaves one that is lower already.
func limit(resource int, soft, hard uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(resource, &now); err != nil {
		return err
	}
	hard = min(hard, now.Max)
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: min(soft, hard), Max: hard})
}

// mapped is how much address space this process has now; where that cannot be
// known, what a Go program is known to have.
func mapped() uint64 {
	var pages uint64
	text, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(text), &pages)
	}
	if err != nil {
		return 4 << 30
	}
	return pages * uint64(os.Getpagesize())
}
