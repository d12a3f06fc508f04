package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

type checkCmd struct {
	tree
	Format string `short:"o" enum:"text,json,github,sarif" default:"text" help:"How to print the findings: ${enum}."`
}

func (cmd checkCmd) Run(ctx context.Context, c console) error {
	r, err := cmd.load(ctx)
	if err != nil {
		return err
	}
	if err := formats[cmd.Format](c.out, r); err != nil {
		return err
	}
	errs := len(r.Diagnostics.Errors())
	if cmd.Format == "text" {
		fmt.Fprintf(c.err, "%s, %s, %s passed over: %s, %s\n", schema.Count(r.Files, "file"), schema.Count(r.Documents, "resource"),
			schema.Count(r.Foreign, "foreign document"), schema.Count(errs, "error"), schema.Count(len(r.Diagnostics)-errs, "warning"))
	}
	if errs > 0 {
		return errFailed
	}
	return nil
}

// formats of findings.
var formats = map[string]func(io.Writer, *schema.Result) error{
	"text":   formatText,
	"json":   formatJSON,
	"github": formatGitHub,
	"sarif":  formatSARIF,
}

func formatText(w io.Writer, r *schema.Result) error {
	_, err := io.WriteString(w, r.Diagnostics.String())
	return err
}

func formatJSON(w io.Writer, r *schema.Result) error {
	ds := r.Diagnostics
	if ds == nil {
		ds = schema.Diagnostics{}
	}
	return printJSON(w, map[string]any{
		"files": r.Files, "resources": r.Documents, "foreign": r.Foreign, "diagnostics": ds,
	})
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// message is a finding without its position.
func message(d schema.Diagnostic) string {
	d.Pos = schema.Pos{}
	return strings.TrimPrefix(d.String(), ": "+string(d.Severity)+": ")
}

// formatGitHub writes workflow commands, which GitHub Actions shows on the
// lines of a pull request ("Workflow commands for GitHub Actions").
func formatGitHub(w io.Writer, r *schema.Result) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, d := range r.Diagnostics {
		_, err := fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d,title=%s::%s\n",
			d.Severity, property.Replace(d.Pos.File), max(d.Pos.Line, 1), max(d.Pos.Col, 1), d.Code, data.Replace(message(d)))
		if err != nil {
			return err
		}
	}
	return nil
}

// formatSARIF writes SARIF 2.1.0, which code scanning tools read.
func formatSARIF(w io.Writer, r *schema.Result) error {
	type object = map[string]any
	results := []object{}
	for _, d := range r.Diagnostics {
		results = append(results, object{
			"ruleId":  d.Code,
			"level":   d.Severity,
			"message": object{"text": message(d)},
			"locations": []object{{"physicalLocation": object{
				"artifactLocation": object{"uri": (&url.URL{Path: d.Pos.File}).String()},
				"region":           object{"startLine": max(d.Pos.Line, 1), "startColumn": max(d.Pos.Col, 1)},
			}}},
		})
	}
	rules := []object{}
	for _, code := range schema.Codes() {
		rules = append(rules, object{"id": code.Code, "shortDescription": object{"text": code.Summary}})
	}
	return printJSON(w, object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []object{{
			"tool":    object{"driver": object{"name": "meshwright", "version": version(), "rules": rules}},
			"results": results,
		}},
	})
}
