package schema

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/fixtures"
)

// The case that a real Envoy reads has every command operator that is let
// through.
func TestEveryOperatorIsInTheCase(t *testing.T) {
	c := fixtures.Archives(t, "specs/translate_logs_operators.txtar")[0]
	text, err := fs.ReadFile(c.Files, "shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range operatorNames() {
		if !strings.Contains(string(text), "%"+name+"%") && !strings.Contains(string(text), "%"+name+"(") {
			t.Errorf("%s is not in %s", name, c.Name)
		}
	}
}

func TestFormats(t *testing.T) {
	for format, good := range map[string]bool{
		"":                           true,
		"text\n":                     true,
		"%%":                         true,
		"100%% of %HOSTNAME%":        true,
		"%HOSTNAME%%HOSTNAME%":       true,
		"%%HOSTNAME%%":               true,
		"%START_TIME(%Y/%m %s.%3f)%": true,
		"%START_TIME()%":             true,
		"%START_TIME(a)(b)%":         true,
		"%REQ(:path?a):0%":           true,
		"%":                          false,
		"%%%":                        false,
		"100% ":                      false,
		"%HOSTNAME%%":                false,
		"%START TIME%":               false,
		"%START_TIME(%s) %":          false,
		"%REQ()%":                    false,
		"%REQ(a\nb)%":                false,
		"%REQ(a:b)%":                 false,
		"%REQ(a):x%":                 false,
		"%REQ(a):99999999999999%":    false,
	} {
		if what, _ := badFormat(format); (what == "") != good {
			t.Errorf("%q: %q", format, what)
		}
	}
}
