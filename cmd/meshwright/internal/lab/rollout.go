package lab

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Rollout is what the daemon's API says of a rollout.
type Rollout struct {
	Name         string
	Base, Target string // commits
	Pull         int
	Phase        string
	Ended        bool
	State        string
	Line         string
	Step, Steps  int
	Weight       float64 // in percent
	History      []RolloutEvent
	Timeline     []string
	Chart        []string
}

// RolloutEvent is a transition of a rollout.
type RolloutEvent struct {
	At     time.Time
	Phase  string
	Step   int
	Weight float64
	Reason string
}

// Rollout asks for the rollout that leads, or led, to a commit.
func (d *Daemon) Rollout(ctx context.Context, target string) (Rollout, error) {
	all, err := get[Rollout](ctx, d, "rollouts", target)
	if err != nil {
		return Rollout{}, err
	}
	i := slices.IndexFunc(all, func(r Rollout) bool { return r.Target == target && r.Phase != "" })
	if i < 0 {
		return Rollout{}, fmt.Errorf("no rollout leads to %s: %+v", target, all)
	}
	return all[i], nil
}

// AwaitRollout asks for the rollout of a commit until it is as it should be.
func (d *Daemon) AwaitRollout(ctx context.Context, target, what string, is func(Rollout) bool) (r Rollout, err error) {
	err = Eventually(ctx, 90*time.Second, what, func() error {
		if err := d.Exited(); err != nil {
			return err
		}
		if r, err = d.Rollout(ctx, target); err == nil && !is(r) {
			err = fmt.Errorf("it is %s: %s", r.Phase, r.Line)
		}
		return err
	})
	return r, err
}

// Took is the time from its first event to its last.
func (r Rollout) Took() time.Duration {
	if len(r.History) == 0 {
		return 0
	}
	return r.History[len(r.History)-1].At.Sub(r.History[0].At)
}

// Watch is a time in which every proxy had a rollout's weight.
type Watch struct {
	Weight   float64 // in percent
	From, To time.Time
}

// Watched are the times in which the steps of a rollout were watched, those that
// are over: from when all proxies had one until the next decision.
func (r Rollout) Watched() (all []Watch) {
	for i := range r.History[:max(0, len(r.History)-1)] {
		if e := r.History[i]; e.Phase == "watching" {
			all = append(all, Watch{e.Weight, e.At, r.History[i+1].At})
		}
	}
	return all
}
