package schema

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// settingsName is the name of the settings file, without its extension.
const settingsName = "meshwright"

// Settings are the repository's own: what stands in the file meshwright.yaml
// (or .yml, .json, .cue) at the root of the spec path. They belong to the spec,
// so that what holds for a pull request is what its base branch says.
type Settings struct {
	Protect []Protection `json:"protect,omitempty"`

	root *node
}

// Protection is what a pull request may touch only with a label.
type Protection struct {
	Paths []string `json:"paths,omitempty"` // globs of files below the spec path
	Kinds []Kind   `json:"kinds,omitempty"` // of resources
	Label string   `json:"label"`
	Why   string   `json:"why,omitempty"`
}

// isSettings reports whether a file of the tree holds its settings.
func isSettings(file string) bool {
	ext := path.Ext(file)
	return slices.Contains(extensions, ext) && file == settingsName+ext
}

// Protected returns which labels a pull request lacks, in the order of the
// rules: a line for each rule that it touches, as "needs label X:
// spec/gateways/front.yaml and 2 more: why", in which files are named from outside
// of the folder of the spec. Nothing is protected by no settings.
//
// The settings are those of the branch that is merged into, never those of the
// pull request. files are what it changes, adds, moves or deletes (paths below
// the spec path), changes what becomes of resources.
func Protected(s *Settings, files []string, changes []Change, labels []string, folder string) []string {
	if s == nil {
		return nil
	}
	var missing []string
	for _, p := range s.Protect {
		has := slices.ContainsFunc(labels, func(l string) bool { return strings.EqualFold(l, p.Label) }) // git hosts tell no case apart
		if touched := p.touched(files, changes, folder); len(touched) > 0 && !has {
			missing = append(missing, p.needs(touched))
		}
	}
	return missing
}

// touched returns what of files and changes the rule is about.
func (p *Protection) touched(files []string, changes []Change, folder string) []string {
	var out []string
	for _, f := range files {
		if slices.ContainsFunc(p.Paths, func(glob string) bool { return doublestar.MatchUnvalidated(glob, f) }) {
			out = append(out, Pos{File: path.Join(folder, f)}.String())
		}
	}
	for _, c := range changes {
		if slices.Contains(p.Kinds, c.Ref.Kind) {
			out = append(out, c.Ref.String())
		}
	}
	return out
}

// mostTouched is how many things a line names that need its label.
const mostTouched = 3

func (p *Protection) needs(touched []string) string {
	named := touched[:min(len(touched), mostTouched)]
	line := fmt.Sprintf("needs label %s: %s", p.Label, strings.Join(named, ", "))
	if more := len(touched) - len(named); more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	if p.Why != "" {
		line += ": " + oneLine(p.Why)
	}
	return line
}

// addSettings takes in a document of the settings file.
func (p *parsed) addSettings(n *node) {
	good := true
	report := func(d Diagnostic) {
		good = good && d.Severity != Error
		p.diags = append(p.diags, d)
	}
	refuse := func(what, fix string) {
		report(Diagnostic{Code: CodeFile, Severity: Error, Pos: n.pos, What: what, Fix: fix})
	}
	switch {
	case p.settings.root != nil:
		refuse("the settings are one document, and this is another", "keep one")
		return
	case isObject(n):
		refuse("this file holds the repository's settings, not resources", "move them into a file of another name")
		return
	}
	p.settings.root = n
	if validate("Settings", n, report); !good {
		return
	}
	if err := fill(reflect.ValueOf(p.settings).Elem(), n); err != nil {
		report(Diagnostic{Code: CodeType, Severity: Error, Pos: n.pos, What: err.Error(), Fix: "mend the value"})
	}
	p.settings.eachGlob(func(glob, at string, pos Pos) {
		clean := path.Clean(glob)
		if !doublestar.ValidatePattern(glob) || clean != glob || clean == ".." || strings.HasPrefix(clean, "../") {
			report(Diagnostic{Code: CodeForm, Severity: Error, Pos: pos, Path: at, What: quote(glob) + " is not a glob of files below the spec path", Fix: "write it as gateways/** or prod/*.yaml"})
		}
	})
	if !good {
		p.settings.Protect = nil
	}
}

// eachGlob calls f for every glob, with its path and place.
func (s *Settings) eachGlob(f func(glob, at string, pos Pos)) {
	for i, p := range s.Protect {
		for j, glob := range p.Paths {
			at := fmt.Sprintf("protect[%d].paths[%d]", i, j)
			_, pos := s.root.at(at)
			f(glob, at, pos)
		}
	}
}

// unmatched warns of globs that protect nothing: they may be misspelled.
func (s *Settings) unmatched(files []*file) []Diagnostic {
	var out []Diagnostic
	s.eachGlob(func(glob, at string, pos Pos) {
		if !slices.ContainsFunc(files, func(f *file) bool { return doublestar.MatchUnvalidated(glob, f.path) }) {
			out = append(out, Diagnostic{Code: CodeFile, Severity: Warning, Pos: pos, Path: at,
				What: "no spec file matches " + quote(glob), Fix: "a folder's files are FOLDER/**"})
		}
	})
	return out
}
