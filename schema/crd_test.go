package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/meshwright/meshwright/fixtures"
)

// stricterRule is one difference between Kubernetes' verdict by the
// CustomResourceDefinitions and ours. docs/schema.md has the same table.
type stricterRule struct {
	where  *regexp.Regexp // of kind and path, as "VirtualRouter spec.routes[]"; nil: everywhere
	codes  []Code
	what   *regexp.Regexp // of the diagnostic's text, where the code is not enough
	field  string         // where, for people
	rule   string         // for people
	reason string         // for people

	// How a document keeps the rule: at least min and at most max of fields,
	// or a fix of the map, or what the value is.
	fields   []string
	min, max int
	fix      func(m *maker, where string, s, v tree)
	value    func(*maker) any
}

// covers reports whether the rule is about a place.
func (r *stricterRule) covers(where string) bool {
	return r.where == nil || r.where.MatchString(where)
}

// explains reports whether a diagnostic is the rule's.
func (r *stricterRule) explains(kind Kind, d Diagnostic) bool {
	return slices.Contains(r.codes, d.Code) && r.covers(string(kind)+" "+itemNumber.ReplaceAllString(d.Path, "[]")) &&
		(r.what == nil || r.what.MatchString(d.What))
}

// keep changes a map that was made from a schema so that it keeps the rule.
func (r *stricterRule) keep(m *maker, where string, s, v tree) {
	if r.fix != nil {
		r.fix(m, where, s, v)
	}
	var set []string
	for _, name := range r.fields {
		if _, ok := v[name]; ok {
			set = append(set, name)
		}
	}
	for len(r.fields) > 0 && len(set) > r.max {
		i := m.IntN(len(set))
		delete(v, set[i])
		set = slices.Delete(set, i, i+1)
	}
	if len(set) < r.min {
		name := r.fields[m.IntN(len(r.fields))]
		v[name] = m.value(where+"."+name, property(s, name))
	}
}

// needs makes a fix: where a field is set, another is.
func needs(when, needed string) func(*maker, string, tree, tree) {
	return func(m *maker, where string, s, v tree) {
		if v[when] != nil && v[needed] == nil {
			v[needed] = m.value(where+"."+needed, property(s, needed))
		}
	}
}

var re = regexp.MustCompile

var oneOf = []Code{CodeConflict, CodeNone}

const api = "App Mesh's API refused it"

var stricterRules = []stricterRule{
	{codes: []Code{CodeUnknownField}, field: "everywhere", rule: "an unknown field is an error",
		reason: "Kubernetes drops it unread, so a misspelled field does nothing and nobody is told; the few that AWS's own examples misuse are warnings"},
	{codes: []Code{CodeDuplicateField}, field: "everywhere", rule: "a field is written once", reason: "YAML forbids it; tools differ in which one counts"},
	{codes: []Code{CodeType}, what: re("^a number where an integer is wanted$"), field: "every integer", rule: "`1.0` and `1e3` are no integers",
		reason: "CUE says so, and nobody writes a port that way on purpose"},
	{where: re(`\.(port|maxConnections|maxPendingRequests|maxRequests|maxServerErrors|maxRetries|value)$`), codes: []Code{CodeRange}, what: re("^[0-9]{5,} "),
		field: "`port`; `max…`; `value` of a duration", rule: "at most 65535; at most 2147483647; at most 9223372035", reason: api + ", or Envoy cannot hold it"},
	{codes: []Code{CodeForm}, what: re("is not text on one line$"), field: "every text that reaches a proxy", rule: "has no line breaks and other control characters", reason: "Envoy refuses most of them"},
	{where: re(` metadata`), codes: []Code{CodeType, CodeMissing, CodeForm, CodeLength}, field: "`metadata`", rule: "`name` is required; names, labels and annotations are as Kubernetes has them",
		reason: "Kubernetes' API server checks them elsewhere"},
	{where: re(`(^VirtualService spec\.awsName|dns\.hostname|match\.hostname\.exact)$`), codes: []Code{CodeForm, CodeLength},
		field: "VirtualService `awsName`, `dns.hostname`, `match.hostname.exact`", rule: "a hostname or an IP address, of at most 253 characters",
		reason: "nobody could call it or be found by it, and Envoy refuses what is not one line", value: func(m *maker) any { return m.hostname() }},
	{where: re(`match\.hostname\.suffix$`), codes: []Code{CodeForm}, field: "`match.hostname.suffix`", rule: "the end of a hostname", reason: "it would never match",
		value: func(m *maker) any { return "." + m.hostname() }},
	{where: re(` spec\.awsName$`), codes: []Code{CodeForm}, field: "`awsName`", rule: "has no `/`", reason: "names are parts of ARNs",
		value: func(m *maker) any { return strings.ReplaceAll(m.letters(m.IntN(9)), "/", "") }},
	{where: re(`\.(headers|metadata)\[\]\.name$`), codes: []Code{CodeForm}, field: "`headers[].name`, `metadata[].name`", rule: "the name of a header",
		reason: "Envoy refuses it, or it would never match", value: func(m *maker) any { return []any{"x-a", ":authority", "A_b"}[m.IntN(3)] }},
	{where: re(`(\.secretName|queryParameters\[\]\.name|grpcRoute\.match\.serviceName|routes\[\]\.name|subjectAlternativeNames\.match\.exact\[\])$`), codes: []Code{CodeLength},
		field: "`secretName`, `queryParameters[].name`, `serviceName`, names of routes and subjects", rule: "not empty; of a query parameter at most 255 characters",
		reason: "Envoy refuses it, or it would never match", value: func(m *maker) any { return m.letters(1 + m.IntN(20)) }},
	{where: re(`(Selector|[sS]elector)\.matchExpressions\[\]\.operator$`), codes: []Code{CodeChoice}, field: "`…elector.matchExpressions[].operator`",
		rule: "one of `In`, `NotIn`, `Exists`, `DoesNotExist`", reason: "the controller refused others",
		value: func(m *maker) any { return []any{"In", "NotIn", "Exists", "DoesNotExist"}[m.IntN(4)] }},

	{where: re(`^VirtualNode spec(\.serviceDiscovery)?$`), codes: []Code{CodeNeeds}, field: "VirtualNode `spec`", rule: "`listeners` need `serviceDiscovery`",
		reason: "App Mesh's webhook refused it", fix: needs("listeners", "serviceDiscovery")},
	{where: re(`\.serviceDiscovery$`), codes: oneOf, field: "`serviceDiscovery`", rule: "exactly one of `dns`, `awsCloudMap`", reason: api,
		fields: []string{"dns", "awsCloudMap"}, min: 1, max: 1},
	{where: re(`\.listeners\[\]\.(connectionPool|timeout)$`), codes: []Code{CodeConflict}, field: "`listeners[].connectionPool`, `.timeout`",
		rule: "at most one of `http`, `http2`, `grpc`, `tcp`", reason: "App Mesh's webhook refused several pools, its API several timeouts",
		fields: []string{"http", "http2", "grpc", "tcp"}, max: 1},
	{where: re(`\.tls\.certificate$`), codes: oneOf, field: "`tls.certificate`", rule: "exactly one of `acm`, `file`, `sds`", reason: api,
		fields: []string{"acm", "file", "sds"}, min: 1, max: 1,
		fix: func(m *maker, where string, s, v tree) { // a client's has no acm
			if property(s, "acm") == nil && len(v) == 0 {
				v["sds"] = m.value(where+".sds", property(s, "sds"))
			}
		}},
	{where: re(`\.validation\.trust$`), codes: oneOf, field: "`validation.trust`", rule: "exactly one of `acm`, `file`, `sds`", reason: api,
		fields: []string{"acm", "file", "sds"}, min: 1, max: 1,
		fix: func(m *maker, where string, s, v tree) { // that of a node's listener has no acm
			if property(s, "acm") == nil && len(v) == 0 {
				v["sds"] = m.value(where+".sds", property(s, "sds"))
			}
		}},
	{where: re(`\.accessLog\.file\.format$`), codes: oneOf, field: "`accessLog.file.format`", rule: "exactly one of `text`, `json`", reason: api,
		fields: []string{"text", "json"}, min: 1, max: 1},
	{where: re(`(\.backends\[\]|\.target)\.virtualService$`), codes: oneOf, field: "`backends[].virtualService`, `target.virtualService`",
		rule: "exactly one of `virtualServiceRef`, `virtualServiceARN`", reason: "the CustomResourceDefinitions' own text says so",
		fields: []string{"virtualServiceRef", "virtualServiceARN"}, min: 1, max: 1},
	{where: re(`(\.weightedTargets\[\]|provider\.virtualNode)$`), codes: oneOf, field: "`weightedTargets[]`, `provider.virtualNode`",
		rule: "exactly one of `virtualNodeRef`, `virtualNodeARN`", reason: "the CustomResourceDefinitions' own text says so",
		fields: []string{"virtualNodeRef", "virtualNodeARN"}, min: 1, max: 1},
	{where: re(`provider\.virtualRouter$`), codes: oneOf, field: "`provider.virtualRouter`",
		rule: "exactly one of `virtualRouterRef`, `virtualRouterARN`", reason: "the CustomResourceDefinitions' own text says so",
		fields: []string{"virtualRouterRef", "virtualRouterARN"}, min: 1, max: 1},
	{where: re(`^VirtualService spec\.provider$`), codes: oneOf, field: "VirtualService `spec.provider`", rule: "exactly one of `virtualNode`, `virtualRouter`",
		reason: api, fields: []string{"virtualNode", "virtualRouter"}, min: 1, max: 1},

	{where: re(`^VirtualRouter spec\.routes\[\]$`), codes: oneOf, field: "VirtualRouter `spec.routes[]`", rule: "exactly one of `httpRoute`, `http2Route`, `grpcRoute`, `tcpRoute`",
		reason: api, fields: []string{"httpRoute", "http2Route", "grpcRoute", "tcpRoute"}, min: 1, max: 1},
	{where: re(`^VirtualRouter .*http2?Route\.match$`), codes: oneOf, field: "VirtualRouter `http(2)Route.match`", rule: "exactly one of `prefix`, `path`",
		reason: "App Mesh's webhook refused it; a match of headers only says `prefix: /` too", fields: []string{"prefix", "path"}, min: 1, max: 1},
	{where: re(`^VirtualRouter .*grpcRoute\.match(\.serviceName)?$`), codes: []Code{CodeNeeds}, field: "VirtualRouter `grpcRoute.match`", rule: "`methodName` needs `serviceName`",
		reason: "App Mesh's API asked for it: gRPC's paths are /service/method", fix: needs("methodName", "serviceName")},
	{where: re(`http2?Route\.match\.prefix$`), codes: []Code{CodeForm}, field: "`http(2)Route.match.prefix`", rule: "starts with `/`",
		reason: api + "; it would never match", value: func(m *maker) any { return "/" + m.letters(m.IntN(5)) }},
	{where: re(`\.match\.path$`), codes: oneOf, field: "`match.path`", rule: "exactly one of `exact`, `regex`", reason: "App Mesh's webhook refused it",
		fields: []string{"exact", "regex"}, min: 1, max: 1},
	{where: re(`\.(headers|metadata)\[\]\.match$`), codes: oneOf, field: "`headers[].match`, `metadata[].match`", rule: "exactly one of `exact`, `prefix`, `suffix`, `regex`, `range`",
		reason: "App Mesh's webhook (gateway routes) or its API refused it; leave `match` out to ask for presence",
		fields: []string{"exact", "prefix", "suffix", "regex", "range"}, min: 1, max: 1},
	{where: re(`\.match\.range(\.end)?$`), codes: []Code{CodeRange}, what: re("more than start"), field: "`match.range`", rule: "`end` is more than `start`",
		reason: "App Mesh's webhook refused it; an empty range never matches",
		fix: func(m *maker, _ string, _, v tree) {
			v["start"], v["end"] = number(-m.Int64N(9)), number(1+m.Int64N(9))
		}},
	{where: re(`\.queryParameters\[\]\.match(\.exact)?$`), codes: []Code{CodeMissing}, field: "`queryParameters[].match`", rule: "`exact` is required",
		reason: "App Mesh's webhook refused it; leave `match` out to ask for presence", fields: []string{"exact"}, min: 1, max: 1},

	{where: re(`^GatewayRoute spec$`), codes: []Code{CodeMissing}, field: "GatewayRoute `spec`", rule: "required", reason: "App Mesh's webhook wanted a route type"},
	{where: re(`^GatewayRoute spec$`), codes: oneOf, field: "GatewayRoute `spec`", rule: "exactly one of `httpRoute`, `http2Route`, `grpcRoute`",
		reason: "App Mesh's webhook refused it", fields: []string{"httpRoute", "http2Route", "grpcRoute"}, min: 1, max: 1},
	{where: re(`^GatewayRoute .*http2?Route\.match$`), codes: []Code{CodeConflict}, field: "GatewayRoute `http(2)Route.match`", rule: "at most one of `prefix`, `path`",
		reason: "App Mesh's webhook refused it", fields: []string{"prefix", "path"}, max: 1},
	{where: re(`^GatewayRoute .*http2?Route\.match$`), codes: []Code{CodeNone}, field: "GatewayRoute `http(2)Route.match`", rule: "at least one of `prefix`, `path`, `hostname`",
		reason: "App Mesh's webhook refused it", fields: []string{"prefix", "path", "hostname"}, min: 1, max: 3},
	{where: re(`^GatewayRoute .*grpcRoute\.match$`), codes: []Code{CodeNone}, field: "GatewayRoute `grpcRoute.match`", rule: "at least one of `serviceName`, `hostname`",
		reason: "App Mesh's webhook refused it", fields: []string{"serviceName", "hostname"}, min: 1, max: 2},
	{where: re(`\.match\.hostname$`), codes: oneOf, field: "`match.hostname`", rule: "exactly one of `exact`, `suffix`", reason: "App Mesh's webhook refused it",
		fields: []string{"exact", "suffix"}, min: 1, max: 1},
	{where: re(`http2?Route\.action\.rewrite$`), codes: []Code{CodeConflict}, field: "`http(2)Route.action.rewrite`", rule: "at most one of `prefix`, `path`",
		reason: "App Mesh's webhook refused it", fields: []string{"prefix", "path"}, max: 1},
	{where: re(`http2?Route\.action\.rewrite$`), codes: []Code{CodeNone}, field: "`http(2)Route.action.rewrite`", rule: "at least one of `hostname`, `prefix`, `path`",
		reason: "App Mesh's webhook refused it", fields: []string{"hostname", "prefix", "path"}, min: 1, max: 3},
	{where: re(`\.rewrite\.prefix$`), codes: []Code{CodeConflict}, field: "`rewrite.prefix`", rule: "at most one of `defaultPrefix`, `value`",
		reason: "App Mesh's webhook refused it", fields: []string{"defaultPrefix", "value"}, max: 1},
	{where: re(`\.rewrite\.prefix\.value$`), codes: []Code{CodeForm}, field: "`rewrite.prefix.value`", rule: "starts and ends with `/`",
		reason: "App Mesh's webhook refused it", value: func(m *maker) any { return "/" + m.letters(m.IntN(5)) + "/" }},
}

// byCRD is Kubernetes' verdict: fields that are null are pruned, then the
// OpenAPI schema holds, in which unknown fields are nothing.
type byCRD struct{ *jsonschema.Schema }

func compile(t testing.TB, name string, s any) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///"+name, s); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("mem:///" + name)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func (c byCRD) valid(doc any) bool { return c.Validate(pruned(doc)) == nil }

func pruned(v any) any {
	switch v := v.(type) {
	case tree:
		out := tree{}
		for name, value := range v {
			if value != nil {
				out[name] = pruned(value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = pruned(v[i])
		}
		return out
	}
	return v
}

// The CustomResourceDefinitions and the shapes agree on every generated
// document, but for the rules of stricterRules; and each of those is needed.
func TestAgreesWithCRDs(t *testing.T) {
	used := make([]bool, len(stricterRules))
	for _, c := range crds(t) {
		t.Run(string(c.kind), func(t *testing.T) {
			kubernetes := byCRD{compile(t, string(c.kind), jsonRoundTrip(t, c.schema))}
			documents, refused, stricter := 0, 0, 0
			judge := func(what string, doc any, n *node) {
				documents++
				ours, theirs := errorsOf(c.kind, n), kubernetes.valid(doc)
				if !theirs {
					refused++
					if len(ours) == 0 {
						t.Errorf("%s: Kubernetes refuses it, we do not: %v\n%s", what, kubernetes.Validate(pruned(doc)), compact(doc))
					}
					return
				}
				if len(ours) > 0 {
					stricter++
				}
				for _, d := range ours {
					explained := false
					for i := range stricterRules {
						if stricterRules[i].explains(c.kind, d) {
							used[i], explained = true, true
						}
					}
					if !explained {
						t.Errorf("%s: Kubernetes takes it, we say: %s\n%s", what, d, compact(doc))
					}
				}
			}
			fills := []float64{0, 1, 1, 1}
			for range 40 {
				fills = append(fills, 0.15, 0.5)
			}
			for i, fill := range fills {
				wild := newMaker(uint64(i), fill, nil)
				doc := any(wild.document(c))
				judge(fmt.Sprintf("wild %d", i), doc, nodeOf(doc))

				m := newMaker(uint64(i), fill, stricterRules)
				tame := m.document(c)
				if !kubernetes.valid(tame) {
					t.Fatalf("tame %d: Kubernetes refuses it: %v\n%s", i, kubernetes.Validate(tame), compact(tame))
				}
				if ds := errorsOf(c.kind, nodeOf(tame)); len(ds) > 0 {
					t.Fatalf("tame %d: we refuse it: %s\n%s", i, ds, compact(tame))
				}
				if i > 11 {
					continue // enough of breaking
				}
				for what, broken := range m.mutations(c, tame) {
					judge(fmt.Sprintf("tame %d, %s", i, what), broken, nodeOf(broken))
				}
				for what, n := range duplicates(nodeOf(tame)) {
					judge(fmt.Sprintf("tame %d, twice %s", i, what), tame, n)
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("%d documents; Kubernetes refuses %d, and we %d more", documents, refused, stricter)
			if refused < 20 || stricter == 0 || documents-refused-stricter < 50 {
				t.Error("too few documents of a sort")
			}
		})
	}
	for i, r := range stricterRules {
		if !used[i] && !t.Failed() {
			t.Errorf("no document needs the rule: %s: %s", r.field, r.rule)
		}
	}
}

// docs/schema.md tells the same differences.
func TestStricterRulesAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("| where | our rule | why | code |\n| --- | --- | --- | --- |\n")
	for _, r := range stricterRules {
		var codes []string
		for _, c := range r.codes {
			codes = append(codes, string(c))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.field, r.rule, r.reason, strings.Join(codes, ", "))
	}
	path := filepath.Join(fixtures.Dir(t), "..", "docs", "schema.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- stricter rules: UPDATE=1 go test ./schema writes them -->\n", "<!-- end -->\n"
	before, rest, ok := strings.Cut(string(text), begin)
	table, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", path)
	}
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(b.String(), table); diff != "" {
		t.Errorf("docs/schema.md (UPDATE=1 rewrites it) (-want +got)\n%s", diff)
	}
}
