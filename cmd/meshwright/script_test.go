package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts (and the CUE sandbox) run this test binary as the
// meshwright command.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"meshwright": func() { os.Exit(run(os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr})) },
	})
}

// TestScripts runs fixtures/cli/<command>_<case>.txtar: what a person types,
// what is printed where, and the exit code. UPDATE=1 rewrites what is compared.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "fixtures", "cli"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":    ready,
			"eventual": eventual,
		},
		Setup: func(env *testscript.Env) error {
			examples, err := filepath.Abs(filepath.Join("..", "..", "fixtures", "app-mesh-examples"))
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLES", examples)
			// Commits of scripts are the same everywhere.
			for k, v := range map[string]string{
				"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_AUTHOR_DATE": "2026-10-01T12:00:00Z",
				"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com", "GIT_COMMITTER_DATE": "2026-10-01T12:00:00Z",
				"GIT_CONFIG_NOSYSTEM": "1", "HOME": env.WorkDir,
			} {
				env.Setenv(k, v)
			}
			return nil
		},
	})
}

var readyLine = regexp.MustCompile(`ready: xds (\S+) http (\S+) commit`)

// ready FILE waits until a daemon has printed its line into FILE, and sets
// $XDS and $HTTP to its addresses.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	within(ts, func() bool {
		out, _ := os.ReadFile(ts.MkAbs(args[0]))
		m := readyLine.FindSubmatch(out)
		if m == nil {
			return false
		}
		ts.Setenv("XDS", string(m[1]))
		ts.Setenv("HTTP", string(m[2]))
		return true
	}, "the daemon is not ready")
}

// eventual PATTERN COMMAND... runs the command until its output matches.
func eventual(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventual PATTERN COMMAND...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var out []byte
	within(ts, func() bool {
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
		out, _ = cmd.CombinedOutput() // a failure is not yet a match
		return pattern.Match(out)
	}, "no match for "+args[0])
	ts.Logf("%s", out)
}

// within polls: what a script waits for happens in another process.
func within(ts *testscript.TestScript, done func() bool, otherwise string) {
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s after 30 s", otherwise)
		}
	}
}
