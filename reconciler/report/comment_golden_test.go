package report_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// pull is a pull request with nothing said of it yet.
func pull() report.Pull {
	return report.Pull{
		Environment: "prod", Number: 104, Version: "v0.5.0", Files: blob,
		Head: "abc1234def5678900000000000000000000000aa", Base: "1234567def5678900000000000000000000000bb", Serving: "1234567def5678900000000000000000000000bb",
		Check: status(sources.Success, "412 resources"),
	}
}

func resource(kind schema.Kind, name string) schema.Ref {
	return schema.Ref{Kind: kind, Key: schema.Key{Namespace: "shop", Name: name}}
}

// canary is a plan that has something of everything.
func canary() *plan.Plan {
	router, service := resource(schema.KindVirtualRouter, "api"), resource(schema.KindVirtualService, "api")
	v1, v2, web := resource(schema.KindVirtualNode, "api-v1"), resource(schema.KindVirtualNode, "api-v2"), resource(schema.KindVirtualNode, "web")
	at := func(line int) schema.Pos { return schema.Pos{File: "spec/shop/api.yaml", Line: line, Col: 9} }
	caller, node := xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "web_shop"}, xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "api-v2_shop"}
	return &plan.Plan{
		From: "1234567", To: "abc1234",
		Resources: []plan.Resource{
			{Change: schema.Change{Ref: v2, Op: schema.Added}, Pos: at(40)},
			{Change: schema.Change{Ref: router, Op: schema.Changed}, Pos: at(1), Fields: []plan.Field{
				{Path: "spec.routes[0].httpRoute.action.weightedTargets[0].weight", Before: "100", After: "50", Pos: at(18)},
				{Path: "spec.routes[0].httpRoute.timeout.perRequest.value", Before: "15", After: "2", Pos: at(24)},
			}},
			{Change: schema.Change{Ref: resource(schema.KindVirtualNode, "api-v0"), Op: schema.Removed}, Pos: schema.Pos{File: "spec/shop/old.yaml", Line: 1}},
		},
		Routes: []plan.Route{
			{Owner: router, Name: "all", Match: "prefix /", Op: schema.Changed, Before: []plan.Share{{Target: v1, Percent: 100}},
				After: []plan.Share{{Target: v1, Percent: 50}, {Target: v2, Percent: 50}}, Other: []string{"timeout 15s → 2s", "retries 2 → 5, on gateway-error"}},
			{Owner: router, Name: "search", Match: "prefix /search, method POST, header x-user matches ^(a|b)$", Op: schema.Added, After: []plan.Share{{Target: v2, Port: 8080, Percent: 100}}},
			{Owner: router, Name: "legacy", Match: "path /old", Op: schema.Removed, Before: []plan.Share{{Target: v1, Percent: 100}}},
		},
		Proxies: plan.Proxies{Touched: 12, Connected: 40, Identities: []plan.Touched{
			{Identity: caller, Connected: 9, Resources: []string{"RouteConfiguration egress", "Cluster api-v2_shop_http_8080"}},
			{Identity: node, Connected: 3, Resources: []string{"Listener ingress"}},
		}},
		Drains: []plan.Drain{{Identity: node, Listener: "ingress", Why: "port 8080 takes TLS"}},
		Moves:  []plan.Move{{From: caller, Request: "POST http://api.shop.svc.cluster.local:8080/search", Before: "VirtualRouter/shop/api all", After: "VirtualRouter/shop/api search"}, {From: caller, Request: "GET http://api.shop.svc.cluster.local:8080/old", Before: "VirtualRouter/shop/api legacy"}},
		Risks: []plan.Risk{
			{Code: "timeout", Level: plan.High, Ref: router, Pos: at(24), Text: "the timeout of 2s is shorter than the p99 of api-v1, 2.4s over the last 5 minutes: about 1 in 100 requests would fail; set it to 5s or more"},
			{Code: "retries", Level: plan.Low, Ref: router, Pos: at(26), Text: "retries on gateway-error repeat POST requests to /search that may have taken effect; match methods, or drop it"},
		},
		Graph: plan.Graph{
			Nodes: []plan.GraphNode{{Ref: web}, {Ref: service}, {Ref: router, Op: schema.Changed}, {Ref: v1}, {Ref: v2, Op: schema.Added}, {Ref: resource(schema.KindVirtualNode, "api-v0"), Op: schema.Removed}},
			Edges: []plan.GraphEdge{{From: web, To: service, Before: 100, After: 100}, {From: service, To: router, Before: 100, After: 100},
				{From: router, To: v1, Before: 99, After: 50}, {From: router, To: v2, Before: -1, After: 50}, {From: router, To: resource(schema.KindVirtualNode, "api-v0"), Before: 1, After: -1}},
		},
	}
}

func mistakes() schema.Diagnostics {
	return schema.Diagnostics{
		{Code: "MW2001", Severity: schema.Error, Pos: schema.Pos{File: "spec/shop/api.yaml", Line: 19, Col: 23}, Resource: resource(schema.KindVirtualRouter, "api"),
			Path: "spec.routes[0].httpRoute.action.weightedTargets[1].virtualNodeRef.name", What: "no VirtualNode/shop/api-v3", Fix: "did you mean api-v2?"},
		{Code: "MW2002", Severity: schema.Error, Pos: schema.Pos{File: "spec/shop/edge.yaml", Line: 3, Col: 1}, Resource: resource(schema.KindGatewayRoute, "site"),
			Path: "metadata.name", What: "defined twice", Also: schema.Pos{File: "spec/shop/old-edge.yaml", Line: 3, Col: 1}, Fix: "rename one of them"},
		{Code: "MW4001", Severity: schema.Warning, Pos: schema.Pos{File: "spec/shop/web.yaml", Line: 12, Col: 3}, Resource: resource(schema.KindVirtualNode, "web"),
			Path: "spec.logging", What: "has no effect in transparent mode"},
	}
}

func comments() map[string]report.Pull {
	all := map[string]report.Pull{}
	with := func(name string, change func(p *report.Pull)) {
		p := pull()
		change(&p)
		all[name] = p
	}
	with("no_mesh_changes", func(p *report.Pull) {})
	with("first_commit", func(p *report.Pull) { p.Environment, p.Serving, p.Plan, p.Files = "", "", canary(), "" })
	with("plan", func(p *report.Pull) { p.Plan = canary(); p.Diagnostics, p.Warnings = mistakes()[2:], 1 })
	with("errors", func(p *report.Pull) { p.Diagnostics, p.Errors, p.Warnings = mistakes(), 2, 1 })
	with("errors_many", func(p *report.Pull) {
		for i := range 100 {
			d := mistakes()[i%2]
			d.Pos.Line = i + 1
			p.Diagnostics = append(p.Diagnostics, d)
		}
		p.Errors = 1234
	})
	with("conflict", func(p *report.Pull) { p.Conflicts = []string{"spec/shop/api.yaml", "spec/shop/web.yaml"} })
	with("protected", func(p *report.Pull) {
		p.Plan, p.Protected = canary(), []string{"needs label mesh-gateway: spec/shop/edge.yaml", "needs label platform or security: VirtualNode/shop/api-v2"}
	})
	with("protected_brief", func(p *report.Pull) {
		p.Plan = &plan.Plan{Resources: canary().Resources[1:2]}
		p.Protected = []string{"needs label mesh-gateway: spec/shop/edge.yaml"}
	})
	with("branch_refused", func(p *report.Pull) {
		p.Plan, p.Refused = canary(), "1234567def5678900000000000000000000000dd"
	})
	with("unread", func(p *report.Pull) {
		p.Check = status(sources.Errored, "could not be read, will be tried again: fetch refs/pull/104/head: timeout")
	})
	with("merged", func(p *report.Pull) {
		p.Plan, p.Protected = canary(), []string{"needs label mesh-gateway: spec/shop/edge.yaml"}
		p.After = &report.After{Commit: "abc1234def5678900000000000000000000000cc", Applied: status(sources.Success, "12/12 proxies in 140 ms"),
			Health: status(sources.Success, "99.98 % of 1,204 requests succeeded (99.97 % before), p99 31 ms (30 ms)")}
	})
	with("merged_refused", func(p *report.Pull) {
		p.Plan = canary()
		p.After = &report.After{Commit: "abc1234def5678900000000000000000000000cc",
			Applied: status(sources.Failure, "ui-1 refused listeners: Error adding/updating listener(s) ingress: cannot bind '0.0.0.0:8080' (+2 more)")}
	})
	with("merged_worse", func(p *report.Pull) {
		p.Plan = canary()
		p.After = &report.After{Commit: "abc1234def5678900000000000000000000000cc", Applied: status(sources.Success, "12/12 proxies in 140 ms"),
			Health: status(sources.Failure, "success rate of api-v2 fell from 99.97 % to 91.3 % (1,204 requests)")}
	})
	with("answers", func(p *report.Pull) {
		p.Plan = canary()
		p.Answers = []report.Answer{
			{Who: "octocat", Command: "/meshwright explain web api /search", Text: "GET http://api.shop.svc.cluster.local:8080/search\n  web: route VirtualRouter/shop/api all (prefix /)\n    50 % api-v1\n    50 % api-v2\n"},
			{Who: "octocat", Command: "/meshwright explain web", Text: "write /meshwright explain FROM TO [METHOD] PATH"},
			{Who: "hubot-fan", Command: "/meshwright pause api", Text: "there is no canary api; canaries: none"},
		}
		p.Past = []report.PastPlan{
			{Head: "feed123000000", When: time.Date(2026, 11, 25, 14, 2, 11, 0, time.UTC), Verdict: "2 errors, nothing of it would be served"},
			{Head: "beef123000000", When: time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC), Verdict: "1 route, 9 of 40 proxies"},
		}
	})
	with("not_checked_yet", func(p *report.Pull) {
		*p = report.Pull{Environment: "prod", Number: 7, Version: "v0.5.0", Answers: []report.Answer{{Who: "octocat", Command: "/meshwright pla", Text: "no command pla; did you mean plan?"}}}
	})
	with("large", func(p *report.Pull) { p.Plan = large(1000); p.Diagnostics, p.Warnings = mistakes()[2:], 1 })
	with("hostile", func(p *report.Pull) {
		const s = "@octocat fixes #1 <img src=https://evil.example/i.png> `**No mesh changes**` <!-- meshwright:plan --> | \u202ex"
		*p = hostile(s, blob)
		p.After, p.Conflicts = nil, nil
	})
	return all
}

// large is a plan of n routers that change at once.
func large(n int) *plan.Plan {
	p := canary()
	p.Proxies.Touched, p.Proxies.Connected = n, 2*n
	small := *p
	p.Resources, p.Routes, p.Proxies.Identities, p.Risks = nil, nil, nil, p.Risks[:1]
	for i := range n {
		name := fmt.Sprintf("s%05d", i)
		r, route, touched := small.Resources[1], small.Routes[0], small.Proxies.Identities[0]
		r.Ref.Name, route.Owner.Name, touched.Identity.Name = name, name, name+"_shop"
		p.Resources, p.Routes, p.Proxies.Identities = append(p.Resources, r), append(p.Routes, route), append(p.Proxies.Identities, touched)
	}
	return p
}

// TestComments holds comments as they are written; testdata/ has them.
func TestComments(t *testing.T) {
	for name, p := range comments() {
		t.Run(name, func(t *testing.T) {
			got := report.Comment(p, 65000)
			inspect(t, got, blob, 65000)
			if name == "hostile" {
				return // such an identity does not get into a plan, nor out of a store
			}
			if again := report.Comment(stored(t, p), 65000); again != got {
				t.Errorf("stored, it is another comment:\n%s", cmp.Diff(got, again))
			}
			golden(t, "comment_"+name+".md", got)
		})
	}
}

// TestPlans holds the comments of plans, beside what they are plans of.
func TestPlans(t *testing.T) {
	for _, c := range fixtures.Archives(t, "plans/*.txtar") {
		t.Run(c.Name, func(t *testing.T) {
			p := pull()
			p.Environment = ""
			if err := json.Unmarshal([]byte(c.Want(t, "want/plan.json")), &p.Plan); err != nil {
				t.Fatal(err)
			}
			got := report.Comment(p, 65000)
			inspect(t, got, blob, 65000)
			c.Golden(t, "want/comment.md", got)
		})
	}
}

// stored is a pull request as the store has it.
func stored(t *testing.T, p report.Pull) (again report.Pull) {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	return again
}

// TestCommentIsCut: whatever there is room for is whole.
func TestCommentIsCut(t *testing.T) {
	p := comments()["answers"]
	p.Plan = large(300)
	for limit := range 40 {
		limit *= 200
		got := report.Comment(p, limit)
		inspect(t, got, blob, limit)
		if limit >= 200 && !strings.Contains(got, "**300 routes**") {
			t.Errorf("no verdict in %d characters: %s", limit, got)
		}
		if limit >= 1200 && limit < 4000 && !strings.Contains(got, "Left out for length: ") {
			t.Errorf("it says not what is left out in %d characters:\n%s", limit, got)
		}
	}
	golden(t, "comment_cut.md", report.Comment(p, 4000))
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (UPDATE=1 rewrites it) (-want +got):\n%s", file, diff)
	}
}
