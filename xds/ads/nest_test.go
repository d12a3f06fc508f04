package ads

import (
	"fmt"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/xds"
)

// nest is a route configuration that takes its virtual hosts one by one.
func nest(name string) *xds.Resource {
	return resource(xds.Route, name, &routev3.RouteConfiguration{Name: name, Vhds: &routev3.Vhds{ConfigSource: fromADS()}, ValidateClusters: wrapperspb.Bool(false)})
}

// host is a virtual host of routes that sends all for some domains to a cluster.
func host(routes, name, cluster string, domains ...string) *xds.Resource {
	name = xds.VirtualHostName(routes, name)
	return resource(xds.VirtualHost, name, &routev3.VirtualHost{Name: name, Domains: domains, Routes: []*routev3.Route{{
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}},
	}}})
}

var (
	rN       = nest("r")
	xA, xB   = host("r", "x", "a", "x"), host("r", "x", "b", "x")
	yA, yxA  = host("r", "y", "a", "y"), host("r", "y", "a", "y", "x")
	r2x, r2y = host("r2", "x", "a", "x"), host("r2", "y", "a", "y")
)

// upNested brings an Envoy to a state with the virtual hosts x and y behind the
// routes r, both to cluster a.
func upNested(t *testing.T) *script {
	return newScript(t, true).publish("c1", a1, inL, rN, xA, yA).
		sub(xds.Cluster).sends("clusters#1 +a").ack(xds.Cluster, "1").
		sub(xds.Listener).sends("listeners#2 +in").ack(xds.Listener, "2").
		sub(xds.Route, "r").sends("routes#3 +r").ack(xds.Route, "3").sends("").applied("").
		sub(xds.VirtualHost).sends("virtualHosts#4 +r/x +r/y").applied("").ack(xds.VirtualHost, "4").sends("").applied("c1")
}

func TestVirtualHosts(t *testing.T) {
	t.Run("another_cluster_behind_one", func(t *testing.T) {
		upNested(t).publish("c2", a1, b1, inL, rN, xB, yA).
			sends("clusters#5 +b").sends("").ack(xds.Cluster, "5").
			sends("virtualHosts#6 +r/x").sends("").applied("c1").ack(xds.VirtualHost, "6").sends("").applied("c2")
	})
	t.Run("domains_pass_to_another_at_once", func(t *testing.T) {
		upNested(t).publish("c2", a1, inL, rN, yxA).
			sends("virtualHosts#5 +r/y -r/x").applied("c1").ack(xds.VirtualHost, "5").sends("").applied("c2")
	})
	t.Run("a_cluster_goes_after_its_host", func(t *testing.T) {
		upNested(t).publish("c2", a1, b1, inL, rN, xB, yA).sends("clusters#5 +b").ack(xds.Cluster, "5").sends("virtualHosts#6 +r/x").ack(xds.VirtualHost, "6").sends("").
			publish("c3", a1, inL, rN, yA).
			sends("virtualHosts#7 -r/x").sends("").applied("c2").ack(xds.VirtualHost, "7").sends("clusters#8 -b").applied("c3")
	})
	t.Run("new_routes_bring_theirs", func(t *testing.T) {
		// The second listener warms until they come; they wait for no ACK of it.
		upNested(t).publish("c2", a1, inL, listener("in2", 2, "r2"), rN, xA, yA, nest("r2"), r2x, r2y).
			sends("listeners#5 +in2").sends("").
			sub(xds.Route, "r2").sends("routes#6 +r2; virtualHosts#7 +r2/x +r2/y").
			ack(xds.Listener, "5").ack(xds.Route, "6").sends("").applied("c1").ack(xds.VirtualHost, "7").sends("").applied("c2")
	})
	t.Run("routes_that_were_let_go_of_bring_them_again", func(t *testing.T) {
		upNested(t).unsub(xds.Route, "r").sends("").sub(xds.Route, "r").sends("routes#5 +r; virtualHosts#6 +r/x +r/y")
	})
	t.Run("what_drains_keeps_its_own", func(t *testing.T) {
		upNested(t).publish("c2", a1, listener("in", 1, "r2"), nest("r2"), r2x).
			sends("listeners#5 +in").sub(xds.Route, "r2").sends("routes#6 +r2; virtualHosts#7 +r2/x").
			ack(xds.Listener, "5").ack(xds.Route, "6").ack(xds.VirtualHost, "7").sends("routes#8 -r").applied("c2").
			ack(xds.Route, "8").unsub(xds.Route, "r").sends("")
	})
	t.Run("who_comes_back_gets_nothing", func(t *testing.T) {
		for name, order := range map[string][2]xds.Type{"routes_first": {xds.Route, xds.VirtualHost}, "hosts_first": {xds.VirtualHost, xds.Route}} {
			t.Run(name, func(t *testing.T) {
				x := newScript(t, true).publish("c1", a1, inL, rN, xA, yA).
					again(xds.Cluster, nil, a1).again(xds.Listener, nil, inL)
				for _, typ := range order {
					if typ == xds.Route {
						x.again(typ, []string{"r"}, rN)
					} else {
						x.again(typ, nil, xA, yA)
					}
					x.sends("")
				}
				x.applied("c1")
			})
		}
	})
	t.Run("who_comes_back_gets_what_differs", func(t *testing.T) {
		newScript(t, true).publish("c2", a1, b1, inL, rN, xB).
			again(xds.Cluster, nil, a1, b1).again(xds.Listener, nil, inL).again(xds.VirtualHost, nil, xA, yA).sends("").
			again(xds.Route, []string{"r"}, rN).sends("virtualHosts#1 +r/x -r/y")
	})
	t.Run("what_it_says_of_routes_long_gone_does_not_count", func(t *testing.T) {
		newScript(t, true).publish("c1", a1, inL, rN, xA).
			again(xds.Cluster, nil, a1).again(xds.Listener, nil, inL).again(xds.VirtualHost, nil, xA).sends("").
			sub(xds.Route, "r").sends("routes#1 +r; virtualHosts#2 +r/x")
	})
	t.Run("by_the_name_of_the_routes", func(t *testing.T) {
		newScript(t, true).publish("c1", rN, xA, yA, nest("r2"), r2x).
			sub(xds.VirtualHost, "r").sends("virtualHosts#1 +r/x +r/y").ack(xds.VirtualHost, "1").
			sub(xds.VirtualHost, "none").sends("virtualHosts#2 -none").ack(xds.VirtualHost, "2").
			publish("c2", rN, xB, nest("r2"), r2x).sends("virtualHosts#3 +r/x -r/y").ack(xds.VirtualHost, "3").
			unsub(xds.VirtualHost, "r").publish("c3", rN, xA, nest("r2"), r2x).sends("")
	})
	t.Run("by_its_own_name", func(t *testing.T) {
		newScript(t, true).publish("c1", rN, xA, yA).
			sub(xds.VirtualHost, "r/y", "r/z").sends("virtualHosts#1 +r/y -r/z").ack(xds.VirtualHost, "1").
			publish("c2", rN, xB, yxA).sends("virtualHosts#2 +r/y")
	})
	t.Run("a_refusal_names_it", func(t *testing.T) {
		x := upNested(t).publish("c2", a1, inL, rN, xA, yxA).sends("virtualHosts#5 +r/y").nack(xds.VirtualHost, "5", "x is there twice").sends("").applied("c1")
		if n := x.s.status()[xds.VirtualHost].NACK; n == nil || n.Commit != "c2" || fmt.Sprint(n.Resources) != "[r/y]" {
			t.Errorf("%+v", n)
		}
		x.publish("c3", a1, inL, rN, xA, yA).sends("virtualHosts#6 +r/y").ack(xds.VirtualHost, "6").sends("").applied("c3")
	})
	t.Run("they_wait_while_others_begin_to_serve", func(t *testing.T) {
		x := upNested(t)
		x.s.stage = serving
		x.publish("c2", a1, inL, rN, xB).sends("").applied("c1")
		x.s.stage = calling
		x.sends("virtualHosts#5 +r/x -r/y").ack(xds.VirtualHost, "5").sends("").applied("c2")
	})
	t.Run("what_they_lead_to_waits_until_they_have_gone", func(t *testing.T) {
		x := upNested(t).publish("c2", a1, inL, listener("in2", 2, "r"), rN, xA, yA).sends("listeners#5 +in2").ack(xds.Listener, "5").sends("")
		x.s.stage = calling
		x.publish("c3", a1, inL, rN, yA)
		for _, step := range []func(){
			func() { x.sends("listeners#6 -in2") },
			func() { x.ack(xds.Listener, "6").sends("virtualHosts#7 -r/x") },
		} {
			if step(); x.s.through() {
				t.Error("it is through, and x still leads to a")
			}
		}
		if x.ack(xds.VirtualHost, "7").sends(""); !x.s.through() {
			t.Error("it is not through")
		}
	})
}

// TestEnvoyVirtualHosts: a real Envoy waits for its virtual hosts before it
// serves, loses no request while they come, change and go, and gets nothing when
// it comes back.
func TestEnvoyVirtualHosts(t *testing.T) {
	fixtures.Envoy(t)
	l := listen(t, "127.0.0.1:0")
	at := l.Addr().String()
	s, stop := start(t, Config{Listener: l})
	port, port2, one1, two2 := freePort(t), freePort(t), upstream(t, "one"), upstream(t, "two")
	all := func(routes, cluster string) *xds.Resource { return host(routes, "any", cluster, "*") }
	base := []*xds.Resource{eds("one", time.Second), cla("one", one1), eds("two", time.Second), cla("two", two2), listener("in", port, "r"), rN}
	publish := func(commit string, more ...*xds.Resource) {
		t.Helper()
		s.Publish(one(commit, resources(append(more, base...)...)))
		done(t, s, commit, 1)
	}
	s.Publish(one("c1", resources(append(base, all("r", "one"))...)))
	envoy(t, "DELTA_GRPC", at, "")
	c := client(t)
	eventually(t, "first request", func() error {
		got, err := get(c, port)
		if err != nil && got != "" { // an answer, so that it listens
			t.Fatal("it served before it had its virtual hosts: ", err)
		}
		return err
	})
	done(t, s, "c1", 1)

	end := traffic(t, port)
	is := func(port int, want string) {
		t.Helper()
		if got, err := get(c, port); err != nil || got != want {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	for i := range 20 {
		publish(fmt.Sprint("two-", i), all("r", "two"), host("r", "b", "one", "b"))
		is(port, "two")
		publish(fmt.Sprint("one-", i), all("r", "one"))
		is(port, "one")
	}
	// The domain of one passes to another, and back.
	publish("passes", host("r", "other", "two", "*"))
	is(port, "two")
	publish("passes back", all("r", "one"))
	is(port, "one")
	// The routes themselves change, and their virtual hosts stay.
	wide := resource(xds.Route, "r", &routev3.RouteConfiguration{
		Name: "r", Vhds: &routev3.Vhds{ConfigSource: fromADS()}, ValidateClusters: wrapperspb.Bool(false),
		VirtualHosts: []*routev3.VirtualHost{{Name: "else", Domains: []string{"else"}}},
	})
	narrow := base
	for i := range 5 {
		base = append(narrow[:len(narrow)-1:len(narrow)-1], wide)
		publish(fmt.Sprint("wide-", i), all("r", "one"))
		is(port, "one")
		publish(fmt.Sprint("wide-two-", i), all("r", "two"))
		is(port, "two")
		base = narrow
		publish(fmt.Sprint("narrow-", i), all("r", "one"))
		is(port, "one")
	}
	if n, errs := end(); len(errs) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(errs), n, errs[0])
	}

	// Another server with the same state.
	end = traffic(t, port)
	stop()
	s, _ = start(t, Config{Listener: listen(t, at)})
	s.Publish(one("first-2", resources(append(base, all("r", "one"))...)))
	eventually(t, "return", func() error {
		for _, p := range s.Proxies() {
			if p.Applied == "first-2" && p.Types[xds.VirtualHost].Resources == 1 {
				for typ, status := range p.Types {
					if status.Sent > 0 {
						t.Errorf("%d responses of %s to an Envoy that has all", status.Sent, typ)
					}
				}
				return nil
			}
		}
		return fmt.Errorf("%+v", s.Proxies())
	})
	publish("after", all("r", "two"))
	is(port, "two")
	// Routes of another listener, gone and there again.
	for i := range 3 {
		publish(fmt.Sprint("second-", i), all("r", "one"), listener("in2", port2, "r2"), nest("r2"), all("r2", "two"))
		eventually(t, "the second listener", func() error { _, err := get(c, port2); return err })
		is(port2, "two")
		publish(fmt.Sprint("first-", i), all("r", "one"))
	}
	if n, errs := end(); len(errs) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(errs), n, errs[0])
	}
}
