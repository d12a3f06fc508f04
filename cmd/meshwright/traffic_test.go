package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"
	"golang.org/x/tools/txtar"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/fixtures"
)

// TestE2ETraffic proves App Mesh's features on traffic, a case each:
// fixtures/traffic/<topic>_<case>.txtar (fixtures/README.md is their manual).
// Real Envoys take their configuration from a real control plane; explicit
// capture works everywhere, transparent capture needs root.
func TestE2ETraffic(t *testing.T) {
	realPart(t, "envoy")
	t.Run("explicit", func(t *testing.T) {
		traffic(t, "explicit", func(l *lab.Lab) (ground, error) { return newLoopbacks(l), nil })
	})
	t.Run("transparent", func(t *testing.T) {
		needNetworks(t)
		traffic(t, "transparent", newNamespaces)
	})
}

// casesAtOnce is how many cases run beside each other. They wait more than
// they work.
const casesAtOnce = 4

// traffic runs all cases in one mode.
func traffic(t *testing.T, mode string, newGround func(*lab.Lab) (ground, error)) {
	dir := filepath.Join(fixtures.Dir(t), "traffic")
	expectSomething(t, dir)
	var running errgroup.Group
	running.SetLimit(casesAtOnce)
	defer func() { _ = running.Wait() }() // each case has failed by itself
	testscript.RunT(caseT{t, &running}, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                verbs(),
		Condition: func(cond string) (bool, error) {
			if cond != "explicit" && cond != "transparent" {
				return false, fmt.Errorf("no such mode")
			}
			return cond == mode, nil
		},
		Setup: func(env *testscript.Env) error {
			l := newLab(env.T().(caseT).T)
			g, err := newGround(l)
			if err != nil {
				return err
			}
			env.Values[meshKey{}] = &mesh{lab: l, ground: g, dir: env.WorkDir, copies: map[string]int{}, bare: map[string]bool{}, agents: map[string]string{}, names: &lab.Names{}}
			return overlay(filepath.Join(dir, "base"), env.WorkDir)
		},
	})
}

// caseT lets testscript run some cases at once, more than there are
// processors.
type caseT struct {
	*testing.T
	running *errgroup.Group
}

func (t caseT) Parallel()     {}
func (t caseT) Verbose() bool { return testing.Verbose() }
func (t caseT) Run(name string, f func(testscript.T)) {
	t.running.Go(func() error {
		t.T.Run(name, func(inner *testing.T) { f(caseT{inner, t.running}) })
		return nil
	})
}

// expectSomething fails for a case that expects nothing.
func expectSomething(t *testing.T, dir string) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	must(t, err)
	for _, p := range paths {
		a, err := txtar.ParseFile(p)
		must(t, err)
		if !expecting.Match(a.Comment) {
			t.Errorf("%s expects nothing: ask something and write -> and an answer", filepath.Base(p))
		}
	}
}

var expecting = regexp.MustCompile(`(?m)^[^#\n]* -> \S`)

type meshKey struct{}

// verbs of a case's script, but for testscript's own.
func verbs() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){}
	// ready is how far the mesh has to be for a verb.
	add := func(name string, ready func(*mesh, context.Context) error, f func(context.Context, *mesh, []string) error) {
		all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("! %s means nothing: expect what happens instead", name)
			}
			w := ts.Value(meshKey{}).(*mesh)
			ctx := context.Background()
			if ready != nil {
				ts.Check(ready(w, ctx))
			}
			ts.Check(f(ctx, w, args))
		}
	}
	for name := range questions {
		add(name, (*mesh).start, func(ctx context.Context, w *mesh, args []string) error {
			return once(ctx, w, append([]string{name}, args...))
		})
	}
	add("endpoints", nil, several)
	add("issue", nil, issue)
	add("agent", nil, agent)
	add("bare", nil, bare)
	add("written", (*mesh).build, written)
	add("registry", (*mesh).build, registry)
	add("dns", (*mesh).build, dns)
	add("eventually", (*mesh).start, eventually)
	add("split", (*mesh).start, split)
	add("burst", (*mesh).start, burst)
	add("fail", (*mesh).build, fail)
	add("heal", (*mesh).build, onApps(func(s *standIn) error { s.fail(fault{}); return nil }))
	add("stop", (*mesh).build, onApps(func(s *standIn) error { s.stop(); return nil }))
	add("start", (*mesh).build, onApps((*standIn).start))
	add("crash", (*mesh).start, crash)
	add("page", (*mesh).build, page)
	add("attempts", (*mesh).build, attempts)
	add("admin", (*mesh).start, admin)
	add("log", (*mesh).start, log)
	add("apply", (*mesh).start, func(ctx context.Context, w *mesh, _ []string) error { return w.apply(ctx) })
	return all
}

// parted splits what is asked from what is expected.
func parted(args []string) (asked, expected []string, err error) {
	i := slices.Index(args, "->")
	if i < 0 || i == len(args)-1 {
		return nil, nil, errors.New("nothing is expected: write -> and the answer")
	}
	return args[:i], args[i+1:], nil
}

// asking reads VERB ARGS... -> EXPECTED...
func (w *mesh) asking(args []string) (question, []string, error) {
	asked, expected, err := parted(args)
	if err != nil {
		return nil, nil, err
	}
	if len(asked) == 0 || questions[asked[0]] == nil {
		return nil, nil, fmt.Errorf("%q asks nothing; write request, grpc, tcp or websocket", asked)
	}
	ask, err := questions[asked[0]](w, asked[1:])
	return ask, expected, err
}

func once(ctx context.Context, w *mesh, args []string) error {
	ask, expected, err := w.asking(args)
	if err != nil {
		return err
	}
	e, err := newExpectation(expected)
	if err != nil {
		return err
	}
	r, err := ask.timed(ctx)
	if err != nil {
		return err
	}
	return e.check(r)
}

// eventually asks again and again, until the answer is as expected.
func eventually(ctx context.Context, w *mesh, args []string) error {
	ask, expected, err := w.asking(args)
	if err != nil {
		return err
	}
	e, err := newExpectation(expected)
	if err != nil {
		return err
	}
	return lab.Eventually(ctx, 45*time.Second, "the answer", func() error {
		time.Sleep(20 * time.Millisecond) // not as fast as it goes: others need the processors
		r, err := ask.timed(ctx)
		if err != nil {
			return err
		}
		return e.check(r)
	})
}

// split N QUESTION -> NODE P%... asks many times, some at once.
func split(ctx context.Context, w *mesh, args []string) error {
	const workers = 8
	replies, expected, err := w.many(ctx, args, workers, 0)
	if err != nil {
		return err
	}
	return checkShares(replies, expected)
}

// burst N QUESTION -> NxSTATUS... asks all at once, but for the moment that
// makes their order sure.
func burst(ctx context.Context, w *mesh, args []string) error {
	replies, expected, err := w.many(ctx, args, -1, 50*time.Millisecond)
	if err != nil {
		return err
	}
	return checkCounts(replies, expected)
}

func (w *mesh) many(ctx context.Context, args []string, workers int, pause time.Duration) ([]reply, []string, error) {
	if len(args) == 0 {
		return nil, nil, errors.New("how many? write N and a question")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, nil, err
	}
	ask, expected, err := w.asking(args[1:])
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	var replies []reply
	var asking errgroup.Group
	asking.SetLimit(workers)
	for range n {
		asking.Go(func() error {
			r, err := ask.timed(ctx)
			mu.Lock()
			defer mu.Unlock()
			replies = append(replies, r)
			return err
		})
		time.Sleep(pause)
	}
	return replies, expected, asking.Wait()
}

// several (endpoints NODE N) makes a node have several.
func several(_ context.Context, w *mesh, args []string) error {
	if len(args) != 2 || w.built {
		return errors.New("usage, before anything else: endpoints NODE N")
	}
	n, err := strconv.Atoi(args[1])
	w.copies[args[0]] = n
	return err
}

// bare NODE... leaves proxies out: the application is where others look for
// the node.
func bare(_ context.Context, w *mesh, args []string) error {
	if w.built {
		return errors.New("usage, before anything else: bare NODE...")
	}
	for _, name := range args {
		w.bare[name] = true
	}
	return nil
}

// dns HOST ADDRESS... sets a host's addresses: those of endpoints, or nothing;
// MACHINE.6 is its IPv6 address.
func dns(_ context.Context, w *mesh, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: dns HOST NODE...")
	}
	var addrs []netip.Addr
	for _, name := range args[1:] {
		name, six := strings.CutSuffix(name, ".6")
		found := w.called(name)
		if len(found) == 0 {
			return fmt.Errorf("no machine %s", name)
		}
		for _, m := range found {
			if six {
				addrs = append(addrs, w.ground.addr6(m))
			} else {
				addrs = append(addrs, w.ground.addr(m))
			}
		}
	}
	w.names.Set(args[0], addrs...)
	return nil
}

// fail NODE WHAT [xN] makes applications fail.
func fail(_ context.Context, w *mesh, args []string) error {
	if len(args) < 2 {
		return errors.New("usage: fail NODE WHAT [xN]")
	}
	f, err := newFault(args[1:])
	if err != nil {
		return err
	}
	return onApps(func(s *standIn) error { s.fail(f); return nil })(nil, w, args[:1])
}

// page NODE PATH FILE makes applications answer with a file's text.
func page(_ context.Context, w *mesh, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: page NODE PATH FILE")
	}
	text, err := os.ReadFile(filepath.Join(w.dir, args[2]))
	if err != nil {
		return err
	}
	return onApps(func(s *standIn) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pages = map[string][]byte{args[1]: text}
		return nil
	})(nil, w, args[:1])
}

// onApps does something to the applications of nodes.
func onApps(f func(*standIn) error) func(context.Context, *mesh, []string) error {
	return func(_ context.Context, w *mesh, args []string) error {
		for _, name := range args {
			found := w.called(name)
			if len(found) == 0 {
				return fmt.Errorf("no virtual node %s", name)
			}
			for _, m := range found {
				if err := f(m.app); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// crash NODE... ends proxies at once.
func crash(_ context.Context, w *mesh, args []string) error {
	for _, name := range args {
		for _, m := range w.called(name) {
			m.proxy.Kill()
		}
	}
	return nil
}

// attempts NODE -> N compares how many requests have reached a node's
// applications since the last such line. Copies of requests come a moment
// later.
func attempts(_ context.Context, w *mesh, args []string) error {
	asked, expected, err := parted(args)
	if err != nil {
		return err
	}
	if len(asked) != 1 || len(expected) != 1 {
		return errors.New("usage: attempts NODE -> N")
	}
	want, err := strconv.Atoi(expected[0])
	if err != nil {
		return err
	}
	got := 0
	for wait := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		for _, m := range w.called(asked[0]) {
			got += m.app.taken()
		}
		if got >= want || time.Now().After(wait) {
			break
		}
	}
	if got != want {
		return fmt.Errorf("%d requests reached %s, not %d", got, asked[0], want)
	}
	return nil
}

// admin NODE PATH -> PATTERN waits until a page of the admin interface of a
// node's proxy matches a regular expression.
func admin(ctx context.Context, w *mesh, args []string) error {
	return w.matches(ctx, args, "admin NODE PATH -> PATTERN", func(m *machine, path string) (string, error) {
		return m.proxy.Admin(ctx, path)
	})
}

// log NODE FILE -> PATTERN waits until a file that a node's proxy writes
// matches.
func log(ctx context.Context, w *mesh, args []string) error {
	return w.matches(ctx, args, "log NODE FILE -> PATTERN", func(m *machine, file string) (string, error) {
		text, err := os.ReadFile(filepath.Join(proxyFolder(w.lab, m), file))
		return string(text), err
	})
}

func (w *mesh) matches(ctx context.Context, args []string, usage string, read func(m *machine, what string) (string, error)) error {
	asked, expected, err := parted(args)
	if err != nil {
		return err
	}
	if len(asked) != 2 || len(expected) != 1 || len(w.called(asked[0])) == 0 {
		return errors.New("usage: " + usage)
	}
	pattern, err := regexp.Compile("(?m)" + expected[0])
	if err != nil {
		return err
	}
	return lab.Eventually(ctx, 20*time.Second, "a match", func() error {
		text, err := read(w.called(asked[0])[0], asked[1])
		if err == nil && !pattern.MatchString(text) {
			err = fmt.Errorf("no match for %s in\n%s", pattern, text)
		}
		return err
	})
}

// fileName of what a machine's proxy writes.
func fileName(m *machine) string { return strings.ReplaceAll(m.name, "/", "-") }
