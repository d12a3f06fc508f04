package reconciler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Command is what somebody asks for in a comment on a pull request.
type Command struct {
	Verb string   // plan, explain, canary, pause, resume, promote, approve, abort, retry or help
	Args []string // as many as the verb takes ([CommandHelp]), for a canary also none; printable, without spaces
}

// String is the command as [ParseCommand] reads it.
func (c Command) String() string {
	return strings.Join(append([]string{"/meshwright", c.Verb}, c.Args...), " ")
}

// verbs are the commands, in the order in which help tells them.
var verbs = []struct {
	name, args  string
	least, most int // args
	does        string
}{
	{"plan", "", 0, 0, "plans the pull request anew"},
	{"explain", "FROM TO [METHOD] PATH", 3, 4, "says where a request of that node or gateway goes, before and after"},
	{"canary", "[NAME]", 0, 1, "starts the canary of the pull request; /canary is short for it"},
	{"pause", "NAME", 1, 1, "holds a canary at its step"},
	{"resume", "NAME", 1, 1, "lets a paused canary go on"},
	{"promote", "NAME", 1, 1, "takes a canary to its end at once"},
	{"approve", "NAME", 1, 1, "lets a canary through a gate that waits for a person"},
	{"abort", "NAME", 1, 1, "takes a canary back, whatever else is asked at the same time"},
	{"retry", "NAME", 1, 1, "starts a canary anew that has failed or was aborted"},
	{"help", "", 0, 0, "tells this list"},
}

// CommandHelp is the answer to help: a line for each command.
func CommandHelp() string {
	var b strings.Builder
	for _, v := range verbs {
		fmt.Fprintf(&b, "%s: %s\n", usage(v.name, v.args), v.does)
	}
	return b.String()
}

func usage(verb, args string) string { return strings.TrimSpace("/meshwright " + verb + " " + args) }

// maxCommand is how long a command may be (bytes).
const maxCommand = 1024

// ParseCommand reads the command that a comment begins with: its first line that
// is not blank starts with /meshwright or /canary, and what follows it does not
// count. It reports false for what is no command of ours, such as a quotation,
// an indented line, which is code, or words in the middle of a sentence. An error
// is about a command of ours that is wrong; its text is one line of Markdown to
// answer with, in which the author has no say.
func ParseCommand(body string) (Command, bool, error) {
	line := firstLine(body)
	if indent := len(line) - len(strings.TrimLeft(line, " ")); indent >= 4 {
		return Command{}, false, nil
	}
	words := strings.Fields(line)
	if len(words) == 0 || line[0] == '\t' {
		return Command{}, false, nil
	}
	switch strings.ToLower(words[0]) {
	case "/meshwright":
		words = words[1:]
	case "/canary":
		words[0] = "canary"
	default:
		return Command{}, false, nil
	}
	c, err := newCommand(line, words)
	return c, true, err
}

// newCommand makes a command of the words of a line after /meshwright.
func newCommand(line string, words []string) (Command, error) {
	unprintable := func(word string) bool {
		return !utf8.ValidString(word) || strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) })
	}
	switch {
	case len(line) > maxCommand:
		return Command{}, fmt.Errorf("a command is one line of at most %d bytes", maxCommand)
	case slices.ContainsFunc(words, unprintable):
		return Command{}, errors.New("the command has characters that cannot be seen; type it anew")
	case len(words) == 0:
		words = []string{"help"}
	}
	c := Command{Verb: strings.ToLower(words[0]), Args: words[1:]}
	var names []string
	for _, v := range verbs {
		if v.name != c.Verb {
			names = append(names, v.name)
			continue
		}
		if len(c.Args) == 0 && v.args == "NAME" {
			return Command{}, lacksName{usage(v.name, v.args)}
		}
		if n := len(c.Args); n < v.least || n > v.most {
			return Command{}, fmt.Errorf("write %s", usage(v.name, v.args))
		}
		if c.Verb == "explain" {
			return explain(c, usage(v.name, v.args))
		}
		return c, nil
	}
	return Command{}, fmt.Errorf("no such command; write one of %s after /meshwright", strings.Join(names, ", "))
}

// lacksName is the error of a command that names no rollout.
type lacksName struct{ usage string }

func (e lacksName) Error() string { return "write " + e.usage }

// explain holds the last args of explain to be a path and, before it, a method.
func explain(c Command, usage string) (Command, error) {
	if !strings.HasPrefix(c.Args[len(c.Args)-1], "/") {
		return Command{}, fmt.Errorf("the path of a request starts with /; write %s", usage)
	}
	if len(c.Args) == 4 {
		c.Args[2] = strings.ToUpper(c.Args[2])
		if strings.ContainsFunc(c.Args[2], func(r rune) bool { return r < 'A' || r > 'Z' }) {
			return Command{}, fmt.Errorf("the method of a request is a word such as GET; write %s", usage)
		}
	}
	return c, nil
}

// firstLine returns the first line that is not blank.
func firstLine(body string) string {
	for body != "" {
		line, rest := body, ""
		if i := strings.IndexAny(body, "\r\n"); i >= 0 {
			line, rest = body[:i], body[i+1:]
		}
		if strings.TrimSpace(line) != "" {
			return line
		}
		body = rest
	}
	return ""
}

// OverruledBy reports whether an abort leaves nothing of a command that was read
// at the same look. It overrules whatever is asked of its canary, also by those
// who asked later: they may not have seen it, and can ask again. A canary that is
// asked for without a name may be that one.
func (c Command) OverruledBy(other Command) bool {
	if other.Verb != "abort" {
		return false
	}
	switch c.Verb {
	case "canary", "pause", "resume", "promote", "approve", "retry":
		return len(c.Args) == 0 || sameName(c.Args[0], other.Args[0])
	}
	return false
}

// sameName reports whether two names may mean the same: a namespace may be left
// out.
func sameName(a, b string) bool {
	return a == b || strings.HasSuffix(a, "/"+b) || strings.HasSuffix(b, "/"+a)
}
