package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// config is the --config file: YAML whose keys are the names of flags. A flag
// on the command line wins over the file.
type config map[string]any

// loadConfig reads the file that --config names.
func loadConfig(r io.Reader) (kong.Resolver, error) {
	c := config{}
	if err := yaml.NewDecoder(r).Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("--config: %w", err)
	}
	return c, nil
}

// Validate refuses keys that are no flag of serve: a misspelled key would
// otherwise be a setting that silently does not hold.
func (c config) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, cmd := range app.Leaves(false) {
		if cmd.Name == "serve" {
			for _, f := range cmd.Flags {
				known[f.Name] = f.Name != "config"
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c)) {
		if !known[key] {
			return fmt.Errorf("--config: unknown key %q; the keys are the flags of `meshwright serve --help`", key)
		}
	}
	return nil
}

// Resolve gives a flag its value from the file.
func (c config) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	switch v := c[flag.Name].(type) {
	case nil, string, bool:
		return v, nil
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = fmt.Sprint(v[i])
		}
		return strings.Join(parts, ","), nil
	default:
		return fmt.Sprint(v), nil
	}
}
