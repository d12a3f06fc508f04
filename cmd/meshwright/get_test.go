package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

func TestGetTables(t *testing.T) {
	const good, bad = "4be1c0d9b2f4dd36ed0b4f2b5d8c2f1a90e6a7c1", "9a31f02cc7d5a4b3e2f1009f8e7d6c5b4a392817"
	ui := xds.Identity{Mesh: "yelb", Kind: schema.KindVirtualNode, Name: "ui"}
	answers := map[string]any{
		"proxies": []reconciler.ProxyView{
			{Should: "4be1c0d", Has: "4be1c0d", Proxy: xds.Proxy{ID: "ui-1", Identity: ui, Protocol: "delta", Desired: good, Applied: good, Endpoints: []xds.Endpoints{
				{Cluster: "cds_egress_yelb_db_http_80", Healthy: 3, Total: 3}, {Cluster: "cds_egress_yelb_v1_http_80", Healthy: 2, Total: 3}}}},
			{Should: "4be1c0d", Has: "4be1c0d..9a31f02 at 5 %", Proxy: xds.Proxy{ID: "ui-2", Identity: ui, Protocol: "sotw", Explicit: true, Desired: good, Applied: bad, Types: map[xds.Type]xds.TypeStatus{
				xds.Listener: {NACK: &xds.NACK{Commit: good, Message: "no such\nfilter"}}}}},
			{Proxy: xds.Proxy{ID: "ui-3", Identity: ui, Protocol: "delta", Note: "no VirtualNode for it"}},
		},
		"commits": []reconciler.CommitView{
			{Commit: bad, Branch: true, Title: "101 %\x1b[31m\tto v2", Result: reconciler.Bad, Applied: &reconciler.AppliedView{State: sources.Failure, Description: "refused"}, Health: &sources.Status{State: sources.Failure, Description: "diverged: serving 4be1c0d"},
				Diagnostics: schema.Diagnostics{{Severity: schema.Error, Pos: schema.Pos{File: "a.yaml", Line: 3, Col: 4}, What: "101 is out of range"}}},
			{Commit: good, Branch: true, Title: "half to v2", Result: reconciler.Good, Serving: true, Applied: &reconciler.AppliedView{State: sources.Success, Description: "5/5 proxies in 31 ms"}},
			{Commit: "c0ffee1", Title: "late", Pulls: []int{7, 9}, Result: reconciler.Bad, Statuses: []reconciler.StatusView{{Context: "meshwright/check", Status: sources.Status{Description: "needs a rebase: a.yaml changed on both sides"}}}},
			{Commit: "c0ffee2", Title: "gone", Result: reconciler.Good},
		},
		"pulls": []reconciler.PullView{
			{Number: 8, Title: "half\tto v2", Head: bad, Open: true, Verdict: "1 route, 5 of 5 proxies; 2 high risks", Report: &report.Pull{Plan: &plan.Plan{Risks: []plan.Risk{{Text: "all at once"}, {Text: "and blindly"}}}}},
			{Number: 7, Title: "all on v1", Head: good, Merged: true, Verdict: "Merged as 4be1c0d"},
			{Number: 6, Title: "none", Head: good, Verdict: "no mesh changes"},
		},
		"rollouts": []reconciler.RolloutView{
			{Name: "yelb/appserver", Target: bad, Phase: canary.Watching, Step: 2, Steps: 3, Weight: 12.5, Line: "12.5 % · 99.97 % of 480 requests\x1b"},
			{Name: "yelb/db", Target: good, Line: "nothing is on its way"},
			{Name: "yelb/ui", Target: bad, Pull: 8, Phase: canary.Waiting, Steps: 2, Line: "waits for #7 at 25 %"},
			{Name: "yelb/old", Target: bad, Pull: 6, Past: true, Phase: canary.Withdrawn, Ended: true, Step: 1, Steps: 2, Line: "withdrawn at 5 %: the pull request was closed"},
			{Name: "yelb/web", Target: good, Phase: canary.Completed, Ended: true, Step: 3, Steps: 3, Weight: 100, Line: "completed · after 17 m 4 s"},
		},
		"resources": []reconciler.ResourceView{{
			Ref:  schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Namespace: "yelb", Name: "ui"}},
			Mesh: "yelb", AWSName: "ui_yelb", Pos: schema.Pos{File: "ui.yaml", Line: 1, Col: 1}}},
	}
	want := map[string]string{
		"proxies": `
PROXY   STANDS FOR                 CAPTURE       XDS     DESIRED   APPLIED                   HEALTHY   NOTE
ui-1    mesh/yelb/virtualNode/ui   transparent   delta   4be1c0d   4be1c0d                   5/6       2 of 3 endpoints of cds_egress_yelb_v1_http_80 healthy
ui-2    mesh/yelb/virtualNode/ui   explicit      sotw    4be1c0d   4be1c0d..9a31f02 at 5 %             refuses listeners of 4be1c0d: no such filter
ui-3    mesh/yelb/virtualNode/ui   transparent   delta                                                 no VirtualNode for it
`,
		"commits": `
COMMIT                   TITLE              CHECK   APPLIED                HEALTH                      FIRST MISTAKE
9a31f02                  101 % [31m to v2   bad     refused                diverged: serving 4be1c0d   a.yaml:3:4: error: 101 is out of range
4be1c0d (serving)        half to v2         good    5/5 proxies in 31 ms
c0ffee1 (PR #7, PR #9)   late               bad                                                        needs a rebase: a.yaml changed on both sides
c0ffee2 (former PR)      gone               good
`,
		"pulls": `
PULL REQUEST   HEAD      TITLE        VERDICT                                 RISKS
8              9a31f02   half to v2   1 route, 5 of 5 proxies; 2 high risks   all at once (+1 more)
7 (merged)     4be1c0d   all on v1    Merged as 4be1c0d
6 (closed)     4be1c0d   none         no mesh changes
`,
		"rollouts": `
NAME             COMMIT         PHASE              STEP   WEIGHT   LINE
yelb/appserver   9a31f02        watching           2/3    12.5 %   12.5 % · 99.97 % of 480 requests
yelb/db          4be1c0d                                           nothing is on its way
yelb/ui          9a31f02 (#8)   waiting            0/2    0 %      waits for #7 at 25 %
yelb/old         9a31f02 (#6)   withdrawn (past)   1/2    0 %      withdrawn at 5 %: the pull request was closed
yelb/web         4be1c0d        completed          3/3    100 %    completed · after 17 m 4 s
`,
		"resources": `
RESOURCE              MESH   APP MESH NAME   DEFINED AT
VirtualNode/yelb/ui   yelb   ui_yelb         ui.yaml:1:1
`,
	}
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/source" {
			json.NewEncoder(w).Encode(reconciler.SourceView{Error: "no such branch", Since: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)})
			return
		}
		if r.URL.Query().Get("name") != "any name" {
			http.Error(w, "another question", http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(answers[strings.TrimPrefix(r.URL.Path, "/api/v1/")])
	}))
	defer daemon.Close()
	for what := range want {
		t.Run(what, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run([]string{"get", what, "any name", "--server", daemon.URL + "/"}, console{out: &out, err: &errs}); code != 0 {
				t.Fatalf("exit code %d: %s", code, &errs)
			}
			trouble := map[string]string{"commits": "the branch is not readable since 2026-10-01 12:00:00 UTC: no such branch\n"}[what]
			if errs.String() != trouble {
				t.Errorf("standard error %q, want %q", errs.String(), trouble)
			}
			lines := strings.Split(out.String(), "\n")
			for i := range lines {
				lines[i] = strings.TrimRight(lines[i], " ")
			}
			if diff := cmp.Diff(want[what], "\n"+strings.Join(lines, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			out.Reset()
			if code := run([]string{"get", what, "any name", "--server", daemon.URL, "-o", "json"}, console{out: &out, err: &errs}); code != 0 || !json.Valid(out.Bytes()) {
				t.Errorf("-o json: exit code %d: %s", code, &out)
			}
		})
	}
	for _, row := range []struct {
		args []string
		err  string
	}{
		{[]string{"rollouts"}, ""},
		{[]string{"rollouts", "yelb/apserver"}, `there are no rollouts whose name holds "yelb/apserver"; did you mean yelb/appserver?`},
		{[]string{"rollouts", "shop"}, `there are no rollouts whose name holds "shop", but yelb/appserver`},
		{[]string{"proxies", "shop"}, `there are no proxies whose name holds "shop"`},
		{[]string{"pulls"}, "there are no pulls"},
	} {
		few := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v1/rollouts" && r.URL.Query().Get("name") == "" {
				json.NewEncoder(w).Encode([]reconciler.RolloutView{{Name: "yelb/appserver"}})
				return
			}
			io.WriteString(w, "[]")
		}))
		var out, errs bytes.Buffer
		code := run(append(append([]string{"get"}, row.args...), "--server", few.URL), console{out: &out, err: &errs})
		if got := strings.TrimSpace(errs.String()); code != 0 || got != row.err || (out.Len() == 0) != (row.err != "") {
			t.Errorf("get %v: exit code %d\n%s\n%s, want %s", row.args, code, &out, got, row.err)
		}
		few.Close()
	}
	var out, errs bytes.Buffer
	if code := run([]string{"get", "proxies", "--server", daemon.URL}, console{out: &out, err: &errs}); code != 1 || !strings.Contains(errs.String(), "answered 400 Bad Request: another question") {
		t.Errorf("a daemon that refuses: exit code %d: %s", code, &errs)
	}
	if code := run([]string{"get", "pods"}, console{out: &out, err: &errs}); code != 2 {
		t.Errorf("get pods: exit code %d", code)
	}
}
