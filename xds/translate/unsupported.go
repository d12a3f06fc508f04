package translate

import "github.com/meshwright/meshwright/schema"

// Unsupported returns a warning for each field that is set and has no effect
// here.
func Unsupported(spec *schema.Spec) schema.Diagnostics { return nil }
