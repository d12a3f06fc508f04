package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// match is the condition of a route of any kind, and its place among others.
type match struct {
	name     string
	priority uint32 // one that is missing comes last
	protocol Protocol
	port     uint32 // 0: any

	prefix, exact, regex string // of the path: one, or none for any path
	host                 HostnameMatch
	conditions           []string // all others, sorted; all must hold
}

// matchOf reads the match of a router's route.
func matchOf(r *Route) match {
	m := match{name: r.Name, protocol: r.Protocol()}
	switch h := r.HTTP(); {
	case h != nil:
		m.http(&h.Match)
	case r.GRPCRoute != nil:
		m.grpc(&r.GRPCRoute.Match)
	case r.TCPRoute != nil && r.TCPRoute.Match != nil:
		m.port = r.TCPRoute.Match.Port
	}
	return m.at(r.Priority)
}

// gatewayMatchOf reads the match of a gateway route.
func gatewayMatchOf(g *GatewayRoute) match {
	m := match{name: g.Ref.String(), protocol: Protocol(strings.TrimSuffix(g.Field(), "Route"))}
	switch h := g.HTTP(); {
	case h != nil:
		m.http(&h.Match)
	case g.Spec.GRPCRoute != nil:
		m.grpc(&g.Spec.GRPCRoute.Match)
	}
	return m.at(g.Spec.Priority)
}

func (m match) at(priority *uint32) match {
	m.priority = 1001 // priorities end at 1000
	if priority != nil {
		m.priority = *priority
	}
	slices.Sort(m.conditions)
	return m
}

func (m *match) http(h *HTTPMatch) {
	m.port = h.Port
	if h.Prefix != "/" { // which is any path
		m.prefix = h.Prefix
	}
	if h.Path != nil {
		m.exact, m.regex = h.Path.Exact, h.Path.Regex
	}
	if h.Hostname != nil {
		m.host = *h.Hostname
	}
	m.when("method", h.Method)
	m.when("scheme", h.Scheme)
	m.headers(h.Headers)
	for _, q := range h.QueryParameters {
		m.when("query", spellJSON(q))
	}
}

func (m *match) grpc(g *GRPCMatch) {
	m.port = g.Port
	if g.Hostname != nil {
		m.host = *g.Hostname
	}
	m.when("service", g.ServiceName)
	m.when("method", g.MethodName)
	m.headers(g.Metadata)
}

func (m *match) headers(headers []HeaderMatch) {
	for _, h := range headers {
		h.Name = strings.ToLower(h.Name)
		m.when("header", spellJSON(h))
	}
}

func (m *match) when(what, is string) {
	if is != "" {
		m.conditions = append(m.conditions, what+"="+is)
	}
}

func spellJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("schema: " + err.Error()) // plain structs: cannot happen
	}
	return string(data)
}

// key is equal for equal matches.
func (m *match) key() string {
	return fmt.Sprintf("%s %d %q %q %q %q %q", m.protocol, m.port, m.prefix, m.exact, m.regex, m.host, m.conditions)
}

// compare orders the routes of an equal match: by priority, then name.
func (m *match) compare(o *match) int {
	return cmp.Or(cmp.Compare(m.priority, o.priority), cmp.Compare(m.name, o.name))
}

// takesAll reports whether a route comes first and takes all requests that
// another would. Of one priority the more particular comes first, so there it
// must be an equal match.
func (m *match) takesAll(o *match) bool {
	return m.covers(o) && (m.priority < o.priority || m.compare(o) < 0 && o.covers(m))
}

// covers reports whether the match holds wherever another does, as far as that
// can be told.
func (m *match) covers(o *match) bool {
	return m.protocol == o.protocol && (m.port == 0 || m.port == o.port) && m.coversPath(o) && m.coversHost(o) &&
		!slices.ContainsFunc(m.conditions, func(c string) bool { return !slices.Contains(o.conditions, c) })
}

func (m *match) coversPath(o *match) bool {
	switch {
	case m.exact != "":
		return m.exact == o.exact
	case m.regex != "":
		return m.regex == o.regex
	case m.prefix == "":
		return true
	}
	return o.prefix != "" && strings.HasPrefix(o.prefix, m.prefix) || o.exact != "" && strings.HasPrefix(o.exact, m.prefix)
}

func (m *match) coversHost(o *match) bool {
	switch {
	case m.host.Exact != "":
		return m.host.Exact == o.host.Exact
	case m.host.Suffix != "":
		return strings.HasSuffix(o.host.Exact, m.host.Suffix) || strings.HasSuffix(o.host.Suffix, m.host.Suffix)
	}
	return true
}
