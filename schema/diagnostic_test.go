package schema_test

import (
	"testing"

	. "github.com/meshwright/meshwright/schema"
)

func TestDiagnosticIsOneLine(t *testing.T) {
	d := Diagnostic{Severity: Error, Pos: Pos{"a\nb.yaml", 1, 2}, What: "it is defined\nalready", Also: Pos{"b.yaml", 3, 4}, Fix: "keep one"}
	const want = `"specs/a\nb.yaml":1:2: error: it is defined already: specs/b.yaml:3:4; keep one`
	if got := d.Within("specs").String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
