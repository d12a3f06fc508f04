package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/web"
	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
)

// steered is a daemon with one rollout, which does what it is told: what has to
// reach proxies takes it a while, and a resume it never hears.
type steered struct {
	mu    sync.Mutex
	view  reconciler.View
	then  canary.Phase // what comes after some looks
	looks int
}

func (s *steered) View() *reconciler.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looks--; s.looks == 0 {
		r := s.view.Rollouts[0]
		r.Phase, r.Line = s.then, string(s.then)
		s.view.Rollouts = []reconciler.RolloutView{r, s.view.Rollouts[1]}
	}
	v := s.view
	return &v
}

func (s *steered) Say(rollout string, verb canary.Verb, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rollout != "appserver" && rollout != "yelb/appserver" {
		return errors.New("there is no rollout " + rollout + reconciler.Instead(s.view.Rollouts, rollout))
	}
	r := s.view.Rollouts[0]
	note := func(words string) {
		r.History = append(r.History, reconciler.RolloutEvent{At: time.Now(), Phase: r.Phase, Reason: words})
	}
	switch verb {
	case canary.Pause:
		r.Phase, r.Line = canary.Paused, "25 % · paused by "+by
		note("paused by " + by)
	case canary.Promote:
		r.Phase, r.Line, s.then, s.looks = canary.Promoting, "promoting", canary.Completed, 3
		note("promoted by " + by)
	case canary.Abort: // one proxy is far away
		r.Phase, r.Line = canary.RollingBack, "rolling back"
		note("aborted by " + by)
	case canary.Resume:
		note("the step has passed") // which is not about it
	}
	s.view.Rollouts = []reconciler.RolloutView{r, s.view.Rollouts[1]}
	return nil
}

func TestRolloutCommand(t *testing.T) {
	t.Setenv("MESHWRIGHT_TOKEN", "")
	tokens, err := web.ParseTokens(apiToken + " ops")
	must(t, err)
	for _, row := range []struct {
		name     string
		tokens   web.Tokens
		token    string
		args     []string
		code     int
		out, err string
	}{
		{"paused", tokens, apiToken + "\n", []string{"pause", "yelb/appserver", "--reason", "lunch"}, 0,
			"NAME COMMIT PHASE STEP WEIGHT LINE yelb/appserver 9a31f02 paused 2/3 25 % 25 % · paused by ops@127.0.0.1: lunch", ""},
		{"by_its_name_alone", tokens, apiToken, []string{"pause", "appserver"}, 0,
			"NAME COMMIT PHASE STEP WEIGHT LINE yelb/appserver 9a31f02 paused 2/3 25 % 25 % · paused by ops@127.0.0.1", ""},
		{"the_row_that_follows", tokens, apiToken, []string{"promote", "appserver"}, 0,
			"NAME COMMIT PHASE STEP WEIGHT LINE yelb/appserver 9a31f02 completed 2/3 25 % completed", ""},
		{"not_all_proxies", tokens, apiToken, []string{"abort", "appserver", "--wait", "100ms"}, 1,
			"NAME COMMIT PHASE STEP WEIGHT LINE yelb/appserver 9a31f02 rolling-back 2/3 25 % rolling back",
			"meshwright: the daemon was told, and after 100ms not every proxy has it yet; `meshwright get rollouts appserver` shows when"},
		{"not_heard", tokens, apiToken, []string{"resume", "appserver", "--wait", "100ms"}, 1,
			"NAME COMMIT PHASE STEP WEIGHT LINE yelb/appserver 9a31f02 watching 2/3 25 % 25 %", "after 100ms it does not show yet"},
		{"another_name", tokens, apiToken, []string{"abort", "web"}, 1, "", "meshwright: there is no rollout web, but yelb/appserver, yelb/ui"},
		{"misspelled", tokens, apiToken, []string{"abort", "yelb/apserver"}, 1, "", "meshwright: there is no rollout yelb/apserver; did you mean yelb/appserver?"},
		{"misspelled_alone", tokens, apiToken, []string{"abort", "appsever"}, 1, "", "meshwright: there is no rollout appsever; did you mean yelb/appserver?"},
		{"no_token", tokens, "", []string{"abort", "appserver"}, 2, "", "meshwright: a token is needed: --token-file or $MESHWRIGHT_TOKEN"},
		{"a_wrong_token", tokens, apiToken + "x", []string{"abort", "appserver"}, 1, "", "meshwright: the token is none of this daemon's"},
		{"a_daemon_without_tokens", nil, apiToken, []string{"abort", "appserver"}, 1, "", "meshwright: this daemon takes no writes: it has no API token; start it with --api-token-file or $MESHWRIGHT_API_TOKEN"},
		{"no_such_verb", tokens, apiToken, []string{"stop", "appserver"}, 2, "", `must be one of "pause","resume","abort","promote","approve","retry" but got "stop"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := &steered{view: reconciler.View{Rollouts: []reconciler.RolloutView{
				{Name: "yelb/appserver", Target: "9a31f02cc7d5", Phase: canary.Watching, Step: 2, Steps: 3, Weight: 25, Line: "25 %"}, {Name: "yelb/ui", Target: "9a31f02cc7d5"}}}}
			server := httptest.NewServer(web.Handler(d, web.Config{Metrics: prometheus.NewRegistry(), Tokens: row.tokens, Logger: slog.New(slog.DiscardHandler)}))
			defer server.Close()
			args := append([]string{"rollout"}, row.args...)
			if row.token != "" {
				file := filepath.Join(t.TempDir(), "token")
				must(t, os.WriteFile(file, []byte(row.token), 0o600))
				args = append(args, "--token-file", file)
			}
			var out, errs bytes.Buffer
			code := run(append(args, "--server", server.URL), console{out: &out, err: &errs})
			if got := strings.Join(strings.Fields(out.String()), " "); code != row.code || got != row.out || !strings.Contains(errs.String(), row.err) {
				t.Errorf("exit code %d\n%s\n%s\nwant %d\n%s\n%s", code, got, &errs, row.code, row.out, row.err)
			}
			if strings.Contains(out.String()+errs.String(), apiToken) {
				t.Error("it prints the token")
			}
		})
	}
}

// TestOpenTokens: what is wrong with the daemon's tokens is told by where they
// come from.
func TestOpenTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	must(t, os.WriteFile(file, []byte("hunter2"), 0o600))
	t.Setenv("MESHWRIGHT_API_TOKEN", "")
	for name, row := range map[string]struct {
		cmd  serveCmd
		env  string
		want string
	}{
		"none":          {},
		"in_the_shell":  {env: apiToken},
		"short":         {cmd: serveCmd{APITokenFile: file}, want: file + ": line 1: a token needs 16 characters"},
		"short_in_env":  {env: "hunter2", want: "$MESHWRIGHT_API_TOKEN: line 1: a token needs 16 characters"},
		"no_such_file":  {cmd: serveCmd{APITokenFile: file + "x"}, want: "--api-token-file: open "},
		"file_over_env": {cmd: serveCmd{APITokenFile: file}, env: apiToken, want: file + ": line 1"},
	} {
		t.Setenv("MESHWRIGHT_API_TOKEN", row.env)
		_, err := openTokens(row.cmd)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.HasPrefix(err.Error(), row.want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v, want %s", name, err, row.want)
		}
	}
}

// TestFollows: of several runs of one name, those that a verb has moved are printed.
func TestFollows(t *testing.T) {
	row := func(target string, events int, past bool) reconciler.RolloutView {
		return reconciler.RolloutView{Name: "yelb/ui", Target: target, Began: time.Unix(int64(len(target)), 0), Past: past, History: make([]reconciler.RolloutEvent, events)}
	}
	was := []reconciler.RolloutView{row("old", 4, true), row("newest", 2, false)}
	for name, c := range map[string]struct {
		is   []reconciler.RolloutView
		want string
	}{
		"moved":     {[]reconciler.RolloutView{row("old", 4, true), row("newest", 3, false)}, "newest"},
		"anew":      {[]reconciler.RolloutView{row("old", 4, true), row("newest", 2, false), row("another", 1, false)}, "another"},
		"not_heard": {was, "newest"},
	} {
		var got []string
		for _, v := range follows(was, c.is) {
			got = append(got, v.Target)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
}
