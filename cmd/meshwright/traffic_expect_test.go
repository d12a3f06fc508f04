package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
)

// expectation is what a script writes after "->" of one question:
// [NODE] [STATUS] [NAME=VALUE]... [+NAME=VALUE]... [>DURATION] [<DURATION].
type expectation struct {
	node, status  string
	saw           map[string]string // path, host, method, proto, or a header → value
	got           map[string]string // a header of the response → value
	longer, below time.Duration
}

func newExpectation(words []string) (expectation, error) {
	e := expectation{saw: map[string]string{}, got: map[string]string{}}
	for _, word := range words {
		name, value, isSight := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, ">"), strings.HasPrefix(word, "<"):
			d, err := time.ParseDuration(word[1:])
			if err != nil {
				return e, err
			}
			if word[0] == '>' {
				e.longer = d
			} else {
				e.below = d
			}
		case isSight && name[0] == '+':
			e.got[name[1:]] = value
		case isSight:
			e.saw[name] = value
		case isStatus(word):
			e.status = word
		case e.node == "":
			e.node = word
		default:
			return e, fmt.Errorf("%s and %s: one node answers", e.node, word)
		}
	}
	if e.node == "" && e.status == "" {
		return e, fmt.Errorf("nothing is expected: write -> NODE or -> STATUS")
	}
	return e, nil
}

// isStatus tells statuses from names of nodes.
func isStatus(word string) bool {
	_, ok := statusCode(word)
	return ok || slices.Contains([]string{"open", "closed", "refused"}, word)
}

// good are the statuses that a node's name alone expects.
var good = []string{"200", "OK", "open"}

func (e expectation) check(r reply) error {
	switch {
	case r.Node != e.node:
	case e.status != "" && r.status != e.status, e.status == "" && !slices.Contains(good, r.status):
	case e.longer > 0 && r.took <= e.longer, e.below > 0 && r.took >= e.below:
	default:
		for name, want := range e.saw {
			if got := r.saw(name); got != want {
				return fmt.Errorf("%v; it saw %s %q, not %q", r, name, got, want)
			}
		}
		for name, want := range e.got {
			if got := strings.Join(r.header.Values(name), ","); got != want {
				return fmt.Errorf("%v; its header %s is %q, not %q", r, name, got, want)
			}
		}
		return nil
	}
	return fmt.Errorf("the answer was %v", r)
}

func (s sight) saw(name string) string {
	switch name {
	case "path":
		return s.Path
	case "host":
		return s.Host
	case "method":
		return s.Method
	case "proto":
		return s.Proto
	}
	return s.Header[strings.ToLower(name)]
}

// checkShares compares answers of many questions with NODE P%...
func checkShares(replies []reply, words []string) error {
	split := lab.Split{Requests: len(replies), Versions: map[string]int{}}
	for _, r := range replies {
		if !slices.Contains(good, r.status) {
			if split.Failed++; split.FirstFailure == "" {
				split.FirstFailure = r.String()
			}
			continue
		}
		split.Versions[r.Node]++
	}
	if len(words)%2 != 0 || len(words) == 0 {
		return fmt.Errorf("write NODE P%% for each node")
	}
	for i := 0; i < len(words); i += 2 {
		share, err := strconv.ParseFloat(strings.TrimSuffix(words[i+1], "%"), 64)
		if err != nil {
			return err
		}
		if err := split.Check(words[i], share/100); err != nil {
			return err
		}
	}
	return nil
}

// checkCounts compares answers with NxSTATUS or NxNODE...
func checkCounts(replies []reply, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("write NxSTATUS or NxNODE")
	}
	for _, word := range words {
		count, what, ok := strings.Cut(word, "x")
		want, err := strconv.Atoi(count)
		if !ok || err != nil {
			return fmt.Errorf("%s: write NxSTATUS or NxNODE", word)
		}
		got := 0
		for _, r := range replies {
			if r.status == what || r.Node == what && !unicode.IsDigit(rune(what[0])) {
				got++
			}
		}
		if got != want {
			return fmt.Errorf("%d, not %d, of %v", got, want, replies)
		}
	}
	return nil
}
