package report_test

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	gmhtml "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// hostile has s wherever others write: in a spec, a path, a commit, a label, a
// login, a proxy's message.
func hostile(s, files string) report.Pull {
	ref := schema.Ref{Kind: schema.Kind(s), Key: schema.Key{Namespace: s, Name: s}}
	node := schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Name: s}}
	pos := schema.Pos{File: s, Line: 3, Col: 4}
	id := xds.Identity{Mesh: s, Kind: schema.KindVirtualNode, Name: s}
	status := sources.Status{State: sources.Failure, Description: s}
	finding := func(severity schema.Severity) schema.Diagnostic {
		return schema.Diagnostic{Severity: severity, Pos: pos, Resource: ref, Path: s, What: s, Also: pos, Fix: s}
	}
	shares := []plan.Share{{Target: ref, Port: 80, Percent: 33.3}, {Target: node, Percent: 66.7}}
	return report.Pull{
		Environment: s, Head: s, Base: s, Serving: s, Version: s, Check: status, PlanStatus: status,
		Diagnostics: schema.Diagnostics{finding(schema.Error), finding(schema.Warning)}, Errors: 3, Warnings: 2,
		Conflicts: []string{s}, Protected: []string{s},
		Plan: &plan.Plan{
			From: s, To: s,
			Resources: []plan.Resource{{Change: schema.Change{Ref: ref, Op: schema.Op(s)}, Pos: pos, Fields: []plan.Field{{Path: s, Before: s, After: s, Pos: pos}}}},
			Routes:    []plan.Route{{Owner: ref, Name: s, Match: s, Op: schema.Op(s), Before: shares, After: shares, Other: []string{s}}},
			Proxies:   plan.Proxies{Identities: []plan.Touched{{Identity: id, Resources: []string{s}}}},
			Drains:    []plan.Drain{{Identity: id, Listener: s, Why: s}},
			Moves:     []plan.Move{{From: id, Request: s, Before: s, After: s}},
			Risks:     []plan.Risk{{Code: s, Level: plan.High, Ref: ref, Pos: pos, Text: s}},
			Graph: plan.Graph{Nodes: []plan.GraphNode{{Ref: ref, Op: schema.Op(s)}, {Ref: node}},
				Edges: []plan.GraphEdge{{From: ref, To: node, Before: 100, After: -1}}},
		},
		Past:    []report.PastPlan{{Head: s, Verdict: s}},
		Answers: []report.Answer{{Who: s, Command: s, Text: s}, {Who: s, Command: s, Text: s + "\n" + s}},
		After:   &report.After{Commit: s, Applied: status, Health: status},
		Files:   files,
	}
}

// tricks are what people have tried on such comments.
var tricks = []string{
	"", " ", "plain words", "web-v1", "spec.routes[0].match", "GH-1 closes acme/mesh#1 #2 and fixes #3", "@octocat @acme/team, me@example.com",
	"https://evil.example www.evil.example ftp://x.example mailto:me@example.com xmpp:a@b.c", "![x](https://evil.example/i.png) [y](javascript:alert(1)) <img src=x>",
	"<!-- meshwright:plan -->", "--> <!-- meshwright:plan --> <!--", "<<!--!-- meshwright:plan -->", "</details></summary><details open><summary>x", "<script>alert(1)</script>",
	"`", "``", "`a", "a`", "` a `` b ``` c", "```\n# forged\n", "~~~\n**No mesh changes**\n~~~", "a|b", `a\|b`, `a\\|b\`, "| a | b |\n| --- | --- |", "\\", "a\\",
	"\u202egnp.exe", "a\u200bb\u2066c\ufeff", "\x1b[31mred\x1b[0m\x00\a", "\xff\xfe", "﷽", strings.Repeat("🏳️‍🌈", 400),
	"1. one", "- one", "* one", "+ one", "# one", "> one", "===", "---", "***", "[x]: https://evil.example", "[^1]: note", "- [ ] task", ":tada: :+1:", "$\\sum$ $$x$$", "**bold** _it_ ~~gone~~",
	`"] click n0 "https://evil.example"`, "%%{init: {'theme':'dark'}}%%", "end", "\"];\n  n9[\"x\"]", "#quot;#60;b#62;", "subgraph x", "; style n0 fill:#f00", "&lt;b&gt; &#64;octocat &commat;octocat",
	"＠octocat", "a/../../b", "/etc/passwd", "spec/a b(c)<d>.yaml", "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef", "JIRA-12", "2 errors, nothing of it would be served", "x@y", "octocat's", "(@octocat)", "https", "://x", "www.", "http://",
}

const blob = "https://github.com/acme/mesh/blob/abc1234/"

// FuzzComment: whatever others wrote, a comment is ours. It is read as a git
// host shows it, with GitHub's Markdown turned into HTML.
func FuzzComment(f *testing.F) {
	for _, s := range tricks {
		f.Add(s, blob, 65536)
	}
	f.Add("@a", "https://x/](https://evil.example)/", 65536)
	f.Add("@a", "https://x/%X/", 65536)
	f.Add("@a", "javascript:alert(1)//", 2000)
	for limit := range 40 {
		f.Add("é", blob, limit-2)
		f.Add("` <!-- a@b |\n", blob, limit*40)
	}
	f.Fuzz(func(t *testing.T, s, files string, limit int) {
		p := hostile(s, files)
		steps := []func(){
			func() {}, func() { p.After = nil }, func() { p.Conflicts = nil }, func() { p.Errors, p.Diagnostics = 0, nil },
			func() { p.Protected = nil }, func() { p.Plan = nil },
		}
		for _, step := range steps {
			step()
			inspect(t, report.Comment(p, limit), files, limit)
		}
		inspect(t, report.PlanMarkdown(hostile(s, files).Plan, files), files, 1<<30)
		if v := report.Verdict(p); strings.ContainsAny(v, "\n\r\x1b") || !utf8.ValidString(v) {
			t.Errorf("verdict %q", v)
		}
	})
}

// TestCommentOfFragments puts together what fuzzing takes hours to: the marks of
// Markdown and of addresses, in any order.
func TestCommentOfFragments(t *testing.T) {
	marks := strings.Fields("` `` | \\ < > [ ] ( ) ! * _ ~ : ; , . ? - + = # @ & $ ' \" / a b www http https ftp mailto 1 23 GH -- --> <!-- </details> é 🏳 ABC 1. 2) img src x.y @o #1")
	marks = append(marks, " ", " ", "\n")
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s strings.Builder
		for range 1 + random.IntN(14) {
			s.WriteString(marks[random.IntN(len(marks))])
		}
		p := hostile(s.String(), blob)
		p.After, p.Conflicts = nil, nil
		inspect(t, report.Comment(p, 65536), blob, 65536)
		if t.Failed() {
			t.Fatalf("%q", s.String())
		}
	}
}

// markdown is GitHub's, as well as Go has it.
var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(gmhtml.WithUnsafe()))

var (
	// ours are the elements that a comment is made of.
	ours = strings.Fields("html head body p strong em code pre a br sub details summary table thead tbody tr th td ul li")
	// alive is what git hosts make something of where it is not code: mentions,
	// references to issues, emoji, addresses.
	alive = regexp.MustCompile(`(?i)@\w|#\d|\bgh-\d|[a-z]-\d|:\w+:|://|www\.|mailto:\w|\$`)
)

func inspect(t *testing.T, body, files string, limit int) {
	t.Helper()
	if n := len(utf16.Encode([]rune(body))); n > max(limit, 0) {
		t.Errorf("%d characters, of at most %d", n, limit)
	}
	if !utf8.ValidString(body) || strings.Contains(body, "<!--") || strings.ContainsFunc(body, hidden) {
		t.Errorf("it has what is not to be seen: %q", body)
	}
	var page bytes.Buffer
	if err := markdown.Convert([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(bytes.NewReader(page.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		inCode := slices.ContainsFunc(slices.Collect(n.Ancestors()), func(a *html.Node) bool { return a.Data == "code" || a.Data == "pre" })
		switch n.Type {
		case html.ElementNode:
			if !slices.Contains(ours, n.Data) {
				t.Errorf("element %s in\n%s", n.Data, body)
			}
			for _, a := range n.Attr {
				switch {
				case n.Data == "a" && a.Key == "href" && strings.HasPrefix(a.Val, files) && !strings.Contains("/"+strings.TrimPrefix(a.Val, files)+"/", "/../"):
				case n.Data == "code" && a.Key == "class" && (a.Val == "language-text" || a.Val == "language-mermaid"):
				default:
					t.Errorf("attribute %s=%q of %s in\n%s", a.Key, a.Val, n.Data, body)
				}
			}
		case html.TextNode:
			if m := alive.FindString(n.Data); m != "" && !inCode {
				t.Errorf("%q lives in %q of\n%s", m, n.Data, body)
			}
		case html.CommentNode:
			t.Errorf("comment %q in\n%s", n.Data, body)
		}
	}
	folds(t, body, page.Bytes())
}

// folds checks that details open and close one after another: html.Parse mends
// what does not.
func folds(t *testing.T, body string, page []byte) {
	t.Helper()
	open := 0
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := z.Next()
		name, _ := z.TagName()
		switch {
		case kind == html.ErrorToken:
			if open != 0 {
				t.Errorf("details stay open in\n%s", body)
			}
			return
		case string(name) != "details":
		case kind == html.StartTagToken && open == 0:
			open = 1
		case kind == html.EndTagToken && open == 1:
			open = 0
		default:
			t.Errorf("details do not match in\n%s", body)
			return
		}
	}
}

// hidden are characters that are not seen, or move what is.
func hidden(r rune) bool {
	return r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp))
}
