package awsapi

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

// Note says what did not come through, or what to look at.
type Note struct {
	// Severity is an error if something was not read at all or will not load,
	// and a warning otherwise.
	Severity schema.Severity `json:"severity"`
	File     string          `json:"file"`
	Resource string          `json:"resource,omitempty"` // Kind/name, by its App Mesh name
	Path     string          `json:"path,omitempty"`     // of the field, as the API spells it
	What     string          `json:"what"`
	Fix      string          `json:"fix"`
}

// String is the one line of the note:
// file: severity: Kind/name: path: what; what to do.
func (n Note) String() string {
	parts := []string{n.File, string(n.Severity)}
	for _, part := range []string{n.Resource, n.Path} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	line := strings.Join(append(parts, n.What), ": ") + "; " + n.Fix
	return strings.Join(strings.Fields(line), " ") // names come from outside
}

// sorted returns the notes by file, resource and path, each once.
func sorted(notes []Note) []Note {
	slices.SortFunc(notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.What, b.What), cmp.Compare(a.Fix, b.Fix), cmp.Compare(a.Severity, b.Severity))
	})
	return slices.Compact(notes)
}
