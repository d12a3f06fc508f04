package main

import (
	"slices"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
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
		if r := w.awaitRollout("taken up", func(r lab.Rollout) bool { return r.Step > 0 }); r.Weight != 25 || r.Step != 1 {
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
		base := w.serving
		file, err := w.clone.Read(demo.RouterFile)
		must(t, err)
		files, err := demo.V3(file)
		must(t, err)
		files[demo.RouterFile], err = demo.WithoutRetries(files[demo.RouterFile])
		must(t, err)
		must(t, w.clone.Write(files))
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
		if c, err := w.daemon.Commit(t.Context(), base); err != nil || c.Result != "good" {
			t.Errorf("%s: %+v, %v", short(base), c, err)
		}
	})
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
