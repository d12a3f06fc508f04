// Command meshwright-load measures the way of a change: it makes a repository
// of any shape, runs the daemon on it, connects streams that behave like
// Envoys, pushes a commit, and tells from push to last ACK where the time went,
// beside other control planes that serve the same resources to the same streams.
//
// It knows the daemon only from outside: its command line, its metrics and its
// log. Nothing of it is linked into the product. It needs Linux (/proc) and git.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/peer"
	"github.com/meshwright/meshwright/fixtures/scale"
)

type commands struct {
	Run    runCmd    `cmd:"" default:"withargs" help:"Measure rows: the daemon, and its peers in the same run."`
	Report reportCmd `cmd:"" help:"Print results as Markdown: a table of each row, the aims, and how cost grows."`
	Repo   repoCmd   `cmd:"" help:"Write a repository of specs of some shape, and do nothing with it."`
	Peer   peerCmd   `cmd:"" hidden:"" help:"Be a peer that serves a world (a child of run)."`
}

// shape is a mesh's, as flags.
type shape struct {
	Services int  `help:"Services; each is four resources."`
	Callers  int  `help:"Virtual nodes without a service that call in the place of the services' own."`
	Backends int  `help:"Services that each of them calls."`
	PerFile  int  `help:"Services in a file."`
	CUE      bool `name:"cue" help:"CUE in the place of YAML."`
}

// over returns a mesh with what the flags say in the place of what it has.
func (s shape) over(m scale.Mesh) scale.Mesh {
	if s.Services > 0 {
		m.Services = s.Services
	}
	if s.Callers > 0 {
		m.Callers = s.Callers
	}
	if s.Backends > 0 {
		m.Backends = s.Backends
	}
	if s.PerFile > 0 {
		m.PerFile = s.PerFile
	}
	m.CUE = m.CUE || s.CUE
	return m
}

type repoCmd struct {
	Dir string `arg:"" help:"Folder to write to."`
	shape
}

func (cmd repoCmd) Run() error { return cmd.over(scale.Mesh{}).Write(cmd.Dir) }

type peerCmd struct {
	Kind  string `arg:""`
	World string `arg:""`
}

func (cmd peerCmd) Run(ctx context.Context) error {
	w, err := peer.Load(cmd.World)
	if err != nil {
		return err
	}
	return peer.Serve(ctx, cmd.Kind, w, os.Stdin, os.Stdout)
}

type runCmd struct {
	Rows []string `arg:"" optional:"" name:"row" help:"Rows to measure: ${rows} (all that grow); default: few all start."`
	shape
	Streams    int      `help:"ADS streams."`
	SotW       bool     `name:"sotw" help:"State-of-the-world streams in the place of delta ones."`
	Whole      bool     `name:"whole-routes" help:"Streams that take whole routes, as those of proxies with an older bootstrap."`
	Changes    int      `help:"Commits to measure, one after the other."`
	Peers      []string `enum:"snapshot,linear,floor,none" help:"Peers beside the daemon: ${enum} (the last alone)."`
	Meshwright string   `default:"bin/meshwright" type:"existingfile" help:"The daemon's program."`
	Serve      []string `help:"More flags for the daemon."`
	JSON       string   `name:"json" type:"path" placeholder:"FILE" help:"Write the results as JSON, too."`
	Keep       string   `type:"path" placeholder:"DIR" help:"Work in this folder and leave it (the daemon's log, the repository)."`
}

func (cmd runCmd) Run(ctx context.Context, out io.Writer) error {
	rows, err := cmd.rows()
	if err != nil {
		return err
	}
	var results []Result
	for _, row := range rows {
		r, err := measure(ctx, row, cmd)
		if err != nil {
			return fmt.Errorf("row %s: %w", row.Name, err)
		}
		r.write(out)
		results = append(results, r)
		if cmd.JSON == "" {
			continue
		}
		b, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(cmd.JSON, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// rows are those asked for, with what the flags say otherwise.
func (cmd runCmd) rows() ([]Row, error) {
	names := cmd.Rows
	if len(names) == 0 {
		names = []string{"few", "all", "start"}
	}
	var list []Row
	for _, name := range expand(names) {
		row, ok := rowNamed(name)
		if !ok {
			return nil, fmt.Errorf("no row %q; there are: %s", name, rowNames())
		}
		row.Mesh = cmd.over(row.Mesh)
		if cmd.Streams > 0 {
			row.Streams = cmd.Streams
		}
		if cmd.Changes > 0 {
			row.Changes = cmd.Changes
		}
		row.SotW = row.SotW || cmd.SotW
		row.Whole = row.Whole || cmd.Whole
		switch {
		case len(cmd.Peers) == 1 && cmd.Peers[0] == "none":
			row.Peers = nil
		case len(cmd.Peers) > 0:
			row.Peers = cmd.Peers
		}
		list = append(list, row)
	}
	return list, nil
}

func main() {
	var cli commands
	k := kong.Parse(&cli, kong.Name("meshwright-load"), kong.Description("Measure the way of a change under load."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Vars{"rows": rowNames()})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	k.BindTo(os.Stdout, (*io.Writer)(nil))
	k.FatalIfErrorf(k.Run())
}
