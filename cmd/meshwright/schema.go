package main

import "github.com/meshwright/meshwright/schema"

type schemaCmd struct {
	Format string `enum:"cue,jsonschema" default:"cue" help:"Of the export: ${enum}."`
}

func (cmd schemaCmd) Run(c console) error {
	out := schema.CUE()
	if cmd.Format == "jsonschema" {
		out = schema.JSONSchema()
	}
	_, err := c.out.Write(out)
	return err
}
