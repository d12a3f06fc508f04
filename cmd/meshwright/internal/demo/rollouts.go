package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
)

// govern pushes a policy for the changes of the router to come.
func (s *story) govern(ctx context.Context) error {
	return s.shift(ctx, "appserver: go by 5, 25 and 50 %; no retries, which hide errors", func() (map[string]string, error) {
		file, err := s.clone.Read(RouterFile)
		if err != nil {
			return nil, err
		}
		files := Rollout("merge")
		files[RouterFile], err = WithoutRetries(file)
		return files, err
	}, map[string]float64{"v1": 0.1, "v2": 0.9})
}

// canary merges a third version, which is given more and more of the traffic
// until it has all.
func (s *story) canary(ctx context.Context) error {
	if err := s.yelb.Deploy(ctx, lab.YelbV3); err != nil {
		return err
	}
	commit, _, err := s.push(ctx, "appserver: all traffic to v3", s.v3)
	if err != nil {
		return err
	}
	r, err := s.watch(ctx, commit, "v3")
	if err != nil {
		return err
	}
	if r.Phase != "completed" {
		return fmt.Errorf("the canary did not complete: %s", r.Line)
	}
	s.serving = commit
	s.line(r.Phase, fmt.Sprintf("%s after the merge; each step passed on what the proxies told of it", seconds(r.Took())))
	if err := s.measure(ctx, map[string]float64{"v3": 1}); err != nil {
		return err
	}
	return s.meanwhile()
}

// watch tells of each step of a rollout when it is over, and holds its split to
// its weight.
func (s *story) watch(ctx context.Context, commit, version string) (r lab.Rollout, err error) {
	for told := 0; ; told++ {
		r, err = s.daemon.AwaitRollout(ctx, commit, "the next step", func(r lab.Rollout) bool { return len(r.Watched()) > told || r.Ended || r.Phase == "passed" })
		if err != nil || len(r.Watched()) <= told {
			return r, err
		}
		step := r.Watched()[told]
		split := s.traffic.Between(step.From, step.To)
		s.line(fmt.Sprintf("%g %%", step.Weight), split.String())
		if split.Failed > 0 {
			continue // of those there is more to say
		}
		if err := split.Check(version, step.Weight/100); err != nil {
			return r, err
		}
	}
}

// rollBack merges a version that answers some requests with errors, and looks
// that nobody has to do anything about it.
func (s *story) rollBack(ctx context.Context) error {
	bug := s.lab.Fault("yelb-appserver-v2")
	bug.Set(0.03)
	commit, pushed, err := s.push(ctx, "appserver: all traffic to v2 again", s.router(Plain(All)))
	if err != nil {
		return err
	}
	r, err := s.watch(ctx, commit, "v2")
	if err != nil {
		return err
	}
	if r.Phase != "rolled-back" {
		return fmt.Errorf("a version that answers with errors was not rolled back: %s", r.Line)
	}
	back := r.History[len(r.History)-1].At
	hurt := s.traffic.Between(pushed, back.Add(time.Second))
	count, first := bug.Errors()
	s.line("went back", r.History[len(r.History)-1].Reason)
	s.line("", fmt.Sprintf("%s from the first bad answer until the last proxy had the base again, %s of them from the decision",
		millis(back.Sub(first)), millis(back.Sub(r.History[len(r.History)-2].At))))
	s.line("hurt", fmt.Sprintf("%d of %d requests since the push (%.2f %%)", hurt.Failed, hurt.Requests, 100*float64(hurt.Failed)/float64(max(1, hurt.Requests))))
	if err := s.measure(ctx, map[string]float64{"v3": 1}); err != nil {
		return err
	}
	flow := s.traffic.Take()
	s.line("meanwhile", fmt.Sprintf("%d requests of steady traffic, %d failed: those that v2 answered with an error", flow.Requests, flow.Failed))
	if flow.Failed != count {
		return fmt.Errorf("%d requests failed, but v2 answered %d with an error; the first: %s", flow.Failed, count, flow.FirstFailure)
	}
	bug.Set(0)
	return nil
}

// revert takes the branch back to what is served: by the pull request that the
// daemon has opened, where there is a git host.
func (s *story) revert(ctx context.Context) error {
	commit, err := s.reverted(ctx)
	if err != nil {
		return err
	}
	c, err := s.daemon.Await(ctx, commit, "git and the proxies agree", func(c lab.Commit) bool { return c.Serving && c.Applied != nil && c.Applied.State == "success" })
	if err != nil {
		return err
	}
	s.serving = commit
	s.line("applied", c.Applied.Description+"; no steps: it is what was completed last")
	return s.meanwhile()
}

// reverted merges what the daemon proposes, or pushes the same.
func (s *story) reverted(ctx context.Context) (commit string, err error) {
	if s.gitea == nil {
		commit, _, err = s.push(ctx, `Revert "appserver: all traffic to v2 again"`, s.v3)
		return commit, err
	}
	var number int
	err = lab.Eventually(ctx, 30*time.Second, "a pull request that reverts", func() error {
		pulls, err := s.gitea.Pulls(ctx, repository)
		if err == nil && len(pulls) == 0 {
			err = errors.New("there is none")
		}
		if err == nil {
			number = pulls[0].Number
			s.line("opened", fmt.Sprintf("pull request %d, by the daemon: %s", number, pulls[0].Title))
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if err := s.gitea.MergePull(ctx, repository, number, "merge"); err != nil {
		return "", err
	}
	return s.clone.Pull(ctx, "main")
}

// tryPull opens a pull request, whose head is given traffic when somebody says so.
func (s *story) tryPull(ctx context.Context) error {
	const who = "ada"
	if err := s.gitea.NewWriter(ctx, repository, who); err != nil {
		return err
	}
	policy, _, err := s.push(ctx, "rollout: start with the pull request", func() (map[string]string, error) { return Rollout("pull-request"), nil })
	if err != nil {
		return err
	}
	if _, err := s.daemon.Await(ctx, policy, "the policy is served", func(c lab.Commit) bool { return c.Serving }); err != nil {
		return err
	}
	s.serving = policy
	if err := s.clone.Checkout(ctx, "-b", "repaired"); err != nil {
		return err
	}
	const title = "appserver: all traffic to v2, repaired"
	head, _, err := s.push(ctx, title, s.router(Plain(All)))
	if err != nil {
		return err
	}
	if err := s.gitea.OpenPull(ctx, repository, "repaired", title); err != nil {
		return err
	}
	pulls, err := s.gitea.Pulls(ctx, repository)
	if err != nil {
		return err
	}
	for _, p := range pulls {
		if p.Head.SHA == head {
			s.pull = p.Number
		}
	}
	if err := s.status(ctx, head, "meshwright/plan"); err != nil {
		return err
	}
	s.line("comment", who+": /canary")
	if err := s.gitea.Say(ctx, repository, s.pull, who, "/canary"); err != nil {
		return err
	}
	r, err := s.watch(ctx, head, "v2")
	if err != nil {
		return err
	}
	if r.Phase != "passed" {
		return fmt.Errorf("the pull request's canary did not pass: %s", r.Line)
	}
	if err := s.status(ctx, head, "meshwright/canary"); err != nil {
		return err
	}
	return s.meanwhile()
}

// mergePull merges the pull request: all steps have passed, so that it gets
// everything at once.
func (s *story) mergePull(ctx context.Context) error {
	if err := s.gitea.MergePull(ctx, repository, s.pull, "merge"); err != nil {
		return err
	}
	if err := s.clone.Checkout(ctx, "main"); err != nil {
		return err
	}
	commit, err := s.clone.Pull(ctx, "main")
	if err != nil {
		return err
	}
	c, err := s.daemon.Await(ctx, commit, "the merge is complete", func(c lab.Commit) bool { return c.Serving && c.Applied != nil && c.Applied.State == "success" })
	if err != nil {
		return err
	}
	s.serving = commit
	s.line("applied", short(commit)+": "+c.Applied.Description)
	if err := s.measure(ctx, map[string]float64{"v2": 1}); err != nil {
		return err
	}
	return s.meanwhile()
}

// status waits until a status of a commit is final, and tells it; it has to be
// success.
func (s *story) status(ctx context.Context, commit, context string) error {
	return lab.Eventually(ctx, 30*time.Second, context, func() error {
		all, err := s.gitea.Statuses(ctx, repository, commit)
		if err != nil {
			return err
		}
		for _, st := range all { // newest first
			if st.Context != context {
				continue
			}
			if st.State != "success" {
				return fmt.Errorf("%+v", st)
			}
			s.line("check", context+" is green: "+st.Description)
			return nil
		}
		return fmt.Errorf("no %s among %+v", context, all)
	})
}

// v3 are the files that change with the third version.
func (s *story) v3() (map[string]string, error) {
	file, err := s.clone.Read(RouterFile)
	if err != nil {
		return nil, err
	}
	files, err := V3(file)
	if err != nil {
		return nil, err
	}
	files[RouterFile], err = WithoutRetries(files[RouterFile])
	return files, err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
