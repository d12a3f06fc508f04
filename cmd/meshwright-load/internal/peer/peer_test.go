package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/envoys"
	"github.com/meshwright/meshwright/xds"
)

func routes(domains ...string) *routev3.RouteConfiguration {
	rc := &routev3.RouteConfiguration{Name: "egress"}
	for i, domain := range domains {
		rc.VirtualHosts = append(rc.VirtualHosts, &routev3.VirtualHost{Name: fmt.Sprint("host-", i), Domains: []string{domain}})
	}
	return rc
}

// listener takes its routes from ADS.
func listener(t *testing.T, prefix string) *listenerv3.Listener {
	t.Helper()
	hcm, err := anypb.New(&hcmv3.HttpConnectionManager{StatPrefix: prefix, RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: "egress"}}})
	if err != nil {
		t.Fatal(err)
	}
	return &listenerv3.Listener{Name: "l", FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
		Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: hcm},
	}}}}}
}

// world has two nodes: of the first the second host changes, which is the other's
// only one, with another content that stays.
func world(t *testing.T) *World {
	t.Helper()
	b := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return &World{
		Resources: []Resource{
			{Type: xds.Cluster, Name: "c", Before: b(&clusterv3.Cluster{Name: "c"})},
			{Type: xds.Listener, Name: "l", Before: b(listener(t, "one"))},
			{Type: xds.Listener, Name: "l", Before: b(listener(t, "two"))},
			{Type: xds.Route, Name: "egress", Before: b(routes("a", "b")), After: b(routes("a", "b-after"))},
			{Type: xds.Route, Name: "egress", Before: b(routes("a", "other"))},
		},
		Nodes: []Node{{"one", []int{0, 1, 3}}, {"two", []int{0, 2, 4}}},
	}
}

// TestSplit: a part that nodes share is one; parts of one name and another
// content have names of their own; a change is one of a part only.
func TestSplit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "world")
	if err := world(t).Save(file); err != nil {
		t.Fatal(err)
	}
	w, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if w, err = w.Split(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range w.Resources {
		m, err := decode(r.Type, r.Before)
		if err != nil {
			t.Fatal(err)
		}
		own := m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByNumber(1)).String()
		got = append(got, fmt.Sprintf("%s %s (%s) %v", r.Type, r.Name, own, r.After != nil))
	}
	want := []string{"clusters c (c) false", "listeners l (l) false", "listeners l#1 (l#1) false", "routes host-0 (host-0) false", "routes host-1 (host-1) true", "routes host-1#1 (host-1#1) false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Node{{"one", []int{0, 1, 3, 4}}, {"two", []int{0, 2, 3, 5}}}, w.Nodes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPeers: each peer serves both kinds of streams, and its change, there and
// back, reaches the node that it is one for and no other.
func TestPeers(t *testing.T) {
	for _, kind := range []string{Snapshot, Linear, Floor} {
		for _, sotw := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, " sotw ", sotw), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				w := world(t)
				if kind != Snapshot {
					var err error
					if w, err = w.Split(); err != nil {
						t.Fatal(err)
					}
				}
				in, tell := io.Pipe()
				out, said := io.Pipe()
				ended := make(chan error, 1)
				go func() { ended <- Serve(ctx, kind, w, in, said) }()
				lines := bufio.NewScanner(out)
				lines.Scan()
				c := envoys.Config{Address: strings.TrimPrefix(lines.Text(), "ready: "), SotW: sotw, Nodes: []envoys.Node{{ID: "one"}, {ID: "two"}}}
				if kind == Linear {
					c.Names = w.Names()
				}
				fleet := envoys.Connect(ctx, c)
				defer fleet.Close()
				if err := fleet.Settled(ctx); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					all := fleet.Expect([]int{0})
					fmt.Fprintln(tell, "change")
					if lines.Scan(); lines.Text() != "changed" {
						t.Fatalf("it said %q", lines.Text())
					}
					if err := fleet.Await(ctx, all); err != nil {
						t.Fatal(err)
					}
					counts := fleet.Counts()
					// A snapshot has one version: with state of the world all of it comes again.
					if counts[0].Responses != 1 && !(kind == Snapshot && sotw) || counts[1].Responses != 0 {
						t.Errorf("the change came in %d and %d responses, want 1 and 0", counts[0].Responses, counts[1].Responses)
					}
				}
				tell.Close()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		}
	}
}
