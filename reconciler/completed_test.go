package reconciler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/sources"
)

// told is a forge that has nothing but statuses: by commit, "canary=success
// applied=pending".
type told struct {
	Forge
	standing map[string]string
	fails    error // for the commit that has none
	asked    int
}

func (f *told) Statuses(_ context.Context, commit string) (map[string]sources.Status, error) {
	f.asked++
	if _, ok := f.standing[commit]; !ok && f.fails != nil {
		return nil, f.fails
	}
	out := map[string]sources.Status{}
	for _, word := range strings.Fields(f.standing[commit]) {
		kind, state, _ := strings.Cut(word, "=")
		out["meshwright/"+kind] = sources.Status{State: sources.StatusState(state)}
	}
	return out, nil
}

func TestCompleted(t *testing.T) {
	away := &sources.RetryAfter{At: time.Now(), Err: errors.New("the hour is used up")}
	many := map[string]string{}
	for i := range maxAsked {
		many[fmt.Sprint(i)] = "canary=failure"
	}
	far := map[string]string{"3": "check=success", fmt.Sprint(maxAsked - 1): "canary=success"}
	unknown := map[string]string{fmt.Sprint(firstAsked): "canary=success"}
	for _, c := range []struct {
		name     string
		standing map[string]string // of commits 0, the tip, to 599
		fails    error
		want     string
		known    bool
		asked    int
	}{
		{"the tip", map[string]string{"0": "check=success canary=success"}, nil, "0", true, 1},
		{"the tip is at its steps", map[string]string{"0": "canary=pending", "1": "canary=success"}, nil, "1", true, 2},
		{"the tip is on all proxies, at a step", map[string]string{"0": "canary=pending applied=success", "1": "canary=success applied=success"}, nil, "1", true, 2},
		{"failed ones, superseded ones, ones that nobody saw", map[string]string{"0": "canary=failure", "1": "canary=error", "3": "check=failure", "4": "canary=success", "5": "canary=success"}, nil, "4", true, 5},
		{"one without steps", map[string]string{"0": "canary=pending", "1": "applied=success", "2": "canary=success"}, nil, "1", true, 2},
		{"one whose check alone is good", map[string]string{"0": "check=success"}, nil, "", true, maxAsked},
		{"none that ended well", many, nil, "", true, maxAsked},
		{"one far back", far, nil, fmt.Sprint(maxAsked - 1), true, maxAsked},
		{"the first time", nil, nil, "", false, firstAsked},
		{"one of long ago, and nothing since", unknown, nil, "", false, firstAsked},
		{"the forge is away", nil, away, "", false, 1},
		{"the forge goes away", map[string]string{"0": "canary=failure", "2": "canary=success"}, away, "", false, 2},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			var history []sources.Revision
			for i := range 600 {
				history = append(history, sources.Revision{Commit: fmt.Sprint(i)})
			}
			f := &told{standing: c.standing, fails: c.fails}
			p, err := completed(t.Context(), f, history, "meshwright/canary", "meshwright/applied")
			got, known := "", p.known
			if p.completed >= 0 {
				got = history[p.completed].Commit
			}
			if got != c.want || known != c.known || !errors.Is(err, c.fails) || f.asked != c.asked {
				t.Errorf("%q, known %v, %v, %d asked; want %q, known %v, %v, %d asked", got, known, err, f.asked, c.want, c.known, c.fails, c.asked)
			}
			if _, ok := errors.AsType[*sources.RetryAfter](err); c.fails != nil && !ok {
				t.Errorf("%v does not say when to come again", err)
			}
		})
	}
	if p, err := completed(t.Context(), &told{}, nil, "meshwright/canary"); p.completed >= 0 || p.known || err != nil {
		t.Errorf("of no history: %+v, %v", p, err)
	}
}

// A forge that stops answering is not asked again of what it has answered.
func TestCompletedGoesOn(t *testing.T) {
	var history []sources.Revision
	for i := range 100 {
		history = append(history, sources.Revision{Commit: fmt.Sprint(i)})
	}
	f := &told{standing: map[string]string{}, fails: errors.New("502")}
	forge := answered{f, map[string]map[string]sources.Status{}}
	for i := range 30 {
		if _, err := completed(t.Context(), forge, history, "meshwright/canary"); !errors.Is(err, f.fails) {
			t.Fatal(err)
		}
		f.standing[fmt.Sprint(i)] = "canary=failure"
	}
	f.standing["30"] = "canary=success"
	if p, err := completed(t.Context(), forge, history, "meshwright/canary"); p.completed != 30 || err != nil || f.asked != 61 {
		t.Errorf("it finds %d, %v, %d asked", p.completed, err, f.asked)
	}
}
