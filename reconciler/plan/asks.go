package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

// asks is what a route asks of requests, as far as examples are made of it.
type asks struct {
	key     string // equal for routes that ask for the same, of one name
	kind    schema.Protocol
	host    string // an example; empty: any
	paths   []pathway
	method  string            // empty: any
	query   map[string]string // parameters that a request has to have
	header  map[string]string // that it has to have
	without map[string]string // that it must not have, or not so
}

// pathway is an example of one: whether more may follow it, or quite another may be
// in its place.
type pathway struct {
	text  string
	open  bool
	loose bool
}

// meets reports whether one path may be among those that the other stands for.
func (p pathway) meets(o pathway) bool {
	return p.loose || o.loose || p.text == o.text || p.open && strings.HasPrefix(o.text, p.text) || o.open && strings.HasPrefix(p.text, o.text)
}

// asksOf reads a route of a router.
func asksOf(r *schema.Route) asks {
	a := asks{key: r.Name + " " + matchOf(r) + " " + spellPriority(r.Priority), kind: r.Protocol()}
	switch h := r.HTTP(); {
	case h != nil:
		a.http(&h.Match)
	case r.GRPCRoute != nil:
		a.grpc(&r.GRPCRoute.Match)
	}
	return a
}

// asksOfGateway reads a gateway route.
func asksOfGateway(g *schema.GatewayRoute) asks {
	a := asks{key: g.Ref.String() + " " + matchOfGateway(g) + " " + spellPriority(g.Spec.Priority) + " " + rewriteOf(g)}
	switch h := g.HTTP(); {
	case h != nil:
		a.http(&h.Match)
	case g.Spec.GRPCRoute != nil:
		a.grpc(&g.Spec.GRPCRoute.Match)
	}
	if h := g.Hostname(); h != nil {
		a.host = h.Exact
		if h.Suffix != "" {
			a.host = "x" + strings.TrimPrefix(h.Suffix, "*")
		}
	}
	return a
}

func (a *asks) http(m *schema.HTTPMatch) {
	a.method = m.Method
	switch {
	case m.Path != nil && m.Path.Exact != "":
		a.paths = []pathway{{text: m.Path.Exact}}
	case m.Path != nil && m.Path.Regex != "":
		if text, ok := example(m.Path.Regex); ok && strings.HasPrefix(text, "/") {
			a.paths = []pathway{{text: text, loose: true}}
		}
	case m.Prefix != "" && m.Prefix != "/":
		a.paths = []pathway{{text: m.Prefix, open: true}}
	}
	a.headers(m.Headers)
	for _, q := range m.QueryParameters {
		value := unusual
		if q.Match != nil {
			value = q.Match.Exact
		}
		if a.query == nil {
			a.query = map[string]string{}
		}
		a.query[q.Name] = value
	}
}

func (a *asks) grpc(m *schema.GRPCMatch) {
	a.kind, a.method = schema.ProtocolGRPC, "POST"
	a.header = map[string]string{"content-type": "application/grpc"}
	switch {
	case m.ServiceName != "" && m.MethodName != "":
		a.paths = []pathway{{text: "/" + m.ServiceName + "/" + m.MethodName}}
	case m.ServiceName != "":
		a.paths = []pathway{{text: "/" + m.ServiceName + "/", open: true}}
	}
	a.headers(m.Metadata)
}

// headers: of an inverted condition on a value, the header has to be there with
// another one.
func (a *asks) headers(matches []schema.HeaderMatch) {
	for _, h := range matches {
		name, value := strings.ToLower(h.Name), unusual
		if v := h.Match; v != nil {
			switch {
			case v.Exact != "":
				value = v.Exact
			case v.Prefix != "":
				value = v.Prefix
			case v.Suffix != "":
				value = v.Suffix
			case v.Range != nil:
				value = fmt.Sprint(v.Range.Start)
			case v.Regex != "":
				value, _ = example(v.Regex)
			}
		}
		if a.header == nil {
			a.header = map[string]string{}
		}
		switch {
		case !h.Invert:
			a.header[name] = value
			continue
		case h.Match != nil:
			a.header[name] = "not-" + value
		}
		if a.without == nil {
			a.without = map[string]string{}
		}
		a.without[name] = value
	}
}

// meets reports whether a request may be what both ask for.
func (a asks) meets(o asks) bool {
	if a.key == o.key || a.method != o.method && a.method != "" && o.method != "" {
		return false
	}
	suffix := func(a, b string) bool { return strings.HasPrefix(a, "x") && strings.HasSuffix(b, a[1:]) }
	if a.host != o.host && a.host != "" && o.host != "" && !suffix(a.host, o.host) && !suffix(o.host, a.host) {
		return false
	}
	return len(a.paths) == 0 || len(o.paths) == 0 || slices.ContainsFunc(a.paths, func(p pathway) bool { return slices.ContainsFunc(o.paths, p.meets) })
}

// unusual is a value that no condition asks for by chance: where a thing has only
// to be there, another route that asks for a value of it must not get in between.
const unusual = "any"

// then is what a gateway route and a route behind it ask for together. The path
// is rewritten in between: both ways to write it are tried.
func (a asks) then(inner asks) asks {
	out := a
	out.key += " → " + inner.key
	if out.kind != schema.ProtocolGRPC {
		out.kind = inner.kind
	}
	if out.method == "" {
		out.method = inner.method
	}
	out.query = merged(inner.query, a.query)
	out.header, out.without = merged(inner.header, a.header), merged(inner.without, a.without)
	out.paths = slices.Clone(a.paths)
	for _, p := range inner.paths {
		out.paths = append(out.paths, p)
		for _, o := range a.paths {
			if o.open {
				out.paths = append(out.paths, pathway{strings.TrimSuffix(o.text, "/") + p.text, p.open, p.loose})
			}
		}
	}
	return out
}

// merged is both, the second before the first.
func merged(a, b map[string]string) map[string]string {
	if len(a) == 0 {
		return b
	}
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
