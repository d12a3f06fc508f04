package schema

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep values may nest, in every format. App Mesh's deepest
// field is at 11.
const maxDepth = 100

// parseJSON reads the JSON values of a file, one after the other (mostly there
// is one), with positions. encoding/json has none.
func parseJSON(path, text string, p *parsed) {
	j := jsonParser{text: strings.TrimPrefix(text, "\ufeff"), pos: Pos{path, 1, 1}}
	for j.space(); j.off < len(j.text); j.space() {
		n := j.value(0)
		if j.problem != "" {
			p.report(CodeSyntax, j.pos, "this is not JSON: "+j.problem, j.fix)
			p.broken += text
			return
		}
		p.add(n)
	}
}

// jsonParser stands at a place of a text. After the first problem it stays
// there.
type jsonParser struct {
	text    string
	off     int
	pos     Pos // of off
	problem string
	fix     string
}

// skip goes n bytes ahead.
func (j *jsonParser) skip(n int) {
	for _, r := range j.text[j.off : j.off+n] {
		if r == '\n' {
			j.pos.Line++
			j.pos.Col = 0
		}
		j.pos.Col++
	}
	j.off += n
}

// space skips white space and returns the next byte, 0 at the end.
func (j *jsonParser) space() byte {
	rest := strings.TrimLeft(j.text[j.off:], " \t\r\n")
	j.skip(len(j.text) - j.off - len(rest))
	if rest == "" {
		return 0
	}
	return rest[0]
}

func (j *jsonParser) bad(problem, fix string) *node {
	if j.problem == "" {
		j.problem, j.fix = problem, fix
	}
	return nil
}

func (j *jsonParser) unexpected(wanted string) *node {
	r, _ := utf8.DecodeRuneInString(j.text[j.off:])
	switch {
	case j.off >= len(j.text):
		return j.bad("it ends where "+wanted+" is wanted", "close what is open")
	case r == '/' || r == '#':
		return j.bad("a comment", "JSON has none: remove it, or write YAML")
	case r == '\'':
		return j.bad("a single quote where "+wanted+" is wanted", "write \"")
	}
	return j.bad(strconv.QuoteRune(r)+" where "+wanted+" is wanted", "")
}

func (j *jsonParser) value(depth int) *node {
	n := &node{}
	c := j.space()
	n.pos = j.pos
	switch {
	case depth > maxDepth:
		return j.bad("values nest deeper than "+strconv.Itoa(maxDepth)+" levels", "flatten it")
	case c == '{':
		n.kind = mapNode
		j.members('}', func() {
			f := field{pos: j.pos}
			if j.space() != '"' {
				j.unexpected("a field's name in quotes")
				return
			}
			f.name = j.str()
			if j.space() != ':' {
				j.unexpected("a colon")
				return
			}
			j.skip(1)
			f.value = j.value(depth + 1)
			n.fields = append(n.fields, f)
		})
	case c == '[':
		n.kind = listNode
		j.members(']', func() { n.items = append(n.items, j.value(depth+1)) })
	case c == '"':
		n.kind, n.text = stringNode, j.str()
	case c == '-' || c >= '0' && c <= '9':
		j.number(n)
	default:
		for word, kind := range map[string]nodeKind{"true": boolNode, "false": boolNode, "null": nullNode} {
			if strings.HasPrefix(j.text[j.off:], word) {
				n.kind, n.text = kind, word
				j.skip(len(word))
				return n
			}
		}
		return j.unexpected("a value")
	}
	return n
}

// members reads what stands between the brackets at hand, up to end.
func (j *jsonParser) members(end byte, member func()) {
	j.skip(1)
	if j.space() == end {
		j.skip(1)
		return
	}
	for j.problem == "" {
		member()
		if j.problem != "" {
			return
		}
		switch j.space() {
		case end:
			j.skip(1)
			return
		case ',':
			comma := *j
			j.skip(1)
			if j.space() == end {
				*j = comma
				j.bad("a comma before "+string(rune(end)), "remove it")
			}
		default:
			j.unexpected("a comma or " + string(rune(end)))
		}
	}
}

func (j *jsonParser) str() string {
	end := 1
	for rest := j.text[j.off:]; ; end++ {
		if end >= len(rest) || rest[end] == '\n' {
			j.bad("a string without its closing quote", "close it")
			return ""
		}
		if rest[end] == '\\' {
			end++
		} else if rest[end] == '"' {
			break
		}
	}
	var s string
	if err := json.Unmarshal([]byte(j.text[j.off:j.off+end+1]), &s); err != nil {
		j.bad("this string has a character or an escape that JSON does not allow", "mend it")
		return ""
	}
	j.skip(end + 1)
	return s
}

func (j *jsonParser) number(n *node) {
	rest := j.text[j.off:]
	end := strings.IndexFunc(rest, func(r rune) bool { return !strings.ContainsRune("+-.0123456789eE", r) })
	if end < 0 {
		end = len(rest)
	}
	if !json.Valid([]byte(rest[:end])) {
		j.bad(quote(rest[:end])+" is no number", "mend it, or put it in quotes")
		return
	}
	n.number(rest[:end])
	j.skip(end)
}

// number makes n the number that a text spells. Like Kubernetes it takes 80.0
// for an integer.
func (n *node) number(text string) {
	n.kind, n.text = floatNode, text
	if _, ok := parseInt(text); ok {
		n.kind = intNode
	} else if f, err := strconv.ParseFloat(text, 64); err == nil && f == float64(int64(f)) && f < 1<<53 && f > -(1<<53) {
		n.kind, n.text = intNode, strconv.FormatInt(int64(f), 10)
	}
}
