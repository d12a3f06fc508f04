package plan_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestMovesMissNothing: of random changes of a router and a gateway, every
// request of a small world that another route wins afterwards has its move, and
// every move is one of such a request.
func TestMovesMissNothing(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(7, 8))}
	l := schema.NewLoader(schema.Config{})
	moved := 0
	for range 60 {
		routes, entrances := d.routes(), d.entrances()
		before := loaded(t, l, d.repository(routes, entrances))
		routes, entrances = d.change(routes, d.route), d.change(entrances, d.entrance)
		after := loaded(t, l, d.repository(routes, entrances))
		if before == nil || after == nil {
			continue // two of one name
		}
		from, to := side(before), side(after)
		p := plan.New(from, to, plan.Observed{})
		want := map[string]string{} // pair of routes → example
		for _, id := range []xds.Identity{{Mesh: "m", Kind: schema.KindVirtualNode, Name: "client_ns"}, {Mesh: "m", Kind: schema.KindVirtualGateway, Name: "edge_ns"}} {
			old, err := from.State.Explainer(id)
			if err != nil {
				t.Fatal(err)
			}
			now, err := to.State.Explainer(id)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range world(id) {
				if a, b := renames(p).Replace(who(t, old, q)), who(t, now, q); a != b {
					want[id.String()+" "+a+" → "+b] = fmt.Sprint(q)
				}
			}
		}
		got := map[string]bool{}
		for _, m := range p.Moves {
			got[m.From.String()+" "+renames(p).Replace(m.Before)+" → "+m.After] = true
		}
		for pair, q := range want {
			if !got[pair] {
				t.Fatalf("no move %s, as %s\nafter:\n%s\n%v", pair, q, strings.Join(append(routes, entrances...), "\n"), p)
			}
		}
		moved += len(want)
	}
	if moved < 300 {
		t.Errorf("%d moves: the changes are no test", moved)
	}
}

// renames gives routes of before the names that they have after.
func renames(p *plan.Plan) *strings.Replacer {
	var pairs []string
	for _, r := range p.Routes {
		for _, o := range r.Other {
			if was, ok := strings.CutPrefix(o, "was "); ok && r.Owner.Kind == schema.KindGatewayRoute {
				pairs = append(pairs, was, r.Owner.String())
			} else if ok {
				pairs = append(pairs, "route "+was+" of", "route "+r.Name+" of")
			}
		}
	}
	return strings.NewReplacer(pairs...)
}

func loaded(t *testing.T, l *schema.Loader, files fs.FS) *schema.Spec {
	t.Helper()
	r, err := l.Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	return r.Spec
}

func side(s *schema.Spec) plan.Side {
	return plan.Side{Spec: s, State: translate.New(translate.Inputs{Spec: s}, nil)}
}

// who names the route that takes a request, as a move does.
func who(t *testing.T, e *translate.Explainer, q translate.Request) string {
	t.Helper()
	x, err := e.Explain(q)
	if err != nil {
		t.Fatal(err)
	}
	route := x.Service
	if x.Route != "" {
		route = "route " + x.Route + " of " + x.Router
	}
	switch {
	case x.Outcome == translate.Refused, x.Outcome == translate.Answered && x.Status == 404 && x.GatewayRoute == "":
		return ""
	case x.GatewayRoute != "" && x.Route == "":
		return x.GatewayRoute
	case x.GatewayRoute != "":
		return x.GatewayRoute + ", " + route
	}
	return route
}

// world is every request of a small world.
func world(id xds.Identity) (all []translate.Request) {
	hosts := []string{"api:80"}
	if id.Kind == schema.KindVirtualGateway {
		hosts = []string{"a.example:80", "b.example:80", "c.b.example:80", "elsewhere:80"}
	}
	for _, host := range hosts {
		for _, path := range []string{"/", "/x", "/a", "/ax", "/a/", "/a/b", "/a/b/x", "/a/bx", "/b", "/b/a", "/b/x"} {
			for _, query := range []string{"", "?q=1", "?q=2"} {
				for _, method := range []string{"GET", "POST", "PUT"} {
					for _, version := range []string{"", "1", "2"} {
						q := translate.Request{Host: host, Method: method, Path: path + query, Header: http.Header{}}
						if version != "" {
							q.Header["x-version"] = []string{version}
						}
						all = append(all, q)
					}
				}
			}
		}
	}
	return all
}

// dice makes routers and changes of them, as flow YAML.
type dice struct{ *rand.Rand }

func of[T any](d dice, choices ...T) T { return choices[d.IntN(len(choices))] }

func (d dice) match() string {
	parts := []string{of(d, "prefix: /", "prefix: /", "prefix: /a", "prefix: /a/", "prefix: /a/b", "prefix: /b", "path: {exact: /a}", "path: {exact: /a/b}", `path: {regex: "/a/[a-z]+"}`)}
	if d.IntN(4) == 0 {
		parts = append(parts, "method: "+of(d, "GET", "POST"))
	}
	if d.IntN(4) == 0 {
		parts = append(parts, "headers: [{name: x-version, "+of(d, `match: {exact: "1"}`, "invert: false", "invert: true", `match: {exact: "1"}, invert: true`)+"}]")
	}
	if d.IntN(5) == 0 {
		parts = append(parts, "queryParameters: [{name: q"+of(d, "", `, match: {exact: "1"}`)+"}]")
	}
	return strings.Join(parts, ", ")
}

func (d dice) priority() string {
	if d.IntN(2) == 0 {
		return ""
	}
	return fmt.Sprintf("priority: %d, ", d.IntN(4))
}

func (d dice) route() string {
	return fmt.Sprintf("{name: r%d, %shttpRoute: {match: {%s}, action: {weightedTargets: [{virtualNodeRef: {name: node}, weight: 1}]}}}", d.IntN(1000), d.priority(), d.match())
}

func (d dice) entrance() string {
	host := of(d, "", "", ", hostname: {exact: a.example}", ", hostname: {exact: b.example}", ", hostname: {suffix: .example}", ", hostname: {suffix: .b.example}")
	rewrite := of(d, "", "", ", rewrite: {prefix: {defaultPrefix: DISABLED}}")
	match := of(d, "/", "/", "/a/", "/b/")
	more := ""
	if d.IntN(4) == 0 {
		more = ", method: " + of(d, "GET", "POST")
	}
	return fmt.Sprintf("{apiVersion: appmesh.k8s.aws/v1beta2, kind: GatewayRoute, metadata: {name: g%d, namespace: ns}, spec: {%shttpRoute: {match: {prefix: %s%s%s}, action: {target: {virtualService: {virtualServiceRef: {name: api}}}%s}}}}",
		d.IntN(1000), d.priority(), match, more, host, rewrite)
}

func (d dice) routes() (all []string) {
	for range 1 + d.IntN(5) {
		all = append(all, d.route())
	}
	return all
}

func (d dice) entrances() (all []string) {
	for range 1 + d.IntN(3) {
		all = append(all, d.entrance())
	}
	return all
}

// change adds, removes, replaces or leaves; what is replaced keeps its name.
func (d dice) change(old []string, made func() string) []string {
	all := append([]string{}, old...)
	for range d.IntN(3) {
		i := d.IntN(len(all))
		switch d.IntN(3) {
		case 0:
			all = append(all, made())
		case 1:
			if len(all) > 1 {
				all = append(all[:i:i], all[i+1:]...)
			}
		default:
			all[i] = renamed(made(), all[i])
		}
	}
	return all
}

// renamed gives one text the name of another.
func renamed(text, as string) string {
	name := func(s string) string {
		_, s, _ = strings.Cut(s, "name: ")
		s, _, _ = strings.Cut(s, ",")
		return s
	}
	return strings.Replace(text, "name: "+name(text), "name: "+name(as), 1)
}

func (d dice) repository(routes, entrances []string) fstest.MapFS {
	text := `apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: m}
spec: {namespaceSelector: {}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: node, namespace: ns}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: node}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: client, namespace: ns}, spec: {backends: [{virtualService: {virtualServiceRef: {name: api}}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: api, namespace: ns}, spec: {awsName: api, provider: {virtualRouter: {virtualRouterRef: {name: api}}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualGateway, metadata: {name: edge, namespace: ns}, spec: {namespaceSelector: {}, listeners: [{portMapping: {port: 80, protocol: http}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: api, namespace: ns}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [` + strings.Join(routes, ", ") + "]}}\n"
	for _, e := range entrances {
		text += "---\n" + e + "\n"
	}
	return fstest.MapFS{"mesh.yaml": {Data: []byte(text)}}
}
