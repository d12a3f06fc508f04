package canary_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
)

// TestTimeline: what the comment shows of a rollout that failed, and of one that
// is under way. UPDATE=1 writes testdata/timeline.golden.
func TestTimeline(t *testing.T) {
	var b strings.Builder
	show := func(w *world) {
		b.WriteString(Line(w.state) + "\n\n" + strings.Join(Chart(w.state, w.now.Wall), "\n") + "\n\n" + strings.Join(Timeline(w.state), "\n") + "\n\n")
	}
	w := newWorld(t)
	w.commit("0123456789abcdef", "v2")
	w.advance(3 * time.Minute)
	w.say(Pause, "alice")
	w.advance(26 * time.Hour)
	w.say(Resume, "alice")
	w.advance(5*time.Minute + 30*time.Second)
	show(w)
	w.canary = flow{20, .031, 55 * time.Millisecond}
	w.base.errors = .0001
	w.advance(time.Minute)
	show(w)

	const golden = "testdata/timeline.golden"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A history keeps its first and its last events, however many there are.
func TestHistoryIsBounded(t *testing.T) {
	w := newWorld(t)
	w.commit("c1", "v2")
	for range 200 {
		w.say(Pause, "alice")
		w.say(Resume, "alice")
	}
	h := w.state.History
	if len(h) > 100 || h[0].Reason != "from c0 to c1" || h[len(h)-1].Reason != "resumed by alice" {
		t.Errorf("%d events, from %q to %q", len(h), h[0].Reason, h[len(h)-1].Reason)
	}
}

// TestLineFits: a status takes 140 characters, whatever an Envoy says, and a
// rate is never more than it is.
func TestLineFits(t *testing.T) {
	s := State{Phase: RolledBack, Weight: 25_00, Reason: strings.Repeat("wörter und\n", 40) + "\xff"}
	if line := []rune(Line(s)); len(line) != 140 || strings.ContainsRune(string(line), '\n') {
		t.Errorf("%d characters: %s", len(line), string(line))
	}
	s = State{Phase: Watching, Weight: 10, Reason: "2 m 0 s left"}
	s.Live.Sum.Requests, s.Live.Sum.Errors = 12_345_678, 1
	if got, want := Line(s), "0.1 % · 99.99 % of 12,345,678 requests · 2 m 0 s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRefusals(t *testing.T) {
	good := Ask{By: "alice", MayWrite: true, Commit: "abc", Head: "abc", Start: schema.StartPullRequest}
	if why := good.Refusal(); why != "" {
		t.Error(why)
	}
	for want, change := range map[string]func(*Ask){
		"commits of forks never run":                       func(a *Ask) { a.Fork = true },
		"alice may not write to the repository":            func(a *Ask) { a.MayWrite = false },
		"abc is not the head any more, which is def":       func(a *Ask) { a.Head = "def" },
		"no commit is not the head any more, which is abc": func(a *Ask) { a.Commit = "" },
		"the rollout starts with the merge":                func(a *Ask) { a.Start = schema.StartMerge },
	} {
		a := good
		change(&a)
		if got := a.Refusal(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestOneOfAThing: one request and one proxy are no several.
func TestOneOfAThing(t *testing.T) {
	e := Evidence{Canary: Reading{Requests: 1}, Proxies: 1, Window: 10 * time.Second}
	if got, want := e.String(), "100 % of 1 request · 1 proxy, 10 s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
