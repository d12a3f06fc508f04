package schema_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/meshwright/meshwright/schema"
)

// TestFields: what differs between two versions of a document, and where.
func TestFields(t *testing.T) {
	const listeners = "listeners: [{portMapping: {port: 80, protocol: http}}, {portMapping: {port: 81, protocol: tcp}}]"
	for name, c := range map[string]struct{ was, is, want string }{
		"value":              {"awsName: x", "awsName: y", "spec.awsName: x → y at 7:12"},
		"set":                {"", "logging: {accessLog: {file: {path: /x}}}", "spec.logging: → {accessLog: {file: {path: /x}}} at 7:12"},
		"gone":               {"awsName: x", "", "spec.awsName: x → at 7:12"},
		"null_is_nothing":    {"awsName: null", "", ""},
		"items_moved":        {listeners, "listeners: [{portMapping: {port: 81, protocol: tcp}}, {portMapping: {port: 80, protocol: http}}]", ""},
		"item_in_its_place":  {listeners, "listeners: [{portMapping: {port: 81, protocol: tcp}}, {portMapping: {port: 80, protocol: grpc}}]", "spec.listeners[1].portMapping.protocol: http → grpc at 7:92"},
		"item_gone":          {listeners, "listeners: [{portMapping: {port: 81, protocol: tcp}}]", "spec.listeners[0]: {portMapping: {port: 80, protocol: http}} → at 7:15"},
		"single_item_named":  {"listeners: [{portMapping: {port: 80, protocol: http}}]", "listeners: [{portMapping: {port: 81, protocol: http}}]", "spec.listeners[0].portMapping.port: 80 → 81 at 7:36"},
		"duration":           {"listeners: [{portMapping: {port: 80, protocol: http}, timeout: {http: {idle: {unit: s, value: 5}}}}]", "listeners: [{portMapping: {port: 80, protocol: http}, timeout: {http: {idle: {value: 700, unit: ms}}}}]", "spec.listeners[0].timeout.http.idle: 5s → 700ms at 7:80"},
		"plain_list_by_item": {"backendGroups: [{name: a}, {name: b}]", "backendGroups: [{name: b}, {name: c}, {name: d}]", "spec.backendGroups[0]: {name: a} → at 7:19\nspec.backendGroups[1]: → {name: c} at 7:30\nspec.backendGroups[2]: → {name: d} at 7:41"},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, f := range Fields(version(t, c.was), version(t, c.is)) {
				lines = append(lines, fmt.Sprintf("%s: %s at %d:%d", f.Path, strings.TrimSpace(f.Before+" → "+f.After), f.Pos.Line, f.Pos.Col))
			}
			if got := strings.Join(lines, "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// version is a virtual node with more in its spec, one field a line.
func version(t *testing.T, more string) Resource {
	t.Helper()
	text := "apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\nmetadata: {name: n, namespace: shop}\nspec:\n" +
		"  serviceDiscovery: {dns: {hostname: x}}\n  backends: []\n"
	if more != "" {
		text += "  " + more + "\n"
	}
	spec := good(t, NewLoader(Config{}), files("a.yaml", text+"---\n"+meshDoc+groups))
	return spec.Find(Ref{Kind: KindVirtualNode, Key: Key{Namespace: "shop", Name: "n"}})
}

var groups = func() (docs string) {
	for _, name := range []string{"a", "b", "c", "d"} {
		docs += doc("BackendGroup", name, "\nspec: {virtualservices: []}\n")
	}
	return docs
}()
