package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/reconciler/report"
)

// TestE2EPullRequest is the life of a pull request on a git host that nobody
// here wrote, with five Envoys under traffic: a mistake, its fix, a question, the
// merge, and what the proxies report of the traffic since.
func TestE2EPullRequest(t *testing.T) {
	const number = 1
	w := &world{t: t, lab: newLab(t), flags: []string{"--health-window", "20s", "--public-url", "https://mesh.example.com"}}
	w.begin(realPart(t, "gitea"))
	must(t, w.gitea.NewWriter(t.Context(), repository, "ada"))
	w.status(w.serving, "meshwright/applied", "success", "")
	began := time.Now() // of the traffic that the change is compared with
	asked := w.requests()

	var bad, good string
	t.Run("a_mistake_is_red_with_its_line", func(t *testing.T) {
		w.enter(t)
		must(t, w.clone.Checkout(t.Context(), "-b", "idea"))
		w.write(w.router(demo.TenthMisspelt))
		bad = w.push("a tenth to v1")
		must(t, w.gitea.OpenPull(t.Context(), repository, "idea", "a tenth to v1"))
		opened := time.Now()
		w.status(bad, "meshwright/check", "failure", `appmesh-yelb-appserver\.yaml:\d+:\d+: .*no VirtualNode/yelb/yelb-apserver`)
		t.Logf("red %v after it was opened", time.Since(opened).Round(time.Millisecond))
		w.status(bad, "meshwright/plan", "failure", "no plan: the check failed")
		w.comment(number, `\*\*1 error\*\*`, `appmesh-yelb-appserver\.yaml`, `/src/commit/`+bad+`/`)
	})
	t.Run("its_fix_is_green", func(t *testing.T) {
		w.enter(t)
		w.write(w.router(demo.Tenth))
		good = w.push("spell it right")
		w.status(good, "meshwright/check", "success", `^11 resources$`)
		w.status(good, "meshwright/plan", "success", `^1 route, 1 of 5 proxies`)
		w.comment(number, `1 route`, report.Short(bad), `specs/appmesh-yelb-appserver.yaml:\d+`, ` 10\W+%`)
	})
	t.Run("a_question_is_answered", func(t *testing.T) {
		w.enter(t)
		must(t, w.gitea.Say(t.Context(), repository, number, "ada", "/meshwright explain yelb/yelb-ui yelb-appserver:4567 /api/x"))
		w.comment(number, `/meshwright explain yelb/yelb-ui`, `before:`, `after:`)
	})
	t.Run("the_merge_is_applied_and_healthy", func(t *testing.T) {
		w.enter(t)
		time.Sleep(time.Until(began.Add(30 * time.Second))) // what there is to compare with
		must(t, w.gitea.MergePull(t.Context(), repository, number, "squash"))
		must(t, w.clone.Checkout(t.Context(), "main"))
		var err error
		w.serving, err = w.clone.Pull(t.Context(), "main")
		must(t, err)
		w.status(w.serving, "meshwright/applied", "success", `^1/1 proxies in \d`)
		w.split(map[string]float64{"v1": 0.1, "v2": 0.9})
		// This machine does much else at the same time, so that latencies may rise.
		must(t, lab.Eventually(t.Context(), 60*time.Second, "health", func() error {
			all, err := w.gitea.Statuses(t.Context(), repository, w.serving)
			if err != nil {
				return err
			}
			for _, s := range all {
				if s.Context == "meshwright/health" {
					t.Logf("health: %s: %s", s.State, s.Description)
					if !regexp.MustCompile(`^100\.00 % of \d+ requests succeed \(100\.00 % before\), p99 |^p99 rose`).MatchString(s.Description) {
						t.Errorf("%+v", s)
					}
					return nil
				}
			}
			return fmt.Errorf("%+v", all)
		}))
		w.comment(number, `\*\*Merged as `+report.Short(w.serving)+`(\*\*: applied, 1/1 proxies in .*; health: 100|, and traffic got worse\*\*: applied, .*; health: p99)`)
	})
	t.Run("everything_has_ended", func(t *testing.T) {
		w.enter(t)
		for _, commit := range []string{bad, good, w.serving} {
			all, err := w.gitea.Statuses(t.Context(), repository, commit)
			must(t, err)
			last := map[string]string{}
			for _, s := range all { // newest first
				if _, newer := last[s.Context]; !newer {
					last[s.Context] = s.State
				}
			}
			for name, state := range last {
				if state == "pending" {
					t.Errorf("%s of %s is pending", name, report.Short(commit))
				}
			}
		}
		t.Logf("%d requests to the git host in %v: a pull request of two pushes, a question, a merge",
			w.requests()-asked, time.Since(began).Round(time.Second))
	})
	if flow := w.flow.Stop(); flow.Failed > 0 {
		t.Errorf("%d requests failed, the first with: %s", flow.Failed, flow.FirstFailure)
	}
}

// comment waits until the daemon's one comment on a pull request says what it
// should.
func (w *world) comment(number int, patterns ...string) {
	w.t.Helper()
	must(w.t, lab.Eventually(w.t.Context(), 30*time.Second, "the comment", func() error {
		all, err := w.gitea.Comments(w.t.Context(), repository, number)
		if err != nil {
			return err
		}
		var ours []string
		for _, c := range all {
			if strings.HasPrefix(c.Body, "<!-- meshwright:") {
				ours = append(ours, c.Body)
			}
		}
		if len(ours) != 1 {
			return fmt.Errorf("%d comments of ours", len(ours))
		}
		for _, p := range patterns {
			if !regexp.MustCompile(p).MatchString(ours[0]) {
				return fmt.Errorf("it does not say %s:\n%s", p, ours[0])
			}
		}
		return nil
	}))
}

// requests is how many the daemon has sent to the git host's API.
func (w *world) requests() (n int) {
	w.t.Helper()
	resp, err := http.Get(w.daemon.HTTP + "/metrics")
	must(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(w.t, err)
	for _, m := range regexp.MustCompile(`(?m)^meshwright_github_requests_total\{.*\} (\d+)$`).FindAllStringSubmatch(string(body), -1) {
		count, err := strconv.Atoi(m[1])
		must(w.t, err)
		n += count
	}
	return n
}
