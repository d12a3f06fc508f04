package canary_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "github.com/meshwright/meshwright/reconciler/canary"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

func TestReporting(t *testing.T) {
	caller := xds.Identity{Mesh: "m", Kind: schema.KindVirtualNode, Name: "web"}
	ago := func(d time.Duration) time.Time { return aMonday.Add(-d) }
	hour := ago(time.Hour)
	reporting, silent := Reporting([]xds.Proxy{
		{ID: "tells", Identity: caller, Connected: hour, Reported: ago(6 * time.Second)},
		{ID: "late", Identity: caller, Connected: hour, Reported: ago(14 * time.Second)},
		{ID: "mute", Identity: caller, Connected: hour},
		{ID: "ceased", Identity: caller, Connected: hour, Reported: ago(16 * time.Second)},
		{ID: "new", Identity: caller, Connected: ago(time.Second)},
		{ID: "grpc", Identity: caller, Connected: hour, Proxyless: true},
		{ID: "other", Identity: xds.Identity{Mesh: "m", Kind: schema.KindVirtualNode, Name: "api"}, Connected: hour},
	}, []xds.Identity{caller}, aMonday)
	if diff := cmp.Diff([]string{"ceased", "mute"}, silent); reporting != 2 || diff != "" {
		t.Errorf("%d report; silent (-want +got):\n%s", reporting, diff)
	}
}

func TestSum(t *testing.T) {
	v1, v2 := schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Name: "v1"}}, schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Name: "v2"}}
	counts := []uint64{3, 4}
	traffic := map[string]xds.Traffic{
		"v2":     {Window: time.Second, Requests: 7, Errors: 1, Latency: xds.Histogram{Counts: counts}},
		"v2_api": {Window: time.Second, Requests: 2, Latency: xds.Histogram{Counts: []uint64{0, 2}}},
		"v1":     {Requests: 100, Errors: 100},
		"gone":   {Requests: 1000},
	}
	got := Sum(traffic, map[string]schema.Ref{"v1": v1, "v2": v2, "v2_api": v2}, []schema.Ref{v2})
	want := xds.Traffic{Window: time.Second, Requests: 9, Errors: 1, Latency: xds.Histogram{Counts: []uint64{3, 6}}}
	if diff := cmp.Diff(want, got); diff != "" || counts[1] != 4 {
		t.Errorf("%v (-want +got):\n%s", counts, diff)
	}
}
