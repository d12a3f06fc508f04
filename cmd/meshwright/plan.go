package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/git"
	"github.com/meshwright/meshwright/xds/certs"
	"github.com/meshwright/meshwright/xds/translate"
)

type planCmd struct {
	Path    string `arg:"" optional:"" help:"Directory (or file) of the specs, in a git work tree (default: the current one)."`
	From    string `placeholder:"REV" help:"The revision before the change (default: the branch that the repository was cloned from, as origin/main, else main)."`
	To      string `placeholder:"REV" help:"The revision after it (default: the work tree)."`
	FromDir string `placeholder:"DIR" help:"The directory before the change, in place of a revision; with --to-dir."`
	ToDir   string `placeholder:"DIR" help:"The directory after it."`
	Format  string `short:"o" enum:"text,markdown,json" default:"text" help:"How to print the plan: ${enum}."`
	Server  string `placeholder:"URL" help:"A running daemon, to count the proxies that are connected to it, and to tell what is on its way by Rollouts that change."`

	Certificates certificates `placeholder:"FILE" help:"Certificate settings, as the daemon has them: what stands for ARNs of AWS Certificate Manager. No certificate is read."`
}

func (cmd planCmd) Run(ctx context.Context, c console) error {
	from, to, err := cmd.sides()
	if err != nil {
		return err
	}
	if cmd.FromDir == "" && cmd.From == "" && cmd.Format == "markdown" { // the other formats have it
		fmt.Fprintf(c.err, "comparing %s with %s\n", from.name, to.name)
	}
	load := newLoad(cmd.Certificates.Mapping())
	before, err := cmd.side(ctx, c, load, from, nil)
	if err != nil {
		return err
	}
	after, err := cmd.side(ctx, c, load, to, before.State)
	if err != nil {
		return err
	}
	seen := plan.Observed{Now: time.Now()}
	if cmd.Server != "" {
		if err := errors.Join(list(ctx, cmd.Server, "proxies", &seen.Proxies), list(ctx, cmd.Server, "rollouts", &seen.Rollouts)); err != nil {
			return err
		}
	}
	p := plan.New(before, after, seen)
	if cmd.FromDir == "" {
		p.Within(to.prefix)
	}
	return planFormats[cmd.Format](c.out, p)
}

// planFormats print a plan.
var planFormats = map[string]func(io.Writer, *plan.Plan) error{
	"text": func(w io.Writer, p *plan.Plan) error {
		_, err := io.WriteString(w, p.String())
		return err
	},
	"markdown": func(w io.Writer, p *plan.Plan) error {
		_, err := io.WriteString(w, report.PlanMarkdown(p, ""))
		return err
	},
	"json": func(w io.Writer, p *plan.Plan) error { return printJSON(w, p) },
}

// planSide is where one side of a plan is read from.
type planSide struct {
	tree
	which  string // from or to
	name   string // for people
	prefix string // before the names of its files
	none   bool   // there is no such folder at the revision: nothing is there yet
}

// sides finds both: two folders, or revisions of the repository around the
// path; the latter of them may be the work tree.
func (cmd planCmd) sides() (from, to planSide, err error) {
	from, to = planSide{which: "from"}, planSide{which: "to"}
	if cmd.FromDir != "" || cmd.ToDir != "" {
		switch {
		case cmd.FromDir == "" || cmd.ToDir == "":
			return from, to, usageError{errors.New("--from-dir and --to-dir belong together")}
		case cmd.From != "" || cmd.To != "":
			return from, to, usageError{errors.New("--from-dir and --to-dir are folders in the place of the revisions --from and --to")}
		case cmd.Path != "":
			return from, to, usageError{fmt.Errorf("%s: --from-dir and --to-dir name the folders already", cmd.Path)}
		}
		from.Path, from.name = cmd.FromDir, cmd.FromDir
		to.Path, to.name = cmd.ToDir, cmd.ToDir
		return from, to, nil
	}
	from.Path = cmp.Or(cmd.Path, ".")
	to.Path = from.Path
	from.Git, to.Git = cmd.From, cmd.To
	if from.Git == "" {
		if from.Git, err = git.DefaultBranch(from.Path); err != nil {
			return from, to, err
		}
	}
	for _, s := range []*planSide{&from, &to} {
		if s.Git == "" {
			s.name = "the work tree"
			if _, s.prefix, err = s.open(); err != nil {
				return from, to, err
			}
			continue
		}
		rev, dir, err := s.revision()
		switch s.none = errors.Is(err, sources.ErrNoPath) && s.which == "from"; {
		case s.none:
			s.name = s.Git
			continue
		case err != nil:
			return from, to, fmt.Errorf("--%s: %w", s.which, err)
		}
		s.prefix, s.name = dir, s.Git
		if !strings.HasPrefix(rev.Commit, s.Git) {
			s.name += " (" + report.Short(rev.Commit) + ")"
		}
	}
	return from, to, nil
}

// side loads one side; of one that does not load, the mistakes are printed.
func (cmd planCmd) side(ctx context.Context, c console, load reconciler.Load, s planSide, prev *translate.Snapshot) (side plan.Side, err error) {
	side.Name = s.name
	if s.none {
		fmt.Fprintf(c.err, "%s has nothing at %s: all of it is new\n", s.name, s.Path)
		return side, nil
	}
	files, prefix, err := s.open()
	if err != nil {
		return side, fmt.Errorf("--%s: %w", s.which, err)
	}
	r, err := load(ctx, files)
	if err != nil {
		return side, fmt.Errorf("--%s: %w", s.which, err)
	}
	if r.Spec == nil {
		fmt.Fprintf(c.err, "meshwright: the side --%s, %s, does not load:\n", s.which, s.name)
		for _, d := range r.Diagnostics.Errors() {
			fmt.Fprintln(c.err, d.Within(prefix))
		}
		return side, errFailed
	}
	specimens, err := certs.Specimens(cmd.Certificates.Settings, r.Spec)
	if err != nil {
		return side, err
	}
	side.Spec = r.Spec
	side.State = translate.New(translate.Inputs{Commit: s.name, Spec: r.Spec, Certificates: specimens}, prev)
	return side, nil
}

// list asks a running daemon for one.
func list[T any](ctx context.Context, server, what string, into *[]T) error {
	body, err := api{Server: server}.fetch(ctx, what, "")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("answer of %s: %w", server, err)
	}
	return nil
}
