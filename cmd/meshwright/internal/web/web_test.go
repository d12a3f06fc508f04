package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/web"
	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// fixed is a daemon at which nothing happens, but that it hears what is said.
type fixed struct {
	view *reconciler.View
	said []string
}

func (f *fixed) View() *reconciler.View { return f.view }

func (f *fixed) Say(rollout string, verb canary.Verb, by string) error {
	switch rollout {
	case "nobody":
		return reconciler.Unknown{What: "there is no rollout nobody"}
	case "done":
		return errors.New("the rollout done has nothing on its way")
	}
	f.said = append(f.said, fmt.Sprintf("%s %s by %s", verb, rollout, by))
	return nil
}

func handler(v *reconciler.View, hook http.Handler) http.Handler {
	metrics := prometheus.NewRegistry()
	up := prometheus.NewGauge(prometheus.GaugeOpts{Name: "meshwright_test_up", Help: "Whether the test runs."})
	metrics.MustRegister(up)
	return web.Handler(&fixed{view: v}, web.Config{Metrics: metrics, Hook: hook, Logger: slog.New(slog.DiscardHandler)})
}

// ask sends a request without a body.
func ask(v *reconciler.View, method, target string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	handler(v, nil).ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	return rec
}

const (
	serving = "4be1c0d9b2f4dd36ed0b4f2b5d8c2f1a90e6a7c1"
	refused = "9a31f02cc7d5a4b3e2f1009f8e7d6c5b4a392817"
	pulled  = "77c0ffee2d4f6a8b0c1d3e5f7a9b1c3d5e7f9a0b"
)

// busy is what a daemon shows on a day with work: a refused commit, a proxy
// that refuses a listener, one that lags, a pull request, an outage.
func busy() *reconciler.View {
	now := time.Now()
	node := func(name string) xds.Identity {
		return xds.Identity{Mesh: "yelb", Kind: schema.KindVirtualNode, Name: name + "_yelb"}
	}
	types := func(n *xds.NACK) map[xds.Type]xds.TypeStatus {
		return map[xds.Type]xds.TypeStatus{
			xds.Cluster:  {Resources: 4, Sent: 2, Commit: serving},
			xds.Listener: {Resources: 2, Sent: 3, Commit: serving, NACK: n},
		}
	}
	v := &reconciler.View{
		Ready: true, Serving: serving, Head: refused,
		Source: reconciler.SourceView{OK: true, Since: now.Add(-26 * time.Hour), Fetched: now.Add(-4 * time.Second)},
		Proxies: []reconciler.ProxyView{
			{Should: "4be1c0d", Has: "4be1c0d", InStep: true, Proxy: xds.Proxy{ID: "ui-7d9f", Identity: node("yelb-ui"), Protocol: "delta", Address: "10.0.1.7:51322", Connected: now.Add(-26 * time.Hour), Desired: serving, Applied: serving, Types: types(nil),
				Endpoints: []xds.Endpoints{{Cluster: "cds_egress_yelb_yelb-appserver_yelb_http_4567", Healthy: 2, Total: 3}}}},
			{Should: "4be1c0d", Has: pulled[:7], Proxy: xds.Proxy{ID: "appserver-v1-5c44", Identity: node("yelb-appserver"), Protocol: "delta", Connected: now.Add(-3 * time.Hour), Desired: serving, Applied: pulled, Types: types(&xds.NACK{
				Commit: serving, Resources: []string{"inbound:4567"}, At: now, Message: "Error adding/updating listener(s) inbound:4567: Didn't find a registered implementation for 'envoy.filters.http.lua' with type URL: 'envoy.extensions.filters.http.lua.v3.Lua'"})}},
			{Should: "4be1c0d", Proxy: xds.Proxy{ID: "redis-0", Identity: node("redis-server"), Protocol: "sotw", Explicit: true, Connected: now.Add(-40 * time.Second), Desired: serving}},
			{Proxy: xds.Proxy{ID: "old-host", Identity: node("gone"), Protocol: "sotw", Connected: now.Add(-2 * time.Hour), Note: "no VirtualNode for mesh/yelb/virtualNode/gone_yelb in the spec"}},
		},
		Commits: []reconciler.CommitView{
			{Commit: refused, Title: "appserver: send 101 % to v2", Author: "Bea", When: now.Add(-2 * time.Minute), Branch: true, Result: reconciler.Bad, Errors: 7, Warnings: 1, Documents: 14,
				Applied: &reconciler.AppliedView{State: sources.Failure, Description: "refused: see meshwright/check; serving 4be1c0d"},
				Statuses: []reconciler.StatusView{{Context: "meshwright/check", Status: sources.Status{State: sources.Failure}, Written: true},
					{Context: "meshwright/applied", Status: sources.Status{State: sources.Failure}}}},
			{Commit: pulled, Title: "ui: longer timeouts", Author: "Chidi", When: now.Add(-50 * time.Minute), Pulls: []int{41}, Result: reconciler.Good, Documents: 15, Warnings: 1,
				Statuses: []reconciler.StatusView{{Context: "meshwright/check", Status: sources.Status{State: sources.Success}, Error: "Resource not accessible by personal access token; give it \"Commit statuses: write\""}}},
			{Commit: serving, Title: "appserver: half of the traffic to v2", Author: "Ada", When: now.Add(-26 * time.Hour), Branch: true, Serving: true, Result: reconciler.Good, Documents: 14,
				Applied: &reconciler.AppliedView{State: sources.Success, Description: "5/5 proxies in 31 ms"}, Health: &sources.Status{State: sources.Success, Description: "99.97 % of 1204 requests succeed"}},
		},
	}
	risk := plan.Risk{Code: "all-at-once", Level: plan.High, Text: "yelb-appserver moves at once"}
	v.Pulls = []reconciler.PullView{
		{Number: 41, Title: "ui: longer timeouts", Author: "chidi", Head: pulled, Open: true, Fork: true, Verdict: "1 route, 5 of 5 proxies; 1 high risk",
			Check: sources.Status{State: sources.Success, Description: "15 resources, 1 warning"}, Plan: sources.Status{State: sources.Success, Description: "1 route, 5 of 5 proxies, 1 high risk"},
			Report: &report.Pull{Number: 41, Head: pulled, Plan: &plan.Plan{Risks: []plan.Risk{risk}, Resources: []plan.Resource{{Change: schema.Change{
				Ref: schema.Ref{Kind: schema.KindVirtualRouter, Key: schema.Key{Namespace: "yelb", Name: "yelb-ui"}}, Op: schema.Changed}}}}}},
		{Number: 40, Title: "docs", Author: "ada", Head: "d0c5", Open: true, Draft: true, Verdict: "no mesh changes",
			Check: sources.Status{State: sources.Success, Description: "no mesh changes"}, Plan: sources.Status{State: sources.Success, Description: "no mesh changes"}},
	}
	v.Rollouts = []reconciler.RolloutView{
		{Name: "yelb/appserver", Start: schema.StartMerge, Base: serving, Target: refused, Phase: canary.Watching, State: sources.Pending, Step: 2, Steps: 3, Weight: 25,
			Line:    "25 % · 99.97 % of 12,480 requests · p99 41 ms (base 38 ms) · 3 m 10 s left",
			History: make([]reconciler.RolloutEvent, 4),
			Chart:   []string{"    0 % ▕░░░░░░░░░░░░░░░░░░░░▏ 1 s", "    5 % ▕█░░░░░░░░░░░░░░░░░░░▏ 2 m 3 s", "   25 % ▕█████░░░░░░░░░░░░░░░▏ 1 m 50 s watching"},
			Timeline: []string{"Wed 25 Nov", "12:00:00      0 %  waiting       from 4be1c0d to 9a31f02", "12:00:01      5 %  moving        the first step",
				"12:02:03     25 %  moving        5 % passed in 2 m 2 s", "          99.98 % of 2,480 requests · p99 40 ms (base 38 ms) · base 99.98 % of 47,120 · 5 proxies, 2 m 2 s", "12:02:04     25 %  watching      all proxies have it"}},
		{Name: "yelb/ui", Start: schema.StartPullRequest, Base: serving, Target: pulled, Pull: 41, By: "chidi", Phase: canary.RolledBack, Ended: true, State: sources.Failure, Step: 1, Steps: 2,
			Line:    "rolled back from 10 %: success rate 96.9 % of 1,204 requests, below 99.5 %, in the last of 2 failed intervals",
			History: make([]reconciler.RolloutEvent, 1), Chart: []string{"    0 % ▕░░░░░░░░░░░░░░░░░░░░▏ rolled-back"}, Timeline: []string{"Wed 25 Nov", "12:00:00      0 %  rolled-back   success rate 96.9 %"}},
		{Name: "yelb/db", Start: schema.StartMerge, Base: serving, Target: serving, Ended: true, Line: "nothing is on its way"},
		{Name: "yelb/cache", Start: schema.StartMerge, Base: pulled, Target: serving, Phase: canary.RolledBack, Ended: true, State: sources.Failure, Step: 1, Steps: 2, Line: "rolled back from 10 %: aborted by ops"},
	}
	for i := range 8 {
		d := schema.Diagnostic{Code: schema.CodeRange, Severity: schema.Error, Pos: schema.Pos{File: "specs/appserver.yaml", Line: 41 + i, Col: 23},
			Resource: schema.Ref{Kind: schema.KindVirtualRouter, Key: schema.Key{Namespace: "yelb", Name: "yelb-appserver"}},
			Path:     "spec.routes[0].httpRoute.action.weightedTargets[1].weight", What: "101 is out of range (0 to 100)", Fix: "weights are shares of their sum"}
		if i == 7 {
			d.Severity = schema.Warning
		}
		v.Commits[0].Diagnostics = append(v.Commits[0].Diagnostics, d)
	}
	for i, name := range []string{"yelb-ui", "yelb-appserver", "yelb-appserver-v2", "redis-server", "yelb-db"} {
		v.Resources = append(v.Resources, reconciler.ResourceView{
			Ref:  schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Namespace: "yelb", Name: name}},
			Mesh: "yelb", AWSName: name + "_yelb", Pos: schema.Pos{File: "specs/" + name + ".yaml", Line: 1 + 20*i, Col: 1}, Digest: "d1"})
	}
	return v
}

var show = flag.Duration("show", 0, "serve the page with made-up data for so long, to look at it")

// TestShow is for people: go test -run Show -show 10m -v.
func TestShow(t *testing.T) {
	if *show == 0 {
		t.Skip("nobody looks (-show)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("http://%s", l.Addr())
	s := &http.Server{Handler: handler(busy(), nil)}
	time.AfterFunc(*show, func() { s.Close() })
	s.Serve(l)
}

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		method, target string
		code           int
		contentType    string
		body           string // pattern
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", `(?s)^<!doctype html>.*</html>\n$`},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ``},
		{"GET", "/healthz", 200, "text/plain; charset=utf-8", `^ok\n$`},
		{"GET", "/readyz", 200, "text/plain; charset=utf-8", `^serving 4be1c0d`},
		{"GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", `(?m)^meshwright_test_up 0$`},
		{"GET", "/api/v1/proxies", 200, "application/json", `"id": "ui-7d9f",\n    "identity": "mesh/yelb/virtualNode/yelb-ui_yelb"`},
		{"GET", "/api/v1/commits", 200, "application/json", `"title": "appserver: send 101 % to v2"`},
		{"GET", "/api/v1/pulls?name=timeouts", 200, "application/json", `(?s)"number": 41,.*"check": \{\n +"state": "success",.*"code": "all-at-once"`},
		{"GET", "/api/v1/source", 200, "application/json", `"ok": `},
		{"GET", "/api/v1/resources", 200, "application/json", `"kind": "VirtualNode",\n      "namespace": "yelb",\n      "name": "yelb-ui"`},
		{"POST", "/api/v1/commits", 405, "text/plain; charset=utf-8", ``},
		{"GET", "/api/v1/rollouts?name=yelb/app", 200, "application/json", `(?s)^\[\n  \{\n    "name": "yelb/appserver",.*"line": "25 % · 99.97 % of.*\]\n$`},
		{"POST", "/api/v1/rollouts/appserver/abort", 403, "text/plain; charset=utf-8", `^this daemon takes no writes: it has no API token; start it with --api-token-file`},
		{"GET", "/api/v1/rollouts/appserver/abort", 405, "text/plain; charset=utf-8", ``},
		{"GET", "/etc/passwd", 404, "text/plain; charset=utf-8", ``},
		{"POST", "/webhooks/github", 403, "text/plain; charset=utf-8", `webhooks are off`},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			rec := ask(busy(), c.method, c.target)
			if rec.Code != c.code || rec.Header().Get("Content-Type") != c.contentType || !regexp.MustCompile(c.body).MatchString(rec.Body.String()) {
				t.Errorf("%d %q, want %d %q with %s:\n%s", rec.Code, rec.Header().Get("Content-Type"), c.code, c.contentType, c.body, rec.Body)
			}
		})
	}
}

func TestWebhookIsMounted(t *testing.T) {
	rec := httptest.NewRecorder()
	hook := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	handler(busy(), hook).ServeHTTP(rec, httptest.NewRequest("POST", "/webhooks/github", nil))
	if rec.Code != http.StatusAccepted {
		t.Errorf("the hook did not answer: %d", rec.Code)
	}
}

// TestLists: a list is a list also when it is empty, and reads back into what
// the client prints.
func TestLists(t *testing.T) {
	for _, c := range []struct {
		target string
		view   *reconciler.View
		want   []string // ids
	}{
		{"/api/v1/proxies", busy(), []string{"ui-7d9f", "appserver-v1-5c44", "redis-0", "old-host"}},
		{"/api/v1/proxies?name=virtualNode/redis", busy(), []string{"redis-0"}},
		{"/api/v1/proxies?name=nobody", busy(), []string{}},
		{"/api/v1/proxies", &reconciler.View{}, []string{}},
	} {
		body := ask(c.view, "GET", c.target).Body.Bytes()
		var list []xds.Proxy
		if err := json.Unmarshal(body, &list); err != nil || list == nil {
			t.Errorf("%s: %v in %s", c.target, err, body)
		}
		ids := []string{}
		for _, p := range list {
			ids = append(ids, p.ID)
		}
		if !slices.Equal(ids, c.want) {
			t.Errorf("%s = %q, want %q", c.target, ids, c.want)
		}
	}
	var commits []reconciler.CommitView
	if err := json.Unmarshal(ask(busy(), "GET", "/api/v1/commits?name="+refused).Body.Bytes(), &commits); err != nil || len(commits) != 1 || len(commits[0].Diagnostics) != 8 {
		t.Errorf("commits by hash: %v, %d", err, len(commits))
	}
	var resources []reconciler.ResourceView
	if err := json.Unmarshal(ask(busy(), "GET", "/api/v1/resources?name=appserver-v2").Body.Bytes(), &resources); err != nil || len(resources) != 1 || resources[0].Pos.File != "specs/yelb-appserver-v2.yaml" {
		t.Errorf("resources by name: %v, %+v", err, resources)
	}
}

func TestReady(t *testing.T) {
	for _, c := range []struct {
		name string
		view reconciler.View
		code int
		body string
	}{
		{"before_the_first_look", reconciler.View{}, 503, "no good spec yet\n"},
		{"only_bad_commits", reconciler.View{Head: refused, Commits: busy().Commits, Source: reconciler.SourceView{OK: true}}, 503,
			"no good spec yet; 9a31f02 was refused: " + busy().Commits[0].Diagnostics[0].String() + "\n"},
		{"host_not_reached", reconciler.View{Source: reconciler.SourceView{Error: "no route to host"}}, 503, "no good spec yet; no route to host\n"},
		{"serving", reconciler.View{Ready: true, Serving: serving, Source: reconciler.SourceView{OK: true}}, 200, "serving " + serving + "\n"},
		{"serving_while_the_host_is_away", reconciler.View{Ready: true, Serving: serving, Source: reconciler.SourceView{Error: "no route to host"}}, 200, "serving " + serving + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if rec := ask(&c.view, "GET", "/readyz"); rec.Code != c.code || rec.Body.String() != c.body {
				t.Errorf("%d %q, want %d %q", rec.Code, rec.Body, c.code, c.body)
			}
		})
	}
}

func TestPageTells(t *testing.T) {
	v := busy()
	v.Environment = "prod"
	v.Source.OK, v.Source.Error = false, "fetch main: no route to host"
	body := ask(v, "GET", "/").Body.String()
	for _, want := range []string{
		"Meshwright · prod", "4 proxies", "no route to host", "is not served",
		"appserver.yaml:41:23: error: VirtualRouter/yelb/yelb-appserver", "7 errors, 1 warning", "and 3 more",
		"5/5 proxies in 31 ms", "99.97 % of 1204 requests succeed", "Rollouts", `<progress max="100" value="25"></progress> 25 %`, "2/3", "12,480 requests", "▕█████░░", "12:02:04     25 %  watching", `class="failure">rolled back from 10 %`, "pull request 41", "asked for by chidi", "nothing is on its way", `<details class="live" open>`, `mesh/<wbr>yelb/<wbr>virtualNode/<wbr>yelb-ui_yelb`,
		`; <span class="bad">but yelb/cache is at <a href="#` + pulled + `"><code>77c0ffe</code></a></span>;`,
		"Pull requests", `class="warning"><details><summary>1 route, 5 of 5 proxies, 1 high risk</summary>`, `class="success">no mesh changes</td>`, "yelb-appserver moves at once", "changed VirtualRouter/yelb/yelb-ui", "from a fork", `id="` + pulled + `"`, "listeners of 4be1c0d: Error adding/updating listener(s)", "no VirtualNode for mesh/yelb",
		"2/3 endpoints healthy", "2 of 3 endpoints of cds_egress_yelb_yelb-appserver_yelb_http_4567 healthy",
		"meshwright/applied waits to be written", "was not taken: Resource not accessible",
		`id="` + serving + `"`, "VirtualNode/yelb/redis-server",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if empty := ask(&reconciler.View{}, "GET", "/").Body.String(); !strings.Contains(empty, "no good spec yet") || !strings.Contains(empty, "none connected") {
		t.Errorf("the page of a daemon that has just started:\n%s", empty)
	}
}

// TestPageEscapes: people who may open pull requests write titles, and proxies
// write messages.
func TestPageEscapes(t *testing.T) {
	const hostile = `"><script>alert(1)</script><a href="javascript:alert(2)" onclick='x'>{{.}}`
	v := busy()
	v.Environment, v.Source.Error = hostile, hostile
	v.Commits[0].Title, v.Commits[0].Author, v.Commits[0].Commit = hostile, hostile, hostile
	v.Commits[0].Diagnostics[0].What, v.Commits[0].Applied.Description, v.Commits[1].Statuses[0].Error = hostile, hostile, hostile
	v.Pulls[0].Title, v.Pulls[0].Verdict, v.Pulls[0].Head, v.Pulls[0].Report.Plan.Risks[0].Text, v.Pulls[0].Plan.Description = hostile, hostile, hostile, hostile, hostile
	v.Proxies[0].ID, v.Proxies[0].Note, v.Proxies[0].Identity.Name = hostile, hostile, hostile
	v.Proxies[1].Types[xds.Listener].NACK.Message = hostile
	v.Rollouts[0].Name, v.Rollouts[0].Line, v.Rollouts[0].Timeline[1], v.Rollouts[1].By, v.Rollouts[1].Base = hostile, hostile, hostile, hostile, hostile
	v.Resources[0].Ref.Name, v.Resources[0].Pos.File = hostile, hostile
	rec := ask(v, "GET", "/")
	before, rest, _ := strings.Cut(rec.Body.String(), "<script>")
	ours, after, _ := strings.Cut(rest, "</script>")
	for _, bad := range []string{"<script", "<a href=\"javascript", "onclick='"} {
		if strings.Contains(before+after, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	if !strings.Contains(rec.Body.String(), "&lt;script&gt;") {
		t.Error("the title is not on the page at all")
	}
	sum := sha256.Sum256([]byte(ours))
	only := "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
	if csp := rec.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || !strings.Contains(csp, only) {
		t.Errorf("Content-Security-Policy %q lets scripts run, or the page's own not", csp)
	}
}
