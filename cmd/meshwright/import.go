package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/schema/awsapi"
)

type importCmd struct {
	Paths     []string          `arg:"" optional:"" name:"path" help:"Files and directories of AWS API answers, CloudFormation templates and Terraform states (default, and -: standard input)."`
	Out       string            `default:"specs" placeholder:"DIR" help:"Directory to write the spec repository to (${default})."`
	Namespace string            `placeholder:"NS" help:"Namespace of the resources (default: the name of their mesh)."`
	Format    string            `enum:"auto,api,cloudformation,terraform" default:"auto" help:"What the files hold: ${enum}."`
	Parameter map[string]string `mapsep:"none" placeholder:"K=V" help:"A parameter of the templates, or any other expression that they leave open; may be repeated."`
	Force     bool              `help:"Overwrite files that hold something else."`
	Output    string            `short:"o" enum:"text,json" default:"text" help:"How to print the report: ${enum}."`
}

func (cmd importCmd) Run(ctx context.Context, c console) error {
	files, err := cmd.read(c.in)
	if err != nil {
		return err
	}
	r, err := awsapi.Import(ctx, files, awsapi.Options{Format: awsapi.Format(cmd.Format), Namespace: cmd.Namespace, Parameters: cmd.Parameter})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return usageError{err}
	}
	if err := cmd.write(r.Documents); err != nil {
		return err
	}
	if cmd.Output == "json" {
		if r.Notes == nil {
			r.Notes = []awsapi.Note{}
		}
		if err := printJSON(c.out, r); err != nil {
			return err
		}
	} else {
		for _, d := range r.Documents {
			fmt.Fprintf(c.out, "%s: %s\n", filepath.ToSlash(filepath.Join(cmd.Out, d.Path)), d.Resource)
		}
		for _, n := range r.Notes {
			fmt.Fprintln(c.err, n)
		}
		fmt.Fprintf(c.err, "%s, %s passed over, %s in %s: %s, %s\n", schema.Count(len(files), "file"), schema.Count(r.PassedOver, "file"),
			schema.Count(r.Objects, "object"), schema.Count(len(r.Documents), "document"), schema.Count(r.Errors(), "error"), schema.Count(len(r.Notes)-r.Errors(), "warning"))
	}
	if r.Errors() > 0 {
		return errFailed
	}
	return nil
}

// extensions of the files that a directory is searched for.
var extensions = []string{".json", ".yaml", ".yml", ".template", ".tf", ".tfstate"}

// maxImport is how many bytes one file may hold.
const maxImport = 64 << 20

// read reads what is to be imported. Directories are searched, but for what is
// hidden.
func (cmd importCmd) read(stdin io.Reader) ([]awsapi.File, error) {
	if len(cmd.Paths) == 0 {
		cmd.Paths = []string{"-"}
	}
	var files []awsapi.File
	for _, path := range cmd.Paths {
		if path == "-" {
			data, err := io.ReadAll(io.LimitReader(stdin, maxImport))
			if err != nil {
				return nil, err
			}
			files = append(files, awsapi.File{Name: "standard input", Data: data, Named: true})
			continue
		}
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			named := file == path
			switch {
			case err != nil:
				return err
			case d.IsDir() && !named && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
				return fs.SkipDir
			case d.IsDir() || !named && (!d.Type().IsRegular() || !slices.Contains(extensions, filepath.Ext(file))):
				return nil
			}
			if info, err := os.Stat(file); err != nil {
				return err
			} else if info.Size() > maxImport {
				return fmt.Errorf("%s is larger than %d bytes", file, maxImport)
			}
			data, err := os.ReadFile(file)
			files = append(files, awsapi.File{Name: filepath.ToSlash(file), Data: data, Named: named})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// write writes the documents: all, or none if one would replace something else.
func (cmd importCmd) write(docs []awsapi.Document) error {
	var differing []string
	for _, d := range docs {
		path := filepath.Join(cmd.Out, filepath.FromSlash(d.Path))
		switch was, err := os.ReadFile(path); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !bytes.Equal(was, d.Data):
			differing = append(differing, filepath.ToSlash(path))
		}
	}
	if len(differing) > 0 && !cmd.Force {
		return fmt.Errorf("not overwritten, since they hold something else: %s; nothing is written without --force", strings.Join(differing, ", "))
	}
	for _, d := range docs {
		path := filepath.Join(cmd.Out, filepath.FromSlash(d.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, d.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
