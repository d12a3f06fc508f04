package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/reconciler/plan"
)

// TestRiskDocs: docs/plan.md has a row for each code with its levels, and no
// other; and but for the one that takes thousands of routes, a case shows each.
func TestRiskDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fixtures.Dir(t), "..", "docs", "plan.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := ""
	for _, c := range fixtures.Archives(t, "plans/*.txtar") {
		shown += c.Want(t, "want/plan.txt")
	}
	for _, doc := range plan.RiskDocs() {
		levels := make([]string, len(doc.Levels))
		for i, l := range doc.Levels {
			levels[i] = string(l)
		}
		if row := fmt.Sprintf("| `%s` | %s | %s |\n", doc.Code, strings.Join(levels, ", "), doc.Summary); !strings.Contains(string(text), row) {
			t.Errorf("docs/plan.md has no row %s", row)
		}
		if !strings.Contains(shown, "("+doc.Code+")") && doc.Code != "moves-untried" {
			t.Errorf("no case shows %s", doc.Code)
		}
	}
	if rows, want := strings.Count(string(text), "\n| `"), len(plan.RiskDocs())+3; rows != want { // three of commands
		t.Errorf("docs/plan.md has %d rows, not %d", rows, want)
	}
}
