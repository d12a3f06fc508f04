package canary_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/meshwright/meshwright/reconciler/canary"
)

// TestStories runs testdata/*.txt; testdata/README.md is the language.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	stories := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, story := range strings.Split(string(text), "\nstory ")[1:] {
			stories++
			name, body, _ := strings.Cut(story, "\n")
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
				w := newWorld(t)
				for _, line := range strings.Split(body, "\n") {
					if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
						continue
					}
					if err := w.do(line); err != nil {
						t.Fatalf("story %d: %s: %v\n%s\n%s", i+1, line, err, Line(w.state), strings.Join(Timeline(w.state), "\n"))
					}
				}
			})
		}
	}
	if stories < 40 {
		t.Errorf("only %d stories", stories)
	}
}

// do carries out one line.
func (w *world) do(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	args := append(strings.Fields(rest), "", "", "")
	switch verb {
	case "policy":
		w.setPolicy(rest)
	case "now":
		at, err := time.Parse(time.RFC3339, rest)
		if err != nil {
			return err
		}
		w.now.Wall = at
	case "commit":
		w.commit(args[0], args[1])
	case "remove": // the Rollout
		w.seen.Removed = args[0]
		w.step()
		w.seen.Removed = ""
	case "supersede": // and nothing begins
		w.seen.Newer = args[0]
		w.step()
		w.seen.Newer = ""
	case "open":
		w.content[args[1]] = args[2]
		w.pulls[args[0]] = &pull{head: args[1], fork: strings.HasSuffix(rest, " fork")}
	case "label": // NUMBER BY [COMMIT], by somebody who may; "stranger" may not
		if why := w.ask(args[0], args[1], args[2], args[1] != "stranger"); why != "" {
			return w.expectRefusal(why)
		}
	case "refused": // TEXT: the label before was
		return w.wasRefused(rest)
	case "push":
		w.push(args[0], args[1], args[2])
	case "close":
		w.close(args[0])
	case "merge":
		w.merge(args[0], args[1])
	case "observe":
		return w.observe(args)
	case "prometheus": // NAME VALUE, or NAME error TEXT
		n := Number{Name: args[0]}
		if args[1] == "error" {
			n.Error = strings.Join(strings.Fields(rest)[2:], " ")
		} else if args[1] != "none" {
			n.Value, _ = strconv.ParseFloat(args[1], 64)
		}
		w.seen.Numbers[args[0]] = n
		if args[1] == "none" {
			delete(w.seen.Numbers, args[0])
		}
	case "advance":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		w.advance(d)
	case "clockjump":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		w.now.Wall = w.now.Wall.Add(d)
		w.step()
	case "acks":
		w.acking = args[0] == "on"
		w.step()
	case "nack":
		w.nack = rest
		w.step()
	case "silent", "lacking":
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		var all []Straggler
		for i := range n {
			all = append(all, Straggler{fmt.Sprintf("web-%d", i+1), 40 * time.Second})
		}
		if w.seen.Silent = all; verb == "lacking" {
			w.seen.Silent, w.seen.Lacking = nil, all
			w.step()
		}
	case "reports": // come so often
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		w.reports = d
	case "freeze": // one proxy
		w.frozen = w.heard(w.now.Mono)
	case "thaw":
		w.frozen = 0
	case "gate":
		w.seen.Gates[args[0]] = args[1]
		w.step()
	case "away":
		w.seen.Away = rest
	case "behind":
		w.seen.Behind = rest
		w.step()
	case "pause", "resume", "abort", "promote", "approve":
		w.say(Verb(verb), args[0])
	case "crash":
		w.crash()
	case "expect":
		return w.expect(args)
	case "line":
		if got := Line(w.state); got != rest {
			return fmt.Errorf("got %q", got)
		}
	case "says", "silentabout":
		if told := strings.Join(append(Timeline(w.state), Line(w.state)), "\n"); strings.Contains(told, rest) != (verb == "says") {
			return fmt.Errorf("got\n%s", told)
		}
	case "status":
		if got := w.state.Status().State; string(got) != args[0] {
			return fmt.Errorf("got %s", got)
		}
	case "did", "didnot":
		for _, want := range strings.Fields(rest) {
			found := false
			for _, e := range w.effects {
				found = found || string(e.Do) == want
			}
			if found != (verb == "did") {
				return fmt.Errorf("got %v", w.effects)
			}
		}
		if verb == "did" {
			w.effects = nil
		}
	default:
		return fmt.Errorf("unknown verb %s", verb)
	}
	return nil
}

// observe canary|base RATE/s [ERRORS% [P99]], or none.
func (w *world) observe(args []string) error {
	f := flow{}
	if args[1] != "none" {
		rate, err := strconv.ParseFloat(strings.TrimSuffix(args[1], "/s"), 64)
		if err != nil {
			return err
		}
		f = flow{perSecond: rate, p99: 40 * time.Millisecond}
	}
	if args[2] != "" {
		errors, err := strconv.ParseFloat(strings.TrimSuffix(args[2], "%"), 64)
		if err != nil {
			return err
		}
		f.errors = errors / 100
	}
	if args[3] != "" {
		p99, err := time.ParseDuration(args[3])
		if err != nil {
			return err
		}
		f.p99 = p99
	}
	switch args[0] {
	case "canary":
		w.canary = f
	case "base":
		w.base = f
	default:
		return fmt.Errorf("whose traffic?")
	}
	return nil
}

// expect PHASE [SHARE%].
func (w *world) expect(args []string) error {
	if string(w.state.Phase) != args[0] {
		return fmt.Errorf("it is %s", w.state.Phase)
	}
	if want, ok := strings.CutSuffix(args[1], "%"); ok && w.share().String() != want {
		return fmt.Errorf("the canary has %s %%", w.share())
	}
	return nil
}

// A refusal is kept until the next line, which has to expect it.
func (w *world) expectRefusal(why string) error {
	w.refusal = why
	return nil
}

func (w *world) wasRefused(want string) error {
	if !strings.Contains(w.refusal, want) || w.refusal == "" {
		return fmt.Errorf("got %q", w.refusal)
	}
	w.refusal = ""
	return nil
}
