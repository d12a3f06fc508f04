package schema

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// testNode reads one YAML document into a node, with positions, as far as
// these tests need YAML (no anchors).
func testNode(t testing.TB, text string) *node {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return fromYAML(doc.Content[0])
}

func fromYAML(y *yaml.Node) *node {
	n := &node{pos: Pos{"a.yaml", y.Line, y.Column}, text: y.Value}
	switch y.Kind {
	case yaml.MappingNode:
		n.kind, n.text = mapNode, ""
		for i := 0; i < len(y.Content); i += 2 {
			k := y.Content[i]
			n.fields = append(n.fields, field{k.Value, Pos{"a.yaml", k.Line, k.Column}, fromYAML(y.Content[i+1])})
		}
	case yaml.SequenceNode:
		n.kind, n.text = listNode, ""
		for _, item := range y.Content {
			n.items = append(n.items, fromYAML(item))
		}
	default:
		n.kind = map[string]nodeKind{"!!null": nullNode, "!!int": intNode, "!!float": floatNode, "!!bool": boolNode}[y.Tag]
		if n.kind == nullNode && y.Tag != "!!null" {
			n.kind = stringNode
		}
	}
	return n
}

// found validates a document and returns its diagnostics, sorted, a line each.
func found(kind Kind, n *node) []string {
	var ds Diagnostics
	validate(kind, n, func(d Diagnostic) { ds = append(ds, d) })
	var lines []string
	for _, d := range ds.Sorted() {
		lines = append(lines, strings.TrimPrefix(d.String(), "a.yaml:")+" ["+string(d.Code)+"]")
	}
	return lines
}

const head = "apiVersion: appmesh.k8s.aws/v1beta2\nmetadata: {name: a, namespace: b}\nkind: "

func TestValidate(t *testing.T) {
	const route = "VirtualRouter\nspec:\n  routes:\n  - name: r\n    httpRoute:\n"
	const target = route + "      match: {prefix: /}\n      action:\n        weightedTargets:\n"
	for _, c := range []struct{ name, doc, want string }{
		{"good", target + "        - {virtualNodeRef: {name: x}, weight: 1}", ""},
		{"range", target + "        - {virtualNodeRef: {name: x}, weight: 101}",
			"11:47: error: spec.routes[0].httpRoute.action.weightedTargets[0].weight: 101 is out of range (0 to 100) [MW1002]"},
		{"range_open", "VirtualNode\nspec: {listeners: [{portMapping: {port: 1, protocol: tcp}, connectionPool: {tcp: {maxConnections: 0}}}], serviceDiscovery: {dns: {hostname: x}}}",
			"4:99: error: spec.listeners[0].connectionPool.tcp.maxConnections: 0 is out of range (1 to 2147483647) [MW1002]"},
		{"beyond_64_bits", target + "        - {virtualNodeRef: {name: x}, weight: 99999999999999999999}",
			"11:47: error: spec.routes[0].httpRoute.action.weightedTargets[0].weight: 99999999999999999999 is out of range (0 to 100) [MW1002]"},
		{"integers_of_other_bases", target + "        - {virtualNodeRef: {name: x}, weight: 0x10}\n        - {virtualNodeRef: {name: x}, weight: 0o17}", ""},
		{"whole_float", target + "        - {virtualNodeRef: {name: x}, weight: 1.0}",
			"11:47: error: spec.routes[0].httpRoute.action.weightedTargets[0].weight: a number where an integer is wanted; write it without a fraction or an exponent [MW1001]"},
		{"quoted_integer", target + "        - {virtualNodeRef: {name: x}, weight: \"1\"}",
			"11:47: error: spec.routes[0].httpRoute.action.weightedTargets[0].weight: a string where an integer is wanted; write it without quotes: 1 [MW1001]"},
		{"variable", target + "        - {virtualNodeRef: {name: x}, weight: \"${W}\"}",
			"11:47: error: spec.routes[0].httpRoute.action.weightedTargets[0].weight: a string where an integer is wanted; put in the value of ${W} [MW1001]"},
		{"misspelled_field_once", target + "        - {virtualNodeRef: {name: x}, weigth: 1}",
			"11:39: error: spec.routes[0].httpRoute.action.weightedTargets[0].weigth: unknown field \"weigth\"; did you mean weight? [MW1005]"},
		{"field_too_deep", target + "        - virtualNodeRef:\n            name: x\n            weight: 1",
			"11:11: error: spec.routes[0].httpRoute.action.weightedTargets[0].weight: weight is missing [MW1004]\n" +
				"13:13: error: spec.routes[0].httpRoute.action.weightedTargets[0].virtualNodeRef.weight: unknown field \"weight\"; it belongs in spec.routes[0].httpRoute.action.weightedTargets[0], further out [MW1005]"},
		{"field_too_shallow", route + "      match: {prefix: /}\n      weightedTargets: [{virtualNodeRef: {name: x}, weight: 1}]",
			"8:7: error: spec.routes[0].httpRoute.action: action is missing [MW1004]\n" +
				"9:7: error: spec.routes[0].httpRoute.weightedTargets: unknown field \"weightedTargets\"; it belongs in action [MW1005]"},
		{"nothing_alike", "VirtualService\nspec: {provider: {virtualNode: {virtualNodeRef: {name: x, zone: y}}}}",
			"4:59: error: spec.provider.virtualNode.virtualNodeRef.zone: unknown field \"zone\"; what may stand here: namespace [MW1005]"},
		{"missing_null", target + "        - {virtualNodeRef: {name: x}, weight: }",
			"11:47: error: spec.routes[0].httpRoute.action.weightedTargets[0].weight: weight is missing; give it a value [MW1004]"},
		{"optional_null", "VirtualNode\nspec:\n  backends:\n  logging: ~\n  listeners: null", ""},
		{"null_item", "VirtualNode\nspec: {backends: [null]}",
			"4:19: error: spec.backends[0]: null where a map is wanted [MW1001]"},
		{"duplicate", target + "        - {virtualNodeRef: {name: x}, weight: 1, weight: 2}",
			"11:50: error: spec.routes[0].httpRoute.action.weightedTargets[0].weight: field \"weight\" is written twice; keep one [MW1006]"},
		{"choice", "VirtualRouter\nspec: {listeners: [{portMapping: {port: 80, protocol: htp}}]}",
			"4:55: error: spec.listeners[0].portMapping.protocol: \"htp\" is not one of http, http2, grpc, tcp; did you mean http? [MW1003]"},
		{"choice_case", "Mesh\nspec: {egressFilter: {type: allow_all}}",
			"4:29: error: spec.egressFilter.type: \"allow_all\" is not one of ALLOW_ALL, DROP_ALL; did you mean ALLOW_ALL? [MW1003]"},
		{"two_of_one", route + "      match: {prefix: /, path: {exact: /a}}\n      action: {weightedTargets: [{virtualNodeRef: {name: x}, weight: 1}]}",
			"8:26: error: spec.routes[0].httpRoute.match: prefix and path are both set; keep one [MW1007]"},
		{"three_of_one", "VirtualRouter\nspec:\n  routes:\n  - name: r\n    httpRoute: &r {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: x}, weight: 1}]}}\n" +
			"    http2Route: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: x}, weight: 1}]}}\n" +
			"    tcpRoute: {action: {weightedTargets: [{virtualNodeRef: {name: x}, weight: 1}]}}",
			"9:5: error: spec.routes[0]: httpRoute, http2Route and tcpRoute are all set; keep one [MW1007]"},
		{"none_of_two", "VirtualNode\nspec: {backends: [{virtualService: {}}]}",
			"4:36: error: spec.backends[0].virtualService: neither virtualServiceRef nor virtualServiceARN is set; set one [MW1008]"},
		{"none_of_four", "VirtualRouter\nspec: {routes: [{name: r}]}",
			"4:17: error: spec.routes[0]: none of httpRoute, http2Route, grpcRoute, tcpRoute is set; set one [MW1008]"},
		{"none_but_misspelled", "VirtualRouter\nspec: {routes: [{name: r, htpRoute: {}}]}",
			"4:27: error: spec.routes[0].htpRoute: unknown field \"htpRoute\"; did you mean httpRoute? [MW1005]"},
		{"needs", "VirtualNode\nspec:\n  listeners: [{portMapping: {port: 1, protocol: tcp}}]",
			"5:3: error: spec.serviceDiscovery: serviceDiscovery is missing, and listeners needs it; set it [MW1012]"},
		{"too_many_items", "VirtualRouter\nspec: {routes: [{name: r, tcpRoute: {action: {weightedTargets: []}}}]}",
			"4:64: error: spec.routes[0].tcpRoute.action.weightedTargets: 0 items, not 1 to 10 [MW1009]"},
		{"too_long", "VirtualNode\nspec: {logging: {accessLog: {file: {path: \"\"}}}}",
			"4:43: error: spec.logging.accessLog.file.path: \"\" is 0 characters long, not 1 to 255 [MW1010]"},
		{"form", "GatewayRoute\nspec: {httpRoute: {match: {prefix: api}, action: {target: {virtualService: {virtualServiceRef: {name: x}}}}}}",
			"4:36: error: spec.httpRoute.match.prefix: \"api\" is not a path that starts with / [MW1011]"},
		{"empty_range", route + "      match: {prefix: /, headers: [{name: h, match: {range: {start: 5, end: 5}}}]}\n      action: {weightedTargets: [{virtualNodeRef: {name: x}, weight: 1}]}",
			"8:77: error: spec.routes[0].httpRoute.match.headers[0].match.range.end: 5 is out of range (more than start, which is 5) [MW1002]"},
		{"ignored", "VirtualNode\nspec: {backendDefaults: {clientPolicy: {tls: {mode: STRICT, validation: {trust: {sds: {secretName: x}}}}}}}",
			"4:47: warning: spec.backendDefaults.clientPolicy.tls.mode: this field is ignored: App Mesh dropped it unread, and enforce says whether TLS is a must; remove it [MW1013]"},
		{"yes_is_no_boolean", "VirtualNode\nspec: {backendDefaults: {clientPolicy: {tls: {enforce: \"yes\", validation: {trust: {sds: {secretName: x}}}}}}}",
			"4:56: error: spec.backendDefaults.clientPolicy.tls.enforce: a string where a boolean is wanted; write true [MW1001]"},
		{"map_for_list", "VirtualNode\nspec: {backends: {virtualService: {virtualServiceARN: x}}}",
			"4:18: error: spec.backends: a map where a list is wanted; start each item with - [MW1001]"},
		{"list_for_map", "VirtualNode\nspec: [{backends: []}]",
			"4:7: error: spec: a list where a map is wanted; write its fields without - [MW1001]"},
		{"label_of_another_type", "VirtualNode\nspec: {podSelector: {matchLabels: {app.kubernetes.io/version: 1}}}",
			"4:63: error: spec.podSelector.matchLabels[\"app.kubernetes.io/version\"]: an integer where a string is wanted; put it in quotes: \"1\" [MW1001]"},
		{"label_twice", "VirtualNode\nspec: {podSelector: {matchLabels: {app: x, app: y}}}",
			"4:44: error: spec.podSelector.matchLabels.app: field \"app\" is written twice; keep one [MW1006]"},
		{"spec_absent", "VirtualNode", ""},
		{"spec_absent_where_needed", "GatewayRoute", "1:1: error: spec: spec is missing [MW1004]"},
		{"status_and_bookkeeping", "Mesh\nstatus: {conditions: [{type: x}]}", ""},
		{"unknown_at_the_top", "Mesh\nspecs: {}", "4:1: error: specs: unknown field \"specs\"; did you mean spec? [MW1005]"},
		{"all_at_once", "VirtualRouter\nspec: {lsiteners: [], routes: [{name: 5, priority: 1001, grpcRoute: {match: {methodName: m}, action: {}}}]}",
			`4:8: error: spec.lsiteners: unknown field "lsiteners"; did you mean listeners? [MW1005]
4:39: error: spec.routes[0].name: an integer where a string is wanted; put it in quotes: "5" [MW1001]
4:52: error: spec.routes[0].priority: 1001 is out of range (0 to 1000) [MW1002]
4:78: error: spec.routes[0].grpcRoute.match.serviceName: serviceName is missing, and methodName needs it; set it [MW1012]
4:102: error: spec.routes[0].grpcRoute.action.weightedTargets: weightedTargets is missing [MW1004]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			kind, _, _ := strings.Cut(c.doc, "\n")
			got := strings.Join(found(Kind(kind), testNode(t, head+c.doc)), "\n")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestValidateMetadata(t *testing.T) {
	for meta, want := range map[string]string{
		"{name: a}":                              "",
		"{name: a.b-c, creationTimestamp: null}": "",
		"{name: a, uid: x, finalizers: [x], labels: {a: b}, annotations: {c: d}, generation: 3}": "",
		"{}":                              "2:11: error: metadata.name: name is missing [MW1004]",
		"{name: A_b}":                     "2:18: error: metadata.name: \"A_b\" is not a name of lower-case letters, digits, - and . [MW1011]",
		"{name: a, namespace: \"${NS}\"}": "2:32: error: metadata.namespace: \"${NS}\" is not a name of lower-case letters, digits and -; put in the value of ${NS} [MW1011]",
		"{name: a, lables: {a: b}}":       "2:21: error: metadata.lables: unknown field \"lables\"; did you mean labels? [MW1005]",
	} {
		n := testNode(t, "apiVersion: appmesh.k8s.aws/v1beta2\nmetadata: "+meta+"\nkind: Mesh")
		if got := strings.Join(found(KindMesh, n), "\n"); got != want {
			t.Errorf("%s: got %q, want %q", meta, got, want)
		}
	}
}

// TestValidate shows every code of a document's shape.
func TestCodesAreShown(t *testing.T) {
	cases, err := os.ReadFile("validate_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range Codes() {
		if strings.HasPrefix(string(doc.Code), "MW1") && !strings.Contains(string(cases), "["+string(doc.Code)+"]") {
			t.Errorf("no case shows %s (%s)", doc.Code, doc.Summary)
		}
	}
}

func TestNearest(t *testing.T) {
	fields := []string{"weight", "port", "virtualNodeRef", "virtualNodeARN", "path", "prefix"}
	for word, want := range map[string]string{
		"weigth": "weight", "WEIGHT": "weight", "wieght": "weight", "prot": "port", "ports": "port",
		"virtualNode": "virtualNodeRef", "virtualnoderef": "virtualNodeRef", "zone": "", "x": "", "": "",
	} {
		if got := nearest(word, fields); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestMeant(t *testing.T) {
	for word, want := range map[string]string{
		"api-v3": "did you mean api-v1 or api-v2?", "API-V1": "did you mean api-v1?", "api-v11": "did you mean api-v1?",
		"node-4": "", "gone": "", // three are as near, none is near
	} {
		if got := meant(word, []string{"api-v1", "api-v2", "node-1", "node-2", "node-3", "api-v1"}); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	n := testNode(b, yelbRouter)
	b.ReportAllocs()
	for b.Loop() {
		validate(KindVirtualRouter, n, func(d Diagnostic) { b.Fatal(d) })
	}
}

const yelbRouter = `apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata:
  namespace: yelb
  name: yelb-appserver
spec:
  awsName: yelb-appserver-virtual-router
  listeners:
    - portMapping:
        port: 4567
        protocol: http
  routes:
    - name: route-to-yelb-appserver
      httpRoute:
        match:
          prefix: /
        action:
          weightedTargets:
            - virtualNodeRef:
                name: yelb-appserver
              weight: 1
            - virtualNodeRef:
                name: yelb-appserver-v2
              weight: 1
        retryPolicy:
          maxRetries: 2
          perRetryTimeout:
            unit: ms
            value: 2000
          httpRetryEvents:
            - server-error
            - client-error
            - gateway-error
`
