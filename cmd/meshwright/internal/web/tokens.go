package web

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

// Tokens are those by which people and machines write through the API. Only
// their hashes are kept.
type Tokens []token

type token struct {
	sum  [sha256.Size]byte
	name string // who shows it, in logs and histories
}

// leastToken is how long a token has to be, in bytes: what is shorter can be
// guessed.
const leastToken = 16

// ParseTokens reads a text of lines "TOKEN [NAME]"; empty lines and those that
// start with # are passed over. Errors name the line, never what is in it.
func ParseTokens(text string) (Tokens, error) {
	var out Tokens
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
			continue
		case len(fields) > 2:
			return nil, fmt.Errorf("line %d: want a token and a name of who has it, separated by a space", n)
		case len(fields[0]) < leastToken:
			return nil, fmt.Errorf("line %d: a token needs %d characters at least; `openssl rand -hex 16` makes one", n, leastToken)
		}
		t := token{sha256.Sum256([]byte(fields[0])), "token"}
		if len(fields) == 2 {
			t.name = fields[1]
		}
		out = append(out, t)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 && strings.TrimSpace(text) != "" {
		return nil, errors.New("no token in it")
	}
	return out, nil
}

// holder is the name of who shows a token. It takes as long for a wrong one as
// for a right one.
func (ts Tokens) holder(shown string) (name string, ok bool) {
	sum := sha256.Sum256([]byte(shown))
	for _, t := range ts {
		if subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 {
			name, ok = t.name, true
		}
	}
	return name, ok
}
