package reconciler

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
)

// shop is a mesh of two services, each with a node behind it, and who calls the
// first one.
const shop = `{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {matchLabels: {mesh: shop}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: front, namespace: shop}, spec: {backends: [{virtualService: {virtualServiceRef: {name: api}}}]}}
`

func service(name string, weight int) string {
	return strings.NewReplacer("NAME", name, "WEIGHT", fmt.Sprint(weight)).Replace(`---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: NAME, namespace: shop}, spec: {provider: {virtualRouter: {virtualRouterRef: {name: NAME}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: NAME, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}],
  routes: [{name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: NAME}, weight: WEIGHT}]}}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: NAME, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: NAME.local}}}}
`)
}

func specOfYAML(t *testing.T, text string) *schema.Spec {
	t.Helper()
	r, err := schema.NewLoader(schema.Config{}).Load(t.Context(), fstest.MapFS{"shop.yaml": {Data: []byte("---\n" + text)}})
	if err != nil || r.Spec == nil {
		t.Fatalf("%v\n%s", err, r.Diagnostics)
	}
	return r.Spec
}

// TestStale: a plan about the router api is stale when that, or what is around it,
// changes, or when something new comes to it; not for another service's sake.
func TestStale(t *testing.T) {
	was := shop + service("api", 1) + service("pay", 1)
	from := specOfYAML(t, was)
	pull := plan.New(plan.Side{Spec: from}, plan.Side{Spec: specOfYAML(t, shop+service("api", 2)+service("pay", 1))}, plan.Observed{})
	const policy = `---
{apiVersion: meshwright.dev/v1alpha1, kind: ListenerPolicy, metadata: {name: p, namespace: shop}, spec: {targets: [{kind: VirtualNode, name: api}], loadBalancing: {algorithm: LEAST_REQUEST}}}
`
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"nothing":                   {was, false},
		"another service":           {shop + service("api", 1) + service("pay", 2), false},
		"one more service":          {was + service("new", 1), false},
		"the same router":           {shop + service("api", 3) + service("pay", 1), true},
		"one more name for it":      {was + "---\n{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: also, namespace: shop}, spec: {provider: {virtualRouter: {virtualRouterRef: {name: api}}}}}\n", true},
		"one more caller":           {was + "---\n{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: b, namespace: shop}, spec: {backends: [{virtualService: {virtualServiceRef: {name: api}}}]}}\n", true},
		"a policy of what it is to": {was + policy, true},
	} {
		if got := pull.Stale(from, specOfYAML(t, test.text)); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
