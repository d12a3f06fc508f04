package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/reconciler/report"
)

const apiToken = "a-token-of-thirty-two-characters"

// TestE2ECanary is what happens to merges where a Rollout governs the routes, with
// Envoys under traffic: one is taken on step by step, over a kill -9, and each
// step's split is that of its weight; one whose version answers with errors goes
// back by itself. No request fails because of a change of weights. With a Gitea
// there are statuses too.
func TestE2ECanary(t *testing.T) {
	gitea, _ := lab.Tool("gitea")
	w := &world{
		t: t, lab: newLab(t), flags: []string{"--health-window", "10s"}, secrets: []string{"MESHWRIGHT_API_TOKEN=" + apiToken + " ops"},
		proxies: []string{"--report-interval", "500ms"},
	}
	w.begin(gitea)

	t.Run("a_rollout_begins_with_nothing_on_its_way", func(t *testing.T) {
		w.enter(t)
		w.write(w.edit(demo.WithoutRetries))
		w.apply("no retries, which would hide errors")
		must(t, w.clone.Write(demo.Rollout("merge")))
		w.serving = w.push("a rollout")
		_, err := w.daemon.Await(t.Context(), w.serving, "served", func(c lab.Commit) bool { return c.Serving })
		must(t, err)
		w.split(map[string]float64{"v1": 1})
	})
	t.Run("a_merge_is_taken_on_step_by_step_over_a_kill", func(t *testing.T) {
		w.enter(t)
		w.write(w.router(demo.Plain(demo.All)))
		w.serving = w.push("all to v2")
		pushed := time.Now()
		w.awaitRollout("at 25 %", func(r lab.Rollout) bool { return r.Phase == "watching" && r.Weight == 25 })
		time.Sleep(time.Second)
		w.daemon.Kill()
		killed := time.Now()
		time.Sleep(500 * time.Millisecond) // traffic without a control plane
		w.restart()
		restarted := time.Now()
		if r := w.awaitRollout("taken up", func(r lab.Rollout) bool { return r.Step > 1 }); r.Weight != 25 || r.Step != 2 {
			t.Errorf("after the restart it is at %g %%: %s", r.Weight, r.Line)
		}
		if s := w.flow.Between(killed, restarted); s.Check("v2", .25) != nil || s.Requests == 0 {
			t.Errorf("without a daemon: %v", s)
		}
		r := w.awaitRollout("completed", func(r lab.Rollout) bool { return r.Ended })
		for _, row := range r.Timeline {
			t.Log(row)
		}
		if r.Phase != "completed" {
			t.Fatalf("%s: %s", r.Phase, r.Line)
		}
		t.Logf("completed %v after the push", time.Since(pushed).Round(time.Second))
		seen := []float64{}
		for _, s := range r.Watched() {
			split := w.flow.Between(s.From, s.To)
			t.Logf("%g %%: %v", s.Weight, split)
			if err := split.Check("v2", s.Weight/100); err != nil {
				t.Errorf("at %g %%: %v", s.Weight, err)
			}
			seen = append(seen, s.Weight)
		}
		if want := []float64{5, 25, 25, 50}; !slices.Equal(seen, want) {
			t.Errorf("steps at %v, want %v", seen, want)
		}
		w.split(map[string]float64{"v2": 1})
		w.canaryStatus("success", "^completed")
		w.flowed(0)
	})
	t.Run("a_version_that_answers_with_errors_goes_back", func(t *testing.T) {
		w.enter(t)
		bug := w.lab.Fault(lab.YelbV3.Name)
		bug.Set(.03)
		must(t, w.yelb.Deploy(t.Context(), lab.YelbV3))
		w.write(w.v3)
		w.serving = w.push("all to v3")
		pushed := time.Now()
		r := w.awaitRollout("ended", func(r lab.Rollout) bool { return r.Ended })
		for _, row := range r.Timeline {
			t.Log(row)
		}
		if r.Phase != "rolled-back" {
			t.Fatalf("%s: %s", r.Phase, r.Line)
		}
		decided, back := r.History[len(r.History)-2], r.History[len(r.History)-1]
		hurt := w.flow.Between(pushed, back.At.Add(time.Second))
		errors, first := bug.Errors()
		t.Logf("%s: %v from the first bad answer to the last ACK of the way back, %v of them from the decision; %d of %d requests were hurt (%.2f %%)", r.Line,
			back.At.Sub(first).Round(time.Millisecond), back.At.Sub(decided.At).Round(time.Millisecond), hurt.Failed, hurt.Requests, 100*float64(hurt.Failed)/float64(hurt.Requests))
		w.split(map[string]float64{"v2": 1})
		w.canaryStatus("failure", "^rolled back")
		w.flowed(errors) // and not one because of the way there or back
	})
	t.Run("its_revert_needs_no_steps", func(t *testing.T) {
		w.enter(t)
		w.lab.Fault(lab.YelbV3.Name).Set(0)
		if w.gitea == nil {
			w.write(w.router(demo.Plain(demo.All)))
			w.serving = w.push("back to v2")
		} else { // the daemon has opened it
			var pulls []lab.GiteaPull
			must(t, lab.Eventually(t.Context(), 30*time.Second, "a revert", func() (err error) {
				if pulls, err = w.gitea.Pulls(t.Context(), repository); err == nil && len(pulls) != 1 {
					err = fmt.Errorf("%d pull requests", len(pulls))
				}
				return err
			}))
			t.Logf("pull request %d: %s", pulls[0].Number, pulls[0].Title)
			must(t, w.gitea.MergePull(t.Context(), repository, pulls[0].Number, "merge"))
			var err error
			w.serving, err = w.clone.Pull(t.Context(), "main")
			must(t, err)
		}
		c, err := w.daemon.Await(t.Context(), w.serving, "git and the proxies agree", func(c lab.Commit) bool { return c.Serving && c.Applied != nil && c.Applied.State == "success" })
		must(t, err)
		t.Log(c.Applied.Description)
		w.split(map[string]float64{"v2": 1})
		w.flowed(0)
	})
	t.Run("what_turns_bad_after_the_last_whole_interval_does_not_pass", func(t *testing.T) {
		w.enter(t)
		bug := w.lab.Fault(lab.YelbV3.Name)
		for name, text := range demo.Rollout("merge") {
			head, _, ok := strings.Cut(text, "  steps:")
			if !ok {
				t.Fatalf("no steps in:\n%s", text)
			}
			must(t, w.clone.Write(map[string]string{name: head + "  steps: [{weight: 50, hold: 8s}]\n  analysis: {interval: 4s, minRequests: 10, successRate: {min: 95}}\n"}))
		}
		w.write(w.v3)
		w.serving = w.push("all to v3, which is well")
		w.awaitRollout("watched", func(r lab.Rollout) bool { return r.Phase == "watching" })
		time.Sleep(5 * time.Second) // one interval has passed
		bug.Set(1)
		defer bug.Set(0)
		r := w.awaitRollout("ended", func(r lab.Rollout) bool { return r.Ended })
		for _, row := range r.Timeline {
			t.Log(row)
		}
		if r.Phase != "rolled-back" {
			t.Fatalf("%s: %s", r.Phase, r.Line)
		}
		errors, _ := bug.Errors()
		bug.Set(0)
		must(t, w.clone.Write(demo.Rollout("merge")))
		w.write(w.router(demo.Plain(demo.All)))
		w.serving = w.push("back to v2, and to its steps")
		_, err := w.daemon.Await(t.Context(), w.serving, "served", func(c lab.Commit) bool { return c.Serving && c.Applied != nil && c.Applied.State == "success" })
		must(t, err)
		w.split(map[string]float64{"v2": 1})
		w.flowed(errors)
	})
	t.Run("a_proxy_that_stands_still_holds_the_step", func(t *testing.T) {
		w.enter(t)
		ui := w.yelb.Envoys[0]
		ui.Signal(syscall.SIGSTOP)
		defer ui.Signal(syscall.SIGCONT) // also where it fails
		w.write(w.router(demo.Plain(demo.Half)))
		w.serving = w.push("half back to v1")
		held := func(r lab.Rollout) bool {
			return r.Phase == "moving" && r.Weight == 5 && strings.Contains(r.Line, "proxies have it: waits for yelb-ui")
		}
		t.Log(w.awaitRollout("held", held).Line)
		time.Sleep(2 * time.Second)
		if r := w.awaitRollout("still there", func(lab.Rollout) bool { return true }); !held(r) {
			t.Errorf("nobody has it, and it is %s: %s", r.Phase, r.Line)
		}
		ui.Signal(syscall.SIGCONT)
		w.awaitRollout("going on", func(r lab.Rollout) bool { return r.Phase == "watching" })
		w.awaitRollout("completed", func(r lab.Rollout) bool { return r.Phase == "completed" })
		w.flowed(0)
	})
	t.Run("a_pull_request_is_the_canary_while_it_is_open", func(t *testing.T) {
		w.enter(t)
		if w.gitea == nil {
			t.Skip("there is no Gitea")
		}
		must(t, w.gitea.NewWriter(t.Context(), repository, "ada"))
		must(t, w.clone.Write(demo.Rollout("pull-request")))
		w.serving = w.push("rollouts start with the pull request")
		_, err := w.daemon.Await(t.Context(), w.serving, "served", func(c lab.Commit) bool { return c.Serving })
		must(t, err)

		must(t, w.clone.Checkout(t.Context(), "-b", "repaired"))
		w.write(w.v3)
		head := w.push("all to v3, repaired")
		must(t, w.gitea.OpenPull(t.Context(), repository, "repaired", "all to v3, repaired"))
		w.status(head, "meshwright/plan", "success", "")
		pulls, err := w.gitea.Pulls(t.Context(), repository)
		must(t, err)
		i := slices.IndexFunc(pulls, func(p lab.GiteaPull) bool { return p.Head.SHA == head })
		number := pulls[i].Number
		main := w.serving
		w.serving = head
		must(t, w.gitea.Say(t.Context(), repository, number, "ada", "/canary"))
		w.awaitRollout("the first step", func(r lab.Rollout) bool { return r.Phase == "watching" && r.Weight == 5 })
		t.Log(w.tell("pause", "--reason", "lunch"))
		w.awaitRollout("paused", func(r lab.Rollout) bool {
			return r.Phase == "paused" && strings.Contains(r.Line, "paused by ops@127.0.0.1: lunch")
		})
		time.Sleep(4 * time.Second) // longer than the hold
		if r := w.awaitRollout("still there", func(lab.Rollout) bool { return true }); r.Weight != 5 {
			t.Errorf("paused, and at %g %%: %s", r.Weight, r.Line)
		}
		t.Log(w.tell("resume"))
		r := w.awaitRollout("passed", func(r lab.Rollout) bool { return r.Phase == "passed" })
		for _, row := range r.Timeline {
			t.Log(row)
		}
		w.canaryStatus("success", "^passed")
		if c, err := w.daemon.Commit(t.Context(), main); err != nil || !c.Serving {
			t.Errorf("%s: %+v, %v", report.Short(main), c, err)
		}
		must(t, w.gitea.MergePull(t.Context(), repository, number, "squash"))
		must(t, w.clone.Checkout(t.Context(), "main"))
		w.serving, err = w.clone.Pull(t.Context(), "main")
		must(t, err)
		_, err = w.daemon.Await(t.Context(), w.serving, "complete", func(c lab.Commit) bool { return c.Serving && c.Applied != nil && c.Applied.State == "success" })
		must(t, err)
		w.split(map[string]float64{"v3": 1})
		w.flowed(0)
	})
	t.Run("a_pull_request_that_is_closed_takes_its_canary_with_it", func(t *testing.T) {
		w.enter(t)
		if w.gitea == nil {
			t.Skip("there is no Gitea")
		}
		main := w.serving
		must(t, w.clone.Checkout(t.Context(), "-b", "back"))
		w.write(w.router(demo.Plain(demo.All)))
		head := w.push("all to v2")
		must(t, w.gitea.OpenPull(t.Context(), repository, "back", "all to v2"))
		w.status(head, "meshwright/plan", "success", "")
		pulls, err := w.gitea.Pulls(t.Context(), repository)
		must(t, err)
		number := pulls[slices.IndexFunc(pulls, func(p lab.GiteaPull) bool { return p.Head.SHA == head })].Number
		w.serving = head
		must(t, w.gitea.Say(t.Context(), repository, number, "ada", "/canary"))
		// It leads where the branch was before: it needs no steps.
		w.awaitRollout("on its way", func(r lab.Rollout) bool { return r.Phase == "passed" || r.Phase == "watching" })
		closed := time.Now()
		must(t, w.gitea.ClosePull(t.Context(), repository, number))
		r := w.awaitRollout("withdrawn", func(r lab.Rollout) bool { return r.Phase == "withdrawn" })
		took := time.Since(closed)
		t.Logf("%s: %v after it was closed", r.Line, took.Round(time.Millisecond))
		if took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		w.canaryStatus("error", "the pull request was closed$")
		must(t, w.clone.Checkout(t.Context(), "main"))
		w.serving = main
		w.flowed(0)
	})
}

// v3 are the files that change with the third version.
func (w *world) v3() (map[string]string, error) {
	file, err := w.clone.Read(demo.RouterFile)
	if err != nil {
		return nil, err
	}
	files, err := demo.V3(file)
	if err != nil {
		return nil, err
	}
	files[demo.RouterFile], err = demo.WithoutRetries(files[demo.RouterFile])
	return files, err
}

// tell says something to the rollout by the command line, and returns what that
// prints.
func (w *world) tell(verb string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command(program(w.t), append([]string{"rollout", verb, "yelb/appserver", "--server", w.daemon.HTTP}, args...)...)
	cmd.Env = append(os.Environ(), "MESHWRIGHT_TOKEN="+apiToken)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("rollout %s: %v\n%s", verb, err, out)
	}
	return string(out)
}

// edit changes the file of the router.
func (w *world) edit(change func(string) (string, error)) func() (map[string]string, error) {
	return func() (map[string]string, error) {
		file, err := w.clone.Read(demo.RouterFile)
		if err != nil {
			return nil, err
		}
		file, err = change(file)
		return map[string]string{demo.RouterFile: file}, err
	}
}

// awaitRollout waits until the rollout of the newest commit is as it should be.
func (w *world) awaitRollout(what string, is func(lab.Rollout) bool) lab.Rollout {
	w.t.Helper()
	r, err := w.daemon.AwaitRollout(w.t.Context(), w.serving, what, is)
	must(w.t, err)
	return r
}

// canaryStatus waits for the check of the newest commit, where there is a git
// host.
func (w *world) canaryStatus(state, description string) {
	w.t.Helper()
	if w.gitea != nil {
		w.status(w.serving, "meshwright/canary", state, description)
	}
}

// flowed holds the steady traffic since it was asked last to so many failures.
func (w *world) flowed(failures int) {
	w.t.Helper()
	if s := w.flow.Take(); s.Failed != failures {
		w.t.Errorf("%d of %d requests failed, want %d; the first with: %s", s.Failed, s.Requests, failures, s.FirstFailure)
	}
}
