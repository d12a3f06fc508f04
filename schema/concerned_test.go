package schema

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// concernedTree is a mesh without a finding, a document in each file.
var concernedTree = map[string]string{
	"mesh":     "kind: Mesh\nmetadata: {name: shop, uid: u1}\nspec: {namespaceSelector: {}}",
	"web":      "kind: VirtualNode\nmetadata: {name: web}\nspec: {meshRef: {name: shop, uid: u1}, listeners: [{portMapping: {port: 80, protocol: http}, healthCheck: {protocol: http, path: /ok, healthyThreshold: 2, unhealthyThreshold: 2, intervalMillis: 5000, timeoutMillis: 2000}}], serviceDiscovery: {dns: {hostname: web}}}",
	"router":   "kind: VirtualRouter\nmetadata: {name: web}\nspec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [{name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]}}}]}",
	"service":  "kind: VirtualService\nmetadata: {name: web}\nspec: {provider: {virtualRouter: {virtualRouterRef: {name: web}}}}",
	"direct":   "kind: VirtualService\nmetadata: {name: direct}\nspec: {provider: {virtualNode: {virtualNodeRef: {name: web}}}}",
	"one":      "kind: VirtualNode\nmetadata: {name: one}\nspec: {listeners: [{portMapping: {port: 1, protocol: tcp}}], serviceDiscovery: {dns: {hostname: one}}}",
	"ones":     "kind: VirtualService\nmetadata: {name: one}\nspec: {provider: {virtualNode: {virtualNodeRef: {name: one}}}}",
	"two":      "kind: VirtualNode\nmetadata: {name: two}\nspec: {listeners: [{portMapping: {port: 2, protocol: tcp}}], serviceDiscovery: {dns: {hostname: two}}}",
	"twos":     "kind: VirtualService\nmetadata: {name: two}\nspec: {provider: {virtualNode: {virtualNodeRef: {name: two}}}}",
	"group":    "kind: BackendGroup\nmetadata: {name: tcp}\nspec: {virtualservices: [{name: one}, {name: two}]}",
	"caller":   "kind: VirtualNode\nmetadata: {name: caller}\nspec: {backends: [{virtualService: {virtualServiceRef: {name: web}, clientPolicy: {tls: {enforce: false, ports: [80], validation: {trust: {file: {certificateChain: /ca.pem}}}}}}}]}",
	"grouped":  "kind: VirtualNode\nmetadata: {name: grouped}\nspec: {backendGroups: [{name: tcp}]}",
	"all":      "kind: VirtualNode\nmetadata: {name: all}\nspec: {backendGroups: [{name: '*'}]}",
	"gateway":  "kind: VirtualGateway\nmetadata: {name: edge}\nspec: {namespaceSelector: {}, gatewayRouteSelector: {}, listeners: [{portMapping: {port: 88, protocol: http}}]}",
	"entrance": "kind: GatewayRoute\nmetadata: {name: web}\nspec: {httpRoute: {match: {prefix: /}, action: {target: {virtualService: {virtualServiceRef: {name: web}}}}}}",
	"jwt":      "kind: ListenerPolicy\nmetadata: {name: jwt}\nspec: {targets: [{kind: VirtualNode, name: web, port: 80}], jwt: {issuers: [{issuer: a, jwks: {service: {virtualServiceRef: {name: web}, path: /keys}}}], except: [/ok]}}",
	"timeout":  "kind: RoutePolicy\nmetadata: {name: timeout}\nspec: {targets: [{kind: VirtualRouter, name: web, routes: [all]}], timeout: {perRequest: {unit: s, value: 9}}}",
	"mirror":   "kind: RoutePolicy\nmetadata: {name: mirror}\nspec: {targets: [{kind: VirtualService, name: direct}], mirror: {virtualNodeRef: {name: web}}}",
	"places":   "kind: Endpoints\nmetadata: {name: web}\nspec: {virtualNodeRef: {name: web}, endpoints: [{address: 10.0.0.1, ports: [{listener: 80, port: 8080}]}]}",
	"split":    "kind: VirtualRouter\nmetadata: {name: split}\nspec: {listeners: [{portMapping: {port: 80, protocol: http}}, {portMapping: {port: 81, protocol: tcp}}], routes: [{name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]}}}]}",
	"rollout":  "kind: Rollout\nmetadata: {name: split}\nspec: {targets: [{kind: VirtualRouter, name: split}], steps: [{header: {name: x, match: {exact: '1'}}, hold: 1m}, {weight: 10, hold: 1m}], analysis: {successRate: {min: 99}}}",
}

// What a rule across documents finds of one after another has changed is found
// by going on from what was, and gone again when that is undone: each row changes
// one document, of which the finding is not.
func TestReloadFindsWhatConcernsOthers(t *testing.T) {
	tree := fstest.MapFS{}
	for name, text := range concernedTree {
		version := appMeshVersion
		if slices.ContainsFunc([]string{"Policy", "kind: Endpoints", "kind: Rollout"}, func(of string) bool { return strings.Contains(text, of) && !strings.Contains(text, "clientPolicy") }) {
			version = ourVersion
		}
		tree[name+".yaml"] = &fstest.MapFile{Data: []byte("apiVersion: " + version + "\n" + text + "\n")}
	}
	loaded := func(l *Loader, files fstest.MapFS) string {
		r, err := l.Load(context.Background(), files)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, d := range r.Diagnostics {
			fmt.Fprintf(&b, "%s [%s]\n", d, d.Code)
		}
		return b.String()
	}
	if found := loaded(NewLoader(Config{}), tree); found != "" {
		t.Fatal(found)
	}
	shown := map[Code]bool{}
	for _, row := range []struct {
		file, old, new string
		of, code       string
	}{
		{"web", "port: 80,", "port: 81,", "jwt", "MW2211"},
		{"web", "port: 80,", "port: 81,", "places", "MW2209"},
		{"web", "path: /ok", "path: /healthz", "jwt", "MW2212"},
		{"web", "port: 80, protocol: http}", "port: 80, protocol: http}, timeout: {http: {perRequest: {unit: s, value: 1}}}", "timeout", "MW2207"},
		{"web", "listeners: [", "listeners: [{portMapping: {port: 81, protocol: http}}, ", "router", "MW2202"},
		{"web", "listeners: [", "listeners: [{portMapping: {port: 81, protocol: http}}, ", "mirror", "MW2202"},
		{"web", "listeners: [{portMapping: {port: 80, protocol: http}, healthCheck: {protocol: http, path: /ok, healthyThreshold: 2, unhealthyThreshold: 2, intervalMillis: 5000, timeoutMillis: 2000}}], ", "", "direct", "MW2202"},
		{"router", "{port: 80, protocol: http}}", "{port: 80, protocol: http}}, {portMapping: {port: 81, protocol: http}}", "entrance", "MW2202"},
		{"router", "name: all", "name: every", "timeout", "MW2210"},
		{"router", "name: all, httpRoute: {", "name: all, httpRoute: {timeout: {perRequest: {unit: s, value: 1}}, ", "timeout", "MW2210"},
		{"split", "name: all, httpRoute: {match: {prefix: /}, ", "name: all, tcpRoute: {", "rollout", "MW2213"},
		{"split", "routes: [", "routes: [{name: tcp, tcpRoute: {action: {weightedTargets: [{virtualNodeRef: {name: one}, weight: 1}]}}}, ", "rollout", "MW2214"},
		{"gateway", "protocol: http", "protocol: grpc", "entrance", "MW2201"},
		{"two", "port: 2", "port: 1", "grouped", "MW2206"},
		{"two", "port: 2", "port: 1", "all", "MW2206"},
		{"ones", "kind: VirtualService\nmetadata: {name: one}", "kind: VirtualService\nmetadata: {name: four}\nspec: {provider: {virtualNode: {virtualNodeRef: {name: one}}}}\n---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualService\nmetadata: {name: one}", "all", "MW2206"},
		{"service", "virtualRouter: {virtualRouterRef: {name: web}}", "virtualNode: {virtualNodeRef: {name: one}}", "caller", "MW2208"},
		{"mesh", "uid: u1", "uid: u2", "web", "MW2004"},
		{"gateway", "gatewayRouteSelector: {}", "gatewayRouteSelector: {matchLabels: {a: b}}", "entrance", "MW2007"},
	} {
		l := NewLoader(Config{})
		loaded(l, tree)
		changed := maps.Clone(tree)
		text := bytes.Replace(tree[row.file+".yaml"].Data, []byte(row.old), []byte(row.new), 1)
		if bytes.Equal(text, tree[row.file+".yaml"].Data) {
			t.Errorf("%s has no %s", row.file, row.old)
		}
		changed[row.file+".yaml"] = &fstest.MapFile{Data: text}
		want, got := loaded(NewLoader(Config{}), changed), loaded(l, changed)
		if want != got {
			t.Errorf("%s: %s: reloaded:\n%sloaded:\n%s", row.file, row.new, got, want)
		}
		if !slices.ContainsFunc(strings.Split(want, "\n"), func(line string) bool {
			return strings.HasPrefix(line, row.of+".yaml") && strings.HasSuffix(line, "["+row.code+"]")
		}) {
			t.Errorf("%s: %s: no %s of %s:\n%s", row.file, row.new, row.code, row.of, want)
		}
		if again := loaded(l, tree); again != "" {
			t.Errorf("%s: back from %s:\n%s", row.file, row.new, again)
		}
		shown[Code(row.code)] = true
	}
	for _, c := range checks {
		if c.spec != nil && !shown[c.Code] {
			t.Errorf("no row shows %s", c.Code)
		}
	}
}
