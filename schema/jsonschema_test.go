package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

// The JSON Schema gives the verdict of the shapes on every generated document,
// good or broken in one place.
func TestJSONSchemaAgrees(t *testing.T) {
	var schema any
	if err := json.Unmarshal(JSONSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	editor := byCRD{compile(t, "jsonschema", schema)} // nulls pruned: it takes them for mistakes
	good, bad := 0, 0
	for _, c := range crds(t) {
		judge := func(what string, doc any) {
			var ds Diagnostics
			for _, d := range errorsOf(c.kind, nodeOf(pruned(doc))) {
				if !strings.Contains(d.What, "more than start") {
					ds = append(ds, d)
				}
			}
			if theirs := editor.valid(doc); theirs != (len(ds) == 0) {
				t.Errorf("%s %s: JSON Schema says %v, we say %v\n%s", c.kind, what, theirs, ds, compact(doc))
			} else if theirs {
				good++
			} else {
				bad++
			}
		}
		for i, fill := range []float64{0, 0.15, 0.5, 1} {
			m := newMaker(uint64(i), fill, stricterRules)
			doc := m.document(c)
			judge("tame", doc)
			for what, broken := range m.mutations(c, doc) {
				if !strings.HasSuffix(what, "number 1.0") { // an integer there
					judge(what, broken)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d good, %d bad", good, bad)
	if good < 50 || bad < 50 {
		t.Error("too few documents of a sort")
	}
}

// Our own kinds are in it too, under their own apiVersion only.
func TestJSONSchemaHasOurKinds(t *testing.T) {
	var schema any
	if err := json.Unmarshal(JSONSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	editor := compile(t, "jsonschema", schema)
	spec := func(endpoint string) string {
		return `"metadata": {"name": "a"}, "spec": {"virtualNodeRef": {"name": "b"}, "endpoints": [` + endpoint + `]}`
	}
	rollout := func(steps string) string {
		return `{"apiVersion": "meshwright.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "a"}, "spec": {"targets": [{"kind": "VirtualRouter", "name": "b"}], "steps": [` + steps + `]}}`
	}
	for document, good := range map[string]bool{
		rollout(`{"weight": 99.5, "hold": "1h30m"}, {"gate": {"approval": true}}`): true,
		rollout(`{"weight": 0.05, "hold": "5m"}`):                                  false,
		rollout(`{"weight": 100.1, "hold": "5m"}`):                                 false,
		rollout(`{"weight": 5, "hold": "5 min"}`):                                  false,
		rollout(`{"weight": "5", "hold": "5m"}`):                                   false,
		rollout(``):                                                                false,
		`{"apiVersion": "meshwright.dev/v1alpha1", "kind": "Endpoints", ` + spec(`{"address": "10.0.0.1", "weight": 2}`) + `}`: true,
		`{"apiVersion": "meshwright.dev/v1alpha1", "kind": "Endpoints", ` + spec(`{"address": "10.0.0.1", "weight": 0}`) + `}`: false,
		`{"apiVersion": "meshwright.dev/v1alpha1", "kind": "Endpoints", ` + spec(`{"adress": "10.0.0.1"}`) + `}`:               false,
		`{"apiVersion": "meshwright.dev/v1alpha1", "kind": "Mesh", "metadata": {"name": "a"}}`:                                 false,
		`{"apiVersion": "appmesh.k8s.aws/v1beta2", "kind": "Endpoints", ` + spec(`{"address": "10.0.0.1"}`) + `}`:              false,
		`{"apiVersion": "v1", "kind": "Endpoints", "subsets": []}`:                                                             true,
	} {
		var doc any
		if err := json.Unmarshal([]byte(document), &doc); err != nil {
			t.Fatal(err)
		}
		if err := editor.Validate(doc); (err == nil) != good {
			t.Errorf("%s: got %v, want good: %v", document, err, good)
		}
	}
}
