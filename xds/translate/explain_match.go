package translate

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// This file is Envoy's routing, as its documentation of RouteConfiguration has
// it and as a real Envoy does it: TestMatchingAgreesWithEnvoy compares them.

// call is a request as an Envoy's routes see it; names of headers are in lower
// case.
type call struct {
	path   string // with query
	header map[string][]string
}

func newCall(authority, method, path string, header map[string][]string) call {
	c := call{path: path, header: map[string][]string{":authority": {authority}, ":method": {method}, ":path": {path}, ":scheme": {"http"}}}
	for name, values := range header {
		name = strings.ToLower(name)
		c.header[name] = append(c.header[name], values...)
	}
	return c
}

// virtualHost returns the virtual host that takes an authority: the exact
// name, then the longest *SUFFIX, then the longest PREFIX*, then *.
func virtualHost(routes *routev3.RouteConfiguration, authority string) (best *routev3.VirtualHost) {
	host := strings.ToLower(authority)
	if routes.IgnorePortInHostMatching {
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
			host = host[:i]
		}
	}
	const exact, suffix, prefix, any = 3 << 16, 2 << 16, 1 << 16, 1 // above any name's length
	rank := 0
	for _, vh := range routes.VirtualHosts {
		for _, domain := range vh.Domains {
			domain, r := strings.ToLower(domain), 0
			switch {
			case domain == host:
				r = exact
			case domain == "*":
				r = any
			case strings.HasPrefix(domain, "*") && len(host) >= len(domain) && strings.HasSuffix(host, domain[1:]):
				r = suffix + len(domain)
			case strings.HasSuffix(domain, "*") && len(host) >= len(domain) && strings.HasPrefix(host, domain[:len(domain)-1]):
				r = prefix + len(domain)
			}
			if r > rank {
				best, rank = vh, r
			}
		}
	}
	return best
}

// routeOf returns the first route of a virtual host that takes a request.
func routeOf(vh *routev3.VirtualHost, c call) (*routev3.Route, error) {
	for _, r := range vh.GetRoutes() {
		ok, err := matches(r.Match, c)
		if err != nil {
			return nil, fmt.Errorf("route %s of %s: %w", r.Name, vh.Name, err)
		}
		if ok {
			return r, nil
		}
	}
	return nil, nil
}

// matches reports whether all parts of a match hold.
func matches(m *routev3.RouteMatch, c call) (bool, error) {
	if m.GetRuntimeFraction() != nil || m.GetTlsContext() != nil || len(m.GetDynamicMetadata()) > 0 || len(m.GetFilterState()) > 0 || len(m.GetCookies()) > 0 {
		return false, fmt.Errorf("cannot be explained: it matches on more than the request's path, headers and query")
	}
	ok, err := matchesPath(m, c)
	for _, h := range m.GetHeaders() {
		if ok && err == nil {
			ok, err = matchesHeader(h, c)
		}
	}
	for _, q := range m.GetQueryParameters() {
		if ok && err == nil {
			ok, err = matchesQuery(q, c)
		}
	}
	if m.GetGrpc() != nil {
		ok = ok && slices.ContainsFunc(c.header["content-type"], func(t string) bool {
			return t == "application/grpc" || strings.HasPrefix(t, "application/grpc+")
		})
	}
	return ok && err == nil, err
}

// normalized is a path as Envoy has it before it looks for a route: without
// "." and "..", each slash once (see httpFilters).
func normalized(target string) string {
	end := strings.IndexAny(target, "?#")
	if end < 0 {
		end = len(target)
	}
	clean := path.Clean(target[:end])
	if last := path.Base("/" + target[:end]); clean != "/" && (strings.HasSuffix(target[:end], "/") || last == "." || last == "..") {
		clean += "/"
	}
	return clean + target[end:]
}

// matchesPath compares the path without query and fragment.
func matchesPath(m *routev3.RouteMatch, c call) (bool, error) {
	path := c.path
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	fold := func(s string) string {
		if m.CaseSensitive != nil && !m.CaseSensitive.Value {
			return strings.ToLower(s)
		}
		return s
	}
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		return strings.HasPrefix(fold(path), fold(p.Prefix)), nil
	case *routev3.RouteMatch_Path:
		return fold(path) == fold(p.Path), nil
	case *routev3.RouteMatch_PathSeparatedPrefix:
		rest, ok := strings.CutPrefix(fold(path), fold(p.PathSeparatedPrefix))
		return ok && (rest == "" || rest[0] == '/'), nil
	case *routev3.RouteMatch_SafeRegex:
		return matchesRegex(p.SafeRegex, path)
	default:
		return false, fmt.Errorf("cannot be explained: it matches the path by %T", p)
	}
}

// matchesHeader: of a header that came more than once, one value must match. A
// header that is missing satisfies no condition on its value, not even an
// inverted one.
func matchesHeader(m *routev3.HeaderMatcher, c call) (bool, error) {
	values := c.header[strings.ToLower(m.Name)]
	if len(values) == 0 && m.TreatMissingHeaderAsEmpty {
		values = []string{""}
	}
	switch s := m.GetHeaderMatchSpecifier().(type) {
	case nil:
		return (len(values) > 0) != m.InvertMatch, nil
	case *routev3.HeaderMatcher_PresentMatch:
		return (len(values) > 0) == (s.PresentMatch != m.InvertMatch), nil
	}
	if len(values) == 0 {
		return false, nil
	}
	for _, v := range values {
		if ok, err := matchesValue(m, v); ok || err != nil {
			return !m.InvertMatch, err
		}
	}
	return m.InvertMatch, nil
}

func matchesValue(m *routev3.HeaderMatcher, value string) (bool, error) {
	switch s := m.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_StringMatch:
		return matchesString(s.StringMatch, value)
	case *routev3.HeaderMatcher_RangeMatch:
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && s.RangeMatch.Start <= n && n < s.RangeMatch.End, nil
	default:
		return false, fmt.Errorf("cannot be explained: it matches the header %s by %T", m.Name, s)
	}
}

// matchesQuery looks at the first value of a parameter, as it is encoded.
func matchesQuery(m *routev3.QueryParameterMatcher, c call) (bool, error) {
	value, present := queryParameter(c.path, m.Name)
	switch s := m.GetQueryParameterMatchSpecifier().(type) {
	case nil:
		return present, nil
	case *routev3.QueryParameterMatcher_PresentMatch:
		return present == s.PresentMatch, nil
	case *routev3.QueryParameterMatcher_StringMatch:
		if !present {
			return false, nil
		}
		return matchesString(s.StringMatch, value)
	default:
		return false, fmt.Errorf("cannot be explained: it matches the parameter %s by %T", m.Name, s)
	}
}

func queryParameter(path, name string) (value string, present bool) {
	path, _, _ = strings.Cut(path, "#")
	_, query, _ := strings.Cut(path, "?")
	for part := range strings.SplitSeq(query, "&") {
		n, v, _ := strings.Cut(part, "=")
		if n == name && part != "" {
			return v, true
		}
	}
	return "", false
}

func matchesString(m *matcherv3.StringMatcher, value string) (bool, error) {
	fold := func(s string) string {
		if m.IgnoreCase {
			return strings.ToLower(s)
		}
		return s
	}
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return fold(value) == fold(p.Exact), nil
	case *matcherv3.StringMatcher_Prefix:
		return strings.HasPrefix(fold(value), fold(p.Prefix)), nil
	case *matcherv3.StringMatcher_Suffix:
		return strings.HasSuffix(fold(value), fold(p.Suffix)), nil
	case *matcherv3.StringMatcher_Contains:
		return strings.Contains(fold(value), fold(p.Contains)), nil
	case *matcherv3.StringMatcher_SafeRegex:
		return matchesRegex(p.SafeRegex, value)
	default:
		return false, fmt.Errorf("cannot be explained: it matches by %T", p)
	}
}

// matchesRegex: the whole value must match. Go's syntax is RE2's.
func matchesRegex(m *matcherv3.RegexMatcher, value string) (bool, error) {
	re, err := regexp.Compile(`\A(?:` + m.Regex + `)\z`)
	if err != nil {
		return false, fmt.Errorf("regular expression %q: %w", m.Regex, err)
	}
	return re.MatchString(value), nil
}

// rewritten returns the host and path that a route's target gets; empty if
// both are as they came.
func rewritten(r *routev3.Route, host, path string) (string, error) {
	a := r.GetRoute()
	to, query := path, ""
	if i := strings.IndexByte(path, '?'); i >= 0 {
		to, query = path[:i], path[i:]
	}
	switch rewrite := a.GetRegexRewrite(); {
	case rewrite != nil:
		re, err := regexp.Compile(rewrite.Pattern.Regex)
		if err != nil {
			return "", err
		}
		to = re.ReplaceAllString(to, strings.NewReplacer("$", "$$", `\\`, `\`).Replace(rewrite.Substitution))
	case a.PrefixRewrite != "" && r.Match.GetPath() != "":
		to = a.PrefixRewrite
	case a.PrefixRewrite != "":
		to = a.PrefixRewrite + to[len(r.Match.GetPrefix()):]
	}
	if h := a.GetHostRewriteLiteral(); h != "" {
		host = h
	} else if to+query == path {
		return "", nil
	}
	return host + to + query, nil
}
