package schema

import "slices"

// The module that schema.cue is published as. The major version changes when a
// document that was valid no longer is, or a definition is renamed.
const (
	modulePath    = "meshwright.dev/schema@v1"
	moduleVersion = "v0.9.0" // of the CUE language
)

// CUE returns the CUE schema of every kind, as CUE source.
func CUE() []byte { return slices.Clone(schemaCUE) }

// Module returns the files (path → content) of the CUE module
// meshwright.dev/schema@v1, which holds the schema as its only package, so
// that CUE of a user's may say
//
//	import "meshwright.dev/schema"
//
//	schema.#VirtualNode & {metadata: name: "web", …}
func Module() map[string][]byte {
	return map[string][]byte{
		"cue.mod/module.cue": []byte("module: \"" + modulePath + "\"\nlanguage: version: \"" + moduleVersion + "\"\n"),
		"schema.cue":         CUE(),
	}
}
