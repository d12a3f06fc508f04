package schema

import (
	"encoding/json"
	"math"
	"strings"
)

// object is one of JSON's.
type object = map[string]any

// JSONSchema returns the schema of every kind as JSON Schema (draft 2020-12),
// for editors. Documents of other API groups satisfy it. It says what
// schema.cue says, but for a range's end, which JSON Schema cannot compare with
// its start, for the third decimal of a percentage, and for null, which it takes
// for a mistake.
func JSONSchema() []byte {
	defs := object{}
	for name, s := range shapes() {
		defs[name] = s.jsonSchema(true)
	}
	is := func(field string, value any) object {
		return object{"properties": object{field: object{"const": value}}, "required": []string{field}}
	}
	var all []object
	for _, version := range []string{appMeshVersion, ourVersion} {
		all = append(all, object{
			"if":   is("apiVersion", version),
			"then": object{"properties": object{"kind": object{"enum": namesOf(version)}}, "required": []string{"kind"}},
		})
	}
	for i := range kinds {
		all = append(all, object{
			"if":   object{"allOf": []object{is("apiVersion", kinds[i].version), is("kind", kinds[i].kind)}},
			"then": object{"$ref": "#/$defs/" + string(kinds[i].kind)},
		})
	}
	data, err := json.MarshalIndent(object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     "https://meshwright.dev/schema/v1.json",
		"title":   "Meshwright: a resource of a mesh",
		"type":    "object",
		"allOf":   all,
		"$defs":   defs,
	}, "", "  ")
	if err != nil {
		panic("schema: " + err.Error()) // maps and strings: cannot happen
	}
	return append(data, '\n')
}

// jsonSchema says a shape in JSON Schema; a definition by its name, unless it
// is the definition that is asked for.
func (s *shape) jsonSchema(define bool) object {
	if s.name != "" && !define {
		return object{"$ref": "#/$defs/" + s.name}
	}
	out := object{}
	describe(out, s.doc)
	bound := func(low, high string, lowest int64) {
		if s.min != lowest {
			out[low] = s.min
		}
		if s.max != math.MaxInt64 {
			out[high] = s.max
		}
	}
	switch s.kind {
	case stringShape:
		out["type"] = "string"
		if s.enum != nil {
			out["enum"] = s.enum
		}
		if s.form != nil {
			out["pattern"] = s.form.String()
		}
		bound("minLength", "maxLength", 0)
	case intShape:
		out["type"] = "integer"
		bound("minimum", "maximum", math.MinInt64)
	case numberShape: // multipleOf is left out: editors compute it in binary, and would refuse 99.5
		out["type"] = "number"
		if s.min != math.MinInt64 {
			out["minimum"], out["maximum"] = float64(s.min)/100, float64(s.max)/100
		}
	case boolShape:
		out["type"] = "boolean"
	case listShape:
		out["type"] = "array"
		out["items"] = s.elem.jsonSchema(false)
		bound("minItems", "maxItems", 0)
	case mapShape:
		out["type"] = "object"
		out["additionalProperties"] = s.elem.jsonSchema(false)
	case structShape:
		s.jsonObject(out)
	}
	return out
}

func (s *shape) jsonObject(out object) {
	properties, required := object{}, []string{}
	for i := range s.fields {
		f := &s.fields[i]
		p := f.shape.jsonSchema(false)
		describe(p, f.doc)
		if f.ignored != "" {
			describe(p, "Ignored: "+f.ignored+".")
			p["deprecated"] = true
		}
		if f.required {
			required = append(required, f.name)
		}
		properties[f.name] = p
	}
	out["type"], out["properties"], out["additionalProperties"] = "object", properties, false
	if len(required) > 0 {
		out["required"] = required
	}
	var all []object
	for _, r := range s.rules {
		all = append(all, s.jsonRule(r))
	}
	if all != nil {
		out["allOf"] = all
	}
}

// jsonRule says which fields go together.
func (s *shape) jsonRule(r rule) object {
	var names []string
	var each []object
	for _, i := range r.fields {
		names = append(names, s.fields[i].name)
		each = append(each, object{"required": []string{s.fields[i].name}})
	}
	switch {
	case r.when >= 0:
		return object{"dependentRequired": object{s.fields[r.when].name: names}}
	case r.min == 1 && r.max == 1:
		return object{"oneOf": each}
	case r.min == 1:
		return object{"anyOf": each}
	}
	// At most one: none, or exactly one.
	return object{"oneOf": append(each, object{"not": object{"anyOf": each}})}
}

// describe sets a description, unless there is none to set.
func describe(out object, doc string) {
	if doc = strings.TrimSpace(doc); doc != "" {
		out["description"] = doc
	}
}
