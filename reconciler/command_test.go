package reconciler_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/reconciler"
)

func TestParseCommand(t *testing.T) {
	const (
		explain = "write /meshwright explain FROM TO [METHOD] PATH"
		unknown = "no such command; write one of plan, explain, canary, pause, resume, promote, approve, abort, retry, help after /meshwright"
		unseen  = "the command has characters that cannot be seen; type it anew"
	)
	for name, test := range map[string]struct {
		body string
		want string // the command, an error, or "" for what is none
	}{
		"plan":                     {"/meshwright plan", "/meshwright plan"},
		"with a text after it":     {"/meshwright plan\r\n\r\nthe base has moved\r\n/meshwright abort x", "/meshwright plan"},
		"after blank lines":        {"\r\n \n  /meshwright plan ", "/meshwright plan"},
		"lines end as on old Macs": {"\r/meshwright plan\rnow", "/meshwright plan"},
		"upper case":               {"/Meshwright PLAN", "/meshwright plan"},
		"many spaces":              {"/meshwright\t pause \u00a0 yelb/Appserver", "/meshwright pause yelb/Appserver"},
		"explain":                  {"/meshwright explain mesh/m/virtualNode/ui app.yelb:4567 /api?x=1", "/meshwright explain mesh/m/virtualNode/ui app.yelb:4567 /api?x=1"},
		"explain a method":         {"/meshwright explain yelb/ui app get /é", "/meshwright explain yelb/ui app GET /é"},
		"canary":                   {"/canary", "/meshwright canary"},
		"canary with a name":       {"/canary appserver", "/meshwright canary appserver"},
		"the long canary":          {"/meshwright canary", "/meshwright canary"},
		"resume":                   {"/meshwright resume a", "/meshwright resume a"},
		"abort":                    {"/meshwright abort a", "/meshwright abort a"},
		"promote":                  {"/meshwright promote a", "/meshwright promote a"},
		"retry":                    {"/meshwright retry a", "/meshwright retry a"},
		"help":                     {"/meshwright help", "/meshwright help"},
		"nothing but the name":     {"/meshwright", "/meshwright help"},

		"empty":                 {"", ""},
		"blank":                 {" \r\n\t\n", ""},
		"a sentence":            {"please /meshwright plan", ""},
		"a later line":          {"Thanks!\n/meshwright plan", ""},
		"a quotation":           {"> /meshwright plan\n\n+1", ""},
		"code":                  {"```\n/meshwright plan\n```", ""},
		"code in a line":        {"`/meshwright plan`", ""},
		"indented code":         {"    /meshwright plan", ""},
		"code after a tab":      {"\t/meshwright plan", ""},
		"a list":                {"- /meshwright plan", ""},
		"a hidden comment":      {"<!-- /meshwright plan -->", ""},
		"another's command":     {"/deploy prod", ""},
		"a longer word":         {"/meshwrights plan", ""},
		"a path":                {"/meshwright/plan", ""},
		"a longer canary":       {"/canary-deploy x", ""},
		"a slash too many":      {"//meshwright plan", ""},
		"without the slash":     {"meshwright plan", ""},
		"a mark before it":      {"\ufeff/meshwright plan", ""},
		"a name that is longer": {"/meshwright\u200bplan", ""},

		"unknown":                 {"/meshwright @team <img>", unknown},
		"plan with a word":        {"/meshwright plan now", "write /meshwright plan"},
		"pause without a name":    {"/meshwright pause", "write /meshwright pause NAME"},
		"two names":               {"/meshwright abort a b", "write /meshwright abort NAME"},
		"canary with two names":   {"/canary a b", "write /meshwright canary [NAME]"},
		"explain too little":      {"/meshwright explain ui app", explain},
		"explain too much":        {"/meshwright explain ui app GET / x", explain},
		"explain without a path":  {"/meshwright explain ui app api", "the path of a request starts with /; " + explain},
		"explain a method as a 1": {"/meshwright explain ui app 1 /", "the method of a request is a word such as GET; " + explain},
		"a control character":     {"/meshwright abort a\x1b[2J", unseen},
		"turned around":           {"/meshwright abort \u202ea", unseen},
		"no width":                {"/meshwright abort a\u200b", unseen},
		"no UTF-8":                {"/meshwright abort a\xff", unseen},
		"null":                    {"/meshwright abort \x00", unseen},
		"too long":                {"/meshwright abort " + strings.Repeat("a", 1100), "a command is one line of at most 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			c, ours, err := reconciler.ParseCommand(test.body)
			got := ""
			switch {
			case err != nil:
				got = err.Error()
			case ours:
				got = c.String()
			}
			if diff := cmp.Diff(test.want, got); diff != "" || ours != (test.want != "") || (err != nil) != (ours && !strings.HasPrefix(test.want, "/")) {
				t.Errorf("%v, %v (-want +got)\n%s", ours, err, diff)
			}
		})
	}
}

// TestCommandHelp: every line of the help names a command.
func TestCommandHelp(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(reconciler.CommandHelp()), "\n")
	if len(lines) != 10 {
		t.Errorf("%d commands", len(lines))
	}
	for _, line := range lines {
		words, _, ok := strings.Cut(line, ": ")
		words = strings.NewReplacer("[", "", "]", "", "METHOD", "GET", "PATH", "/").Replace(words)
		if c, ours, err := reconciler.ParseCommand(words); !ok || !ours || err != nil || c.String() != words {
			t.Errorf("%q: %v, %v, %v", line, c, ours, err)
		}
	}
}

// TestAbortWins: an abort leaves nothing of what else is asked of its canary at
// the same time.
func TestAbortWins(t *testing.T) {
	for text, want := range map[string]bool{
		"/meshwright promote yelb/app": true,
		"/meshwright promote app":      true,
		"/meshwright pause app":        true,
		"/meshwright resume app":       true,
		"/meshwright retry app":        true,
		"/canary app":                  true,
		"/canary":                      true,
		"/meshwright abort app":        false,
		"/meshwright promote ui":       false,
		"/meshwright promote shop/app": false,
		"/meshwright promote myapp":    false,
		"/meshwright plan":             false,
		"/meshwright help":             false,
		"/meshwright explain app b /":  false,
	} {
		if got := parse(t, text).OverruledBy(parse(t, "/meshwright abort yelb/app")); got != want {
			t.Errorf("%s: %v; want %v", text, got, want)
		}
		if parse(t, text).OverruledBy(parse(t, "/meshwright pause app")) {
			t.Errorf("%s: a pause overrules it", text)
		}
	}
}

func parse(t *testing.T, text string) reconciler.Command {
	t.Helper()
	c, ours, err := reconciler.ParseCommand(text)
	if !ours || err != nil {
		t.Fatalf("%s: %v, %v", text, ours, err)
	}
	return c
}

// FuzzParseCommand: whatever somebody writes, a command that is read is short,
// can be seen, and is read from its own text again; an error is one line of our
// own words.
func FuzzParseCommand(f *testing.F) {
	for _, body := range []string{
		"/meshwright plan", "\r\n/meshwright explain a b GET /x\r\n/meshwright abort x", "/canary", "/meshwright abort \u202ea", "> /meshwright plan",
		"    /meshwright plan", "/MESHWRIGHT Pause a/b", "/meshwright @team", "/meshwright explain a b c d e f", "\x00\xff/meshwright", "/meshwright help\v",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c, ours, err := reconciler.ParseCommand(body)
		if err != nil {
			if text := err.Error(); !ours || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '@' || r == '<' }) || len(text) > 200 {
				t.Fatalf("%v: %q", ours, text)
			}
			return
		}
		if !ours {
			if c.Verb != "" || c.Args != nil {
				t.Fatalf("no command, and %v", c)
			}
			return
		}
		text := c.String()
		if len(text) > 2000 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q", text)
		}
		for _, arg := range c.Args {
			if arg == "" || strings.ContainsRune(arg, ' ') {
				t.Fatalf("%q", c.Args)
			}
		}
		if len(text) > 1024 { // of /canary, which is shorter
			return
		}
		again, ours, err := reconciler.ParseCommand(text)
		if diff := cmp.Diff(c, again); !ours || err != nil || diff != "" {
			t.Fatalf("%q read again: %v, %v\n%s", text, ours, err, diff)
		}
	})
}
