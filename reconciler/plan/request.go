package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds/translate"
)

// request is an example of what an application, or a client of a gateway, asks.
type request struct {
	host   string
	any    string // says that the host is but an example: "any host"
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
	host, s := r.host, ""
	if r.port != 80 {
		host = fmt.Sprintf("%s:%d", r.host, r.port)
	}
	switch {
	case r.kind == schema.ProtocolTCP:
		return "TCP " + host
	case r.kind == schema.ProtocolGRPC && r.any != "":
		s = "gRPC " + r.path
	case r.kind == schema.ProtocolGRPC:
		s = "gRPC " + host + r.path
	case r.any != "":
		s = r.method + " " + r.path
	default:
		s = r.method + " http://" + host + r.path
	}
	if r.any != "" {
		s += fmt.Sprintf(" for %s on port %d", r.any, r.port)
	}
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		if name != "content-type" || r.kind != schema.ProtocolGRPC {
			s += fmt.Sprintf(" with %s: %s", name, r.header[name])
		}
	}
	return s
}

// requests makes examples of the routes that are not on both sides: of each
// alone, and together with each other, the plainest first.
func requests(before, after []asks, try func(request) (more bool)) {
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
	tried, more := map[string]bool{}, true
	each := func(a, o asks) {
		a.examples(o, w, func(r request) {
			if key := fmt.Sprint(r); more && !tried[key] {
				tried[key] = true
				more = try(r)
			}
		})
	}
	for _, a := range differ {
		if each(a, asks{}); !more {
			return
		}
	}
	for _, a := range differ {
		for _, o := range all {
			if !more {
				return
			}
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
