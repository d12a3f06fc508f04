package ads

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/meshwright/meshwright/xds"
)

// script drives a stream by hand; what it sends is compared as text:
// "clusters#1 +a +b -c", responses separated by "; ".
type script struct {
	t   *testing.T
	s   *stream
	now time.Time
}

func newScript(t *testing.T, delta bool) *script {
	return &script{t, newStream(delta, 0), time.Unix(1, 0)}
}

func (x *script) publish(commit label, list ...*xds.Resource) *script {
	want := resources(list...)
	x.s.target(commit, want, differences{}.between(x.s.want, want))
	return x
}

func (x *script) receive(r request) answer {
	x.t.Helper()
	a, err := x.s.receive(r, x.now)
	if err != nil {
		x.t.Fatal(err)
	}
	return a
}

func (x *script) sub(t xds.Type, names ...string) *script {
	x.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: names})
	return x
}

func (x *script) unsub(t xds.Type, names ...string) *script {
	x.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesUnsubscribe: names})
	return x
}

// again is the first request of a proxy that was here before.
func (x *script) again(t xds.Type, names []string, versions ...*xds.Resource) *script {
	has := map[string]string{}
	for _, r := range versions {
		has[r.Name] = r.Version
	}
	x.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: names, InitialResourceVersions: has})
	return x
}

// sotw is a state-of-the-world request.
func (x *script) sotw(t xds.Type, version, nonce string, names ...string) *script {
	x.receive(&discoveryv3.DiscoveryRequest{TypeUrl: t.URL(), ResourceNames: names, VersionInfo: version, ResponseNonce: nonce})
	return x
}

func (x *script) ack(t xds.Type, nonce string) *script {
	if !x.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResponseNonce: nonce}).acked {
		x.t.Errorf("%s#%s was not taken as an ACK", t, nonce)
	}
	return x
}

func (x *script) nack(t xds.Type, nonce, message string) *script {
	a := x.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResponseNonce: nonce, ErrorDetail: &status.Status{Message: message}})
	if a.nack == nil || a.acked {
		x.t.Errorf("%s#%s was not taken as a NACK", t, nonce)
	}
	return x
}

func (x *script) sends(want string) *script {
	x.t.Helper()
	var out []string
	for _, r := range x.s.next(x.now) {
		line := r.typ.String() + "#" + r.nonce
		for _, y := range r.resources {
			line += " +" + y.Name
		}
		for _, n := range r.removed {
			line += " -" + n
		}
		out = append(out, line)
	}
	if got := strings.Join(out, "; "); got != want {
		x.t.Errorf("sends %q, want %q", got, want)
	}
	return x
}

func (x *script) applied(want label) *script {
	x.t.Helper()
	if x.s.applied != want {
		x.t.Errorf("applied is %q, want %q", x.s.applied, want)
	}
	return x
}

// up brings a delta proxy to a state with cluster a behind route r.
func up(t *testing.T) *script {
	return newScript(t, true).publish("c1", a1, inL, rA).
		sub(xds.Cluster).sends("clusters#1 +a").ack(xds.Cluster, "1").applied("").
		sub(xds.Listener).sends("listeners#2 +in").ack(xds.Listener, "2").
		sub(xds.Route, "r").sends("routes#3 +r").ack(xds.Route, "3").sends("").applied("c1")
}

var (
	a1, a2 = dns("a", "127.0.0.1", 1), dns("a", "127.0.0.1", 2)
	b1, b2 = dns("b", "127.0.0.1", 1), dns("b", "127.0.0.1", 2)
	inL    = listener("in", 1, "r")
	inL2   = listener("in", 1, "r2")
	rA, rB = route("r", "a"), route("r", "b")
	r2B    = route("r2", "b")
)

func TestOrder(t *testing.T) {
	t.Run("another_cluster_behind_a_route", func(t *testing.T) {
		up(t).publish("c2", b1, inL, rB).
			sends("clusters#4 +b").sends("").ack(xds.Cluster, "4").
			sends("routes#5 +r").sends("").applied("c1").ack(xds.Route, "5").
			sends("clusters#6 -a").applied("c2").ack(xds.Cluster, "6").sends("")
	})
	t.Run("another_route_behind_a_listener", func(t *testing.T) {
		// The listener warms until its new routes come: they must not wait for
		// its ACK, nor for anything but clusters on their way.
		up(t).publish("c2", a1, b1, inL2, r2B).
			sends("clusters#4 +b").ack(xds.Cluster, "4").
			sends("listeners#5 +in").
			sub(xds.Route, "r2").sends("routes#6 +r2").
			ack(xds.Listener, "5").ack(xds.Route, "6").
			sends("routes#7 -r").applied("c2")
	})
	t.Run("a_fresh_route_waits_for_its_cluster", func(t *testing.T) {
		x := up(t).publish("c2", a1, inL2, route("r2", "a")).sends("listeners#4 +in").
			publish("c3", a1, b1, inL2, r2B).sends("clusters#5 +b").
			sub(xds.Route, "r2").sends("").ack(xds.Listener, "4").sends("").
			ack(xds.Cluster, "5").sends("routes#6 +r2")
		x.ack(xds.Route, "6").sends("routes#7 -r").applied("c3")
	})
	t.Run("endpoints_never_wait_for_the_ACK_of_their_cluster", func(t *testing.T) {
		e, e2 := eds("e", time.Second), eds("e", 2*time.Second)
		newScript(t, true).publish("c1", e, cla("e", 1)).
			sub(xds.Cluster).sends("clusters#1 +e").
			sub(xds.Endpoint, "e").sends("endpoints#2 +e").
			ack(xds.Endpoint, "2").ack(xds.Cluster, "1").sends("").
			// and a changed cluster needs them once more, after it
			publish("c2", e2, cla("e", 1)).sends("clusters#3 +e; endpoints#4 +e")
	})
	t.Run("endpoints_follow_a_changed_cluster_on_a_new_stream", func(t *testing.T) {
		e, e2 := eds("e", time.Second), eds("e", 2*time.Second)
		newScript(t, true).publish("c2", e2, cla("e", 1)).
			again(xds.Cluster, nil, e).sends("clusters#1 +e").
			again(xds.Endpoint, []string{"e"}, cla("e", 1)).sends("endpoints#2 +e")
	})
	t.Run("a_listener_goes_with_the_change_that_may_take_its_address", func(t *testing.T) {
		up(t).publish("c2", a1, listener("other", 1, "r"), rA).sends("listeners#4 +other -in")
	})
	t.Run("a_publish_in_the_middle_plans_from_what_the_proxy_holds", func(t *testing.T) {
		up(t).publish("c2", b1, inL, rB).sends("clusters#4 +b").
			publish("c3", a1, inL, rA).sends("").ack(xds.Cluster, "4").
			sends("clusters#5 -b").ack(xds.Cluster, "5").sends("").applied("c3")
		up(t).publish("c2", b1, inL, rB).sends("clusters#4 +b").
			publish("c3", b2, inL, rB).sends("clusters#5 +b").ack(xds.Cluster, "4").
			sends("").ack(xds.Cluster, "5").sends("routes#6 +r")
	})
	t.Run("removals_linger", func(t *testing.T) {
		x := up(t)
		x.s.linger = time.Second
		x.publish("c2", b1, inL, rB).sends("clusters#4 +b").ack(xds.Cluster, "4").sends("routes#5 +r").
			ack(xds.Route, "5").sends("").applied("c2")
		if due := x.s.due(); !due.Equal(x.now.Add(time.Second)) {
			t.Errorf("due at %v", due)
		}
		x.now = x.s.due()
		x.sends("clusters#6 -a")
	})
	t.Run("removals_wait_until_a_proxy_that_came_back_asked_for_its_routes", func(t *testing.T) {
		x := newScript(t, true).publish("c2", b1, inL, rB).
			again(xds.Cluster, nil, a1, b1).sends("").
			again(xds.Listener, nil, inL).sends("").
			again(xds.Route, []string{"r"}, rA).sends("routes#1 +r").ack(xds.Route, "1").
			sends("clusters#2 -a")
		x.applied("c2")
	})
	t.Run("removals_of_a_proxy_without_routes", func(t *testing.T) {
		x := newScript(t, true).publish("c2", b1, inL).again(xds.Cluster, nil, a1, b1).again(xds.Listener, nil, inL).sends("")
		x.now = x.s.due()
		x.sends("clusters#1 -a")
	})
}

func TestNACK(t *testing.T) {
	t.Run("holds_what_depends_on_it", func(t *testing.T) {
		x := up(t).publish("c2", b1, inL, rB).sends("clusters#4 +b").nack(xds.Cluster, "4", "no").sends("").applied("c1")
		want := &xds.NACK{Commit: "c2", Resources: []string{"b"}, Message: "no", At: x.now}
		if d := cmp.Diff(want, x.s.status()[xds.Cluster].NACK); d != "" {
			t.Errorf("NACK (-want +got):\n%s", d)
		}
		x.publish("c3", b1, inL, rB).sends("") // nothing changed
		x.publish("c4", b1, inL, rB, r2B).sends("")
		x.publish("c5", b2, inL, rB).sends("clusters#5 +b").ack(xds.Cluster, "5").sends("routes#6 +r").
			ack(xds.Route, "6").sends("clusters#7 -a").applied("c5")
		if n := x.s.status()[xds.Cluster].NACK; n != nil {
			t.Errorf("the NACK stands after an ACK: %+v", n)
		}
	})
	t.Run("is_over_when_the_change_is_reverted", func(t *testing.T) {
		up(t).publish("c2", a2, inL, rA).sends("clusters#4 +a").nack(xds.Cluster, "4", "no").
			publish("c3", a1, inL, rA).sends("clusters#5 +a").ack(xds.Cluster, "5").applied("c1").sends("").applied("c3")
	})
	t.Run("of_one_of_two_sends_both_when_one_changes", func(t *testing.T) {
		c := dns("c", "127.0.0.1", 1)
		up(t).publish("c2", a1, b1, c, inL, rA).sends("clusters#4 +b +c").nack(xds.Cluster, "4", "b is bad").
			publish("c3", a1, b2, c, inL, rA).sends("clusters#5 +b +c")
	})
	t.Run("leaves_nothing_behind_that_the_proxy_took_in_part", func(t *testing.T) {
		up(t).publish("c2", a1, b1, inL, rA).sends("clusters#4 +b").nack(xds.Cluster, "4", "no").
			publish("c3", a1, inL, rA).sends("clusters#5 -b")
	})
	t.Run("does_not_keep_a_new_proxy_from_the_rest", func(t *testing.T) {
		newScript(t, true).publish("c1", a1, b1, inL, rA).sub(xds.Cluster).sends("clusters#1 +a +b").nack(xds.Cluster, "1", "no").
			sub(xds.Listener).sends("listeners#2 +in").sub(xds.Route, "r").sends("routes#3 +r").applied("")
	})
	t.Run("of_a_set_sends_no_set_with_it", func(t *testing.T) {
		x := newScript(t, false).publish("c1", a1).sotw(xds.Cluster, "", "").sends("clusters#1 +a").sotw(xds.Cluster, "v", "1").
			publish("c2", a1, b1).sends("clusters#2 +a +b")
		x.receive(&discoveryv3.DiscoveryRequest{TypeUrl: xds.Cluster.URL(), ResponseNonce: "2", VersionInfo: "v", ErrorDetail: &status.Status{Message: "no"}})
		c := dns("c", "127.0.0.1", 1)
		x.sends("").publish("c3", a1, b1, c).sends("clusters#3 +a +c")
	})
}

func TestDelta(t *testing.T) {
	t.Run("nothing_is_sent_before_there_is_a_state", func(t *testing.T) {
		newScript(t, true).sub(xds.Cluster).sub(xds.Listener).sends("").publish("c1", a1, inL, rA).
			sends("clusters#1 +a").ack(xds.Cluster, "1").sends("listeners#2 +in")
	})
	t.Run("star_is_a_wildcard_for_any_type", func(t *testing.T) {
		newScript(t, true).publish("c1", a1, rA).sub(xds.Route, "*").sends("routes#1 +r").
			unsub(xds.Route, "*").publish("c2", a1, rB).sends("")
	})
	t.Run("no_names_are_no_wildcard_for_endpoints", func(t *testing.T) {
		newScript(t, true).publish("c1", cla("e", 1)).sub(xds.Endpoint).sends("").sub(xds.Endpoint, "e").sends("endpoints#1 +e")
	})
	t.Run("a_name_that_does_not_exist_is_removed_at_once_and_sent_when_it_does", func(t *testing.T) {
		newScript(t, true).publish("c1", a1).sub(xds.Endpoint, "e").sends("endpoints#1 -e").ack(xds.Endpoint, "1").sends("").
			publish("c2", a1, cla("e", 1)).sends("endpoints#2 +e")
	})
	t.Run("a_removed_resource_that_comes_back_is_sent", func(t *testing.T) {
		newScript(t, true).publish("c1", cla("e", 1)).sub(xds.Endpoint, "e").sends("endpoints#1 +e").ack(xds.Endpoint, "1").
			publish("c2").sends("endpoints#2 -e").ack(xds.Endpoint, "2").sends("").
			publish("c3", cla("e", 1)).sends("endpoints#3 +e")
	})
	t.Run("nothing_is_sent_after_an_unsubscription", func(t *testing.T) {
		up(t).unsub(xds.Route, "r").publish("c2", a1, inL, route("r", "a", "x")).sends("").applied("c2").
			sub(xds.Route, "r").sends("routes#4 +r")
	})
	t.Run("asking_again_sends_again", func(t *testing.T) {
		up(t).sub(xds.Route, "r").sends("routes#4 +r")
	})
	t.Run("a_name_given_up_under_a_wildcard_is_confirmed", func(t *testing.T) {
		newScript(t, true).publish("c1", a1).sub(xds.Cluster, "*", "a").sends("clusters#1 +a").ack(xds.Cluster, "1").
			unsub(xds.Cluster, "a").sends("clusters#2 +a")
		newScript(t, true).publish("c1", a1, b1).sub(xds.Cluster, "*", "a").sends("clusters#1 +a +b").ack(xds.Cluster, "1").
			publish("c2", b1).unsub(xds.Cluster, "a").sends("clusters#2 -a")
	})
	t.Run("a_proxy_that_has_it_all_is_sent_nothing", func(t *testing.T) {
		newScript(t, true).publish("c1", a1, inL, rA).again(xds.Cluster, nil, a1).again(xds.Listener, nil, inL).
			again(xds.Route, []string{"r"}, rA).sends("").applied("c1")
	})
	t.Run("a_proxy_that_comes_back_is_sent_the_difference", func(t *testing.T) {
		newScript(t, true).publish("c1", a1, b1, inL, rA).again(xds.Cluster, []string{"*"}, a2, b1).sends("clusters#1 +a")
	})
	t.Run("an_empty_wildcard_is_answered", func(t *testing.T) {
		newScript(t, true).publish("c1").sub(xds.Cluster).sends("clusters#1")
	})
	t.Run("an_old_nonce_is_no_answer_but_its_names_count", func(t *testing.T) {
		x := newScript(t, true).publish("c1", cla("e", 1)).sub(xds.Endpoint, "x").sends("endpoints#1 -x")
		a := x.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Endpoint.URL(), ResponseNonce: "77", ResourceNamesSubscribe: []string{"e"}})
		if a != (answer{}) {
			t.Errorf("%+v", a)
		}
		x.sends("endpoints#2 +e")
	})
	t.Run("types_that_are_not_served_are_passed_over", func(t *testing.T) {
		x := up(t)
		x.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: "type.googleapis.com/envoy.service.runtime.v3.Runtime"})
		x.sends("").applied("c1")
	})
	t.Run("names_are_bounded", func(t *testing.T) {
		x := newScript(t, true)
		var names []string
		for i := range maxNames + 1 {
			names = append(names, fmt.Sprint(i))
		}
		_, err := x.s.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Endpoint.URL(), ResourceNamesSubscribe: names}, x.now)
		if !errors.Is(err, errTooManyNames) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a_commit_that_changes_nothing_moves_on_in_silence", func(t *testing.T) {
		up(t).publish("c2", a1, inL, rA).applied("c2").sends("")
	})
}

func TestStateOfTheWorld(t *testing.T) {
	version := func(list ...*xds.Resource) string { return setVersion(list) }
	t.Run("clusters_are_sent_whole_old_ones_until_the_end", func(t *testing.T) {
		newScript(t, false).publish("c1", a1, inL, rA).
			sotw(xds.Cluster, "", "").sends("clusters#1 +a").sotw(xds.Cluster, version(a1), "1").
			sotw(xds.Listener, "", "").sends("listeners#2 +in").sotw(xds.Listener, version(inL), "2").
			sotw(xds.Route, "", "", "r").sends("routes#3 +r").sotw(xds.Route, version(rA), "3", "r").sends("").applied("c1").
			publish("c2", b1, inL, rB).sends("clusters#4 +a +b").sotw(xds.Cluster, version(a1, b1), "4").
			sends("routes#5 +r").sotw(xds.Route, version(rB), "5", "r").
			sends("clusters#6 +b").sotw(xds.Cluster, version(b1), "6").sends("").applied("c2")
	})
	t.Run("a_proxy_with_the_same_version_is_sent_nothing", func(t *testing.T) {
		newScript(t, false).publish("c1", a1, b1, inL, rA).sotw(xds.Cluster, version(a1, b1), "").sotw(xds.Listener, version(inL), "").
			sotw(xds.Route, version(rA), "", "r").sends("").applied("c1").
			publish("c2", a1, b2, inL, rA).sends("clusters#1 +a +b")
	})
	t.Run("a_proxy_with_another_version_is_sent_the_set", func(t *testing.T) {
		newScript(t, false).publish("c1", a1, b1).sotw(xds.Cluster, "other", "").sends("clusters#1 +a +b")
	})
	t.Run("requests_from_before_the_last_response_are_ignored", func(t *testing.T) {
		newScript(t, false).publish("c1", cla("e", 1), cla("f", 1)).sotw(xds.Endpoint, "", "", "e").sends("endpoints#1 +e").
			sotw(xds.Endpoint, "", "", "f").sends("").
			sotw(xds.Endpoint, "v", "1", "e", "f").sends("endpoints#2 +e +f")
	})
	t.Run("names_that_are_gone_from_a_request_are_given_up", func(t *testing.T) {
		newScript(t, false).publish("c1", cla("e", 1), cla("f", 1)).sotw(xds.Endpoint, "", "", "e", "f").sends("endpoints#1 +e +f").
			sotw(xds.Endpoint, "v", "1", "f").sends("").publish("c2", cla("e", 2), cla("f", 1)).sends("").
			publish("c3", cla("e", 2), cla("f", 2)).sends("endpoints#2 +f")
	})
	t.Run("a_request_that_says_nothing_new_asks_again", func(t *testing.T) {
		newScript(t, false).publish("c1", cla("e", 1)).sotw(xds.Endpoint, "", "", "e").sends("endpoints#1 +e").
			sotw(xds.Endpoint, "v", "1", "e").sends("").sotw(xds.Endpoint, "v", "1", "e").sends("endpoints#2 +e")
	})
	t.Run("an_empty_set_is_sent", func(t *testing.T) {
		newScript(t, false).publish("c1").sotw(xds.Cluster, "", "").sends("clusters#1").sotw(xds.Cluster, "v", "1").sends("")
	})
	t.Run("names_end_the_wildcard", func(t *testing.T) {
		newScript(t, false).publish("c1", a1, b1).sotw(xds.Cluster, "", "").sends("clusters#1 +a +b").
			sotw(xds.Cluster, "v", "1", "b").publish("c2", a2, b1).sends("").publish("c3", a2, b2).sends("clusters#2 +b")
	})
	t.Run("a_grpc_client_asks_from_the_listener_down", func(t *testing.T) {
		newScript(t, false).publish("c1", eds("e", time.Second), cla("e", 1), inL, route("r", "e")).
			sotw(xds.Listener, "", "", "in").sends("listeners#1 +in").sotw(xds.Listener, "v", "1", "in").
			sotw(xds.Route, "", "", "r").sends("routes#2 +r").sotw(xds.Route, "v", "2", "r").
			sotw(xds.Cluster, "", "", "e").sends("clusters#3 +e").sotw(xds.Cluster, "v", "3", "e").
			sotw(xds.Endpoint, "", "", "e").sends("endpoints#4 +e").sotw(xds.Endpoint, "v", "4", "e").sends("").applied("c1")
	})
}

// The frame that is put together from shared pieces is what protobuf would make.
func TestFrame(t *testing.T) {
	var p press
	r := response{typ: xds.Cluster, nonce: "7", commit: "abc", version: "v", resources: []*xds.Resource{a1, eds("e", time.Second)}}
	var got discoveryv3.DiscoveryResponse
	if err := proto.Unmarshal(p.frame(r, false).pieces.Materialize(), &got); err != nil {
		t.Fatal(err)
	}
	want := &discoveryv3.DiscoveryResponse{VersionInfo: "v", TypeUrl: xds.Cluster.URL(), Nonce: "7", ControlPlane: identifier("abc")}
	for _, x := range r.resources {
		want.Resources = append(want.Resources, x.Body)
	}
	if d := cmp.Diff(want, &got, protocmp.Transform()); d != "" {
		t.Errorf("sotw (-want +got):\n%s", d)
	}

	r.version, r.removed = "", []string{"x", "y"}
	var gotDelta discoveryv3.DeltaDiscoveryResponse
	if err := proto.Unmarshal(p.frame(r, true).pieces.Materialize(), &gotDelta); err != nil {
		t.Fatal(err)
	}
	wantDelta := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: xds.Cluster.URL(), Nonce: "7", ControlPlane: identifier("abc"), RemovedResources: []string{"x", "y"}}
	for _, x := range r.resources {
		wantDelta.Resources = append(wantDelta.Resources, &discoveryv3.Resource{Name: x.Name, Version: x.Version, Resource: x.Body})
	}
	if d := cmp.Diff(wantDelta, &gotDelta, protocmp.Transform()); d != "" {
		t.Errorf("delta (-want +got):\n%s", d)
	}
}

// TestPress: what is the same but for the nonce is encoded once, and nothing else
// is taken for it.
func TestPress(t *testing.T) {
	var p press
	r := response{typ: xds.Cluster, nonce: "1", commit: "c1", resources: []*xds.Resource{a1}}
	with := func(change func(*response)) response {
		o := r
		change(&o)
		return o
	}
	for _, o := range []response{
		r, with(func(r *response) { r.nonce = "2" }), with(func(r *response) { r.commit = "c2" }), with(func(r *response) { r.version = "v" }),
		with(func(r *response) { r.resources = []*xds.Resource{a2} }), with(func(r *response) { r.removed = []string{"b"} }),
		with(func(r *response) { r.resources = []*xds.Resource{a1, b1} }), with(func(r *response) { r.typ = xds.Endpoint }), r,
	} {
		before := p[1][o.typ].Load()
		var got, want discoveryv3.DeltaDiscoveryResponse
		var fresh press
		if err := errors.Join(proto.Unmarshal(p.frame(o, true).pieces.Materialize(), &got), proto.Unmarshal(fresh.frame(o, true).pieces.Materialize(), &want)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&want, &got, protocmp.Transform()); d != "" || got.GetNonce() != o.nonce {
			t.Errorf("nonce %s (-want +got):\n%s", got.GetNonce(), d)
		}
		if again := before != nil && p[1][o.typ].Load() == before; again != (o.nonce == "2") {
			t.Errorf("%+v is encoded once: %v", o, again)
		}
	}
	if n := testing.AllocsPerRun(100, func() { p.frame(r, true) }); n > 3 {
		t.Errorf("%v allocations of a frame that is there", n)
	}
}

func FuzzAssignmentOf(f *testing.F) {
	f.Add(eds("e", time.Second).Body.GetValue())
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := *a1
		r.Body = proto.CloneOf(a1.Body)
		r.Body.Value = b
		assignmentOf(&r)
	})
}
