package schema

// check is a rule that no shape can say. document and tree are handed a
// function that reports a finding at a path of a resource.
type check struct {
	CodeDoc
	severity Severity
	// document holds a resource to a rule within its own document. It runs when
	// a file is read.
	document func(res Resource, report func(path, what, fix string))
	// tree holds the whole spec to a rule. It runs at each load.
	tree func(t *linker, report func(res Resource, path, what, fix string))
}

// checks are all such rules, by code.
var checks = []check{}

// checkDocument reports what the rules within one document find.
func checkDocument(d *document, report func(Diagnostic)) {
	for i := range checks {
		if c := &checks[i]; c.document != nil {
			c.document(d.res, func(path, what, fix string) { report(c.finding(d, path, what, fix)) })
		}
	}
}

func (c *check) finding(d *document, path, what, fix string) Diagnostic {
	_, pos := d.root.at(path)
	return Diagnostic{Code: c.Code, Severity: c.severity, Pos: pos, Resource: d.ref, Path: path, What: what, Fix: fix}
}
