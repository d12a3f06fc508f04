package report

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/meshwright/meshwright/schema"
)

// Everything that stands in a spec, a path, a commit or a proxy's message was
// written by somebody who may wish to mention people, close issues, load
// images or forge what we say. GitHub looks for mentions and references in the
// page that it made of the Markdown, so that no escape keeps it from them: only
// code is left alone. Hence the one rule: text of others is code, but for words
// of letters and digits, which can do nothing.

// How many characters of a text are shown.
const (
	maxName    = 120  // of a name, a path, a value
	maxText    = 600  // of a message
	maxPath    = 40   // of a file that is linked
	maxAddress = 1000 // of a file's, or it is not linked
)

// clean makes text one line of what can be seen: no control characters, none
// that turn or hide others, and nothing that could be taken for our marker.
func clean(s string, limit int) string {
	s = strings.Join(strings.Fields(strings.Map(visible, s)), " ")
	return clip(strings.ReplaceAll(s, "<!--", "<! --"), limit)
}

func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r), unicode.IsControl(r):
		return ' '
	case !unicode.IsGraphic(r), blank[r]:
		return utf8.RuneError // in its place, so that something is seen
	}
	return r
}

// blank are letters and symbols that show nothing.
var blank = map[rune]bool{'\u034f': true, '\u115f': true, '\u1160': true, '\u17b4': true, '\u17b5': true, '\u2800': true, '\u3164': true, '\uffa0': true}

func clip(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:limit-1]), " ") + "…"
}

// code shows a name, a path or a value of others.
func code(s string) string { return span(clean(s, maxName)) }

// span is a code span of clean text.
func span(s string) string {
	if s == "" {
		return "–"
	}
	ticks := strings.Repeat("`", longestRun(s, '`')+1)
	if s[0] == '`' || s[len(s)-1] == '`' {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// cell is Markdown within a table. There a pipe is written \|, in code too, and
// parsers do not agree on a backslash before that: such a pipe becomes one that
// only looks like it.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, `\|`, `\∣`), "|", `\|`)
}

// longestRun is how often b stands in a row at most.
func longestRun(s string, b byte) int {
	most, run := 0, 0
	for i := range len(s) {
		if s[i] != b {
			run = 0
			continue
		}
		run++
		most = max(most, run)
	}
	return most
}

// harmless are words that are no Markdown and that no page makes a link, a
// mention or an emoji of: letters, or a number; or, which is a link to nothing
// worse, a commit. The start of an address, www., is no such word.
var harmless = regexp.MustCompile(`^[("']*(\pL+(['’-]\pL+)*|\+?\d+([.,/]\d+)*(%|ms|s|m|h)?|(\d+[hms])+|\pL\d{1,3}|[0-9a-f]{7,40})[)"'.,;:!?…]*$|^[→–%·][.,;:)]*$`)

// item begins a list where it begins a line.
var item = regexp.MustCompile(`^\d+[.)]`)

// prose shows a sentence that has words of others in it: what is more than a
// word becomes code, and neighbours share a span.
func prose(s string) string { return words(clean(s, maxText)) }

func words(s string) string {
	var out, run []string
	flush := func(after string) {
		if len(run) > 0 {
			out = append(out, span(strings.Join(run, " "))+after)
			run = nil
		}
	}
	for i, w := range strings.Fields(s) {
		if harmless.MatchString(w) && !strings.Contains(strings.ToLower(w), "www") && (i > 0 || !item.MatchString(w)) {
			flush("")
			out = append(out, w)
			continue
		}
		bare := strings.TrimRight(w, ",.;:?!")
		if bare == "" {
			bare = w
		}
		run = append(run, bare)
		if end := w[len(bare):]; end != "" {
			flush(end)
		}
	}
	flush("")
	return strings.Join(out, " ")
}

// fence shows lines of others as they are, at most so many.
func fence(s string, lines int) string {
	var out []string
	for l := range strings.Lines(s) {
		if len(out) == lines {
			out = append(out, "…")
			break
		}
		l = strings.TrimRight(strings.Map(visible, strings.ReplaceAll(l, "\t", "    ")), " ")
		out = append(out, strings.ReplaceAll(clip(l, 2*maxName), "<!--", "<! --"))
	}
	text := strings.Join(out, "\n")
	ticks := strings.Repeat("`", max(longestRun(text, '`')+1, 3))
	return ticks + "text\n" + text + "\n" + ticks + "\n"
}

// fullHash is a commit, whole or as [Short] makes it.
var fullHash = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// commit shows a commit's short hash bare: git hosts link it.
func commit(hash string) string {
	if fullHash.MatchString(hash) {
		return Short(hash)
	}
	return code(Short(hash))
}

// place is a link to a line of a file; files is the prefix of its address,
// empty where nothing can be linked.
func place(p schema.Pos, files string) string {
	if p.File == "" {
		return "–"
	}
	line, anchor := "", ""
	if p.Line > 0 {
		line, anchor = fmt.Sprintf(":%d", p.Line), fmt.Sprintf("#L%d", p.Line)
	}
	if !address.MatchString(files) || !fs.ValidPath(p.File) || len(files)+len(p.File) > maxAddress {
		return code(p.File + line)
	}
	name := p.File
	if utf8.RuneCountInString(name) > maxPath {
		name = "…/" + path.Base(name) // the link has the folders
	}
	return fmt.Sprintf("[%s](%s%s%s)", code(name+line), files, escapePath(p.File), anchor)
}

// address is what a prefix of addresses is made of: nothing that would end a link.
var address = regexp.MustCompile(`^https?://[A-Za-z0-9.:-]+(/([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)*/$`)

// escapePath escapes all that is not plain, as much means something in Markdown.
func escapePath(file string) string {
	var b strings.Builder
	for _, c := range []byte(file) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// size is how many characters a git host may count in s: UTF-16 units.
func size(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}
