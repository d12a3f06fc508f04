package report_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

var (
	weight = schema.Diagnostic{
		Code: "MW2001", Severity: schema.Error, Pos: schema.Pos{File: "apps/yelb/routers/appserver.yaml", Line: 12, Col: 9},
		Resource: schema.Ref{Kind: schema.KindVirtualRouter, Key: schema.Key{Namespace: "yelb", Name: "appserver"}},
		Path:     "spec.routes[0].httpRoute.action.weightedTargets[1].weight",
		What:     "101 is out of range (0 to 100)", Fix: "weights are relative shares; write 100 for all",
	}
	brief   = schema.Diagnostic{Severity: schema.Error, Pos: schema.Pos{File: "a.yaml", Line: 1}, What: "no resource", Fix: "add one"}
	warning = schema.Diagnostic{Severity: schema.Warning, Pos: schema.Pos{File: "a.yaml"}, What: "deprecated"}
)

func nack(proxy, message string) xds.Rejection {
	return xds.Rejection{Proxy: proxy, Type: xds.Listener, NACK: xds.NACK{Message: message}}
}

func TestStatuses(t *testing.T) {
	elsewhere := weight
	elsewhere.Pos.File = strings.Repeat("folder/", 40) + "f.yaml"
	wordy := weight
	wordy.What = strings.Repeat("wörter ", 60)
	cases := []struct {
		name  string
		got   sources.Status
		state sources.StatusState
		want  string
	}{
		{"good", report.Check(412, schema.Diagnostics{warning, warning}), sources.Success, "412 resources, 2 warnings"},
		{"good_without_warnings", report.Check(412, nil), sources.Success, "412 resources"},
		{"one_of_each", report.Check(1, schema.Diagnostics{warning}), sources.Success, "1 resource, 1 warning"},
		{"no_resources", report.Check(0, nil), sources.Success, "0 resources"},
		{"short_error_whole", report.Check(3, schema.Diagnostics{warning, brief}), sources.Failure, "a.yaml:1: error: no resource; add one"},
		{"long_error_loses_least_first", report.Check(3, schema.Diagnostics{weight, brief, brief}), sources.Failure,
			"appserver.yaml:12:9: VirtualRouter/yelb/appserver: …weightedTargets[1].weight: 101 is out of range (0 to 100) (+2 more)"},
		{"long_folders", report.Check(3, schema.Diagnostics{elsewhere}), sources.Failure,
			"f.yaml:12:9: VirtualRouter/yelb/appserver: spec.routes[0].httpRoute.action.weightedTargets[1].weight: 101 is out of range (0 to 100)"},
		{"long_words_are_cut", report.Check(3, schema.Diagnostics{wordy, brief}), sources.Failure,
			"appserver.yaml:12:9: …weightedTargets[1].weight: wörter wörter wörter wörter wörter wörter wörter wörter wörter wörter wörter wör… (+1 more)"},
		{"unread", report.Unread(errors.New("fetch refs/pull/7/head:\n gone")), sources.Errored, "could not be read, will be tried again: fetch refs/pull/7/head: gone"},
		{"pending", report.Applied(xds.Progress{Touched: 12, Applied: 7}, 40), sources.Pending, "7/12 proxies"},
		{"applied", report.Applied(xds.Progress{Touched: 12, Applied: 12, Took: 140 * time.Millisecond}, 40), sources.Success, "12/12 proxies in 140 ms"},
		{"applied_in_seconds", report.Applied(xds.Progress{Touched: 1, Applied: 1, Took: 2449 * time.Millisecond}, 1), sources.Success, "1/1 proxies in 2.4 s"},
		{"applied_in_minutes", report.Applied(xds.Progress{Touched: 2, Applied: 2, Took: 125 * time.Second}, 2), sources.Success, "2/2 proxies in 2 min 5 s"},
		{"none_touched", report.Applied(xds.Progress{}, 40), sources.Success, "no proxy touched, of 40 proxies"},
		{"some_held_back", report.Applied(xds.Progress{Touched: 2, Applied: 2, Took: 140 * time.Millisecond, HeldBack: 1}, 3), sources.Success, "2/2 proxies in 140 ms; 1 held back: the spec has not what they stand for"},
		{"none_connected", report.Applied(xds.Progress{}, 0), sources.Success, "no proxies connected"},
		{"refused_by_a_proxy", report.Applied(xds.Progress{Touched: 2, Applied: 1, Rejected: []xds.Rejection{nack("ui-1", "Error adding/updating\nlistener(s) ingress:\tbad")}}, 2), sources.Failure,
			"ui-1 refused listeners: Error adding/updating listener(s) ingress: bad"},
		{"refused_by_proxies", report.Applied(xds.Progress{Touched: 3, Rejected: []xds.Rejection{nack("ui-1", strings.Repeat("x", 200)), nack("ui-2", "x"), nack("ui-3", "x")}}, 3), sources.Failure,
			"ui-1 refused listeners: " + strings.Repeat("x", 140-24-1-10) + "… (+2 more)"},
		{"superseded", report.Superseded("abc1234def"), sources.Errored, "superseded by abc1234"},
		{"not_applied", report.Refused("meshwright/check", "abc1234def"), sources.Failure, "refused: see meshwright/check; serving abc1234"},
		{"not_applied_at_first", report.Refused("meshwright/check", ""), sources.Failure, "refused: see meshwright/check; serving nothing yet"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.got.State != c.state || c.got.Description != c.want {
				t.Errorf("got  %s %q\nwant %s %q", c.got.State, c.got.Description, c.state, c.want)
			}
			if n := utf8.RuneCountInString(c.got.Description); n > report.Limit {
				t.Errorf("%d runes: %q", n, c.got.Description)
			}
		})
	}
}

func TestContext(t *testing.T) {
	if got := report.Context("", report.KindCheck); got != "meshwright/check" {
		t.Error(got)
	}
	if got := report.Context("prod", report.KindApplied); got != "meshwright/prod/applied" {
		t.Error(got)
	}
}

// FuzzClamp: whatever Envoy or a user's file says, a description is one line of
// valid text within the limit.
func FuzzClamp(f *testing.F) {
	for _, seed := range []string{"", "plain", strings.Repeat("ü", 141), "a\x00\xff\n b", strings.Repeat(" x", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := report.Clamp(s)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > report.Limit || strings.ContainsAny(got, "\n\r\t\x00") {
			t.Errorf("Clamp(%q) = %q", s, got)
		}
		if again := report.Clamp(got); again != got {
			t.Errorf("not stable: %q, then %q", got, again)
		}
	})
}
