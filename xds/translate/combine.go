package translate

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
)

// rewriting is what a gateway route does to the path of what it matches.
type rewriting struct {
	match *routev3.RouteMatch
	path  string // the whole new path; empty: not replaced
	from  string // the matched prefix, which becomes
	to    string // this; equal: it is kept
}

// rewritesOf returns the rewritings of an entrance. By default a matched
// prefix becomes "/" and other paths are kept (App Mesh's user guide, "Gateway
// routes"). A prefix without a slash at its end is taken in two parts, so that
// of /a/b and prefix /a no // is left.
func rewritesOf(e entrance) []rewriting {
	keep := rewriting{match: e.match}
	rw := e.action.Rewrite
	if rw != nil && rw.Path != nil && rw.Path.Exact != "" {
		keep.path = rw.Path.Exact
		return []rewriting{keep}
	}
	if e.prefix == "" {
		return []rewriting{keep}
	}
	to := "/"
	if rw != nil && rw.Prefix != nil {
		switch {
		case rw.Prefix.Value != "":
			to = rw.Prefix.Value
		case rw.Prefix.DefaultPrefix == "DISABLED":
			return []rewriting{keep}
		}
	}
	keep.from, keep.to = e.prefix, to
	if e.prefix != to && strings.HasSuffix(to, "/") && !strings.HasSuffix(e.prefix, "/") {
		slashed := keep
		slashed.from += "/"
		slashed.match = proto.CloneOf(e.match)
		slashed.match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: slashed.from}
		return []rewriting{slashed, keep}
	}
	return []rewriting{keep}
}

// combine returns the match of requests that outer matches and, once they are
// rewritten, inner too, and what rewrites them; a nil match if there are none.
func combine(outer, inner *routev3.RouteMatch, rw rewriting) (*routev3.RouteMatch, func(*routev3.RouteAction), error) {
	out := proto.CloneOf(outer)
	out.Headers = append(out.Headers, inner.Headers...)
	out.QueryParameters = append(out.QueryParameters, inner.QueryParameters...)
	set := func(*routev3.RouteAction) {}
	switch {
	case rw.path != "":
		if !holds(inner, rw.path) {
			return nil, nil, nil
		}
		set = func(a *routev3.RouteAction) { a.RegexRewrite = substitute("^.+$", rw.path) }
	case rw.from != rw.to:
		return combinePrefix(out, inner, rw)
	case !intersect(out, inner):
		return nil, nil, nil
	}
	return out, set, nil
}

// combinePrefix: the path of a request is from + rest, and to + rest when the
// inner match sees it.
func combinePrefix(out, inner *routev3.RouteMatch, rw rewriting) (*routev3.RouteMatch, func(*routev3.RouteAction), error) {
	to := func(path string) func(*routev3.RouteAction) {
		return func(a *routev3.RouteAction) { a.PrefixRewrite = path }
	}
	switch p := inner.PathSpecifier.(type) {
	case *routev3.RouteMatch_Prefix:
		if strings.HasPrefix(rw.to, p.Prefix) {
			return out, to(rw.to), nil
		}
		if rest, ok := strings.CutPrefix(p.Prefix, rw.to); ok {
			out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: rw.from + rest}
			return out, to(p.Prefix), nil
		}
	case *routev3.RouteMatch_Path:
		if rest, ok := strings.CutPrefix(p.Path, rw.to); ok {
			out.PathSpecifier = &routev3.RouteMatch_Path{Path: rw.from + rest}
			return out, to(p.Path), nil
		}
	case *routev3.RouteMatch_SafeRegex:
		rest, ok := cutLiteral(p.SafeRegex.Regex, rw.to)
		if !ok {
			return nil, nil, fmt.Errorf("the prefix %s is rewritten to %s, and the regular expression %s does not start with that", rw.from, rw.to, p.SafeRegex.Regex)
		}
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: regexp.QuoteMeta(rw.from) + rest}}
		return out, func(a *routev3.RouteAction) {
			a.RegexRewrite = substitute("^"+regexp.QuoteMeta(rw.from), rw.to)
		}, nil
	}
	return nil, nil, nil
}

// intersect narrows out's path to what inner's matches too. It reports whether
// anything is left.
func intersect(out, inner *routev3.RouteMatch) bool {
	a, b := out, inner
	if b.GetPath() != "" || a.GetPath() == "" && a.GetSafeRegex() == nil && b.GetSafeRegex() != nil {
		a, b = b, a // a: exact before regex before prefix
	}
	path := a.PathSpecifier
	switch {
	case a.GetPath() != "":
		if !holds(b, a.GetPath()) {
			return false
		}
	case a.GetSafeRegex() != nil && b.GetSafeRegex() != nil:
		out.Headers = append(out.Headers, stringHeader(":path", &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{
			SafeRegex: &matcherv3.RegexMatcher{Regex: "(?:" + beforeQuery(b.GetSafeRegex().Regex) + `)(?:\?.*)?`},
		}}))
	case a.GetSafeRegex() != nil:
		if b.GetPrefix() != "/" {
			out.Headers = append(out.Headers, stringHeader(":path", &matcherv3.StringMatcher{
				MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: b.GetPrefix()},
			}))
		}
	case strings.HasPrefix(b.GetPrefix(), a.GetPrefix()):
		path = b.PathSpecifier
	case !strings.HasPrefix(a.GetPrefix(), b.GetPrefix()):
		return false
	}
	out.PathSpecifier = path
	return true
}

// holds reports whether a path matches.
func holds(m *routev3.RouteMatch, path string) bool {
	switch p := m.PathSpecifier.(type) {
	case *routev3.RouteMatch_Path:
		return p.Path == path
	case *routev3.RouteMatch_Prefix:
		return strings.HasPrefix(path, p.Prefix)
	case *routev3.RouteMatch_SafeRegex:
		re, err := regexp.Compile("^(?:" + p.SafeRegex.Regex + ")$")
		return err == nil && re.MatchString(path)
	}
	return false
}

// cutLiteral returns what follows the literal at the start of a regular
// expression, if every match starts with it.
func cutLiteral(expr, literal string) (string, bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return "", false
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts = parts[1:]
	}
	if len(parts) == 0 || parts[0].Op != syntax.OpLiteral || parts[0].Flags&syntax.FoldCase != 0 {
		return "", false
	}
	rest, ok := strings.CutPrefix(string(parts[0].Rune), literal)
	if !ok {
		return "", false
	}
	var b strings.Builder
	b.WriteString(regexp.QuoteMeta(rest))
	for _, p := range parts[1:] {
		b.WriteString("(?:" + p.String() + ")")
	}
	return b.String(), true
}

// beforeQuery is a regular expression that matches the same paths and never
// reaches into a query behind them: nothing in it matches a question mark.
func beforeQuery(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return expr
	}
	var exclude func(*syntax.Regexp)
	exclude = func(re *syntax.Regexp) {
		switch re.Op {
		case syntax.OpAnyChar:
			re.Op, re.Rune = syntax.OpCharClass, []rune{0, '?' - 1, '?' + 1, utf8.MaxRune}
		case syntax.OpAnyCharNotNL:
			re.Op, re.Rune = syntax.OpCharClass, []rune{0, '\n' - 1, '\n' + 1, '?' - 1, '?' + 1, utf8.MaxRune}
		case syntax.OpCharClass:
			var kept []rune
			for i := 0; i < len(re.Rune); i += 2 {
				switch lo, hi := re.Rune[i], re.Rune[i+1]; {
				case lo > '?' || hi < '?':
					kept = append(kept, lo, hi)
				default:
					if lo < '?' {
						kept = append(kept, lo, '?'-1)
					}
					if hi > '?' {
						kept = append(kept, '?'+1, hi)
					}
				}
			}
			re.Rune = kept
		case syntax.OpLiteral:
			if slices.Contains(re.Rune, '?') {
				re.Op, re.Rune = syntax.OpNoMatch, nil
			}
		}
		for _, sub := range re.Sub {
			exclude(sub)
		}
	}
	exclude(re)
	return re.String()
}

// substitute replaces what a pattern matches by a text.
func substitute(pattern, text string) *matcherv3.RegexMatchAndSubstitute {
	return &matcherv3.RegexMatchAndSubstitute{
		Pattern:      &matcherv3.RegexMatcher{Regex: pattern},
		Substitution: strings.ReplaceAll(text, `\`, `\\`),
	}
}
