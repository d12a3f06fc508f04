package report_test

import (
	"strings"
	"testing"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

func status(state sources.StatusState, text string) sources.Status {
	return sources.Status{State: state, Description: text}
}

func TestVerdict(t *testing.T) {
	small := &plan.Plan{
		Resources: make([]plan.Resource, 2), Routes: make([]plan.Route, 3),
		Proxies: plan.Proxies{Touched: 12, Connected: 40},
		Risks:   []plan.Risk{{Level: plan.High}, {Level: plan.Low}, {Level: plan.Low}},
	}
	cases := []struct {
		pull report.Pull
		want string
	}{
		{report.Pull{}, "No mesh changes"},
		{report.Pull{Plan: &plan.Plan{}, Warnings: 1}, "No mesh changes; 1 warning"},
		{report.Pull{Check: status(sources.Pending, "")}, "Being checked"},
		{report.Pull{Check: status(sources.Errored, "fetch: gone")}, "Not checked: fetch: gone"},
		{report.Pull{Check: status(sources.Failure, "more than 256 MiB")}, "Not valid: more than 256 MiB"},
		{report.Pull{Check: status(sources.Success, "412 resources"), PlanStatus: status(sources.Pending, "")}, "Valid, being planned"},
		{report.Pull{PlanStatus: status(sources.Errored, "out of memory")}, "Valid, but not planned: out of memory"},
		{report.Pull{Errors: 2, Plan: small}, "2 errors, nothing of it would be served"},
		{report.Pull{Errors: 2, Conflicts: []string{"a.yaml"}}, "Needs a rebase: 1 file changed on both sides"},
		{report.Pull{Plan: small, Warnings: 1}, "3 routes, 12 of 40 proxies, 1 high risk; 1 warning"},
		{report.Pull{Plan: small, Protected: []string{"needs label x: a.yaml"}}, "Needs a label; 3 routes, 12 of 40 proxies, 1 high risk"},
		{report.Pull{Plan: small, After: &report.After{Commit: "abc1234def"}}, "Merged as abc1234: being applied"},
		{report.Pull{After: &report.After{Commit: "abc1234def", Applied: status(sources.Success, "12/12 proxies in 140 ms")}},
			"Merged as abc1234: applied, 12/12 proxies in 140 ms"},
		{report.Pull{After: &report.After{Commit: "abc1234def", Applied: status(sources.Failure, "ui-1 refused listeners: bad")}},
			"Merged as abc1234, but not applied: ui-1 refused listeners: bad"},
		{report.Pull{After: &report.After{Commit: "abc1234def", Applied: status(sources.Errored, "superseded by 1234567")}},
			"Merged as abc1234: superseded by 1234567"},
		{report.Pull{After: &report.After{Commit: "abc1234def", Applied: status(sources.Success, "1/1 proxies in 2 ms"), Health: status(sources.Failure, "99 % to 80 %")}},
			"Merged as abc1234, and traffic got worse: applied, 1/1 proxies in 2 ms; health: 99 % to 80 %"},
		{report.Pull{After: &report.After{Commit: "abc1234def", Applied: status(sources.Failure, "waits · the same failed in #11"), Health: report.Diverged("shop/api is at 1234567")}},
			"Merged as abc1234, but not applied: waits · the same failed in #11; health: diverged: shop/api is at 1234567"},
		{report.Pull{After: &report.After{Commit: "abc1234def", Applied: status(sources.Success, "1/1 proxies in 2 ms"), Health: report.Diverged("shop/api is at 1234567")}},
			"Merged as abc1234, and proxies have something else: applied, 1/1 proxies in 2 ms; health: diverged: shop/api is at 1234567"},
	}
	for _, c := range cases {
		c.pull.Head = "abc1234def"
		if got := report.Verdict(c.pull); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	if got, want := report.Verdict(report.Pull{Number: 7}), "Not checked yet"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestRolloutInAComment: the line is prose as it is everywhere else, and the
// timeline is code.
func TestRolloutInAComment(t *testing.T) {
	const line = "25 % · 99.97 % of 12,480 requests · p99 41 ms (base 38 ms) · 3 m 10 s left"
	got := report.Comment(report.Pull{Number: 7, Head: "9a31f02", Rollouts: []report.Rollout{{
		Name: "yelb/appserver", Status: sources.Status{State: sources.Pending, Description: line}, Chart: []string{"25 % ▕█████"}, Timeline: []string{"12:02:04     25 %  watching"},
	}}}, 60000)
	if want := "Canary `yelb/appserver`: " + line + "\n\n    25 % ▕█████\n\n    12:02:04     25 %  watching\n"; !strings.Contains(got, want) {
		t.Errorf("%s\nlacks\n%s", got, want)
	}
}
