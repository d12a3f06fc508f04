package main

import (
	"context"
	"os"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
)

type demoCmd struct {
	Keep     bool   `help:"Leave everything running until Ctrl-C."`
	Requests int    `default:"2000" help:"Requests to measure each split with."`
	Envoy    string `type:"path" placeholder:"FILE" help:"The Envoy binary (default: $$ENVOY, PATH, .tools/bin)."`
}

func (cmd demoCmd) Run(ctx context.Context, c console) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return demo.Run(ctx, demo.Config{Out: c.out, Meshwright: exe, Envoy: cmd.Envoy, Keep: cmd.Keep, Requests: cmd.Requests})
}
