package reconciler_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// TestOrders: people with write access are answered with a reaction and in the
// one comment; nobody else is, and nothing is answered twice.
func TestOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forge.writers = []string{"ann", "robot"}
		w.branch.push("good one")
		head := w.open(7, map[string]string{"mesh.txt": "good two"})
		early := w.forge.say(7, "ann", "/meshwright help")
		time.Sleep(10 * time.Second)
		cfg, wake := w.config()
		cfg.Explain = func(served, to reconciler.Side, args []string) string {
			if served.Commit != w.branch.tip || served.State == nil || to.Commit != head {
				t.Errorf("explain compares %+v with %+v", served, to)
			}
			return "from " + strings.Join(args, " ")
		}
		d := run(t, cfg, wake)
		after(time.Minute)
		loads := len(w.loads)
		said := func(who, what string) int64 {
			id := w.forge.say(7, who, what)
			d.Poke()
			after(10 * time.Second)
			return id
		}
		want := map[int64][]string{}
		want[said("ann", "/meshwright plan")] = []string{"eyes"}
		if n := len(w.loads) - loads; n != 1 {
			t.Errorf("plan loaded %d times", n)
		}
		want[said("ann", "/meshwright explain web api /x\nplease")] = []string{"eyes"}
		want[said("ann", "/meshwright pause web")] = []string{"confused"}
		want[said("ann", "/meshwright paus web")] = []string{"confused"}
		want[said("ann", "/meshwright retry check")] = []string{"eyes"}
		said("mallory", "/meshwright plan")
		said("ann", "what does /meshwright plan do?")
		for _, quiet := range []sources.Comment{{Bot: true, Author: "robot"}, {Edited: true, Author: "ann"}} {
			id := w.forge.say(7, quiet.Author, "/meshwright plan")
			w.forge.set(func(f *fakeForge) { f.said[id-1].Bot, f.said[id-1].Edited = quiet.Bot, quiet.Edited })
			d.Poke()
			after(10 * time.Second)
		}
		w.forge.say(99, "ann", "/meshwright plan") // of another branch
		d.end(t)
		d = w.start(t)
		after(time.Minute)
		d.end(t)

		if diff := cmp.Diff(want, w.forge.reactions); diff != "" || w.forge.reactions[early] != nil {
			t.Errorf("reactions (-want +got):\n%s", diff)
		}
		answers := d.View().Pulls[0].Report.Answers
		expected := []report.Answer{
			{Who: "ann", Command: "/meshwright paus web", Text: "no such command; write one of plan, explain, canary, pause, resume, promote, approve, abort, retry, help after /meshwright"},
			{Who: "ann", Command: "/meshwright pause web", Text: "there is no rollout web: what is served has no Rollout"},
			{Who: "ann", Command: "/meshwright explain web api /x", Text: "from web api /x"},
			{Who: "ann", Command: "/meshwright plan", Text: "planned anew: 1 resource, 0 proxy identities"},
		}
		for i := range answers { // the youngest first, though it took no time to answer
			if i > 0 && !answers[i].Asked.Before(answers[i-1].Asked) {
				t.Errorf("answer %d was asked for at %s, the one before at %s", i, answers[i].Asked, answers[i-1].Asked)
			}
		}
		answers = slices.Clone(answers)
		for i := range answers {
			answers[i].Asked = time.Time{}
		}
		if diff := cmp.Diff(expected, answers); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if body := w.forge.comments["7/pull"]; !strings.Contains(body, "there is no rollout") {
			t.Errorf("the comment does not answer: %s", body)
		}
	})
}

// TestAbortFirst: of what is asked at one look an abort goes first, and what it
// overrules is told so.
func TestAbortFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forge.writers = []string{"ann"}
		w.branch.push("good one")
		w.open(7, map[string]string{"mesh.txt": "good two"})
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		for _, what := range []string{"/meshwright promote web", "/meshwright abort web", "/meshwright resume api"} {
			w.forge.say(7, "ann", what)
		}
		d.Poke()
		after(time.Minute)
		var got []string
		for _, a := range d.View().Pulls[0].Report.Answers {
			got = append([]string{a.Command + ": " + a.Text}, got...)
		}
		expect(t, "answers", got,
			"/meshwright abort web: there is no rollout web: what is served has no Rollout",
			"/meshwright promote web: overruled by an abort that was asked for at the same time",
			"/meshwright resume api: there is no rollout api: what is served has no Rollout")
	})
}

// TestOrdersToWhatIsNotOpen: a merged pull request is remembered and answers;
// one that touched nothing gets its comment by being asked.
func TestOrdersToWhatIsNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forge.writers = []string{"ann"}
		w.branch.push("good one")
		w.open(7, map[string]string{"mesh.txt": "good two"})
		w.open(8, map[string]string{"mesh.txt": "good one"})
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.merge(t, 7)
		d.Poke()
		after(time.Minute)
		late := w.forge.say(7, "ann", "/meshwright plan")
		w.forge.say(8, "ann", "/meshwright help")
		d.Poke()
		after(time.Minute)
		if got := w.forge.reactions[late]; len(got) != 1 || got[0] != "confused" {
			t.Errorf("reactions to a plan of what is merged: %q", got)
		}
		if body := w.forge.comments["7/pull"]; !strings.Contains(body, "nothing to plan") {
			t.Errorf("no answer: %s", body)
		}
		if body := w.forge.comments["8/pull"]; !strings.Contains(body, "plans the pull request anew") {
			t.Errorf("no help: %s", body)
		}
	})
}

// TestAHostThatLags: a command is not lost that is shown after a younger comment, or
// before the pull request that it is on, and none is carried out twice, also
// over a restart. What is said elsewhere moves on from when comments are asked for.
func TestAHostThatLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forge.writers = []string{"ann"}
		w.branch.push("good one")
		w.open(7, map[string]string{"mesh.txt": "good two"})
		d := w.start(t)
		after(time.Minute)
		late := w.forge.say(7, "ann", "/meshwright pause late")
		w.forge.set(func(f *fakeForge) { f.unseen = []int64{late} })
		after(20 * time.Second)
		w.forge.say(7, "ann", "/meshwright pause early")
		d.Poke()
		after(20 * time.Second)
		w.forge.set(func(f *fakeForge) { f.unseen = nil })
		d.Poke()
		after(20 * time.Second)

		first := w.forge.say(8, "ann", "/meshwright pause first")
		other := w.forge.say(99, "ann", "/meshwright pause other") // of another branch
		d.Poke()
		after(5 * time.Second)
		d.end(t)
		d = w.start(t)
		after(5 * time.Second)
		w.open(8, map[string]string{"mesh.txt": "good three"})
		after(time.Minute) // nobody rings
		calls := w.forge.calls
		after(time.Hour)
		if n := w.forge.calls - calls; n != 0 {
			t.Errorf("%d calls in an hour without news or polls", n)
		}
		now := w.forge.said[w.forge.say(0, "bob", "on an issue")-1].Created
		d.Poke()
		after(time.Minute)
		d.Poke()
		after(time.Minute)
		d.end(t)

		var got []string
		for _, p := range d.View().Pulls {
			for _, a := range p.Report.Answers {
				got = append(got, a.Command)
			}
		}
		expect(t, "answers", sorted(got), "/meshwright pause early", "/meshwright pause first", "/meshwright pause late")
		if r := w.forge.reactions; len(r[late]) != 1 || len(r[first]) != 1 || r[other] != nil {
			t.Errorf("reactions: %v", r)
		}
		if got := w.forge.since; now.Sub(got) > time.Minute {
			t.Errorf("comments are still asked for from %s on, the last is of %s", got, now)
		}
	})
}

// TestWhoMayCommandIsNotTold: where the forge does not tell us who may write,
// nobody may, and nothing waits for it.
func TestWhoMayCommandIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forge.writers, w.forge.secretive = []string{"ann"}, true
		w.branch.push("good one")
		w.open(7, map[string]string{"mesh.txt": "good two"})
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		early := w.forge.say(7, "ann", "/meshwright plan")
		d.Poke()
		after(time.Minute)
		commit := w.merge(t, 7)
		d.Poke()
		after(time.Minute)
		if got, want := w.verdict(7), "**Merged as "+commit[:7]+"**"; !strings.HasPrefix(got, want) {
			t.Errorf("the comment begins with %q, want %q", got, want)
		}
		w.forge.set(func(f *fakeForge) { f.secretive = false })
		late := w.forge.say(7, "ann", "/meshwright plan")
		d.Poke()
		after(time.Minute)
		if w.forge.reactions[early] != nil || len(w.forge.reactions[late]) != 1 {
			t.Errorf("reactions: %v", w.forge.reactions)
		}
	})
}

// TestOrdersWhileAHeadIsLookedAt: what is asked of a head that nobody has seen
// yet, or that is being looked at, is answered by a look of its own.
func TestOrdersWhileAHeadIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forge.writers = []string{"ann"}
		w.branch.push("good one")
		cfg, wake := w.config()
		cfg.Explain = func(_, _ reconciler.Side, args []string) string { return "from " + strings.Join(args, " ") }
		gate := make(chan struct{})
		cfg.LoadPull = slowLoad{w.load, gate}.Load
		d := run(t, cfg, wake)
		defer d.end(t)
		after(time.Minute)
		w.open(7, map[string]string{"mesh.txt": "good two"})
		early := w.forge.say(7, "ann", "/meshwright explain web api /early")
		d.Poke()
		after(time.Minute)
		w.forge.say(7, "ann", "/meshwright explain web api /late")
		d.Poke()
		after(time.Minute)
		close(gate)
		after(time.Minute)
		var got []string
		for _, a := range d.View().Pulls[0].Report.Answers {
			got = append(got, a.Text)
		}
		expect(t, "answers", sorted(got), "from web api /early", "from web api /late")
		if r := w.forge.reactions[early]; len(r) != 1 || r[0] != "eyes" {
			t.Errorf("reactions: %q", r)
		}
	})
}
