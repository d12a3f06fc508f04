package report_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

var (
	undone = sources.Revert{
		Commit: strings.Repeat("c", 40), To: strings.Repeat("a", 40), Branch: "main",
		Left: []string{"mesh/router.yaml", "mesh/@team.yaml"},
	}
	failure = report.Failed{Rollouts: []string{"appserver"}, Title: "all to v2", Pull: 12, Reason: "96.90 % of 1,204 requests succeed at 25 % (base 99.95 %).", Path: "mesh"}
)

func TestRevert(t *testing.T) {
	got := report.Revert(undone, failure)
	for _, text := range []struct{ name, got, want string }{
		{"title", got.Title, `Revert "all to v2"`},
		{"message", got.Message, `The canary appserver of ccccccc failed: 96.90 % of 1,204 requests succeed at 25 % (base 99.95 %).

This takes mesh back to aaaaaaa, which is served.
`},
		{"body", got.Body, "The canary `appserver` of ccccccc (#12) failed: 96.90 % of 1,204 requests succeed at 25 % (base 99.95 %).\n\n" +
			"Proxies are back at aaaaaaa. This takes the files of the specs back there, too: with it merged, git and what is served are one again. " +
			"Or push something better to `main`, which has its steps from the start, and close this.\n\n" +
			"**Not taken back**, for they were changed again after ccccccc. Look what they should be:\n\n- `mesh/router.yaml`\n- `mesh/@team.yaml`\n"},
	} {
		if diff := cmp.Diff(text.want, text.got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text.name, diff)
		}
	}
	if got.Commit != undone.Commit || len(got.Left) != 2 {
		t.Errorf("%+v; what is undone must stay", got)
	}
	all := undone
	all.Left = nil
	if got := report.Revert(all, failure); strings.Contains(got.Body, "Not taken back") {
		t.Error(got.Body)
	}
	for range 60 {
		all.Left = append(all.Left, "a.yaml")
	}
	if got := report.Revert(all, failure); !strings.HasSuffix(got.Body, "- `a.yaml`\n- and 10 more\n") {
		t.Error(got.Body)
	}
}

func TestRevertByHand(t *testing.T) {
	got := report.RevertByHand(undone, failure, errors.New("acme/mesh: 403 no; the daemon needs contents (write)"))
	want := "The canary `appserver` of ccccccc (#12) failed: 96.90 % of 1,204 requests succeed at 25 % (base 99.95 %).\n\n" +
		"Proxies are back at aaaaaaa; `main` still has what failed. No pull request could be opened that takes it back: `acme/mesh`: 403 no; the daemon needs contents (write)\n\n" +
		"```text\ngit fetch origin && git switch -c revert-ccccccc origin/main\n" +
		"git diff --binary " + undone.Commit + " " + undone.To + " -- mesh | git apply --3way\n```\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// Whatever others wrote, a revert is ours.
func TestRevertOfHostileTexts(t *testing.T) {
	for _, s := range tricks {
		r := sources.Revert{Commit: s, To: s, Branch: s, Left: []string{s}}
		f := report.Failed{Rollouts: []string{s, s}, Title: s, Reason: s, Path: s}
		got := report.Revert(r, f)
		if strings.ContainsAny(got.Title, "\n\r\x1b") || strings.Count(got.Message, "\n") != 3 {
			t.Errorf("title %q, message %q", got.Title, got.Message)
		}
		inspect(t, got.Body, "", 1<<30)
		inspect(t, report.RevertByHand(r, f, errors.New(s)), "", 1<<30)
		r.Commit, r.To = undone.Commit, undone.To
		inspect(t, report.RevertByHand(r, f, errors.New(s)), "", 1<<30)
	}
	r, f := undone, failure
	f.Path = "a'; rm -rf ~ #`\n```"
	if got := report.RevertByHand(r, f, errors.New("no")); !strings.Contains(got, `-- 'a'\''; rm -rf ~ # ' |`) {
		t.Errorf("the command: %s", got)
	}
}
