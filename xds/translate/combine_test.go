package translate

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshwright/meshwright/schema"
)

// A gateway's combined routes do what App Mesh's two passes did: a request
// takes a combined route if the gateway route matches it and the inner route
// matches what it is rewritten to, and arrives with that path.
func TestCombine(t *testing.T) {
	matches := []schema.HTTPMatch{
		{Prefix: "/"}, {Prefix: "/a"}, {Prefix: "/a/"}, {Prefix: "/a/b"}, {Prefix: "/b/"}, {Prefix: "/b/a"},
		{Path: &schema.PathMatch{Exact: "/"}}, {Path: &schema.PathMatch{Exact: "/a"}}, {Path: &schema.PathMatch{Exact: "/b/a"}},
		{Path: &schema.PathMatch{Regex: "/[ab]/.*"}}, {Path: &schema.PathMatch{Regex: "^/b(/a)*$"}}, {Path: &schema.PathMatch{Regex: "/a.*|/b"}},
	}
	rewrites := []*schema.GatewayRewrite{
		nil,
		{Prefix: &schema.PrefixRewrite{DefaultPrefix: "DISABLED"}},
		{Prefix: &schema.PrefixRewrite{Value: "/b/"}},
		{Path: &schema.PathRewrite{Exact: "/b/a"}},
	}
	paths := []string{"/", "/a", "/b", "/ab", "/a/", "/a/a", "/a/b", "/b/", "/b/a", "/b/a/a", "/a/b/a", "/a/b/b/a", "/ab/a", "/aa/b"}
	taken := 0
	for _, outer := range matches {
		for _, rewrite := range rewrites {
			for _, inner := range matches {
				for _, path := range paths {
					outerMatch := httpMatch(&outer)
					innerMatch := httpMatch(&inner)
					e := entrance{match: outerMatch, prefix: outerMatch.GetPrefix(), action: &schema.GatewayAction{Rewrite: rewrite}}

					want := "none"
					if holds(outerMatch, path) {
						if p := twoPasses(e, path); holds(innerMatch, p) {
							want = p
						}
					}
					got, err := onePass(t, e, innerMatch, path)
					if err != nil {
						continue // told by Unsupported
					}
					if got != want {
						t.Errorf("outer %v, rewrite %+v, inner %v: %s arrives as %s, want %s", outerMatch, rewrite, innerMatch, path, got, want)
					}
					if got != "none" {
						taken++
					}
				}
			}
		}
	}
	if taken < 200 {
		t.Errorf("only %d requests took a route", taken)
	}
}

// twoPasses is what the gateway route makes of a path that it matches.
func twoPasses(e entrance, path string) string {
	to, rw := "/", e.action.Rewrite
	switch {
	case rw != nil && rw.Path != nil:
		return rw.Path.Exact
	case e.prefix == "" || rw != nil && rw.Prefix.DefaultPrefix == "DISABLED":
		return path
	case rw != nil:
		to = rw.Prefix.Value
	}
	rest := strings.TrimPrefix(path, e.prefix)
	if e.prefix != to && !strings.HasSuffix(e.prefix, "/") {
		rest = strings.TrimPrefix(rest, "/")
	}
	return to + rest
}

// onePass is the path that a request arrives with by the combined routes, as
// Envoy takes and rewrites it.
func onePass(t *testing.T, e entrance, inner *routev3.RouteMatch, path string) (string, error) {
	t.Helper()
	for _, rw := range rewritesOf(e) {
		m, set, err := combine(rw.match, inner, rw)
		if err != nil {
			return "", err
		}
		if m == nil || !holds(m, path) || !headersHold(m, path) {
			continue
		}
		a := &routev3.RouteAction{}
		set(a)
		switch {
		case a.PrefixRewrite != "" && m.GetPath() != "":
			return a.PrefixRewrite, nil
		case a.PrefixRewrite != "":
			return a.PrefixRewrite + strings.TrimPrefix(path, m.GetPrefix()), nil
		case a.RegexRewrite != nil:
			return regexp.MustCompile(a.RegexRewrite.Pattern.Regex).ReplaceAllString(path, a.RegexRewrite.Substitution), nil
		}
		return path, nil
	}
	return "none", nil
}

func headersHold(m *routev3.RouteMatch, path string) bool {
	for _, h := range m.Headers {
		s := h.GetStringMatch()
		if s.GetPrefix() != "" && !strings.HasPrefix(path, s.GetPrefix()) {
			return false
		}
		if s.GetSafeRegex() != nil && !regexp.MustCompile(fmt.Sprintf("^(?:%s)$", s.GetSafeRegex().Regex)).MatchString(path) {
			return false
		}
	}
	return true
}
