package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/xds"
)

type getCmd struct {
	api
	What   string `arg:"" enum:"proxies,commits,pulls,rollouts,resources" help:"proxies, commits, pulls, rollouts or resources."`
	Name   string `arg:"" optional:"" help:"Only those whose name holds this text."`
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// Help is shown below the usage.
func (getCmd) Help() string {
	return `What there is to ask for, and what a name is looked for in:

	proxies      who is connected, and which commit each has: its ID, what it stands for
	commits      verdicts on the branch and on pull requests: the commit, its title
	pulls        pull requests with their plans: the number, the head, the title
	rollouts     canaries, the step each is at and why: NAMESPACE/NAME, the commit to come
	resources    what is served: KIND/NAMESPACE/NAME, the name in App Mesh

Examples:

	meshwright get rollouts
	meshwright get rollouts shop/api -o json     # its history and evidence too
	meshwright get proxies mesh/shop/virtualNode/api_shop
`
}

func (cmd getCmd) Run(ctx context.Context, c console) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := cmd.fetch(ctx, cmd.What, cmd.Name)
	if err != nil {
		return err
	}
	if cmd.Output == "json" {
		_, err := c.out.Write(body)
		return err
	}
	if none, err := cmd.none(ctx, body); none != "" || err != nil {
		fmt.Fprint(c.err, none)
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	if err := tables[cmd.What](table, body); err != nil {
		return fmt.Errorf("answer of %s: %w", cmd.Server, err)
	}
	if err := table.Flush(); err != nil || cmd.What != "commits" {
		return err
	}
	return cmd.source(ctx, c)
}

// none says that there is nothing to show, and what the name may have meant.
func (cmd getCmd) none(ctx context.Context, body []byte) (string, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil || len(list) > 0 {
		return "", nil // what is no list, the table tells
	}
	if cmd.Name == "" {
		return "there are no " + cmd.What + "\n", nil
	}
	text := fmt.Sprintf("there are no %s whose name holds %q", cmd.What, cmd.Name)
	if cmd.What != "rollouts" {
		return text + "\n", nil
	}
	all, err := cmd.fetch(ctx, cmd.What, "")
	if err != nil {
		return "", err
	}
	var views []reconciler.RolloutView
	if err := json.Unmarshal(all, &views); err != nil {
		return "", fmt.Errorf("answer of %s: %w", cmd.Server, err)
	}
	return text + reconciler.Instead(views, cmd.Name) + "\n", nil
}

// source says, below the commits, that there may be newer ones which the daemon
// cannot see.
func (cmd getCmd) source(ctx context.Context, c console) error {
	body, err := cmd.fetch(ctx, "source", "")
	if err != nil {
		return err
	}
	var s reconciler.SourceView
	if err := json.Unmarshal(body, &s); err != nil {
		return fmt.Errorf("answer of %s: %w", cmd.Server, err)
	}
	if s.Error != "" {
		fmt.Fprintf(c.err, "the branch is not readable since %s: %s\n", s.Since.UTC().Format(time.DateTime+" UTC"), oneLine(s.Error))
	}
	return nil
}

// tables print an answer of the API as rows.
var tables = map[string]func(io.Writer, []byte) error{
	"proxies":   proxiesTable,
	"commits":   commitsTable,
	"pulls":     pullsTable,
	"rollouts":  rolloutsTable,
	"resources": resourcesTable,
}

// rows decodes a list and prints a row for each of its members.
func rows[T any](w io.Writer, body []byte, header string, row func(T) []any) error {
	var list []T
	if err := json.Unmarshal(body, &list); err != nil {
		return err
	}
	fmt.Fprintln(w, header)
	for _, v := range list {
		cells := make([]string, 0, 8)
		for _, cell := range row(v) {
			cells = append(cells, oneLine(fmt.Sprint(cell)))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return nil
}

// oneLine keeps what strangers wrote (a commit's title, a proxy's message) in
// its cell: no tabs, line breaks or control characters of terminals.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

func resourcesTable(w io.Writer, body []byte) error {
	return rows(w, body, "RESOURCE\tMESH\tAPP MESH NAME\tDEFINED AT", func(r reconciler.ResourceView) []any {
		return []any{r.Ref, r.Mesh, r.AWSName, r.Pos}
	})
}

func proxiesTable(w io.Writer, body []byte) error {
	return rows(w, body, "PROXY\tSTANDS FOR\tCAPTURE\tXDS\tDESIRED\tAPPLIED\tHEALTHY\tNOTE", func(p reconciler.ProxyView) []any {
		capture := xds.Capture{Explicit: p.Explicit, Proxyless: p.Proxyless}.Mode()
		notes := []string{}
		if p.Note != "" {
			notes = append(notes, p.Note)
		}
		for t := range xds.Type(xds.NumTypes) {
			if n := p.Types[t].NACK; n != nil {
				notes = append(notes, fmt.Sprintf("refuses %s of %s: %s", t, report.Short(n.Commit), n.Message))
			}
		}
		for _, e := range p.Endpoints {
			if lack := e.Lack(); lack != "" {
				notes = append(notes, lack)
			}
		}
		return []any{p.ID, p.Identity, capture, p.Protocol, p.Should, p.Has, p.Healthy(), strings.Join(notes, "; ")}
	})
}

func commitsTable(w io.Writer, body []byte) error {
	return rows(w, body, "COMMIT\tTITLE\tCHECK\tAPPLIED\tHEALTH\tFIRST MISTAKE", func(v reconciler.CommitView) []any {
		name, applied, health, first := report.Short(v.Commit), "", "", ""
		switch {
		case v.Serving:
			name += " (serving)"
		case !v.Branch:
			name += " (" + origin(v) + ")"
		}
		if v.Applied != nil {
			applied = v.Applied.Description
			if caveat := v.Caveat(); caveat != "" {
				applied += "; " + caveat
			}
		}
		if v.Health != nil {
			health = v.Health.Description
		}
		if errs := v.Diagnostics.Errors(); len(errs) > 0 {
			first = errs[0].String()
		} else if v.Result == reconciler.Bad { // no mistake of a file: a conflict
			for _, s := range v.Statuses {
				if strings.HasSuffix(s.Context, "/"+report.KindCheck) {
					first = s.Description
				}
			}
		}
		return []any{name, v.Title, v.Result, applied, health, first}
	})
}

// origin says whose head a commit is that stands among those of the branch.
func origin(v reconciler.CommitView) string {
	var names []string
	for _, n := range v.Pulls {
		names = append(names, fmt.Sprintf("PR #%d", n))
	}
	if v.Group {
		names = append(names, "merge queue")
	}
	if len(names) == 0 {
		return "former PR"
	}
	return strings.Join(names, ", ")
}

func pullsTable(w io.Writer, body []byte) error {
	return rows(w, body, "PULL REQUEST\tHEAD\tTITLE\tVERDICT\tRISKS", func(p reconciler.PullView) []any {
		name, risks := fmt.Sprint(p.Number), ""
		switch {
		case p.Merged:
			name += " (merged)"
		case !p.Open:
			name += " (closed)"
		}
		if p.Report != nil && p.Report.Plan != nil && len(p.Report.Plan.Risks) > 0 {
			risks = p.Report.Plan.Risks[0].Text
			if more := len(p.Report.Plan.Risks) - 1; more > 0 {
				risks += fmt.Sprintf(" (+%d more)", more)
			}
		}
		return []any{name, report.Short(p.Head), p.Title, p.Verdict, risks}
	})
}
