package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/report"
)

// rolloutCmd says something to a rollout of a running daemon.
type rolloutCmd struct {
	api
	Verb      string        `arg:"" enum:"pause,resume,abort,promote,approve,retry" help:"pause, resume, abort, promote, approve or retry."`
	Name      string        `arg:"" help:"The Rollout: NAMESPACE/NAME, or NAME where only one has it."`
	Reason    string        `placeholder:"TEXT" help:"Why, for the history and the pull request."`
	TokenFile string        `type:"path" placeholder:"FILE" help:"Token of the daemon's API (or $$MESHWRIGHT_TOKEN)."`
	Wait      time.Duration `default:"10s" help:"How long to wait until every proxy has what follows; exit code 1 if some have not by then."`
}

// Help is shown below the usage.
func (rolloutCmd) Help() string {
	return `What to say:

	pause      stay at this step; it is judged all the same, and goes back if it fails
	resume     go on; one that was held after a failure begins its step anew
	abort      back to the base at once, whatever else was said
	promote    everything now, without the steps that are left
	approve    open the gate that waits for a person
	retry      begin anew one that went back

The row that follows is printed once every proxy has it.

Examples:

	meshwright get rollouts
	meshwright rollout pause shop/api --reason "the warehouse counts"
	meshwright rollout abort api --token-file /run/secrets/token
`
}

func (cmd rolloutCmd) Run(ctx context.Context, c console) error {
	ctx, cancel := context.WithTimeout(ctx, cmd.Wait+10*time.Second)
	defer cancel()
	token, err := secret(cmd.TokenFile, "MESHWRIGHT_TOKEN")
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	if token == "" {
		return usageError{errors.New("a token is needed: --token-file or $MESHWRIGHT_TOKEN")}
	}
	before, err := cmd.fetch(ctx, "rollouts", "")
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"reason": cmd.Reason})
	if err != nil {
		return err
	}
	var segments []string
	for s := range strings.SplitSeq(cmd.Name, "/") {
		segments = append(segments, url.PathEscape(s))
	}
	path := "rollouts/" + strings.Join(append(segments, cmd.Verb), "/")
	answer, code, err := cmd.do(ctx, http.MethodPost, path, string(token), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if code != http.StatusAccepted {
		return errors.New(strings.TrimSpace(string(answer)))
	}
	after, open, err := cmd.effect(ctx, before)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	if err := rolloutsTable(table, after); err != nil {
		return fmt.Errorf("answer of %s: %w", cmd.Server, err)
	}
	if err := table.Flush(); err != nil || open == "" {
		return err
	}
	return fmt.Errorf("the daemon was told, and after %s %s; `meshwright get rollouts %s` shows when", cmd.Wait, open, cmd.Name)
}

// heard are the words by which a history says that a verb was heard.
var heard = map[string]string{
	"pause": "paused by ", "resume": "resumed by ", "abort": "aborted by ", "promote": "promoted by ", "approve": "approved by ", "retry": "resumed by ",
}

// effect waits until the daemon has heard the verb and every proxy has what
// follows, but no longer than --wait. It returns the rollouts of that name as
// they are then, and what is still open; empty: nothing.
func (cmd rolloutCmd) effect(ctx context.Context, before []byte) (rows []byte, open string, err error) {
	was, err := cmd.named(before)
	if err != nil {
		return nil, "", err
	}
	for patience := time.Now().Add(cmd.Wait); ; {
		body, err := cmd.fetch(ctx, "rollouts", "")
		if err != nil {
			return nil, "", err
		}
		is, err := cmd.named(body)
		if err != nil {
			return nil, "", err
		}
		open = cmd.open(was, is)
		if open == "" || !time.Now().Before(patience) {
			rows, err = json.Marshal(follows(was, is))
			return rows, open, err
		}
		select {
		case <-ctx.Done():
			return nil, "", context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// follows are the rows that a verb has moved; where none shows it yet, those that may
// still do.
func follows(was, is []reconciler.RolloutView) []reconciler.RolloutView {
	still := func(v reconciler.RolloutView) bool {
		return slices.ContainsFunc(was, func(old reconciler.RolloutView) bool {
			return old.Name == v.Name && old.Pull == v.Pull && old.Began.Equal(v.Began) && len(old.History) == len(v.History)
		})
	}
	past := func(v reconciler.RolloutView) bool { return v.Past }
	if moved := slices.DeleteFunc(slices.Clone(is), still); len(moved) > 0 {
		return moved
	}
	return slices.DeleteFunc(slices.Clone(is), past)
}

// open is what there is to wait for.
func (cmd rolloutCmd) open(was, is []reconciler.RolloutView) string {
	if !lastHeard(is, heard[cmd.Verb]).After(lastHeard(was, heard[cmd.Verb])) && (cmd.Verb != "retry" || !lastBegun(is).After(lastBegun(was))) {
		return "it does not show yet"
	}
	for _, v := range is {
		switch v.Phase {
		case canary.Moving, canary.Promoting, canary.RollingBack:
			return "not every proxy has it yet"
		}
	}
	return ""
}

func lastHeard(views []reconciler.RolloutView, words string) (at time.Time) {
	for _, v := range views {
		for _, e := range v.History {
			if strings.Contains(e.Reason, words) && e.At.After(at) {
				at = e.At
			}
		}
	}
	return at
}

func lastBegun(views []reconciler.RolloutView) (at time.Time) {
	for _, v := range views {
		if v.Began.After(at) {
			at = v.Began
		}
	}
	return at
}

// named keeps the rollouts that the name means.
func (cmd rolloutCmd) named(body []byte) (out []reconciler.RolloutView, err error) {
	var all []reconciler.RolloutView
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("answer of %s: %w", cmd.Server, err)
	}
	for _, r := range all {
		if r.Name == cmd.Name || strings.HasSuffix(r.Name, "/"+cmd.Name) {
			out = append(out, r)
		}
	}
	return out, nil
}

func rolloutsTable(w io.Writer, body []byte) error {
	return rows(w, body, "NAME\tCOMMIT\tPHASE\tSTEP\tWEIGHT\tLINE", func(r reconciler.RolloutView) []any {
		commit, phase, step, weight := report.Short(r.Target), string(r.Phase), "", ""
		if r.Pull != 0 {
			commit += fmt.Sprintf(" (#%d)", r.Pull)
		}
		if r.Phase != "" {
			step = fmt.Sprintf("%d/%d", r.Step, r.Steps)
			weight = fmt.Sprintf("%g %%", r.Weight)
		}
		if r.Past {
			phase += " (past)"
		}
		return []any{r.Name, commit, phase, step, weight, r.Line}
	})
}
