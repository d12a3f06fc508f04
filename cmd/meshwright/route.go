package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

type routeCmd struct {
	tree
	From   string   `required:"" placeholder:"IDENTITY" help:"Whose proxy takes the request: mesh/MESH/virtualNode/NAME or mesh/MESH/virtualGateway/NAME."`
	To     string   `required:"" placeholder:"HOST[:PORT]" help:"What the request is for."`
	Method string   `default:"GET" help:"HTTP method."`
	URL    string   `name:"path" default:"/" placeholder:"PATH" help:"Path and query of the request."`
	Header []string `sep:"none" placeholder:"NAME:VALUE" help:"A header of the request; repeatable."`
	Output string   `short:"o" enum:"text,json" default:"text" help:"${enum}."`
}

func (cmd routeCmd) Run(ctx context.Context, c console) error {
	from, err := xds.ParseIdentity(cmd.From)
	if err != nil {
		return usageError{fmt.Errorf("--from: %w", err)}
	}
	header := http.Header{}
	for _, h := range cmd.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return usageError{fmt.Errorf("--header %s: write NAME:VALUE", h)}
		}
		header.Add(name, strings.TrimSpace(value))
	}
	req := translate.Request{Host: cmd.To, Method: cmd.Method, Path: cmd.URL, Header: header}
	if err := req.Validate(); err != nil {
		return usageError{err}
	}
	spec, err := cmd.spec(ctx, c)
	if err != nil {
		return err
	}
	e, err := translate.New(translate.Inputs{Spec: spec}, nil).Explain(from, req)
	if err != nil {
		return meant(err, spec)
	}
	if cmd.Output == "json" {
		return printJSON(c.out, e)
	}
	_, err = fmt.Fprint(c.out, e)
	return err
}
