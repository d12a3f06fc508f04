package schema

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxNodes is how many values one YAML document may hold with its aliases
// written out: a few lines of nested aliases can stand for billions.
const maxNodes = 200_000

// parseYAML reads the documents of a file, each by itself, so that a mistake
// in one hides nothing of the others.
func parseYAML(path, text string, p *parsed) {
	for _, c := range splitYAML(strings.TrimPrefix(text, "\ufeff")) {
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(c.text), &root); err != nil {
			c.problem(path, err, p)
			p.broken += c.text
			continue
		}
		if root.Kind == 0 {
			continue // nothing but comments
		}
		y := yamlConverter{path: path, offset: c.line, open: map[*yaml.Node]bool{}, sizes: map[*node]int{}, done: map[*yaml.Node]*node{}}
		n := y.convert(root.Content[0], 0)
		if y.problem != "" {
			p.report(CodeSyntax, y.at, y.problem, y.fix)
			p.broken += c.text
			continue
		}
		p.add(n)
	}
}

// chunk is one YAML document of a file.
type chunk struct {
	text string
	line int // lines of the file before it
}

// splitYAML cuts a file at its document markers. A marker at the start of a
// line always is one, even inside a block or a quoted text (YAML 1.2, 9.1.2).
func splitYAML(text string) []chunk {
	var chunks []chunk
	start, line, startLine := 0, 0, 0
	directives, content := false, false // of the chunk so far
	for off := 0; off < len(text); {
		end := strings.IndexByte(text[off:], '\n') + 1
		if end == 0 {
			end = len(text) - off
		}
		l := text[off : off+end]
		marker := l[:min(3, len(l))]
		switch isMarker := (marker == "---" || marker == "...") && (len(l) == 3 || strings.ContainsRune(" \t\r\n", rune(l[3]))); {
		case isMarker && marker == "..." && directives && !content:
			// leave it to the parser to refuse
		case isMarker && (content || !directives):
			cut := off
			if marker == "..." {
				cut += end // ends the document and belongs to it
			}
			chunks = append(chunks, chunk{text[start:cut], startLine})
			start, startLine = cut, line
			if marker == "..." {
				startLine++
			}
			directives, content = false, marker == "---"
		case strings.HasPrefix(l, "%") && !content:
			directives = true
		case isMarker:
			content = true
		case strings.TrimSpace(l) != "" && !strings.HasPrefix(l, "#"):
			content = true
		}
		off += end
		line++
	}
	return append(chunks, chunk{text[start:], startLine})
}

// yamlMistakes puts the parser's words, which speak of tokens, into those of
// somebody who writes the file.
var yamlMistakes = []struct{ raw, what, fix string }{
	{"mapping values are not allowed", "a second colon, or a line that is indented too far", "put the value in quotes, or align the line with its siblings"},
	{"did not find expected key", "this does not fit what stands before it: its indentation matches nothing, or a quote or bracket ends too early", "align it with its siblings"},
	{"did not find expected '-' indicator", "a field amid the items of a list, or an item amid fields", "align it with its siblings"},
	{"did not find expected ',' or ']'", "a [ that is not closed", "close it with ]"},
	{"did not find expected ',' or '}'", "a { that is not closed", "close it with }"},
	{"found unexpected end of stream", "a quote that is not closed", "close it"},
	{"found unexpected document indicator", "a quote that is not closed", "close it"},
	{"could not find expected ':'", "a line without a colon amid fields", "write name: value, or indent it if it belongs to the text above"},
	{"found character that cannot start any token", "a value cannot start with this character", "put the value in quotes"},
	{"found unknown escape character", "an unknown escape in a quoted text", `write \\ for a backslash, or use single quotes`},
	{"control characters are not allowed", "a control character", "remove it"},
	{"invalid leading UTF-8", "the file is not UTF-8", "save it as UTF-8"},
	{"invalid trailing UTF-8", "the file is not UTF-8", "save it as UTF-8"},
	{"incomplete UTF-8", "the file is not UTF-8", "save it as UTF-8"},
	{"did not find expected node content", "a bracket, a comma or a colon where a value is wanted", "put the value in quotes"},
	{"found incompatible YAML document", "this is YAML of a version that is not known", "write %YAML 1.2, or leave the line out"},
	{"exceeded max depth", "values nest too deep", "flatten it"},
}

const (
	looksLikeTemplate = "this looks like a template; templates are not rendered here"
	renderFirst       = "render it first, or keep it out of the spec's folder"
)

var (
	yamlLine   = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	yamlAnchor = regexp.MustCompile(`unknown anchor '([^']*)'`)
)

// problem reports what the parser could not read, as near to the mistake as
// can be told from a message that knows its line roughly and no column.
func (c chunk) problem(path string, err error, p *parsed) {
	lines := strings.Split(c.text, "\n")
	m := yamlLine.FindStringSubmatch(err.Error())
	msg := err.Error()[len(m[0]):]
	line, _ := strconv.Atoi(m[1])
	line = max(line, 1)
	at := func(line, col int, what, fix string) {
		p.report(CodeSyntax, Pos{path, c.line + line, col}, what, fix)
	}
	if a := yamlAnchor.FindStringSubmatch(msg); a != nil {
		for i, l := range lines {
			if before, _, ok := strings.Cut(l, "*"+a[1]); ok {
				at(i+1, utf8.RuneCountInString(before)+1, "no anchor &"+a[1]+" stands before this alias", "define it, or put the value in quotes")
				return
			}
		}
	}
	if i, col := tabIndent(lines); i > 0 && i <= line+1 {
		at(i, col, "a tab; YAML indents with spaces", "replace it")
		return
	}
	what, fix := msg, "mend the line"
	for _, k := range yamlMistakes {
		if strings.HasPrefix(msg, k.raw) {
			what, fix = k.what, k.fix
		}
	}
	for _, open := range []struct{ bracket, close string }{{"[", "]"}, {"{", "}"}} { // at the end of the text: then nothing else is told
		if strings.HasPrefix(msg, "did not find expected node content") && strings.HasSuffix(strings.TrimSpace(c.text), open.bracket) {
			what, fix = "a "+open.bracket+" that is not closed", "close it with "+open.close
		}
	}
	// Where a prefix of the document is good and one line more is not, that
	// line is the mistake, unless something was opened above it.
	if !strings.Contains(what, "not closed") && len(c.text) < 1<<16 {
		line = c.firstBad(lines, line)
	} else {
		line = c.opened(lines, min(line, len(lines)), what)
	}
	line = min(line, len(lines))
	text := lines[line-1]
	if before := line - 2; strings.HasPrefix(what, "a second colon") && before >= 0 && strings.Count(text, ":") < 2 && strings.TrimSpace(lines[before]) != "" && !strings.Contains(lines[before], ":") {
		line, text = line-1, lines[before] // a text that goes on, to the parser
		what, fix = "a line without a colon amid fields", "write name: value, or indent it if it belongs to the text above"
	}
	if strings.Contains(text, "{{") {
		what, fix = looksLikeTemplate, renderFirst
	}
	at(line, utf8.RuneCountInString(text[:suspect(text, what)])+1, what, fix)
}

// suspect is where in a line a mistake is, by what the mistake is; else where
// its text begins.
func suspect(text, what string) int {
	start := len(text) - len(strings.TrimLeft(text, " \t"))
	at := -1
	switch {
	case strings.Contains(what, "quote"):
		at = strings.IndexAny(text, "\"'")
	case strings.Contains(what, "a [ that"):
		at = strings.IndexByte(text, '[')
	case strings.Contains(what, "a { that"):
		at = strings.IndexByte(text, '{')
	case strings.Contains(what, "a second colon"):
		if first := strings.Index(text, ": "); first >= 0 {
			if second := strings.Index(text[first+1:], ": "); second >= 0 {
				at = first + 1 + second
			}
		}
	case strings.Contains(what, "cannot start"):
		if colon := strings.Index(text, ": "); colon >= 0 {
			at = colon + len(text[colon:]) - len(strings.TrimLeft(text[colon:], ": "))
		}
	}
	if at < start {
		return start
	}
	return at
}

// tabIndent returns the place of the first tab in a line's indentation.
func tabIndent(lines []string) (line, col int) {
	for i, l := range lines {
		rest := strings.TrimLeft(l, " ")
		if strings.HasPrefix(rest, "\t") && strings.TrimSpace(rest) != "" {
			return i + 1, len(l) - len(rest) + 1
		}
	}
	return 0, 0
}

// firstBad returns the first line, among those around a guess, that makes the
// text up to it unreadable.
func (c chunk) firstBad(lines []string, guess int) int {
	for n := max(1, guess-2); n <= min(guess+2, len(lines)); n++ {
		var root yaml.Node
		if yaml.Unmarshal([]byte(strings.Join(lines[:n], "\n")), &root) != nil {
			return n
		}
	}
	return guess
}

// opened returns the line where a bracket or quote was opened that is still
// open at the end: the last one, up to a guess, that can be read neither with
// the lines before it nor with those after it.
func (c chunk) opened(lines []string, guess int, what string) int {
	open := "\"'"
	switch {
	case strings.Contains(what, "["):
		open = "["
	case strings.Contains(what, "{"):
		open = "{"
	}
	for n := 1; n <= min(guess+1, len(lines)); n++ {
		var root yaml.Node
		if strings.ContainsAny(lines[n-1], open) && yaml.Unmarshal([]byte(strings.Join(lines[:n], "\n")), &root) != nil {
			return n
		}
	}
	return guess
}

// yamlConverter makes nodes of one document. An aliased value becomes one node
// that stands in several places; sizes keeps what it amounts to written out.
type yamlConverter struct {
	path   string
	offset int // lines before the document

	done  map[*yaml.Node]*node // anchored values
	open  map[*yaml.Node]bool  // anchored values at work
	sizes map[*node]int        // of anchored values
	total int

	at           Pos // of the problem
	problem, fix string
}

func (y *yamlConverter) pos(n *yaml.Node) Pos { return Pos{y.path, y.offset + n.Line, n.Column} }

func (y *yamlConverter) bad(n *yaml.Node, problem, fix string) *node {
	if y.problem == "" {
		y.at, y.problem, y.fix = y.pos(n), problem, fix
	}
	return &node{pos: y.pos(n)}
}

func (y *yamlConverter) convert(n *yaml.Node, depth int) *node {
	if y.problem != "" {
		return &node{}
	}
	if n.Kind == yaml.AliasNode {
		return y.alias(n, depth)
	}
	if depth > maxDepth {
		return y.bad(n, "values nest deeper than "+strconv.Itoa(maxDepth)+" levels", "flatten it")
	}
	if y.count(n, 1); n.Anchor != "" {
		before := y.total - 1
		y.open[n] = true
		defer func() {
			delete(y.open, n)
			if out := y.done[n]; out != nil {
				y.sizes[out] = y.total - before
			}
		}()
	}
	out := &node{pos: y.pos(n)}
	switch n.Kind {
	case yaml.MappingNode:
		out.kind = mapNode
		y.fields(out, n, depth)
	case yaml.SequenceNode:
		out.kind = listNode
		out.items = make([]*node, len(n.Content))
		for i, item := range n.Content {
			out.items[i] = y.convert(item, depth+1)
		}
	default:
		y.scalar(out, n)
	}
	if n.Anchor != "" {
		y.done[n] = out
	}
	return out
}

// count adds what a value amounts to.
func (y *yamlConverter) count(n *yaml.Node, size int) {
	if y.total += size; y.total > maxNodes {
		y.bad(n, "aliases stand for more than "+strconv.Itoa(maxNodes)+" values", "write fewer aliases of aliases")
	}
}

func (y *yamlConverter) alias(n *yaml.Node, depth int) *node {
	if y.open[n.Alias] {
		return y.bad(n, "this alias stands for a value that holds the alias", "write the value out")
	}
	out := y.done[n.Alias]
	if out == nil { // its anchor was passed by, as under a repeated merge key
		return y.convert(n.Alias, depth)
	}
	y.count(n, y.sizes[out])
	return out
}

// fields converts a map's entries, and puts merged ones (<<) after its own.
func (y *yamlConverter) fields(out *node, n *yaml.Node, depth int) {
	out.fields = make([]field, 0, len(n.Content)/2)
	var merges []*node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merged := y.convert(value, depth+1)
			if merged.kind == listNode {
				merges = append(merges, merged.items...)
			} else {
				merges = append(merges, merged)
			}
			for _, m := range merges {
				if m.kind != mapNode {
					y.bad(value, "<< merges maps, and this is "+m.kind.String(), "name the anchor of a map")
				}
			}
			continue
		}
		at := key
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind == yaml.MappingNode && key.Style&n.Style&yaml.FlowStyle != 0 { // {{ name }}
			y.bad(n, looksLikeTemplate, renderFirst)
			return
		}
		if key.Kind != yaml.ScalarNode {
			y.bad(at, "a map or list as the name of a field", "write a plain name")
			return
		}
		out.fields = append(out.fields, field{key.Value, y.pos(at), y.convert(value, depth+1)})
	}
	if merges == nil {
		return
	}
	own := make(map[string]bool, len(out.fields))
	for _, f := range out.fields {
		own[f.name] = true
	}
	for _, m := range merges {
		for _, f := range m.fields {
			if !own[f.name] {
				own[f.name] = true
				out.fields = append(out.fields, f)
			}
		}
	}
}

// scalar reads a scalar as Kubernetes does: YAML 1.2, and yes, no, on and off
// as booleans. Tags of other tools (CloudFormation's !Ref) make strings.
func (y *yamlConverter) scalar(out *node, n *yaml.Node) {
	out.kind, out.text = stringNode, n.Value
	switch n.ShortTag() {
	case "!!null":
		out.kind = nullNode
	case "!!bool":
		out.kind = boolNode
	case "!!int", "!!float":
		out.number(n.Value)
	case "!!str":
		if n.Style == 0 && n.Tag != "!!binary" {
			switch n.Value {
			case "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF":
				out.kind = boolNode
			}
		}
	}
}
