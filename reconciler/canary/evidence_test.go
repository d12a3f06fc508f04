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
	reporting, silent, told := Reporting([]xds.Proxy{
		{ID: "tells", Identity: caller, Connected: hour, Reported: ago(6 * time.Second)},
		{ID: "late", Identity: caller, Connected: hour, Reported: ago(14 * time.Second)},
		{ID: "mute", Identity: caller, Connected: hour},
		{ID: "ceased", Identity: caller, Connected: hour, Reported: ago(16 * time.Second)},
		{ID: "new", Identity: caller, Connected: ago(time.Second)},
		{ID: "grpc", Identity: caller, Connected: hour, Proxyless: true},
		{ID: "other", Identity: xds.Identity{Mesh: "m", Kind: schema.KindVirtualNode, Name: "api"}, Connected: hour},
	}, []xds.Identity{caller}, aMonday)
	if diff := cmp.Diff([]Straggler{{"mute", time.Hour}, {"ceased", 16 * time.Second}}, silent); reporting != 2 || told != time.Hour || diff != "" {
		t.Errorf("%d report, all up to %s ago; silent (-want +got):\n%s", reporting, told, diff)
	}
}
