package plan

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds/translate"
)

// request is an example of what an application, or a client of a gateway, asks.
type request struct {
	host   string
	port   uint32
	method string
	path   string // with query
	header map[string]string
	kind   schema.Protocol // grpc and tcp are told apart
}

func (r request) asked() translate.Request {
	q := translate.Request{Host: fmt.Sprintf("%s:%d", r.host, r.port), Method: r.method, Path: r.path, Header: map[string][]string{}}
	for name, value := range r.header {
		q.Header[name] = []string{value}
	}
	return q
}

// String is the request as people write it down.
func (r request) String() string {
	host := r.host
	if r.port != 80 {
		host = fmt.Sprintf("%s:%d", r.host, r.port)
	}
	switch r.kind {
	case schema.ProtocolTCP:
		return "TCP " + host
	case schema.ProtocolGRPC:
		host = "gRPC " + host
	default:
		host = r.method + " http://" + host
	}
	s := host + r.path
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		if name != "content-type" || r.kind != schema.ProtocolGRPC {
			s += fmt.Sprintf(" with %s: %s", name, r.header[name])
		}
	}
	return s
}

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
	switch {
	case r.HTTPRoute != nil:
		a.http(&r.HTTPRoute.Match)
	case r.HTTP2Route != nil:
		a.http(&r.HTTP2Route.Match)
	case r.GRPCRoute != nil:
		a.grpc(&r.GRPCRoute.Match)
	}
	return a
}

// asksOfGateway reads a gateway route.
func asksOfGateway(g *schema.GatewayRoute) asks {
	a := asks{key: g.Ref.String() + " " + matchOfGateway(g) + " " + spellPriority(g.Spec.Priority) + " " + rewriteOf(g)}
	switch s := &g.Spec; {
	case s.HTTPRoute != nil:
		a.http(&s.HTTPRoute.Match)
	case s.HTTP2Route != nil:
		a.http(&s.HTTP2Route.Match)
	case s.GRPCRoute != nil:
		a.grpc(&s.GRPCRoute.Match)
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

// requests makes examples of the routes that are not on both sides: of each
// alone, and together with each other, the plainest first.
func requests(before, after []asks, try func(request)) {
	all := slices.Concat(before, after)
	w := wordsOf(all)
	sides := map[string]int{}
	for _, a := range before {
		sides[a.key] |= 1
	}
	for _, a := range after {
		sides[a.key] |= 2
	}
	differ := slices.DeleteFunc(slices.Clone(all), func(a asks) bool { return sides[a.key] == 3 })
	tried := map[string]bool{}
	each := func(a, o asks) {
		a.examples(o, w, func(r request) {
			if key := fmt.Sprint(r); !tried[key] {
				tried[key] = true
				try(r)
			}
		})
	}
	for _, a := range differ {
		each(a, asks{})
	}
	for _, a := range differ {
		for _, o := range all {
			if a.meets(o) {
				each(a, o)
			}
		}
	}
}

// words are what the routes of a table speak of: where two of them meet, a third
// may get in between unless a thing it speaks of is otherwise.
type words struct {
	method        string // that none of them asks for
	header, query []word
}

// word is a value of a header or parameter; empty: it is not there.
type word struct{ name, value string }

func wordsOf(all []asks) (w words) {
	methods, header, query := map[string]bool{}, map[word]bool{}, map[word]bool{}
	note := func(words map[word]bool, of map[string]string) {
		for name, value := range of {
			if name != "content-type" {
				words[word{name, value}], words[word{name, unusual}], words[word{name, ""}] = true, true, true
			}
		}
	}
	for _, a := range all {
		methods[a.method] = true
		note(header, a.header)
		note(header, a.without)
		note(query, a.query)
	}
	for _, m := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		if w.method == "" && !methods[m] {
			w.method = m
		}
	}
	order := func(a, b word) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value)) }
	w.header, w.query = slices.SortedFunc(maps.Keys(header), order), slices.SortedFunc(maps.Keys(query), order)
	return w
}

// variants are what two routes want of headers, or of parameters, either first
// where they want one thing, and these with one word otherwise.
func variants(a, o map[string]string, others []word) []map[string]string {
	var out []map[string]string
	add := func(v map[string]string) {
		if !slices.ContainsFunc(out, func(o map[string]string) bool { return maps.Equal(o, v) }) {
			out = append(out, v)
		}
	}
	add(merged(o, a))
	add(merged(a, o))
	for _, w := range others {
		v := merged(out[0], map[string]string{w.name: w.value})
		if w.value == "" {
			v = maps.Clone(out[0])
			delete(v, w.name)
		}
		add(v)
	}
	return out
}

// examples makes requests that match and, as far as they can, match another route
// too (or an empty one).
func (a asks) examples(o asks, w words, try func(request)) {
	r := request{host: a.host, method: cmp.Or(a.method, o.method), kind: a.kind}
	if r.host == "" || strings.HasPrefix(r.host, "x") && o.host != "" && strings.HasSuffix(o.host, r.host[1:]) {
		r.host = o.host
	}
	paths := slices.Clone(a.paths)
	if len(paths) == 0 {
		paths = []pathway{{text: "/", open: true}}
	}
	for _, p := range o.paths {
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	methods := []string{r.method}
	if r.method == "" {
		methods = []string{"GET", w.method}
	}
	headers, queries := variants(a.header, o.header, w.header), variants(a.query, o.query, w.query)
	for _, r.method = range methods {
		for _, p := range paths {
			texts := []string{p.text}
			if p.open {
				texts = append(texts, strings.TrimSuffix(p.text, "/")+"/x", p.text+"x")
			}
			for _, text := range texts {
				for i, header := range headers {
					for j, query := range queries {
						if i < 2 || j < 2 { // one word otherwise, not two
							r.header, r.path = header, text+spellQuery(query)
							try(r)
						}
					}
				}
			}
		}
	}
}

func spellQuery(parameters map[string]string) string {
	s := ""
	for i, name := range slices.Sorted(maps.Keys(parameters)) {
		s += "?&"[min(i, 1):min(i, 1)+1] + name + "=" + parameters[name]
	}
	return s
}

// example is a short text that a regular expression takes wholly; false if none
// was found.
func example(pattern string) (string, bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	text := sampleOf(tree.Simplify())
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	return text, err == nil && re.MatchString(text)
}

func sampleOf(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for _, c := range "ax1-" { // what people can read, if it may be
			for i := 0; i+1 < len(re.Rune); i += 2 {
				if re.Rune[i] <= c && c <= re.Rune[i+1] {
					return string(c)
				}
			}
		}
		if len(re.Rune) > 0 {
			return string(re.Rune[0])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture, syntax.OpPlus:
		return sampleOf(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(sampleOf(re.Sub[0]), re.Min)
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(sampleOf(sub))
		}
		return b.String()
	case syntax.OpAlternate:
		return sampleOf(re.Sub[0])
	}
	return ""
}
