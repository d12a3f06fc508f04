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
	"strings"
	"text/tabwriter"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/report"
)

// rolloutCmd says something to a rollout of a running daemon.
type rolloutCmd struct {
	api
	Verb      string `arg:"" enum:"pause,resume,abort,promote,approve,retry" help:"pause (stay at this step), resume, abort (back to the base at once), promote (skip the steps that are left), approve (open the gate that waits for a person) or retry (one that went back, anew)."`
	Name      string `arg:"" help:"The Rollout: NAMESPACE/NAME, or NAME where only one has it."`
	Reason    string `help:"Why, for the history and the pull request."`
	TokenFile string `type:"path" placeholder:"FILE" help:"Token of the daemon's API (or $$MESHWRIGHT_TOKEN)."`
}

func (cmd rolloutCmd) Run(ctx context.Context, c console) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
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
	after, err := cmd.effect(ctx, before)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	if err := rolloutsTable(table, after); err != nil {
		return fmt.Errorf("answer of %s: %w", cmd.Server, err)
	}
	return table.Flush()
}

// effect waits until the daemon shows what it was told, and returns the
// rollouts of that name as they are then. A daemon that is busy has taken it in
// all the same.
func (cmd rolloutCmd) effect(ctx context.Context, before []byte) ([]byte, error) {
	was, err := cmd.named(before)
	if err != nil {
		return nil, err
	}
	for patience := time.Now().Add(3 * time.Second); ; {
		body, err := cmd.fetch(ctx, "rollouts", "")
		if err != nil {
			return nil, err
		}
		is, err := cmd.named(body)
		if err != nil {
			return nil, err
		}
		if events(is) != events(was) || time.Now().After(patience) {
			return json.Marshal(is)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
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

// events tells apart what has happened to rollouts.
func events(views []reconciler.RolloutView) string {
	var b strings.Builder
	for _, v := range views {
		fmt.Fprintln(&b, v.Target, v.Began, len(v.History), v.Phase)
	}
	return b.String()
}

func rolloutsTable(w io.Writer, body []byte) error {
	return rows(w, body, "NAME\tCOMMIT\tPHASE\tSTEP\tWEIGHT\tLINE", func(r reconciler.RolloutView) []any {
		commit, step, weight := report.Short(r.Target), "", ""
		if r.Pull != 0 {
			commit += fmt.Sprintf(" (#%d)", r.Pull)
		}
		if r.Phase != "" {
			step = fmt.Sprintf("%d/%d", r.At(), r.Steps)
			weight = fmt.Sprintf("%g %%", r.Weight)
		}
		return []any{r.Name, commit, r.Phase, step, weight, r.Line}
	})
}
