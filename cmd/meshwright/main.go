// Command meshwright makes a git repository the control plane of an Envoy mesh.
//
// This file is the table of contents: what commands there are and how their
// outcomes become exit codes (0 good, 1 the spec or the operation failed, 2 bad
// usage). Each command is a thin file of its own over functions that the daemon
// calls too.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands of the binary, in the order in which help shows them.
type commands struct {
	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Check     checkCmd     `cmd:"" help:"Load and validate a tree of specs."`
	Plan      planCmd      `cmd:"" help:"Say what a change of the specs would do to live traffic: routes, proxies, risks."`
	Xds       xdsCmd       `cmd:"" help:"Print the xDS resources that a proxy would get, as JSON."`
	Route     routeCmd     `cmd:"" help:"Explain which route a request takes and which virtual nodes get which share."`
	Bootstrap bootstrapCmd `cmd:"" help:"Print the bootstrap of an Envoy or of a proxyless gRPC client."`
	Serve     serveCmd     `cmd:"" help:"Run the daemon: watch a repository, serve xDS, write back what is observed."`
	Get       getCmd       `cmd:"" help:"Ask a running daemon about its proxies, commits, pull requests, rollouts or resources."`
	Rollout   rolloutCmd   `cmd:"" help:"Pause, resume, abort, promote, approve or retry a rollout of a running daemon."`
	Schema    schemaCmd    `cmd:"" help:"Export the schema of the specs."`
	Import    importCmd    `cmd:"" help:"Turn App Mesh objects of AWS (API answers, CloudFormation, Terraform) into specs."`
	Demo      demoCmd      `cmd:"" help:"Run the whole story on this machine with real Envoys."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
	EvalCUE   evalCUECmd   `cmd:"" name:"eval-cue" hidden:"" help:"Evaluate CUE files from standard input (the sandbox child of check and serve)."`
}

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// errFailed is the failure of a command that has said why already.
var errFailed = errors.New("failed")

// usageError is a mistake in how a command was called: exit code 2.
type usageError struct{ error }

// exit carries kong's wish to end (after --help) out of its parser.
type exit struct{ code int }

func main() { os.Exit(run(os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr})) }

func run(args []string, c console) (code int) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case exit:
			code = e.code
		default:
			panic(e)
		}
	}()
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:len(args):len(args)], "--help")
	}
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("meshwright"),
		kong.Description("A git repository as the control plane of an Envoy mesh."),
		kong.Writers(c.out, c.err),
		kong.Exit(func(code int) { panic(exit{code}) }),
		kong.Configuration(loadConfig),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.UsageOnError(),
		kong.Vars{"version": "meshwright " + version()},
	)
	if err != nil {
		panic(err) // the struct above is wrong: a test runs this
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(c.err, "meshwright: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	kctx.BindTo(ctx, (*context.Context)(nil))
	kctx.Bind(c)
	switch err := kctx.Run(); {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return 1
	case errors.As(err, new(usageError)):
		fmt.Fprintf(c.err, "meshwright: %v\n", err)
		return 2
	default:
		fmt.Fprintf(c.err, "meshwright: %v\n", err)
		return 1
	}
}
